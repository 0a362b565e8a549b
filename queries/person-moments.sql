-- title: When a person of a collection is seen
-- answers: Moments at which a face search found this face, by the name it has in the collection.
-- parameter: name varchar 'anna.jpg' the ExternalImageId given when the face was indexed
-- parameter: similarity double 90 the least similarity, 0..100
WITH newest AS (
    SELECT max_by(job_id, sequencer) AS job_id
    FROM jobs
    WHERE analysis = 'face-search' AND NOT superseded
    GROUP BY video_bucket, video_key
)
SELECT
    video_key,
    CAST(timestamp_ms AS double) / 1000 AS second,
    person_index,
    round(match_similarity, 1) AS similarity
FROM face_search
WHERE job_id IN (SELECT job_id FROM newest)
    AND match_external_image_id = CAST(? AS varchar)
    AND match_similarity >= CAST(? AS double)
ORDER BY video_key, second, person_index
