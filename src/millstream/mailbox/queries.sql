-- name: register!
-- Every configured mailbox is read, each in its roles; one that comes back is looked into at once.
INSERT INTO mailbox (address, roles)
SELECT address, ARRAY(SELECT json_array_elements_text(roles))
FROM json_to_recordset(:mailboxes::json) AS m(address text, roles json)
ON CONFLICT (address) DO UPDATE SET roles = excluded.roles, due_at = coalesce(mailbox.due_at, now())
WHERE mailbox.roles <> excluded.roles OR mailbox.due_at IS NULL;

-- name: retire!
-- Mailboxes that are configured no more are not read; what they told stays.
UPDATE mailbox SET due_at = NULL, watch_due_at = NULL WHERE address <> ALL(:addresses) AND due_at IS NOT NULL;

-- name: lease
-- Mailboxes that are due and in nobody's hands become this process's; whoever held one before writes nothing any more.
WITH due AS (
    SELECT address FROM mailbox WHERE due_at <= now() AND (leased_until IS NULL OR leased_until < now())
    ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE mailbox m SET epoch = epoch + 1, holder = :holder, leased_until = now() + make_interval(secs => :seconds)
FROM due WHERE m.address = due.address
RETURNING m.address, m.roles, m.epoch, m.phase, m.history_id, m.seen_id, m.seen_at, m.page_token, m.since, m.moved_at,
    m.busy_at, m.failures,
    EXISTS (SELECT 1 FROM lane l WHERE l.mailbox = m.address AND l.heartbeat_at > now() - interval '10 seconds') AS lane_runs,
    EXISTS (SELECT 1 FROM attempt a WHERE a.mailbox = m.address AND a.kind = 'send'
            AND a.at > now() - make_interval(secs => :sent_within)) AS has_sent;

-- name: hasten!
-- A mailbox that has begun to send is looked into soon, whatever its quiet time had put off.
UPDATE mailbox m SET due_at = now() + make_interval(secs => :seconds)
WHERE 'sender' = ANY(m.roles) AND m.due_at > now() + make_interval(secs => :seconds)
  AND m.trouble IS NULL AND m.holder IS NULL
  AND EXISTS (SELECT 1 FROM attempt a WHERE a.mailbox = m.address AND a.at > now() - interval '5 seconds');

-- name: keep
-- The holder lives: its looks go on. Tells from which of these mailboxes a lane sends now.
UPDATE mailbox m SET leased_until = now() + make_interval(secs => :seconds)
WHERE holder = :holder AND address = ANY(:addresses)
RETURNING address,
    EXISTS (SELECT 1 FROM lane l WHERE l.mailbox = m.address AND l.heartbeat_at > now() - interval '10 seconds') AS lane_runs;

-- name: known
-- Which of these messages are recorded or put aside.
SELECT message_id FROM sighting WHERE mailbox = :mailbox AND message_id = ANY(:ids)
UNION ALL
SELECT message_id FROM quarantine WHERE mailbox = :mailbox AND message_id = ANY(:ids);

-- name: record^
-- What messages told, with the events that tell the other rooms, what it cost, and the cursor behind it: all or nothing,
-- and only for whoever holds the mailbox. A message that is recorded already changes nothing.
WITH grip AS MATERIALIZED (
    SELECT address FROM mailbox WHERE address = :mailbox AND epoch = :epoch FOR UPDATE
), incoming AS MATERIALIZED (
    SELECT i.* FROM grip, json_to_recordset(:sightings::json) AS i(
        message_id text, thread_id text, kind text, subject text, mapped_by text, proven boolean, verdict jsonb,
        sender text, title text, rfc822_id text, report jsonb, reply text, full_text text, attachments jsonb,
        labels json, received_at timestamptz, facts jsonb, told boolean)
), recorded AS (
    INSERT INTO sighting (mailbox, message_id, thread_id, kind, subject, mapped_by, proven, verdict, sender, title,
                          rfc822_id, report, reply, full_text, attachments, labels, received_at)
    SELECT :mailbox, message_id, thread_id, kind, subject, mapped_by, proven, verdict, sender, title,
           rfc822_id, report, reply, full_text, attachments, ARRAY(SELECT json_array_elements_text(labels)), received_at
    FROM incoming
    ON CONFLICT (mailbox, message_id) DO NOTHING
    RETURNING id, message_id
), told AS (
    INSERT INTO event (kind, subject, payload)
    SELECT 'sighting.' || i.kind, coalesce(i.subject, 'mailbox:' || :mailbox), i.facts || jsonb_build_object('sighting', r.id)
    FROM recorded r JOIN incoming i USING (message_id) WHERE i.told ORDER BY r.id
), aside AS (
    INSERT INTO quarantine (mailbox, message_id, thread_id, problem, source, size)
    SELECT :mailbox, q.message_id, q.thread_id, q.problem, q.source, q.size
    FROM grip, json_to_recordset(:aside::json) AS q(message_id text, thread_id text, problem text, source text, size bigint)
    ON CONFLICT (mailbox, message_id) DO NOTHING
    RETURNING message_id, problem
), reported AS (
    INSERT INTO event (kind, subject, payload)
    SELECT 'mailbox.quarantined', 'mailbox:' || :mailbox, jsonb_build_object('message_id', message_id, 'problem', problem)
    FROM aside
), spent AS (
    INSERT INTO reading (mailbox, units) SELECT :mailbox, :units FROM grip WHERE :units > 0
), moved AS (
    UPDATE mailbox m SET phase = c.phase, history_id = c.history_id, seen_id = c.seen_id, seen_at = c.seen_at,
        page_token = c.page_token, since = c.since
    FROM grip, json_to_recordset(:cursor::json) AS c(
        phase text, history_id bigint, seen_id bigint, seen_at timestamptz, page_token text, since timestamptz)
    WHERE m.address = grip.address
)
SELECT (SELECT count(*) FROM grip) AS held, (SELECT count(*) FROM recorded) AS recorded, (SELECT count(*) FROM aside) AS aside;

-- name: finish
-- Looks that are over, many at once: the cursor, when to look next, how it went. A hint that no look has reached keeps
-- the mailbox due, for a minute: history shows a message some seconds after its push (reference/gmail.md section 3).
WITH o AS MATERIALIZED (
    SELECT * FROM json_to_recordset(:outcomes::json) AS o(
        address text, epoch bigint, phase text, history_id bigint, seen_id bigint, seen_at timestamptz, page_token text,
        since timestamptz, complete boolean, found integer, reached bigint, due_in double precision, trouble text,
        failure text, units integer)
), spent AS (
    INSERT INTO reading (mailbox, units) SELECT address, units FROM o WHERE units > 0
)
UPDATE mailbox m SET phase = o.phase, history_id = o.history_id, seen_id = o.seen_id, seen_at = o.seen_at,
    page_token = o.page_token, since = o.since,
    moved_at = CASE WHEN o.complete THEN now() ELSE m.moved_at END,
    busy_at = CASE WHEN o.found > 0 THEN now() ELSE m.busy_at END,
    hint = CASE WHEN m.hint > o.reached AND m.hint_at > now() - interval '1 minute' OR o.reached IS NULL THEN m.hint END,
    due_at = CASE WHEN m.due_at IS NULL THEN NULL
        WHEN o.trouble IS NULL AND m.hint > coalesce(o.reached, 0) AND m.hint_at > now() - interval '1 minute'
        THEN now() + make_interval(secs => least(o.due_in, greatest(0.25, 0.5 * extract(epoch FROM now() - m.hint_at))))
        ELSE now() + make_interval(secs => o.due_in) END,
    failures = CASE WHEN o.trouble IS NULL THEN 0 ELSE m.failures + 1 END,
    trouble = o.trouble, failure = o.failure, holder = NULL, leased_until = NULL
FROM o WHERE m.address = o.address AND m.epoch = o.epoch
RETURNING m.address;

-- name: spend!
-- What idle looks cost, of many mailboxes together.
INSERT INTO reading (units) VALUES (:units);

-- name: announce!
-- What reading is about to take beyond what a sending lane always leaves; the lane hears it with its next heartbeat.
INSERT INTO reading (mailbox, units, ahead) VALUES (:mailbox, :units, true);

-- name: spent^
-- What reading of a mailbox cost in the last minute.
SELECT coalesce(sum(units), 0)::bigint AS units FROM reading WHERE mailbox = :mailbox AND at > now() - interval '1 minute';

-- name: forget_reading!
-- No window looks further back than a day.
DELETE FROM reading WHERE at < now() - interval '25 hours';

-- name: hint<!
-- Push named these mailboxes: look now. A mailbox that is not read is nobody's.
WITH named AS (
    UPDATE mailbox m SET hint = greatest(m.hint, h.history_id), hint_at = now(), due_at = least(m.due_at, now())
    FROM (SELECT lower(mailbox) AS address, max(history_id) AS history_id
          FROM json_to_recordset(:hints::json) AS h(mailbox text, history_id bigint) GROUP BY 1) h
    WHERE m.address = h.address AND m.due_at IS NOT NULL
      AND (m.phase <> 'delta' OR h.history_id > m.history_id)
    RETURNING m.address
)
SELECT count(*) AS named FROM named;

-- name: not_confirmed^
-- How many sender mailboxes that can be read were not read to their end since they last sent, and a while more.
SELECT count(*) AS mailboxes FROM mailbox m
WHERE m.due_at IS NOT NULL AND 'sender' = ANY(m.roles) AND coalesce(m.trouble, '') <> ALL(:unreachable)
  AND coalesce(m.moved_at, '-infinity') < make_interval(secs => :more) + (
      SELECT max(a.at) FROM attempt a WHERE a.mailbox = m.address AND a.kind = 'send');

-- name: count_read^
-- How many mailboxes are read.
SELECT count(*) AS mailboxes FROM mailbox WHERE due_at IS NOT NULL;

-- name: watches_due
-- Watches to make or renew; whoever asks has them for five minutes.
WITH due AS (
    SELECT address FROM mailbox
    WHERE due_at IS NOT NULL AND coalesce(watch_due_at, added_at) <= now() AND coalesce(trouble, '') <> ALL(:unreachable)
    ORDER BY watch_due_at NULLS FIRST LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE mailbox m SET watch_due_at = now() + interval '5 minutes' FROM due WHERE m.address = due.address
RETURNING m.address;

-- name: watched!
-- A watch stands.
UPDATE mailbox SET watch_until = :until, watch_due_at = now() + make_interval(secs => :renew), watch_failure = NULL
WHERE address = :address;

-- name: watch_failed!
-- A watch could not be made or renewed.
UPDATE mailbox SET watch_failure = :failure, watch_due_at = now() + make_interval(secs => :retry) WHERE address = :address;

-- name: warn
-- The watchdog: what is wrong with a mailbox and was not said yet is said once, and so is its end.
WITH state AS (
    SELECT address, warned, trouble, failure, moved_at, watch_until, array_remove(ARRAY[
        CASE WHEN trouble = 'token_dead' THEN 'token_dead' END,
        CASE WHEN trouble = ANY(:unreachable) AND trouble <> 'token_dead' THEN 'unreachable' END,
        CASE WHEN coalesce(moved_at, added_at) < now() - make_interval(secs => :stalled_after) THEN 'stalled' END,
        CASE WHEN :push AND watch_until < now() + interval '1 day' THEN 'watch_expiring' END], NULL) AS wrong
    FROM mailbox WHERE due_at IS NOT NULL
), changed AS (
    UPDATE mailbox m SET warned = s.wrong FROM state s
    WHERE m.address = s.address AND NOT (s.wrong @> s.warned AND s.wrong <@ s.warned)
    RETURNING m.address, s.warned AS before, s.wrong, s.trouble, s.failure, s.moved_at, s.watch_until
), news AS (
    SELECT c.address, kind, jsonb_build_object('failure', c.failure, 'moved_at', c.moved_at, 'watch_until', c.watch_until) AS facts
    FROM changed c CROSS JOIN LATERAL unnest(c.wrong) AS kind WHERE kind <> ALL(c.before)
    UNION ALL
    SELECT c.address, 'recovered', jsonb_build_object('was', c.before) FROM changed c WHERE c.wrong = '{}'
), told AS (
    INSERT INTO event (kind, subject, payload) SELECT 'mailbox.' || kind, 'mailbox:' || address, facts FROM news
)
SELECT address, kind, facts FROM news ORDER BY address, kind;

-- name: list_read
-- Every mailbox that is read, with how that goes.
SELECT m.address, m.roles, m.phase, m.history_id, m.moved_at, m.due_at, m.trouble, m.failure, m.failures, m.watch_until,
       m.watch_failure, m.warned,
       (SELECT count(*) FROM quarantine q WHERE q.mailbox = m.address AND q.cleared_at IS NULL) AS quarantined
FROM mailbox m WHERE m.due_at IS NOT NULL ORDER BY m.address;

-- name: sightings
-- What a mailbox told, the newest first.
SELECT id, at, received_at, kind, subject, mapped_by, proven, sender, title, message_id, thread_id, report, reply, attachments
FROM sighting WHERE mailbox = :mailbox AND (:kind::text IS NULL OR kind = :kind) ORDER BY id DESC LIMIT :most;

-- name: sighting_counts
-- How many messages of each kind a mailbox has told.
SELECT kind, count(*) AS messages FROM sighting WHERE mailbox = :mailbox GROUP BY kind ORDER BY kind;

-- name: set_aside
-- What could not be read and no person has cleared.
SELECT mailbox, message_id, thread_id, problem, source, size, at FROM quarantine
WHERE cleared_at IS NULL AND (:mailbox::text IS NULL OR mailbox = :mailbox) ORDER BY at DESC LIMIT :most;

-- name: clear<!
-- A person has seen to a message that could not be read.
WITH cleared AS (
    UPDATE quarantine SET cleared_at = now(), cleared_by = :actor
    WHERE mailbox = :mailbox AND message_id = :message_id AND cleared_at IS NULL RETURNING message_id
)
SELECT count(*) AS cleared, audit_append(json_agg(json_build_object('actor', :actor::text, 'kind', 'mailbox.cleared',
    'subject', 'mailbox:' || :mailbox::text, 'payload', json_build_object('message', message_id, 'why', :why::text))))
FROM cleared;

-- name: start_over<!
-- A person wants the mailbox listed anew from a time on; what is recorded stays and is not recorded again.
WITH started AS (
    UPDATE mailbox SET phase = 'new', page_token = NULL, since = :since, due_at = now(), epoch = epoch + 1,
        holder = NULL, leased_until = NULL
    WHERE address = :mailbox AND due_at IS NOT NULL RETURNING address
)
SELECT count(*) AS started, audit_append(json_agg(json_build_object('actor', :actor::text, 'kind', 'mailbox.started_over',
    'subject', 'mailbox:' || address, 'payload', json_build_object('since', :since::timestamptz)))) FROM started;

-- name: one_read^
-- One mailbox that is read.
SELECT address, roles, phase, format, history_id, seen_id, seen_at, since, moved_at, due_at, busy_at, hint, epoch, holder,
       leased_until, failures, trouble, failure, watch_until, watch_due_at, watch_failure, warned
FROM mailbox WHERE address = :mailbox AND due_at IS NOT NULL;
