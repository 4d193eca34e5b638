-- name: order^
-- What a decision means for what it holds; nothing where it holds nothing.
INSERT INTO hold_order (review_id, round, action, detail, actor)
SELECT :id, :round, :action, :detail, :actor
WHERE EXISTS (SELECT FROM hold WHERE review_id = :id AND state = 'waiting')
ON CONFLICT (review_id, round) DO NOTHING
RETURNING review_id;

-- name: lock_steps
-- What a round asked Exstream for. Locked, so that no worker begins it before this transaction has ended.
SELECT state, holder IS NOT NULL AND leased_until > now() AS held FROM next_step
WHERE subject = :subject AND starts_with(key, :key) ORDER BY id FOR UPDATE;

-- name: lock_held
-- What a review that was taken back holds still.
SELECT id FROM hold WHERE review_id = :id AND state = 'waiting' ORDER BY id LIMIT 1 FOR NO KEY UPDATE;

-- name: lock_orders
-- What a round means for deliveries, locked for the same reason.
SELECT begun_at, done_at FROM hold_order WHERE review_id = :id AND round = :round FOR UPDATE;

-- name: take_back_steps!
-- What a round asked for is asked for no more. One that was refused could be tried again by a person, so it goes as well.
WITH gone AS (
    UPDATE next_step SET state = 'cancelled', due_at = NULL, reason = :why, changed_at = now()
    WHERE subject = :subject AND starts_with(key, :key) AND state = ANY(:states)
    RETURNING id
)
SELECT audit_append(json_agg(json_build_object('actor', :actor::text, 'kind', 'step.cancelled', 'subject', 'step:' || id,
    'payload', json_build_object('why', :why::text)))) FROM gone;

-- name: take_back_orders!
-- The same for deliveries.
DELETE FROM hold_order WHERE review_id = :id AND round = :round AND begun_at IS NULL AND done_at IS NULL;

-- name: step_state^
-- How far the step of a review was.
SELECT step_state FROM review WHERE id = :id;

-- name: standing^
-- How all that a round asked for stands now: several steps, and an order for deliveries.
SELECT coalesce(bool_or(state IN ('failed', 'cancelled')), false) AS refused,
    coalesce(bool_or(state = 'uncertain'), false) AS unclear,
    coalesce(bool_or(state IN ('due', 'doing')), false) AS due
FROM (
    SELECT state FROM next_step WHERE subject = :subject AND starts_with(key, :key)
    UNION ALL
    SELECT CASE WHEN done_at IS NULL THEN 'due' ELSE 'done' END FROM hold_order WHERE review_id = :id AND round = :round
) AS asked;

-- name: lock_gate!
-- Of two policies that let the same thing pass in the same moment, the second one sees that the first has.
SELECT pg_advisory_xact_lock(hashtextextended('review.gate:' || :kind || ':' || :domain || ':' || :ref, 0));

-- name: gates
-- The newest review of each policy about the same thing as this one, and whether it keeps it from passing: also a
-- rejection of the very content, and any that Exstream has not carried out yet.
SELECT g.id, g.state = 'approved' AND g.step_state = 'none' AND d.how <> 'exstream' AS waiting,
    g.step_state <> 'none' AS asked,
    g.state IN ('open', 'changes') OR (g.state = 'rejected' AND (g.hash = g.this_hash
        OR g.step_state IN ('due', 'refused', 'unclear'))) AS shut
FROM (
    SELECT DISTINCT ON (r.policy) r.id, r.state, r.step_state, r.round, r.hash, c.hash AS this_hash FROM review c
    JOIN review r ON r.kind = c.kind AND r.domain = c.domain AND r.ref = c.ref
    WHERE c.id = :id AND c.kind IN ('flow_step', 'resource')
    ORDER BY r.policy, r.id DESC
) AS g LEFT JOIN review_decision d ON d.review_id = g.id AND d.round = g.round
WHERE g.state <> 'cancelled' ORDER BY g.id;

-- name: raise_event!
-- For other rooms.
INSERT INTO event (kind, subject, payload) VALUES (:kind, :subject, :payload::jsonb);
