-- title: Every moment with a label
-- answers: Where and when something is seen, in the newest upload of each video.
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
    CAST(timestamp_ms AS double) / 1000 AS second,
    label,
    round(confidence, 1) AS confidence,
    instance_count AS how_many
FROM label_detection
WHERE job_id IN (SELECT job_id FROM newest)
    AND lower(label) = lower(CAST(? AS varchar))
    AND label_detection.confidence >= CAST(? AS double)
ORDER BY video_key, second
