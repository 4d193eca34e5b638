-- name: unseen_holds
-- What waits for people who were not asked yet, but for what takes the place of something that waits itself: that comes
-- by `replacements`.
SELECT h.id FROM hold h JOIN communication c ON c.id = h.communication_id
WHERE h.review_id IS NULL AND h.state = 'waiting' AND h.policy = ANY(:policies) AND h.id <> ALL(:put_off)
  AND NOT h.inherited
  AND (c.replaces IS NULL OR NOT EXISTS (
      SELECT FROM communication p JOIN hold w ON w.communication_id = p.id AND w.state = 'waiting'
      WHERE p.run_id = c.run_id AND p.key = c.replaces AND p.id < c.id AND p.customer = c.customer))
ORDER BY h.id LIMIT :most;

-- name: take_hold^
-- One of them, unless another process has it.
SELECT h.id, h.policy, h.findings, h.papers, h.facts, c.id AS communication, c.key, c.type, c.customer, c.template, c.version,
       c.locale, c.stream, c.recipient, c.copies, c.subject, c.body_text, c.documents, c.source, c.content_hash,
       r.key AS run,
       (SELECT p.key FROM communication p
        WHERE p.run_id = c.run_id AND p.key = c.replaces AND p.id < c.id AND p.customer = c.customer) AS replaces
FROM hold h JOIN communication c ON c.id = h.communication_id JOIN run r ON r.id = c.run_id
WHERE h.id = :id AND h.review_id IS NULL AND h.state = 'waiting'
FOR NO KEY UPDATE OF h SKIP LOCKED;

-- name: put_to!
-- A hold waits for a review from now on.
UPDATE hold SET review_id = :review_id WHERE id = :id;

-- name: open_review^
-- The review of a subject by a policy that can still be decided, or waits for new content.
SELECT id FROM review WHERE kind = :kind AND domain = '' AND ref = :ref AND policy = :policy AND state IN ('open', 'changes');

-- name: unseen_runs
-- Runs that are put to people as a whole, have something that they were not asked about, and grow no more.
SELECT g.run_id, g.policy FROM (
    SELECT c.run_id, h.policy, max(c.id) AS newest
    FROM hold h JOIN communication c ON c.id = h.communication_id
    WHERE h.review_id IS NULL AND h.state = 'waiting' AND h.policy = ANY(:policies) AND NOT h.inherited
    GROUP BY c.run_id, h.policy) g
WHERE NOT EXISTS (SELECT FROM communication c WHERE c.id >= g.newest AND c.run_id = g.run_id
                  AND c.created_at > now() - make_interval(secs => :settle))
ORDER BY g.run_id, g.policy;

-- name: take_run^
-- One of them, unless another process has it.
SELECT id, key, source FROM run WHERE id = :run_id FOR NO KEY UPDATE SKIP LOCKED;

-- name: any_unseen^
-- Whether a run, once it is taken, still has something that nobody was asked about.
SELECT EXISTS (SELECT FROM hold h JOIN communication c ON c.id = h.communication_id
    WHERE c.run_id = :run_id AND h.policy = :policy AND h.state = 'waiting' AND h.review_id IS NULL
    AND NOT h.inherited) AS unseen;

-- name: run_content^
-- What of a run waits for one policy, and the hash of all of it: of those nobody was asked about, and those of a review.
-- Of a field that the policy limits, the largest number, and how many have none that is written plainly.
SELECT count(*) AS communications, coalesce(array_agg(DISTINCT c.type), '{}') AS types,
       count(DISTINCT c.customer) AS customers, count(*) FILTER (WHERE h.findings <> '[]') AS found,
       encode(sha256(convert_to(coalesce(
           string_agg(c.key || E'\t' || c.content_hash || E'\n', '' ORDER BY c.key COLLATE "C"), ''), 'UTF8')), 'hex') AS hash,
       max(CASE WHEN h.facts ->> :limited::text ~ :plain THEN (h.facts ->> :limited::text)::numeric END) AS largest,
       count(*) FILTER (WHERE (h.facts ->> :limited::text ~ :plain) IS NOT TRUE) AS unread
FROM communication c JOIN hold h ON h.communication_id = c.id
WHERE c.run_id = :run_id AND h.policy = :policy AND h.state = 'waiting'
  AND ((:unseen AND h.review_id IS NULL AND NOT h.inherited) OR h.review_id = :review_id);

-- name: run_sample
-- Those of a run that people see: the sampled ones first, which have papers of their own; the same ones every time.
SELECT c.key, c.customer, c.body_text, c.documents, h.papers, h.findings
FROM communication c JOIN hold h ON h.communication_id = c.id
WHERE c.run_id = :run_id AND h.policy = :policy AND h.state = 'waiting'
  AND ((:unseen AND h.review_id IS NULL AND NOT h.inherited) OR h.review_id = :review_id)
ORDER BY h.findings = '[]', h.papers = '[]', md5(c.key), c.key LIMIT :most;

-- name: put_run_to!
-- All that nobody was asked about waits for a review from now on. What another transaction has in hand is left out and
-- not waited for, behind the audit chain's head; whoever counts again sees that it is missing.
WITH free AS MATERIALIZED (
    SELECT h.id FROM hold h JOIN communication c ON c.id = h.communication_id
    WHERE c.run_id = :run_id AND h.policy = :policy AND h.state = 'waiting' AND h.review_id IS NULL
      AND NOT h.inherited
    FOR NO KEY UPDATE OF h SKIP LOCKED
)
UPDATE hold h SET review_id = :review_id FROM free WHERE h.id = free.id;

-- name: undecided
-- What takes the place of something, and may or may not have to be seen by those who held that: the first of a chain.
SELECT DISTINCT c.id FROM hold h JOIN communication c ON c.id = h.communication_id
WHERE h.inherited AND h.state = 'waiting' AND c.id <> ALL(:put_off)
  AND NOT EXISTS (
      SELECT FROM communication p JOIN hold w ON w.communication_id = p.id AND w.inherited AND w.state = 'waiting'
      WHERE p.run_id = c.run_id AND p.key = c.replaces AND p.id < c.id AND p.customer = c.customer)
ORDER BY c.id LIMIT :most;

-- name: take_communication^
-- One of them, unless another process has it.
SELECT id FROM communication WHERE id = :id FOR NO KEY UPDATE SKIP LOCKED;

-- name: held_before
-- Its holds of that kind, with the policies that held the one whose place it takes, whatever became of that.
SELECT h.id, h.policy, ARRAY(
    SELECT w.policy FROM communication p JOIN hold w ON w.communication_id = p.id
    WHERE p.run_id = c.run_id AND p.key = c.replaces AND p.id < c.id AND p.customer = c.customer) AS before
FROM hold h JOIN communication c ON c.id = h.communication_id
WHERE c.id = :id AND h.inherited AND h.state = 'waiting' ORDER BY h.id FOR NO KEY UPDATE OF h;

-- name: inherit!
-- These are to be seen like any other.
UPDATE hold SET inherited = false WHERE id = ANY(:ids);

-- name: replacements
-- Communications that take the place of one that still waits: of the same customer, in before them, and able to leave.
SELECT c.id, p.id AS before
FROM communication c JOIN communication p ON p.run_id = c.run_id AND p.key = c.replaces
WHERE c.replaces IS NOT NULL AND p.id < c.id AND p.customer = c.customer AND c.id <> ALL(:put_off)
  AND EXISTS (SELECT FROM hold h WHERE h.communication_id = p.id AND h.state = 'waiting')
  AND NOT EXISTS (SELECT FROM hold h WHERE h.communication_id IN (c.id, p.id) AND h.inherited AND h.state = 'waiting')
  AND NOT EXISTS (SELECT FROM delivery d WHERE d.communication_id = c.id AND d.disposition = 'held'
                  AND d.reason NOT IN ('review', 'suppressed'))
ORDER BY c.id LIMIT :most;

-- name: lock_reviews!
-- Before the holds that wait for them; the order of locks stands in `desk`.
SELECT id FROM review WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE;

-- name: reviews_of
-- The reviews that a communication waits for.
SELECT DISTINCT review_id FROM hold WHERE communication_id = :before AND state = 'waiting' AND review_id IS NOT NULL;

-- name: replaced_holds
-- What waited of the one that is replaced, and how far its reviews are.
SELECT h.id, h.policy, h.review_id, v.state, v.kind, c.run_id, r.key AS run, r.source
FROM hold h JOIN communication c ON c.id = h.communication_id JOIN run r ON r.id = c.run_id
LEFT JOIN review v ON v.id = h.review_id
WHERE h.communication_id = :before AND h.state = 'waiting'
ORDER BY h.id FOR NO KEY UPDATE OF h;

-- name: key_of^
-- By what name people know a communication.
SELECT key FROM communication WHERE id = :id;

-- name: holds_of
-- What of a communication waits for people who were not asked yet.
SELECT id, policy FROM hold WHERE communication_id = :communication AND state = 'waiting' AND review_id IS NULL;

-- name: left_of^
-- How much still waits for a review.
SELECT count(*) AS holds FROM (SELECT FROM hold WHERE review_id = :review_id AND state = 'waiting' LIMIT 1) h;

-- name: withdrawn
-- What waits for people though nothing of it can leave any more: its run was cancelled, or others refused it. What an
-- order is about to settle is left to it.
SELECT h.id, h.review_id, d.reason, d.detail
FROM hold h CROSS JOIN LATERAL (
    SELECT reason, detail, disposition FROM delivery d WHERE d.communication_id = h.communication_id
    ORDER BY d.disposition <> 'held' OR d.reason <> 'review', d.id LIMIT 1) d
WHERE h.state = 'waiting' AND d.disposition = 'cancelled'
  AND NOT EXISTS (SELECT FROM hold_order o WHERE o.review_id = h.review_id AND o.due_at IS NOT NULL)
ORDER BY h.review_id, h.id LIMIT :most;

-- name: refuse_holds!
-- These wait no longer.
WITH locked AS MATERIALIZED (
    SELECT id FROM hold WHERE id = ANY(:ids) AND state = 'waiting' ORDER BY id FOR NO KEY UPDATE
)
UPDATE hold h SET state = 'refused' FROM locked WHERE h.id = locked.id;

-- name: templates_since
-- Since when each template's version is in use.
SELECT template, version, min(created_at)::date AS since FROM communication
WHERE template IS NOT NULL GROUP BY template, version;
