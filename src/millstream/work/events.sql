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

-- name: events_put_aside
-- What no room could answer, the newest first.
SELECT id, kind, subject, payload, at, tries, failure FROM event
WHERE due_at IS NULL AND answered_at IS NULL ORDER BY id DESC LIMIT :most;

-- name: events_again<!
-- A person mended the cause: what was put aside is answered again.
WITH again AS (
    UPDATE event SET due_at = now(), tries = 0 WHERE due_at IS NULL AND answered_at IS NULL RETURNING id
)
SELECT count(*) AS events FROM again;
