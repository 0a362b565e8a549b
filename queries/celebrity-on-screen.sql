-- title: How long celebrities are on screen
-- answers: Who is seen in which video, and for how many seconds.
-- parameter: step_ms bigint 500 what one sampled moment stands for: Rekognition looks twice a second
-- parameter: confidence double 90 the least confidence, 0..100
WITH newest AS (
    SELECT max_by(job_id, sequencer) AS job_id
    FROM jobs
    WHERE analysis = 'celebrity-recognition' AND NOT superseded
    GROUP BY video_bucket, video_key
)
SELECT
    name,
    video_key,
    CAST(count(DISTINCT timestamp_ms) * CAST(? AS bigint) AS double) / 1000 AS seconds,
    CAST(min(timestamp_ms) AS double) / 1000 AS first_second
FROM celebrity_recognition
WHERE job_id IN (SELECT job_id FROM newest)
    AND confidence >= CAST(? AS double)
GROUP BY name, video_bucket, video_key
ORDER BY seconds DESC, name, video_key
