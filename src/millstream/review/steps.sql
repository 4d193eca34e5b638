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

-- name: lock_orders
-- What a round means for deliveries, locked for the same reason.
SELECT moved, done_at FROM hold_order WHERE review_id = :id AND round = :round FOR UPDATE;

-- name: take_back_steps!
-- An overruled round asks for nothing any more.
WITH gone AS (
    UPDATE next_step SET state = 'cancelled', due_at = NULL, reason = :why, changed_at = now()
    WHERE subject = :subject AND key LIKE :key AND state = 'due' RETURNING id
)
SELECT audit_append(json_agg(json_build_object('actor', :actor::text, 'kind', 'step.cancelled', 'subject', 'step:' || id,
    'payload', json_build_object('was', 'due', 'why', :why::text)))) FROM gone;

-- name: take_back_orders!
-- The same for deliveries.
DELETE FROM hold_order WHERE review_id = :id AND round = :round AND moved = 0 AND done_at IS NULL;

-- name: step_state^
-- How far the step of a review was.
SELECT step_state FROM review WHERE id = :id;

-- name: raise_event!
-- For other rooms.
INSERT INTO event (kind, subject, payload) VALUES (:kind, :subject, :payload::jsonb);
