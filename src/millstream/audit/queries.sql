-- name: entries
-- The chain from one position on, in order.
SELECT seq, at, actor, kind, subject, payload, hash FROM audit WHERE seq > :after ORDER BY seq LIMIT :most;

-- name: head^
-- Where the chain ends.
SELECT seq, hash FROM audit_head;

-- name: history
-- What happened to one subject.
SELECT seq, at, actor, kind, payload FROM audit WHERE subject = :subject ORDER BY seq;
