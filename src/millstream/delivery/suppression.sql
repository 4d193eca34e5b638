-- name: suppress^
-- An address goes on the list of a stream; one that is there stays as it is.
WITH added AS (
    INSERT INTO suppression (stream, address, reason, detail, subject, actor)
    VALUES (:stream, lower(:address), :reason, :detail, :subject, :actor)
    ON CONFLICT (stream, address) DO NOTHING RETURNING *
)
SELECT (SELECT count(*) FROM added) AS added, audit_append((SELECT json_agg(json_build_object(
    'actor', actor, 'kind', 'suppression.added', 'subject', 'address:' || address,
    'payload', json_strip_nulls(json_build_object(
        'stream', stream, 'reason', reason, 'detail', detail, 'told_by', subject)))) FROM added));

-- name: list_suppressed
-- Addresses that nothing is sent to, the newest first, with how many deliveries are held for each.
SELECT s.stream, s.address, s.reason, s.detail, s.subject, s.actor, s.at FROM suppression s
WHERE (:stream::text IS NULL OR s.stream = :stream) AND (:address::text IS NULL OR s.address = lower(:address))
ORDER BY s.at DESC, s.stream, s.address LIMIT :most;

-- name: unsuppress^
-- A person takes an address off the list, of one stream or of all; with `release` what was held for it may leave.
WITH removed AS (
    DELETE FROM suppression WHERE address = lower(:address) AND (:stream::text IS NULL OR stream = :stream)
    RETURNING stream, address, reason, at
), waiting AS MATERIALIZED (
    SELECT d.id FROM delivery d JOIN communication c ON c.id = d.communication_id
    WHERE :release AND d.disposition = 'held' AND d.reason = 'suppressed' AND lower(d.address) = lower(:address)
      AND (:stream::text IS NULL OR c.stream = :stream)
    ORDER BY d.id FOR UPDATE OF d
), released AS (
    UPDATE delivery d SET disposition = 'queued', reason = NULL, detail = NULL, due_at = now(), version = version + 1,
        changed_at = now()
    FROM waiting WHERE d.id = waiting.id RETURNING d.token
), entry AS (
    SELECT json_build_object('actor', :actor::text, 'kind', 'suppression.removed', 'subject', 'address:' || address,
        'payload', json_build_object('stream', stream, 'reason', reason, 'since', at, 'why', :why::text)) AS entry
    FROM removed
    UNION ALL
    SELECT json_build_object('actor', :actor::text, 'kind', 'delivery.queued', 'subject', 'delivery:' || token,
        'payload', json_build_object('was', 'held', 'by', 'release', 'why', :why::text))
    FROM released
)
SELECT (SELECT count(*) FROM removed) AS removed, (SELECT count(*) FROM released) AS released,
       audit_append((SELECT json_agg(entry) FROM entry)) AS audited;
