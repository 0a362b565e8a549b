-- title: Moderation in the last days
-- answers: What moderators should look at, from the uploads of the last days.
-- parameter: days bigint 7 how many days back; only files of these days are read
-- parameter: confidence double 80 the least confidence, 0..100
WITH newest AS (
    SELECT max_by(job_id, sequencer) AS job_id
    FROM jobs
    WHERE analysis = 'content-moderation' AND NOT superseded
    GROUP BY video_bucket, video_key
)
SELECT
    video_key,
    uploaded_at,
    CAST(timestamp_ms AS double) / 1000 AS second,
    label,
    parent_label,
    round(confidence, 1) AS confidence
FROM content_moderation
WHERE job_id IN (SELECT job_id FROM newest)
    AND "date" >= CAST(CAST(current_date - CAST(? AS bigint) * INTERVAL '1' DAY AS date) AS varchar)
    AND content_moderation.confidence >= CAST(? AS double)
ORDER BY uploaded_at DESC, video_key, second, label
