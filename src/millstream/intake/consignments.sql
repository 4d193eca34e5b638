-- name: receive
-- Write offers down, each key once. A key that is there already answers with what it is; the caller compares digests.
WITH offered AS MATERIALIZED (
    SELECT * FROM json_to_recordset(:offers::json) AS o(
        place_in_list integer, door text, key text, digest text, kind text, place text, size bigint, run_key text,
        pool text, mode text, policy jsonb, facts jsonb, source text)
), written AS (
    INSERT INTO consignment (door, key, digest, kind, place, size, run_key, pool, mode, policy, facts, source)
    SELECT DISTINCT ON (door, key) door, key, digest, kind, place, size, run_key, pool, mode, policy, facts, source
    FROM offered ORDER BY door, key, place_in_list
    ON CONFLICT (door, key) DO NOTHING
    RETURNING id, door, key, digest, state, receipt, problem, run_key
)
SELECT o.place_in_list, o.digest AS offered_digest, w.id IS NOT NULL AS new,
    coalesce(w.id, c.id) AS id, coalesce(w.digest, c.digest) AS digest, coalesce(w.state, c.state) AS state,
    coalesce(w.receipt, c.receipt) AS receipt, coalesce(w.problem, c.problem) AS problem,
    coalesce(w.run_key, c.run_key) AS run_key
FROM offered o
LEFT JOIN written w ON w.door = o.door AND w.key = o.key
LEFT JOIN consignment c ON c.door = o.door AND c.key = o.key
ORDER BY o.place_in_list;

-- name: claim
-- Take what is due and in nobody's hands: all of it, or only what is small (a letter or a driver that was posted, which
-- are taken together with others), or only what is not.
WITH due AS (
    SELECT id FROM consignment WHERE due_at <= now() AND (leased_until IS NULL OR leased_until < now())
      AND (:small::boolean IS NULL OR :small = (size < :bound
          AND (kind = 'message' OR (kind = 'driver' AND starts_with(place, 'sha256:')))))
    ORDER BY due_at, id LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE consignment c SET holder = :holder, leased_until = now() + make_interval(secs => :seconds)
FROM due WHERE c.id = due.id
RETURNING c.id, c.door, c.key, c.digest, c.kind, c.place, c.size, c.run_key, c.pool, c.mode, c.policy, c.facts,
    c.source, c.tries, c.received_at;

-- name: keep!
-- The holder lives.
UPDATE consignment SET leased_until = now() + make_interval(secs => :seconds) WHERE holder = :holder AND id = ANY(:ids);

-- name: taken
-- They are a run's communications now, with what became of their lines; only their holder may say so. What people must
-- be told of their lines becomes events with it.
WITH settled AS (
    UPDATE consignment c SET state = 'taken', due_at = NULL, taken_at = now(), holder = NULL, leased_until = NULL,
        problem = NULL, run_id = :run_id,
        -- Of one that is taken once more: what it brought before is still there, also where other content came now.
        receipt = CASE WHEN c.receipt IS NULL THEN t.receipt ELSE t.receipt || jsonb_build_object(
            'new', greatest((t.receipt ->> 'new')::bigint, (c.receipt ->> 'new')::bigint),
            'held', greatest((t.receipt ->> 'held')::bigint, (c.receipt ->> 'held')::bigint),
            'suppressed', greatest((t.receipt ->> 'suppressed')::bigint, (c.receipt ->> 'suppressed')::bigint)) END
    FROM json_to_recordset(:taken::json) AS t(id bigint, receipt jsonb)
    WHERE c.id = t.id AND c.holder = :holder
    RETURNING c.id, c.door, c.source, c.run_key
), told AS (
    INSERT INTO event (kind, subject, payload)
    SELECT e.kind, 'consignment:' || s.id,
        jsonb_build_object('door', s.door, 'source', s.source, 'run', s.run_key) || e.facts
    FROM json_to_recordset(:events::json) AS e(place integer, id bigint, kind text, facts jsonb) JOIN settled s USING (id)
    -- Of one that is taken once more, what is wrong still was told before.
    WHERE NOT EXISTS (
        SELECT FROM event t WHERE t.subject = 'consignment:' || s.id AND t.kind = e.kind
            AND t.payload ->> 'key' IS NOT DISTINCT FROM e.facts ->> 'key'
            AND t.payload ->> 'line' IS NOT DISTINCT FROM e.facts ->> 'line'
            AND t.payload ->> 'error' = e.facts ->> 'error')
    ORDER BY e.place
)
SELECT id FROM settled;

-- name: standings
-- What the ledger has of consignments of a run, whichever try brought it in: numbers, and the first that are held for what
-- is wrong in them. Read after a try that did not come to its end, so a look through the run is no matter.
WITH stands AS MATERIALIZED (
    SELECT c.id, c.consignment_id, c.key, c.customer, c.type, c.template, bool_or(d.disposition = 'held') AS held,
        bool_or(d.disposition = 'held' AND d.reason = 'suppressed') AS suppressed,
        min(d.reason) FILTER (WHERE d.disposition = 'held' AND d.reason = ANY(:unfit)) AS reason,
        min(d.detail) FILTER (WHERE d.disposition = 'held' AND d.reason = ANY(:unfit)) AS detail
    FROM communication c JOIN delivery d ON d.communication_id = c.id
    WHERE c.run_id = :run_id AND c.consignment_id = ANY(:ids)
    GROUP BY c.id
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY consignment_id, reason IS NULL ORDER BY id) AS place FROM stands
)
SELECT consignment_id, count(*) FILTER (WHERE held) AS held, count(*) FILTER (WHERE suppressed) AS suppressed,
    count(*) FILTER (WHERE template IS NOT NULL AND reason IS NULL) AS composed, count(reason) AS unfit,
    coalesce(json_agg(json_build_object('key', key, 'customer', customer, 'type', type, 'reason', reason, 'detail', detail)
        ORDER BY id) FILTER (WHERE reason IS NOT NULL AND place <= :most), '[]') AS kept
FROM placed GROUP BY consignment_id;

-- name: begin^
-- By hand: nothing takes it but whoever wrote it down, and nothing of it is moved. What is in stays as it is; what did
-- not come to its end, or failed, is begun again by whoever came last.
INSERT INTO consignment (door, key, digest, kind, place, size, run_key, pool, mode, policy, source, due_at, holder,
    leased_until, tidied_at)
VALUES (:door, :key, :digest, :kind, :place, :size, :run_key, :pool, :mode, :policy, :source, NULL, :holder, now(), now())
ON CONFLICT (door, key) DO UPDATE SET holder = :holder, leased_until = now(), state = 'received', due_at = NULL,
    tidied_at = now()
    WHERE consignment.state <> 'taken'
RETURNING id;

-- name: put_off!
-- Not now: it is tried again after a while.
UPDATE consignment SET due_at = now() + make_interval(secs => :seconds), tries = tries + :counted, problem = :problem,
    holder = NULL, leased_until = NULL
WHERE id = ANY(:ids) AND holder = :holder;

-- name: fail
-- It cannot be taken: a person is told by an event.
WITH failed AS (
    UPDATE consignment SET state = 'failed', due_at = NULL, tries = tries + 1, problem = :problem, holder = NULL,
        leased_until = NULL
    WHERE id = :id AND holder = :holder
    RETURNING id, door, source, key, run_key, facts
)
INSERT INTO event (kind, subject, payload)
SELECT 'intake.failed', 'consignment:' || id,
    jsonb_strip_nulls(jsonb_build_object('door', door, 'source', source, 'key', key, 'run', run_key,
        'customer', facts ->> 'customer', 'type', facts ->> 'type', 'error', :problem::text)) || :facts::jsonb
FROM failed RETURNING id;

-- name: again<!
-- A person mended the cause of a failure: it is taken again, from where it lies now.
UPDATE consignment SET state = 'received', due_at = now(), tries = 0, tidied_at = NULL, place = coalesce(:place, place)
WHERE id = :id AND state = 'failed' RETURNING id;

-- name: retaken<!
-- What was taken and moved came once more: it is looked through once more.
UPDATE consignment SET state = 'received', due_at = now(), tries = 0, tidied_at = NULL, place = :place
WHERE id = :id AND state = 'taken' AND tidied_at IS NOT NULL RETURNING id;

-- name: untidied!
-- What was taken came once more, the same: its files are moved once more.
UPDATE consignment SET tidied_at = NULL, place = :place WHERE id = :id AND state <> 'received';

-- name: find_one^
SELECT id, door, key, digest, kind, place, size, run_key, pool, mode, source, state, tries, receipt, problem, received_at,
    taken_at, tidied_at, facts
FROM consignment WHERE id = :id;

-- name: list_newest
SELECT id, door, source, run_key, size, state, tries, receipt, problem, received_at, taken_at FROM consignment
WHERE (:door::text IS NULL OR door = :door) AND (:state::text IS NULL OR state = :state)
ORDER BY id DESC LIMIT :most;

-- name: untidy
-- Whose files are still where the door found or put them.
SELECT id, door, key, digest, kind, place, size, run_key, pool, mode, policy, facts, source, tries, received_at, state,
    problem, taken_at
FROM consignment WHERE tidied_at IS NULL AND state <> 'received' AND (:door::text IS NULL OR door = :door)
  AND (:older::float8 = 0 OR (state = 'taken' AND taken_at < now() - make_interval(secs => :older)))
ORDER BY id LIMIT :most;

-- name: tidied!
UPDATE consignment SET tidied_at = now() WHERE id = ANY(:ids);

-- name: doors
-- How many communications came in by which door.
SELECT door, count(*) AS consignments, coalesce(sum((receipt ->> 'new')::bigint), 0)::bigint AS communications
FROM consignment WHERE :run_key::text IS NULL OR run_key = :run_key GROUP BY door ORDER BY door;

-- name: waiting^
SELECT count(*) AS consignments FROM consignment WHERE due_at IS NOT NULL;
