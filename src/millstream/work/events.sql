-- name: due_event^
-- The next that happened and was not answered yet; locked until this transaction ends.
SELECT id, kind, subject, payload, at, tries FROM event
WHERE due_at <= now() ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: event_answered!
-- Every room that listens has done its part, in this transaction.
UPDATE event SET due_at = NULL, answered_at = now(), failure = NULL WHERE id = :id;

-- name: event_failed!
-- A room's part did not succeed: later, or never without a person.
UPDATE event SET due_at = CASE WHEN :last THEN NULL ELSE now() + make_interval(secs => :gap) END,
    tries = tries + 1, failure = :failure
WHERE id = :id;

-- name: events_waiting^
-- How many events are not answered yet.
SELECT count(*) AS events FROM event WHERE due_at IS NOT NULL;

-- name: events_newest
-- What happened, the newest first: of these kinds (each the beginning of some), since then, or only what was put aside.
-- What an exception is about stands in every payload under the same names.
SELECT id, at, kind, subject, payload ->> 'customer' AS customer, payload ->> 'type' AS type, payload ->> 'error' AS error,
    payload ->> 'source' AS source, payload, tries, failure, answered_at
FROM event
WHERE (:kinds::text[] IS NULL OR EXISTS (SELECT FROM unnest(:kinds::text[]) AS k WHERE starts_with(kind, k)))
    AND (:since::timestamptz IS NULL OR at >= :since)
    AND (NOT :aside OR (due_at IS NULL AND answered_at IS NULL))
ORDER BY id DESC LIMIT :most;

-- name: event_by_number^
-- One that happened, whole.
SELECT id, at, kind, subject, payload, due_at, tries, failure, answered_at FROM event WHERE id = :id;

-- name: events_again<!
-- A person mended the cause: what was put aside is answered again.
WITH again AS (
    UPDATE event SET due_at = now(), tries = 0 WHERE due_at IS NULL AND answered_at IS NULL RETURNING id
)
SELECT count(*) AS events FROM again;
