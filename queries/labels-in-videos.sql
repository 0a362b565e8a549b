-- title: What the videos show
-- answers: Every label, in how many videos it is seen, and its surest moment.
-- parameter: confidence double 80 the least confidence, 0..100
WITH newest AS (
    SELECT max_by(job_id, sequencer) AS job_id
    FROM jobs
    WHERE analysis = 'label-detection' AND NOT superseded
    GROUP BY video_bucket, video_key
)
SELECT
    label,
    count(DISTINCT job_id) AS videos,
    count(*) AS moments,
    round(max(confidence), 1) AS best_confidence,
    max_by(video_key, ROW(confidence, video_key)) AS best_video
FROM label_detection
WHERE job_id IN (SELECT job_id FROM newest)
    AND confidence >= CAST(? AS double)
GROUP BY label
ORDER BY videos DESC, moments DESC, label
