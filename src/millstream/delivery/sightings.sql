-- name: mark_sighted^
-- What was sighted is added to the second axis of its delivery, once; answers the delivery with what it carries.
WITH known AS MATERIALIZED (
    SELECT id, NOT sighted @> ARRAY[:kind::text] AS fresh FROM delivery WHERE token = :token FOR UPDATE
), marked AS (
    UPDATE delivery d SET sighted = d.sighted || :kind::text FROM known WHERE d.id = known.id AND known.fresh
)
SELECT d.token, d.address, d.run_id, known.fresh, c.key, c.customer, c.type, c.stream, r.key AS run
FROM known JOIN delivery d USING (id) JOIN communication c ON c.id = d.communication_id JOIN run r ON r.id = d.run_id;

-- name: settle_by_sighting^
-- A message was sighted that only one who got ours could cause, while the relay's reply to it is lost: it was accepted,
-- also where it waits for being sent again. What a lane has in hand it finds moved (its version rose).
WITH open AS MATERIALIZED (
    SELECT id, disposition, coalesce(message_id, rfc822_id) AS message_id FROM delivery
    WHERE token = :token AND rfc822_id IS NOT NULL
      AND ((disposition = 'uncertain' AND starts_with(mailbox, 'relay:')) OR (disposition = 'queued' AND repeats > 0))
    FOR UPDATE
), sent AS MATERIALIZED (
    SELECT a.mailbox, a.epoch, a.at FROM attempt a JOIN open ON a.delivery_id = open.id
    WHERE a.kind = 'send' ORDER BY a.number DESC LIMIT 1
), moved AS (
    UPDATE delivery d SET disposition = 'accepted', message_id = open.message_id,
        mailbox = coalesce(d.mailbox, sent.mailbox), epoch = coalesce(d.epoch, sent.epoch),
        accepted_at = least(coalesce(d.uncertain_since, sent.at), :received_at::timestamptz),
        reason = NULL, detail = NULL, due_at = NULL, uncertain_since = NULL, version = version + 1, changed_at = now()
    FROM open LEFT JOIN sent ON true
    WHERE d.id = open.id AND coalesce(d.mailbox, sent.mailbox) IS NOT NULL
    RETURNING d.id, d.version, d.mailbox, d.epoch, d.message_id
), noted AS (
    INSERT INTO attempt (delivery_id, number, mailbox, epoch, kind, outcome, effect, evidence)
    SELECT id, version, mailbox, epoch, 'probe', 'sighting', 'yes', :evidence FROM moved
)
SELECT open.disposition AS was, moved.message_id FROM open JOIN moved USING (id);

-- name: bounces_in_a_row^
-- How many deliveries to an address of a stream have bounced, within some days and since a person took it off the list,
-- with none in between that did not. Counted from the ledger: what was accepted, and what was sighted about it.
WITH told AS MATERIALIZED (
    SELECT d.token, d.accepted_at, d.sighted && ARRAY['bounced_hard', 'bounced_soft'] AS bounced
    FROM delivery d JOIN communication c ON c.id = d.communication_id
    WHERE lower(d.address) = lower(:address) AND d.disposition = 'accepted' AND c.stream = :stream
), good AS (
    SELECT max(accepted_at) AS at FROM told
    WHERE NOT bounced AND accepted_at < (SELECT max(accepted_at) FROM told WHERE bounced)
), forgiven AS (
    SELECT max(at::timestamptz) AS at FROM audit
    WHERE subject = 'address:' || lower(:address) AND kind = 'suppression.removed'
      AND payload::json ->> 'stream' = :stream
)
SELECT count(DISTINCT t.token) AS bounces
FROM told t CROSS JOIN good CROSS JOIN forgiven
JOIN sighting s ON s.subject = 'delivery:' || t.token AND s.proven AND s.kind IN ('bounced_hard', 'bounced_soft')
WHERE t.bounced AND t.accepted_at > coalesce(good.at, '-infinity')
  AND coalesce(s.received_at, s.at) > greatest(now() - make_interval(days => :days), forgiven.at);

-- name: raise_event!
-- Another room may answer it; written in the transaction that made it true.
INSERT INTO event (kind, subject, payload) VALUES (:kind, :subject, :payload::jsonb);

-- name: audit!
-- What this transaction did; last, because the chain's head is locked from here to its end.
SELECT audit_append(:entries::json);

-- name: bounces_of_run^
-- How many deliveries of an open run have bounced for good, and how many had when a person let it go on last.
SELECT r.id, r.key, r.policy,
       (SELECT count(*) FROM delivery d WHERE d.run_id = r.id AND d.disposition = 'accepted'
          AND d.sighted && ARRAY['bounced_hard', 'bounced_soft'] AND d.sighted @> ARRAY['bounced_hard']) AS bounced,
       coalesce((SELECT (payload::json ->> 'bounced')::bigint FROM audit
          WHERE subject = 'run:' || r.key AND kind = 'run.open' ORDER BY seq DESC LIMIT 1), 0) AS known
FROM run r WHERE r.id = :run_id AND r.state = 'open';

-- name: accepted_up_to^
-- How many deliveries of a run were accepted, counted no further than decides.
SELECT count(*) AS accepted FROM (
    SELECT FROM communication c JOIN delivery d ON d.communication_id = c.id
    WHERE c.run_id = :run_id AND d.disposition = 'accepted' LIMIT :most) found;

-- name: pause_run^
-- A run pauses itself, once.
UPDATE run SET state = 'paused', reason = :reason, changed_at = now()
WHERE id = :run_id AND state = 'open' RETURNING key;

-- name: lock_lane^
-- The lane first, then its deliveries: the order in which lanes themselves lock.
SELECT mailbox FROM lane WHERE mailbox = :mailbox FOR NO KEY UPDATE;

-- name: take_back^
-- Gmail took a message and then said that it did not send it: the delivery goes back to the pool. The notice must be
-- about the send that the delivery stands on: it lies in that send's thread, or came after that acceptance. A lane that
-- has the delivery in hand finds it moved (its version rose) and writes nothing over it.
WITH taken AS MATERIALIZED (
    SELECT id, mailbox, epoch, disposition, draft_id, message_id FROM delivery
    WHERE token = :token AND mailbox = :mailbox
      AND ((disposition IN ('accepted', 'sending', 'uncertain') AND thread_id = :thread_id AND :thread_id <> '')
        OR (disposition = 'accepted' AND accepted_at < :received_at))
    FOR UPDATE
), moved AS (
    UPDATE delivery d SET disposition = 'queued', reason = 'limit_notice', detail = :detail, due_at = now(),
        mailbox = NULL, epoch = NULL, draft_id = NULL, thread_id = NULL, message_id = NULL, rfc822_id = NULL,
        history_id = NULL, uncertain_since = NULL, accepted_at = NULL, version = version + 1, changed_at = now()
    FROM taken WHERE d.id = taken.id RETURNING d.id, d.version
), noted AS (
    INSERT INTO attempt (delivery_id, number, mailbox, epoch, kind, outcome, effect, evidence)
    SELECT id, version, mailbox, epoch, 'notice', 'limit_notice', 'no', :message_id FROM moved JOIN taken USING (id)
)
SELECT taken.disposition AS was, taken.message_id FROM taken JOIN moved USING (id);

-- name: unsettled_send^
-- Whether a send of this delivery from this mailbox may be under way.
SELECT id FROM delivery WHERE token = :token AND mailbox = :mailbox AND disposition IN ('sending', 'uncertain');

-- name: park_for_notice^
-- No more sends from this mailbox for a while from the notice on. A person's pause, a longer park and an unreachable
-- mailbox stay as they are.
WITH wanted AS (
    SELECT least(now(), :received_at::timestamptz) + make_interval(secs => :seconds) AS until
)
UPDATE lane SET state = 'parked', reason = 'limit_notice', until = wanted.until, changed_at = now() FROM wanted
WHERE mailbox = :mailbox AND wanted.until > now()
  AND (state = 'open' OR (state = 'parked'
       AND (lane.until <= now() OR (lane.until < wanted.until AND reason <> ALL(:unreachable)))))
RETURNING mailbox, wanted.until::text AS until;
