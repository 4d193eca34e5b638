-- name: due_order^
-- The order that has waited longest; locked, so that one process carries it, and skipped where another one does.
SELECT review_id, round, action, detail, actor FROM hold_order
WHERE due_at <= now() ORDER BY due_at, review_id, round LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: lock_holds
-- A portion of what a review still holds. The communications are locked as well: of two gates that open in the same
-- moment the second one then sees the first open. The order of locks stands in `review.desk`.
SELECT h.id, h.communication_id FROM hold h JOIN communication c ON c.id = h.communication_id
WHERE h.review_id = :review_id AND h.state = 'waiting'
ORDER BY h.id LIMIT :most FOR NO KEY UPDATE OF h, c;

-- name: lock_holds_of
-- The same of certain communications, whoever has them reviewed.
SELECT h.id, h.communication_id FROM hold h JOIN communication c ON c.id = h.communication_id
WHERE h.communication_id = ANY(:communications) AND h.state = 'waiting'
ORDER BY h.id FOR NO KEY UPDATE OF h, c;

-- name: settle_holds!
-- These wait no longer.
UPDATE hold SET state = :state WHERE id = ANY(:holds);

-- name: drop_holds!
-- These were never needed.
DELETE FROM hold WHERE id = ANY(:holds) AND state = 'waiting' AND review_id IS NULL;

-- name: release_deliveries
-- Deliveries that nothing holds any more may be claimed from now on. What belongs to a cancelled run stays for the sweep
-- that cancels it. A statement of its own, so that it sees what became true while the locks were waited for.
WITH free AS MATERIALIZED (
    SELECT d.id FROM delivery d JOIN run r ON r.id = d.run_id
    WHERE d.communication_id = ANY(:communications) AND d.disposition = 'held' AND d.reason = 'review'
      AND r.state <> 'cancelled'
      AND NOT EXISTS (SELECT FROM hold h WHERE h.communication_id = d.communication_id AND h.state <> 'released')
    ORDER BY d.id FOR UPDATE OF d
)
UPDATE delivery d SET disposition = 'queued', reason = NULL, detail = NULL, due_at = now(), tries = 0,
    version = version + 1, changed_at = now()
FROM free WHERE d.id = free.id RETURNING d.token;

-- name: cancel_deliveries
-- Deliveries that people do not let go, or that others take the place of.
WITH doomed AS MATERIALIZED (
    SELECT id FROM delivery
    WHERE communication_id = ANY(:communications) AND disposition = 'held' AND reason = 'review'
    ORDER BY id FOR UPDATE
)
UPDATE delivery d SET disposition = 'cancelled', reason = :reason, detail = :detail, due_at = NULL,
    version = version + 1, changed_at = now()
FROM doomed WHERE d.id = doomed.id RETURNING d.token;

-- name: order_carried!
-- How far an order is. One with more to do goes to the end of the queue, so that a single letter does not wait behind a
-- hundred thousand.
UPDATE hold_order SET moved = moved + :moved, due_at = CASE WHEN :done THEN NULL ELSE clock_timestamp() END,
    begun_at = CASE WHEN :settled THEN coalesce(begun_at, now()) ELSE begun_at END,
    done_at = CASE WHEN :done THEN now() END
WHERE review_id = :review_id AND round = :round;

-- name: tell_carried!
-- The review room answers it.
INSERT INTO event (kind, subject, payload)
SELECT 'delivery.released', 'review:' || review_id, jsonb_build_object(
    'review', review_id, 'round', round, 'action', action, 'moved', moved, 'actor', actor)
FROM hold_order WHERE review_id = :review_id AND round = :round;

-- name: audit!
-- What this transaction did; last, because the chain's head is locked from here to its end.
SELECT audit_append(:entries::json);
