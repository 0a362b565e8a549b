-- title: Text containing some words
-- answers: Where and when words can be read on screen.
-- parameter: words varchar 'exit' what the line has to contain, in any case
-- parameter: confidence double 80 the least confidence, 0..100
WITH newest AS (
    SELECT max_by(job_id, sequencer) AS job_id
    FROM jobs
    WHERE analysis = 'text-detection' AND NOT superseded
    GROUP BY video_bucket, video_key
)
SELECT
    video_key,
    CAST(timestamp_ms AS double) / 1000 AS second,
    text_detection."text" AS line,
    round(confidence, 1) AS confidence
FROM text_detection
WHERE job_id IN (SELECT job_id FROM newest)
    AND "type" = 'LINE'
    AND strpos(lower(text_detection."text"), lower(CAST(? AS varchar))) > 0
    AND text_detection.confidence >= CAST(? AS double)
ORDER BY video_key, second, line
