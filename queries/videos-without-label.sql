-- title: Videos without a label
-- answers: Which analysed videos never show something. Videos without a label detection are not listed.
-- parameter: label varchar 'Bicycle' the label's name, in any case
-- parameter: confidence double 50 what is less sure than this doesn't count as shown, 0..100
WITH newest AS (
    SELECT max_by(job_id, sequencer) AS job_id
    FROM jobs
    WHERE analysis = 'label-detection' AND NOT superseded
    GROUP BY video_bucket, video_key
)
SELECT
    video_key,
    CAST(video_duration_ms AS double) / 1000 AS seconds,
    detections
FROM jobs
WHERE job_id IN (SELECT job_id FROM newest)
    AND job_id NOT IN (
        SELECT job_id
        FROM label_detection
        WHERE lower(label) = lower(CAST(? AS varchar)) AND confidence >= CAST(? AS double)
    )
ORDER BY video_key
