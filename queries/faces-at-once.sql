-- title: Several faces at once
-- answers: In which videos so many faces are seen at the same moment, when first, and how many at most.
-- parameter: confidence double 90 the least confidence that it is a face, 0..100
-- parameter: faces bigint 3 how many faces at once
WITH newest AS (
    SELECT max_by(job_id, sequencer) AS job_id
    FROM jobs
    WHERE analysis = 'face-detection' AND NOT superseded
    GROUP BY video_bucket, video_key
),
moments AS (
    SELECT video_bucket, video_key, timestamp_ms, count(*) AS faces
    FROM face_detection
    WHERE job_id IN (SELECT job_id FROM newest) AND confidence >= CAST(? AS double)
    GROUP BY video_bucket, video_key, timestamp_ms
)
SELECT
    video_key,
    count(*) AS moments,
    CAST(min(timestamp_ms) AS double) / 1000 AS first_second,
    max(faces) AS most_faces
FROM moments
WHERE faces >= CAST(? AS bigint)
GROUP BY video_bucket, video_key
ORDER BY most_faces DESC, video_key
