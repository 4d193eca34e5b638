-- name: missing
-- Policies that reviews or held letters name, and the files do not: open reviews, letters held, and those of them that
-- nobody was asked about.
SELECT policy, sum(reviews)::bigint AS reviews, sum(letters)::bigint AS letters, sum(unasked)::bigint AS unasked
FROM (
    SELECT policy, count(*) AS reviews, 0 AS letters, 0 AS unasked FROM review
    WHERE state IN ('open', 'changes') AND policy <> ALL(:known::text[]) GROUP BY policy
    UNION ALL
    SELECT policy, 0, count(*), count(*) FILTER (WHERE review_id IS NULL) FROM hold
    WHERE state = 'waiting' AND NOT inherited AND policy <> ALL(:known::text[]) GROUP BY policy
) AS named GROUP BY policy ORDER BY policy;

-- name: owed^
-- Whether anybody is asked, or anything waits for people.
SELECT EXISTS (SELECT FROM review WHERE state IN ('open', 'changes'))
    OR EXISTS (SELECT FROM hold WHERE state = 'waiting') AS owed;

-- name: raise_missing<!
-- An exception, unless somebody was told so a short while ago: every worker looks.
INSERT INTO event (kind, subject, payload)
SELECT :kind, :subject, :payload::jsonb
WHERE NOT EXISTS (SELECT FROM event WHERE subject = :subject AND kind = :kind AND at > now() - interval '1 day')
RETURNING id;
