-- title: What has been analysed
-- answers: Every video and analysis, the newest upload of each, with what was found.
WITH newest AS (
    SELECT analysis, max_by(job_id, sequencer) AS job_id
    FROM jobs
    WHERE NOT superseded
    GROUP BY analysis, video_bucket, video_key
)
SELECT
    video_key,
    analysis,
    detections,
    CAST(video_duration_ms AS double) / 1000 AS seconds,
    frame_width,
    frame_height,
    uploaded_at,
    result_key
FROM jobs
WHERE job_id IN (SELECT job_id FROM newest)
ORDER BY video_key, analysis
