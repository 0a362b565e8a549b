-- title: How long a label is on screen
-- answers: Seconds per video, from sampled moments or, with AggregateBy=SEGMENTS, from segments.
-- parameter: step_ms bigint 500 what one sampled moment stands for: Rekognition looks twice a second
-- parameter: label varchar 'Bicycle' the label's name, in any case
-- parameter: confidence double 80 the least confidence, 0..100
WITH newest AS (
    SELECT max_by(job_id, sequencer) AS job_id
    FROM jobs
    WHERE analysis = 'label-detection' AND NOT superseded
    GROUP BY video_bucket, video_key
)
SELECT
    video_key,
    CAST(sum(coalesce(duration_ms, CAST(? AS bigint))) AS double) / 1000 AS seconds,
    CAST(min(timestamp_ms) AS double) / 1000 AS first_second,
    CAST(max(coalesce(end_ms, timestamp_ms)) AS double) / 1000 AS last_second
FROM label_detection
WHERE job_id IN (SELECT job_id FROM newest)
    AND lower(label) = lower(CAST(? AS varchar))
    AND confidence >= CAST(? AS double)
GROUP BY video_bucket, video_key
ORDER BY seconds DESC, video_key
