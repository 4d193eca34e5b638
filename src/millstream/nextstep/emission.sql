-- name: begin_here!
-- Emission begins now, not at the beginning of time.
INSERT INTO email_event_place (seq) SELECT seq FROM audit_head ON CONFLICT DO NOTHING;

-- name: place^
-- How far the chain was read; locked, so that two processes do not read the same stretch.
SELECT seq FROM email_event_place FOR UPDATE;

-- name: accepted
-- What a stretch of the chain says about deliveries that Gmail accepted, with what is to be told of each. The chain's
-- numbers have no gaps that fill later, so this misses nothing, and costs the delivery's own writes nothing.
WITH stretch AS MATERIALIZED (
    SELECT seq, kind, subject FROM audit WHERE seq > :after::bigint AND seq <= :after::bigint + :most
)
SELECT (SELECT max(seq) FROM stretch) AS reached, d.id, d.token, d.address, d.accepted_at, c.customer, c.stream, c.source
FROM (SELECT 1) one LEFT JOIN (
    SELECT DISTINCT substr(subject, 10) AS token FROM stretch WHERE kind = 'delivery.accepted'
) t ON true
LEFT JOIN delivery d ON d.token = t.token AND d.accepted_at IS NOT NULL
LEFT JOIN communication c ON c.id = d.communication_id;

-- name: moved_on!
-- The stretch is read.
UPDATE email_event_place SET seq = :seq;

-- name: write!
-- Events to tell, each once. A message that was accepted anew (Gmail had taken it and not sent it) is told as posted later.
INSERT INTO email_event (delivery_id, kind, event_id, document, due_at)
SELECT delivery_id, kind, event_id, document, now() + make_interval(secs => due_in)
FROM json_to_recordset(:events::json) AS e(delivery_id bigint, kind text, event_id text, document jsonb, due_in float8)
ON CONFLICT (delivery_id, kind) DO UPDATE SET due_at = excluded.due_at, document = excluded.document, failure = NULL
WHERE email_event.kind = 'POST' AND email_event.sent_at IS NULL;

-- name: bounced^
-- What is to be told of a delivery that came back. What has bounced was not posted.
WITH dropped AS (
    UPDATE email_event e SET due_at = NULL, failure = 'it came back'
    FROM delivery d WHERE d.token = :token AND e.delivery_id = d.id AND e.kind = 'POST' AND e.sent_at IS NULL
)
SELECT d.id, d.token, d.address, d.accepted_at, c.customer, c.stream, c.source
FROM delivery d JOIN communication c ON c.id = d.communication_id WHERE d.token = :token;

-- name: due
-- What is to be told now. A message that is accepted no more, or has come back, was not posted.
SELECT e.delivery_id, e.kind, e.document, e.tries,
    e.kind <> 'POST' OR (d.disposition = 'accepted' AND NOT d.sighted && ARRAY['bounced_hard']) AS holds
FROM email_event e JOIN delivery d ON d.id = e.delivery_id
WHERE e.due_at <= now() ORDER BY e.due_at, e.delivery_id LIMIT :most;

-- name: told!
-- Somebody has them.
UPDATE email_event e SET sent_at = now(), due_at = NULL, failure = NULL
FROM json_to_recordset(:events::json) AS t(delivery_id bigint, kind text)
WHERE e.delivery_id = t.delivery_id AND e.kind = t.kind;

-- name: dropped!
-- What they say did not happen after all.
UPDATE email_event e SET due_at = NULL, failure = 'it was not posted'
FROM json_to_recordset(:events::json) AS t(delivery_id bigint, kind text)
WHERE e.delivery_id = t.delivery_id AND e.kind = t.kind AND e.sent_at IS NULL;

-- name: not_told!
-- Later; after many tries never, unless a person makes it due again.
UPDATE email_event e SET tries = tries + 1, failure = t.failure,
    due_at = CASE WHEN tries + 1 >= :most_tries THEN NULL
        ELSE now() + make_interval(secs => least(600, 4.0 ^ least(e.tries, 6))) END
FROM json_to_recordset(:events::json) AS t(delivery_id bigint, kind text, failure text)
WHERE e.delivery_id = t.delivery_id AND e.kind = t.kind;

-- name: waiting^
-- How the outbox stands.
SELECT count(*) FILTER (WHERE due_at IS NOT NULL) AS waiting, count(*) FILTER (WHERE sent_at IS NOT NULL) AS told,
    count(*) FILTER (WHERE due_at IS NULL AND sent_at IS NULL) AS dropped FROM email_event;
