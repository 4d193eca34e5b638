-- name: commit_changes
-- The group commit: many deliveries' moves in one statement. A change counts only if its lane still has the epoch it was
-- made under (the share lock makes a take-over wait) and the delivery is where the change found it.
WITH change AS MATERIALIZED (
    SELECT * FROM json_to_recordset(:changes::json) AS c(
        id bigint, version integer, lane text, lane_epoch bigint, was text, token text,
        disposition text, reason text, detail text, due_at timestamptz, mailbox text, epoch bigint,
        draft_id text, thread_id text, message_id text, rfc822_id text, history_id bigint, tries integer,
        uncertain_since timestamptz, accepted_at timestamptz, only_road text, repeats integer,
        kind text, outcome text, effect text, units integer, bytes bigint, evidence text)
), fence AS MATERIALIZED (
    SELECT mailbox, epoch FROM lane WHERE mailbox IN (SELECT lane FROM change) ORDER BY mailbox FOR SHARE
), moved AS (
    UPDATE delivery d SET
        disposition = c.disposition, reason = c.reason, detail = c.detail, due_at = c.due_at, mailbox = c.mailbox,
        epoch = c.epoch, draft_id = c.draft_id, thread_id = c.thread_id, message_id = c.message_id,
        rfc822_id = c.rfc822_id, history_id = c.history_id, tries = c.tries, uncertain_since = c.uncertain_since,
        accepted_at = c.accepted_at, only_road = c.only_road, repeats = c.repeats,
        version = c.version, changed_at = now()
    FROM change c JOIN fence f ON f.mailbox = c.lane AND f.epoch = c.lane_epoch
    WHERE d.id = c.id AND d.version = c.version - 1
    RETURNING d.id
), noted AS (
    INSERT INTO attempt (delivery_id, number, mailbox, epoch, kind, outcome, effect, units, bytes, evidence)
    SELECT id, version, lane, lane_epoch, kind, outcome, effect, units, bytes, evidence
    FROM change JOIN moved USING (id)
), audited AS MATERIALIZED (
    SELECT audit_append(json_agg(json_build_object(
        'actor', 'lane:' || c.lane, 'kind', 'delivery.' || c.disposition, 'subject', 'delivery:' || c.token,
        'payload', json_strip_nulls(json_build_object(
            'was', c.was, 'by', c.kind, 'outcome', c.outcome, 'draft', c.draft_id, 'message', c.message_id,
            'reason', c.reason)))))
    FROM change c JOIN moved USING (id) WHERE c.disposition <> c.was
)
SELECT id FROM moved, audited;

-- name: already_committed
-- After a lost reply: which of these changes are there, made by the same lane under the same epoch?
SELECT a.delivery_id AS id FROM attempt a
JOIN json_to_recordset(:changes::json) AS c(id bigint, version integer, lane text, lane_epoch bigint, kind text)
  ON a.delivery_id = c.id AND a.number = c.version AND a.mailbox = c.lane AND a.epoch = c.lane_epoch AND a.kind = c.kind;

-- name: register_lane!
-- Every configured sender mailbox has a lane.
INSERT INTO lane (mailbox, pool) VALUES (:mailbox, :pool)
ON CONFLICT (mailbox) DO UPDATE SET pool = excluded.pool WHERE lane.pool <> excluded.pool;

-- name: retire_lanes!
-- Mailboxes that are configured no more claim nothing; what they hold they still bring to its end.
UPDATE lane SET pool = '' WHERE mailbox <> ALL(:mailboxes) AND pool <> '';

-- name: take_lane<!
-- Take a lane over: the epoch rises, and whoever held it before writes nothing any more. A holder that did not leave in
-- order may have left a draft that nobody knows; the relay knows no drafts. A park that is over is over.
UPDATE lane SET epoch = epoch + 1, holder = :holder, heartbeat_at = now(),
    strays_at = CASE WHEN holder IS NOT NULL AND road = 'api' THEN now() ELSE strays_at END,
    state = CASE WHEN state = 'parked' AND until <= now() THEN 'open' ELSE state END,
    reason = CASE WHEN state = 'parked' AND until <= now() THEN NULL ELSE reason END,
    until = CASE WHEN state = 'parked' AND until <= now() THEN NULL ELSE until END
WHERE mailbox = :mailbox
RETURNING mailbox, pool, state, reason, until, resume_at, epoch, history_id, strays_at, road, address;

-- name: leave_lane!
-- A lane that ends in order leaves no draft behind that nobody knows.
UPDATE lane SET holder = NULL, heartbeat_at = NULL, width = 0 WHERE mailbox = :mailbox AND epoch = :epoch;

-- name: beat<!
-- The lane's heartbeat, gauge and due dates; answers nothing when another process has taken it. What reading announced it
-- may spend up to 30 seconds later (`mailbox.meter`).
UPDATE lane SET heartbeat_at = now(), width = :width, strays_at = :strays_at, resume_at = :resume_at
WHERE mailbox = :mailbox AND epoch = :epoch
RETURNING state, reason, until,
    (SELECT count(*) FROM lane o WHERE o.road = lane.road
        AND o.heartbeat_at > now() - make_interval(secs => :stalled_after)) AS running,
    CASE WHEN EXISTS (SELECT 1 FROM mailbox m WHERE m.address = :mailbox AND m.due_at IS NOT NULL) THEN
        (SELECT greatest(:beside, coalesce(sum(units) FILTER (WHERE NOT ahead AND at > now() - interval '1 minute'), 0))
                + coalesce(sum(units) FILTER (WHERE ahead), 0)
         FROM reading WHERE reading.mailbox = :mailbox AND at > now() - interval '90 seconds')
    ELSE 0 END::bigint AS spared;

-- name: note_history!
-- Where the mailbox's history stood before anything of this holding was sent: evidence lies after it.
UPDATE lane SET history_id = :history_id WHERE mailbox = :mailbox AND epoch = :epoch;

-- name: park_lane<!
-- No more sends from this mailbox until a time, or until a person resumes it.
WITH parked AS (
    UPDATE lane SET state = 'parked', reason = :reason, until = :until, changed_at = now()
    WHERE mailbox = :mailbox AND epoch = :epoch AND state <> 'paused' RETURNING mailbox, reason, until
)
SELECT audit_append(json_agg(json_build_object('actor', 'lane:' || mailbox, 'kind', 'lane.parked',
    'subject', 'lane:' || mailbox, 'payload', json_build_object('reason', reason, 'until', until)))) FROM parked;

-- name: set_lane<!
-- A person pauses a mailbox or opens it again.
WITH changed AS (
    UPDATE lane SET state = :state, reason = :reason, until = NULL,
        resume_at = CASE WHEN :state = 'open' THEN NULL ELSE resume_at END, changed_at = now()
    WHERE mailbox = :mailbox RETURNING mailbox
), woken AS (
    UPDATE delivery SET due_at = now() FROM changed
    WHERE delivery.mailbox = changed.mailbox AND :state = 'open'
      AND disposition IN ('queued', 'drafted', 'sending', 'uncertain') AND due_at > now()
)
SELECT (SELECT count(*) FROM changed) AS changed, audit_append(json_agg(json_build_object('actor', :actor::text,
    'kind', 'lane.' || :state::text, 'subject', 'lane:' || mailbox, 'payload', json_build_object('reason', :reason::text))))
FROM changed;

-- name: list_lanes
-- Every lane with what it holds.
SELECT l.mailbox, l.road, l.address, l.pool, l.state, l.reason, l.until, l.resume_at, l.epoch, l.holder,
       l.heartbeat_at, l.strays_at, l.width,
       (SELECT count(*) FROM delivery d WHERE d.mailbox = l.mailbox
          AND d.disposition IN ('queued', 'drafted', 'sending', 'uncertain')) AS bound,
       (SELECT count(*) FROM attempt a WHERE a.mailbox = l.mailbox AND a.kind = 'send' AND a.effect <> 'no'
          AND a.at > now() - interval '24 hours') AS sent_today,
       (SELECT a.at FROM attempt a WHERE a.mailbox = l.mailbox AND a.kind = 'send' AND a.effect <> 'no'
          ORDER BY a.at LIMIT 1) AS first_sent_at
FROM lane l ORDER BY l.mailbox;

-- name: due_lanes
-- Lanes that have something to see to and no process that sees to it. A parked or paused lane still settles what it
-- sent; an unreachable one (dead token) is left alone until its park is over.
WITH work AS MATERIALIZED (
    SELECT DISTINCT r.pool, road FROM claimable_run r CROSS JOIN LATERAL unnest(r.roads) AS road
    WHERE EXISTS (
        SELECT 1 FROM delivery d WHERE d.run_id = r.id AND d.disposition = 'queued' AND d.mailbox IS NULL
          AND d.only_road IS NULL
          AND d.due_at <= now() AND (d.only_from IS NULL OR d.due_at < now() - interval '1 hour'))
      OR EXISTS (
        SELECT 1 FROM delivery d WHERE d.run_id = r.id AND d.disposition = 'queued' AND d.mailbox IS NULL
          AND d.only_road = road
          AND d.due_at <= now() AND (d.only_from IS NULL OR d.due_at < now() - interval '1 hour'))
)
SELECT l.mailbox FROM (
    SELECT *, CASE WHEN state = 'parked' AND until <= now() THEN 'open' ELSE state END AS state_now FROM lane) l
WHERE (l.heartbeat_at IS NULL OR l.heartbeat_at < now() - make_interval(secs => :stalled_after))
  AND (l.resume_at IS NULL OR l.resume_at <= now())
  AND NOT (l.state_now = 'parked' AND l.reason = ANY(:unreachable))
  AND (l.strays_at <= now()
    OR (l.state_now = 'open' AND (l.pool, l.road) IN (SELECT pool, road FROM work))
    OR (l.state_now = 'open' AND EXISTS (
        SELECT 1 FROM delivery d JOIN run r ON r.id = d.run_id
        WHERE d.only_from = l.address AND d.disposition = 'queued' AND d.mailbox IS NULL AND d.due_at <= now()
          AND r.state = 'open' AND r.pool = l.pool AND l.road = ANY(r.roads)
          AND (d.only_road IS NULL OR d.only_road = l.road)))
    OR EXISTS (
        SELECT 1 FROM delivery d JOIN run r ON r.id = d.run_id
        WHERE d.mailbox = l.mailbox AND d.disposition IN ('queued', 'drafted', 'sending', 'uncertain')
          AND d.due_at <= now()
          AND NOT (d.disposition = 'drafted' AND r.state <> 'cancelled'
                   AND (r.state = 'paused' OR l.state_now = 'paused'))))
ORDER BY l.mailbox;

-- name: gather_bound
-- What this lane holds and is due, without what it has in hand; and why something of it must not leave any more.
SELECT d.id, d.token, d.run_id, d.disposition, d.version, d.due_at, d.mailbox, d.epoch, d.reason, d.detail, d.draft_id,
       d.thread_id, d.message_id, d.rfc822_id, d.history_id, d.tries, d.uncertain_since, d.accepted_at,
       d.only_road, d.repeats, c.recipient, c.copies, d.address, c.subject, c.body_text, c.body_html, c.documents, c.locale, c.stream, c.type,
       c.letter,
       r.mode, r.policy,
       (SELECT suppressed_because(s) FROM suppression s
        WHERE s.stream = c.stream AND s.address = lower(d.address)) AS barred
FROM delivery d JOIN communication c ON c.id = d.communication_id JOIN run r ON r.id = d.run_id
WHERE d.mailbox = :mailbox AND d.disposition IN ('queued', 'drafted', 'sending', 'uncertain') AND d.due_at <= now()
  AND d.id <> ALL(:in_hand)
  AND NOT (d.disposition = 'drafted' AND r.state <> 'cancelled' AND (r.state = 'paused' OR :resting))
ORDER BY d.due_at, d.id LIMIT :most;

-- name: claim
-- Late binding: whatever is next in the pool's open runs becomes this lane's. What goes to an address that was
-- suppressed since it came in is held instead. What belongs to a thread waits an hour for the mailbox that has the thread.
-- What may leave by any road of its run and what is bound to this one are two walks through two indexes.
WITH next AS (
    SELECT q.id FROM claimable_run r CROSS JOIN LATERAL (
        SELECT id FROM (
            SELECT d.id FROM delivery d
            WHERE d.run_id = r.id AND d.disposition = 'queued' AND d.mailbox IS NULL AND d.only_road IS NULL
              AND d.due_at <= now()
              AND (d.only_from IS NULL OR d.only_from = :address OR d.due_at < now() - interval '1 hour')
            ORDER BY d.id LIMIT :most FOR UPDATE SKIP LOCKED) either
        UNION ALL
        SELECT id FROM (
            SELECT d.id FROM delivery d
            WHERE d.run_id = r.id AND d.disposition = 'queued' AND d.mailbox IS NULL AND d.only_road = :road
              AND d.due_at <= now()
              AND (d.only_from IS NULL OR d.only_from = :address OR d.due_at < now() - interval '1 hour')
            ORDER BY d.id LIMIT :most FOR UPDATE SKIP LOCKED) bound
        ORDER BY id LIMIT :most) q
    WHERE r.pool = :pool AND :road = ANY(r.roads)
    LIMIT :most
), fence AS MATERIALIZED (
    SELECT mailbox, epoch FROM lane WHERE mailbox = :mailbox AND epoch = :epoch AND state = 'open' FOR SHARE
), barred AS MATERIALIZED (
    SELECT d.id, suppressed_because(s) AS detail
    FROM next JOIN delivery d USING (id) JOIN communication c ON c.id = d.communication_id
    JOIN suppression s ON s.stream = c.stream AND s.address = lower(d.address)
), held AS (
    UPDATE delivery d SET disposition = 'held', reason = 'suppressed', detail = barred.detail, due_at = NULL,
        version = version + 1, changed_at = now()
    FROM barred, fence WHERE d.id = barred.id
    RETURNING audit_append(json_build_array(json_build_object('actor', 'lane:' || fence.mailbox,
        'kind', 'delivery.held', 'subject', 'delivery:' || d.token,
        'payload', '{"was":"queued","by":"claim","reason":"suppressed"}'::json)))
), claimed AS (
    UPDATE delivery d SET mailbox = fence.mailbox, epoch = fence.epoch, version = version + 1, changed_at = now()
    FROM next, fence WHERE d.id = next.id AND d.id NOT IN (SELECT id FROM barred)
    RETURNING d.*
)
SELECT d.id, d.token, d.run_id, d.disposition, d.version, d.due_at, d.mailbox, d.epoch, d.reason, d.detail, d.draft_id,
       d.thread_id, d.message_id, d.rfc822_id, d.history_id, d.tries, d.uncertain_since, d.accepted_at,
       d.only_road, d.repeats, c.recipient, c.copies, d.address, c.subject, c.body_text, c.body_html, c.documents, c.locale, c.stream, c.type,
       c.letter,
       r.mode, r.policy
FROM claimed d JOIN communication c ON c.id = d.communication_id JOIN run r ON r.id = d.run_id
ORDER BY d.id;

-- name: spent
-- What this mailbox spent since a time, in time's order: the ledger that budgets and windows are counted from. The last
-- two minutes come one by one, for the window; what is older by the minute, for the day.
-- A send counts where it happened or may have; one whose process died before it could say so counts where it was found.
SELECT extract(epoch FROM max(a.at))::float8 AS at, sum(a.units)::bigint AS units, sum(a.bytes)::bigint AS bytes,
       count(*) FILTER (WHERE (a.kind = 'send' AND a.effect <> 'no')
           OR (a.kind IN ('probe', 'withdraw') AND a.outcome = 'sent'
               AND NOT EXISTS (SELECT 1 FROM attempt s WHERE s.delivery_id = a.delivery_id AND s.mailbox = a.mailbox
                               AND s.kind = 'send' AND s.effect = 'unknown'))) AS sent
FROM attempt a WHERE a.mailbox = :mailbox AND a.at > now() - make_interval(secs => :seconds)
GROUP BY CASE WHEN a.at > now() - interval '2 minutes' THEN a.at ELSE date_trunc('minute', a.at) END
ORDER BY at;

-- name: first_sent^
-- When this mailbox sent for the first time: its warm-up age.
SELECT at FROM attempt WHERE mailbox = :mailbox AND kind = 'send' AND effect <> 'no' ORDER BY at LIMIT 1;

-- name: known_drafts
-- Which of these drafts a delivery of this lane stands by.
SELECT draft_id FROM delivery WHERE mailbox = :mailbox AND draft_id = ANY(:drafts)
  AND disposition IN ('drafted', 'sending', 'uncertain');

-- name: cancel_queued<!
-- Deliveries of cancelled runs that no lane holds, a bounded number at a time.
WITH doomed AS (
    SELECT d.id FROM delivery d JOIN run r ON r.id = d.run_id
    WHERE r.state = 'cancelled' AND d.mailbox IS NULL AND d.disposition IN ('queued', 'held')
    LIMIT :most FOR UPDATE OF d SKIP LOCKED
), cancelled AS (
    UPDATE delivery d SET disposition = 'cancelled', reason = 'run_cancelled', due_at = NULL,
        detail = CASE WHEN repeats > 0 THEN 'its run was cancelled before it was sent again; it may have been sent before'
            ELSE 'its run was cancelled before it left' END,
        version = version + 1, changed_at = now()
    FROM doomed WHERE d.id = doomed.id RETURNING d.token
)
SELECT count(*) AS cancelled, audit_append(json_agg(json_build_object('actor', 'sweep', 'kind', 'delivery.cancelled',
    'subject', 'delivery:' || token, 'payload', '{}'::json))) FROM cancelled;

-- name: settle_by_person<!
-- A person's word on what evidence could not settle.
WITH settled AS (
    UPDATE delivery SET
        disposition = :disposition, reason = 'settled_by_person', detail = :detail,
        due_at = CASE WHEN :disposition = 'queued' THEN now() END,
        mailbox = CASE WHEN :disposition = 'accepted' THEN mailbox END,
        epoch = CASE WHEN :disposition = 'accepted' THEN epoch END,
        draft_id = NULL,
        -- Sent again by the relay it has the same Message-ID, so that a recipient who has it already drops it.
        rfc822_id = CASE WHEN starts_with(mailbox, 'relay:') OR repeats > 0 THEN rfc822_id END,
        message_id = CASE WHEN :disposition = 'accepted' THEN coalesce(message_id, 'by-person:' || token) END,
        accepted_at = CASE WHEN :disposition = 'accepted' THEN now() END,
        uncertain_since = NULL, version = version + 1, changed_at = now()
    WHERE token = :token AND disposition = 'uncertain'
    RETURNING token
)
SELECT count(*) AS settled, audit_append(json_agg(json_build_object('actor', :actor::text,
    'kind', 'delivery.' || :disposition::text, 'subject', 'delivery:' || token,
    'payload', json_build_object('was', 'uncertain', 'detail', :detail::text)))) FROM settled;

-- name: requeue_stopped<!
-- A person mended the cause: held or failed deliveries of a run with this reason may leave again.
WITH freed AS (
    UPDATE delivery d SET disposition = 'queued', reason = NULL, detail = NULL, due_at = now(), tries = 0,
        version = version + 1, changed_at = now()
    FROM run r WHERE r.id = d.run_id AND r.key = :run AND d.disposition = 'failed' AND d.reason = :reason
    RETURNING d.token
)
SELECT count(*) AS freed, audit_append(json_agg(json_build_object('actor', :actor::text, 'kind', 'delivery.queued',
    'subject', 'delivery:' || token, 'payload', '{"was":"failed"}'::json))) FROM freed;

-- name: closed_runs
-- Runs that let nothing leave now.
SELECT id, state FROM run WHERE state <> 'open';

-- name: spill_runs<!
-- Runs that leave by the relay and may finish by the API do so where the relay's day has no room any more: no lane of the
-- pool's relay may send, and one of them rests for its day; or the organisation's day is spent. Never taken back.
WITH spent AS MATERIALIZED (
    SELECT l.pool FROM lane l WHERE l.road = 'relay' AND l.pool <> ''
    GROUP BY l.pool
    HAVING bool_and(l.state = 'paused' OR (l.state = 'parked' AND (l.until IS NULL OR l.until > now())))
       AND bool_or(l.state = 'parked' AND l.reason = ANY(:of_the_day))
), spilled AS (
    UPDATE run SET roads = roads || ARRAY['api'], changed_at = now()
    WHERE state = 'open' AND policy ->> 'road' = 'relay_then_api' AND NOT roads @> ARRAY['api']
      AND (pool IN (SELECT pool FROM spent)
        OR EXISTS (SELECT 1 FROM relay_organisation o WHERE o.rests_until > now() AND o.reason = ANY(:of_the_day)))
      AND EXISTS (SELECT 1 FROM delivery d WHERE d.run_id = run.id AND d.disposition = 'queued'
                    AND d.mailbox IS NULL AND d.only_road IS NULL)
    RETURNING key
)
SELECT count(*) AS spilled, audit_append(json_agg(json_build_object('actor', 'sweep', 'kind', 'run.spilled',
    'subject', 'run:' || key, 'payload', '{"road":"api"}'::json))) FROM spilled;

-- name: free_queued<!
-- What a lane holds without a draft goes back to the pool: it was never sent.
WITH freed AS (
    UPDATE delivery d SET mailbox = NULL, epoch = NULL, version = version + 1, changed_at = now()
    FROM lane l WHERE l.mailbox = :mailbox AND l.epoch = :epoch AND d.mailbox = l.mailbox
      AND d.disposition = 'queued' AND d.draft_id IS NULL AND d.id <> ALL(:in_hand)
    RETURNING d.id
)
SELECT count(*) AS freed FROM freed;

-- name: current^
-- A delivery as it stands.
SELECT id, token, run_id, disposition, version, due_at, mailbox, epoch, reason, detail, draft_id, thread_id, message_id,
       rfc822_id, history_id, tries, uncertain_since, accepted_at, only_road, repeats
FROM delivery WHERE id = :id;

-- name: proven^
-- Whether a mail came about a delivery that only somebody who got ours could cause; a guess by its recipient is none.
SELECT EXISTS (SELECT FROM sighting WHERE subject = 'delivery:' || :token::text AND proven AND mapped_by <> 'recipient'
    AND kind IN ('bounced_hard', 'bounced_soft', 'delayed', 'replied', 'auto_replied')) AS proven;

-- name: project_spent^
-- Units that all mailboxes together spent in the last day.
SELECT ((SELECT coalesce(sum(units), 0) FROM attempt WHERE at > now() - interval '24 hours')
      + (SELECT coalesce(sum(units), 0) FROM reading WHERE at > now() - interval '24 hours'))::bigint AS units;
