-- name: open_run<!
-- Create the run, or do nothing where its key exists.
INSERT INTO run (key, pool, mode, policy, source, roads, expected)
VALUES (:key, :pool, :mode, :policy, :source, :roads, :expected)
ON CONFLICT (key) DO NOTHING
RETURNING id;

-- name: find_run^
-- One run by its key.
SELECT id, key, state, pool, mode, policy, source, reason, roads, expected FROM run WHERE key = :key;

-- name: list_runs
-- The newest runs first, with what has become of their deliveries.
SELECT r.key, r.state, r.reason, r.pool, r.mode, r.source, r.created_at,
       count(d.id) AS deliveries,
       count(d.id) FILTER (WHERE d.disposition = 'accepted')  AS accepted,
       count(d.id) FILTER (WHERE d.disposition = 'held')      AS held,
       count(d.id) FILTER (WHERE d.disposition = 'failed')    AS failed,
       count(d.id) FILTER (WHERE d.disposition = 'uncertain') AS uncertain,
       count(d.id) FILTER (WHERE d.sighted && ARRAY['bounced_hard', 'bounced_soft']) AS bounced,
       (SELECT count(*) FROM reject WHERE reject.run_id = r.id) AS rejected
FROM run r LEFT JOIN delivery d ON d.run_id = r.id
GROUP BY r.id ORDER BY r.id DESC LIMIT :most;

-- name: change_run<!
-- Pause, resume or cancel; a cancelled run does not come back. Whoever resumes one knows of the bounces until then, so
-- their number goes into the record: it is what the next ones are measured by.
WITH changed AS (
    UPDATE run SET state = :state, reason = NULL, changed_at = now()
    WHERE key = :key AND state <> :state AND state <> 'cancelled'
    RETURNING id, key
)
SELECT audit_append(json_agg(json_build_object(
    'actor', :actor::text, 'kind', 'run.' || :state::text, 'subject', 'run:' || key,
    'payload', CASE WHEN :state = 'open' THEN json_build_object('bounced', (
        SELECT count(*) FROM delivery d WHERE d.run_id = changed.id AND d.disposition = 'accepted'
          AND d.sighted && ARRAY['bounced_hard', 'bounced_soft'] AND d.sighted @> ARRAY['bounced_hard']))
        ELSE '{}'::json END)))
FROM changed;

-- name: known_keys
-- Which of these keys the run already has, and from what they were made.
SELECT key, source_hash, consignment_id FROM communication WHERE run_id = :run_id AND key = ANY(:keys);

-- name: add_communications^
-- Communications and their deliveries in one statement, a copy being a delivery like any other; keys already in stay
-- untouched. What may leave, but goes to an address that nothing of its stream is sent to, is held.
WITH incoming AS MATERIALIZED (
    SELECT * FROM json_to_recordset(:rows::json) AS i(
        key text, type text, customer text, template text, version text, locale text, stream text, recipient jsonb,
        copies jsonb, subject text, body_text text, body_html text, documents jsonb, source jsonb, source_hash text,
        content_hash text, consignment_id bigint, letter jsonb, only_from text, only_road text, replaces text,
        sensitivity text, needs json, deliveries json, disposition text, reason text, detail text)
), added AS (
    INSERT INTO communication (run_id, key, type, customer, template, version, locale, stream, recipient, copies,
                               subject, body_text, body_html, documents, source, source_hash, content_hash,
                               consignment_id, letter, replaces, sensitivity)
    SELECT :run_id, key, type, customer, template, version, locale, stream, recipient, copies, subject,
           body_text, body_html, documents, source, source_hash, content_hash, consignment_id,
           nullif(letter, 'null'::jsonb), replaces, sensitivity
    FROM incoming
    ON CONFLICT (run_id, key) DO NOTHING
    RETURNING id, key, content_hash
), awaited AS (
    INSERT INTO hold (communication_id, policy, gate, findings, papers, facts, inherited)
    SELECT a.id, n.policy, n.gate, n.findings, n.papers, n.facts, n.inherited
    FROM incoming i JOIN added a USING (key)
    CROSS JOIN LATERAL json_to_recordset(i.needs) AS n(
        policy text, gate text, findings jsonb, papers jsonb, facts jsonb, inherited boolean)
    WHERE json_array_length(i.needs) > 0
    ORDER BY a.id
), owed AS (
    INSERT INTO delivery (token, communication_id, run_id, address, only_from, only_road, disposition, reason, detail)
    SELECT w.token, a.id, :run_id, w.address, i.only_from, i.only_road,
           CASE WHEN s.stream IS NULL THEN i.disposition ELSE 'held' END,
           CASE WHEN s.stream IS NULL THEN i.reason ELSE 'suppressed' END,
           CASE WHEN s.stream IS NULL THEN i.detail ELSE suppressed_because(s) END
    FROM added a JOIN incoming i USING (key)
    CROSS JOIN LATERAL json_to_recordset(i.deliveries) AS w(token text, address text)
    LEFT JOIN suppression s ON i.disposition = 'queued' AND s.stream = i.stream AND s.address = lower(w.address)
    ORDER BY a.id
    RETURNING id, token, communication_id, disposition, reason
)
SELECT (SELECT coalesce(array_agg(key), '{}') FROM added) AS keys,
       (SELECT coalesce(array_agg(DISTINCT a.key), '{}') FROM owed o JOIN added a ON a.id = o.communication_id
        WHERE o.disposition = 'held') AS kept,
       (SELECT coalesce(array_agg(DISTINCT a.key), '{}') FROM owed o JOIN added a ON a.id = o.communication_id
        WHERE o.reason = 'suppressed') AS barred,
       (SELECT audit_append(json_agg(json_build_object(
            'actor', 'intake', 'kind', 'delivery.' || o.disposition, 'subject', 'delivery:' || o.token,
            'payload', json_strip_nulls(json_build_object(
                'run', :run_key::text, 'key', a.key, 'content', a.content_hash, 'reason', o.reason))) ORDER BY o.id))
        FROM owed o JOIN added a ON a.id = o.communication_id) AS audited;

-- name: add_rejects<!
-- Put lines aside; the same line is put aside once.
WITH added AS (
    INSERT INTO reject (run_id, line, key, problem, digest)
    SELECT :run_id, line, key, problem, digest
    FROM json_to_recordset(:rows::json) AS r(line bigint, key text, problem text, digest text)
    ON CONFLICT DO NOTHING RETURNING line
)
SELECT count(*) FROM added;

-- name: list_rejects
-- The lines of a run that were put aside.
SELECT line, key, problem, at FROM reject WHERE run_id = :run_id ORDER BY line LIMIT :most;

-- name: progress
-- How many deliveries of a run stand where, and how many are still to be seen to.
SELECT disposition, count(*) AS deliveries,
       count(*) FILTER (WHERE disposition IN ('queued', 'drafted', 'sending')
                        OR (disposition = 'uncertain' AND due_at IS NOT NULL)) AS moving
FROM delivery WHERE run_id = :run_id GROUP BY disposition;

-- name: progress_by_road
-- The same by the road that a delivery took, or must take; `-` for what any road may still carry.
SELECT CASE WHEN starts_with(mailbox, 'relay:') THEN 'relay' WHEN mailbox IS NOT NULL THEN 'api'
            ELSE coalesce(only_road, '-') END AS road,
       disposition, count(*) AS deliveries
FROM delivery WHERE run_id = :run_id GROUP BY 1, 2 ORDER BY 1, 2;

-- name: sent_again
-- Deliveries of a run that were sent again after a lost reply of the relay, and when: recipients may have them twice.
SELECT d.token, c.key, c.customer, d.address, d.disposition, d.repeats, d.rfc822_id AS message_id,
       (SELECT min(a.at) FROM attempt a
        WHERE a.delivery_id = d.id AND a.kind = 'send' AND a.effect = 'unknown') AS lost_at,
       d.accepted_at
FROM delivery d JOIN communication c ON c.id = d.communication_id
WHERE d.run_id = :run_id AND d.repeats > 0
ORDER BY d.id LIMIT :most;

-- name: progress_of_all
-- The same for all runs, but for those whose key begins with `but`.
SELECT disposition, count(*) AS deliveries,
       count(*) FILTER (WHERE disposition IN ('queued', 'drafted', 'sending')
                        OR (disposition = 'uncertain' AND due_at IS NOT NULL)) AS moving
FROM delivery
WHERE :but = '' OR run_id NOT IN (SELECT id FROM run WHERE starts_with(key, :but))
GROUP BY disposition;

-- name: sighted
-- How many deliveries of a run each kind of sighting was about.
SELECT kind, count(*) AS deliveries FROM delivery, unnest(sighted) AS kind
WHERE run_id = :run_id AND sighted <> '{}' GROUP BY kind ORDER BY kind;

-- name: find_communications
-- A communication with its delivery, by key within a run, by delivery token, or by customer or address.
SELECT c.key, c.type, c.customer, c.template, c.version, c.locale, c.stream, c.recipient, c.subject, c.documents,
       c.source, c.content_hash, c.created_at, r.key AS run, d.token, d.address, d.disposition, d.reason,
       CASE WHEN d.disposition = 'held' AND d.reason = 'review' THEN coalesce(awaited(c.id), d.detail) ELSE d.detail END AS detail,
       d.mailbox, d.draft_id, d.thread_id, d.message_id, d.tries, d.due_at, d.accepted_at, d.sighted, d.id AS delivery_id
FROM communication c JOIN run r ON r.id = c.run_id JOIN delivery d ON d.communication_id = c.id
WHERE (:run::text IS NULL OR r.key = :run)
  AND (c.key = :text OR c.customer = :text OR lower(d.address) = lower(:text) OR d.token = :text)
ORDER BY c.id DESC LIMIT :most;

-- name: list_attempts
-- What was tried for one delivery, in order.
SELECT number, at, mailbox, epoch, kind, outcome, effect, units, bytes, evidence
FROM attempt WHERE delivery_id = :delivery_id ORDER BY number;

-- name: list_sightings
-- What mailboxes told us about one delivery, in order.
SELECT id, at, received_at, kind, mailbox, message_id, thread_id, mapped_by, proven, sender, title, report, reply,
       attachments
FROM sighting WHERE subject = 'delivery:' || :token::text ORDER BY id;

-- name: held_deliveries
-- What of a run waits for a person, and why.
SELECT c.key, c.customer, d.address, d.disposition, d.reason,
       CASE WHEN d.disposition = 'held' AND d.reason = 'review' THEN coalesce(awaited(c.id), d.detail) ELSE d.detail END AS detail
FROM delivery d JOIN communication c ON c.id = d.communication_id
WHERE d.run_id = :run_id AND (d.disposition IN ('held', 'failed') OR (d.disposition = 'uncertain' AND d.due_at IS NULL))
ORDER BY d.id LIMIT :most;
