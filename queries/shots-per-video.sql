-- title: Shots per video
-- answers: How many shots a video has, how long they are, and how much of it is black.
WITH newest AS (
    SELECT max_by(job_id, sequencer) AS job_id
    FROM jobs
    WHERE analysis = 'segment-detection' AND NOT superseded
    GROUP BY video_bucket, video_key
)
SELECT
    video_key,
    sum(CASE WHEN "type" = 'SHOT' THEN 1 ELSE 0 END) AS shots,
    round(avg(CASE WHEN "type" = 'SHOT' THEN CAST(duration_ms AS double) END) / 1000, 2) AS seconds_each,
    CAST(max(CASE WHEN "type" = 'SHOT' THEN duration_ms END) AS double) / 1000 AS longest_seconds,
    CAST(sum(CASE WHEN cue_type = 'BlackFrames' THEN duration_ms ELSE 0 END) AS double) / 1000 AS black_seconds
FROM segment_detection
WHERE job_id IN (SELECT job_id FROM newest)
GROUP BY video_bucket, video_key
ORDER BY shots DESC, video_key
