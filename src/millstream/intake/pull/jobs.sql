-- name: see
-- What Exstream shows of jobs now. One whose status is wanted is due to be fetched, once; one that ran again is due again.
INSERT INTO exstream_job AS j (domain, id, channel, mode, status, started_at, ended_at, expires_at, external_id, msg, outcome,
    due_at)
SELECT :domain, s.id, s.channel, s.mode, s.status, s.started_at, s.ended_at, s.expires_at, s.external_id, s.msg,
    CASE WHEN s.wanted THEN 'due' ELSE 'watched' END, CASE WHEN s.wanted THEN now() END
FROM json_to_recordset(:jobs::json) AS s(id text, channel text, mode text, status text, started_at timestamptz,
    ended_at timestamptz, expires_at timestamptz, external_id text, msg text, wanted boolean)
ON CONFLICT (domain, id) DO UPDATE SET
    status = excluded.status, started_at = excluded.started_at, ended_at = excluded.ended_at,
    expires_at = excluded.expires_at, msg = excluded.msg, seen_at = now(),
    changed_at = CASE WHEN j.status <> excluded.status OR j.started_at IS DISTINCT FROM excluded.started_at
        THEN now() ELSE j.changed_at END,
    examined_at = CASE WHEN j.status <> excluded.status OR date_trunc('second', j.ended_at) IS DISTINCT FROM date_trunc('second', excluded.ended_at)
        THEN NULL ELSE j.examined_at END,
    outcome = CASE WHEN excluded.outcome = 'due' AND (j.outcome = 'watched' OR date_trunc('second', j.ended_at) IS DISTINCT FROM date_trunc('second', excluded.ended_at))
        THEN 'due' ELSE j.outcome END,
    tries = CASE WHEN excluded.outcome = 'due' AND date_trunc('second', j.ended_at) IS DISTINCT FROM date_trunc('second', excluded.ended_at) THEN 0 ELSE j.tries END,
    due_at = CASE WHEN excluded.outcome = 'due' AND (j.outcome = 'watched' OR date_trunc('second', j.ended_at) IS DISTINCT FROM date_trunc('second', excluded.ended_at))
        THEN now() ELSE j.due_at END
RETURNING id;

-- name: unended
-- Jobs that were not at their end when they were seen last, and that the last listing did not show.
SELECT id FROM exstream_job WHERE domain = :domain AND outcome = 'watched' AND position('/' IN id) = 0
    AND status = ANY(:running) AND seen_at < :before
ORDER BY seen_at LIMIT :most;

-- name: settled_among
-- Jobs that were seen at their end: their flows are known.
SELECT id, status, ended_at FROM exstream_job
WHERE domain = :domain AND id = ANY(:ids) AND NOT status = ANY(:running);

-- name: due
-- What is to be fetched now.
SELECT id, channel, mode, status, started_at, ended_at, expires_at, external_id, msg, tries, consignment_id
FROM exstream_job WHERE domain = :domain AND due_at <= now() ORDER BY due_at, id LIMIT :most;

-- name: fetched!
-- It was handed in; `outcome` also says where there was nothing to hand in.
UPDATE exstream_job SET outcome = :outcome, due_at = NULL, failure = :failure, changed_at = now(),
    consignment_id = coalesce(:consignment_id, consignment_id)
WHERE domain = :domain AND id = :id;

-- name: put_off!
-- Not now.
UPDATE exstream_job SET tries = tries + 1, failure = :failure, due_at = now() + make_interval(secs => :seconds)
WHERE domain = :domain AND id = :id;

-- name: failed
-- It cannot be fetched: a person learns of it by an event, once.
WITH failed AS (
    UPDATE exstream_job SET outcome = :outcome, due_at = NULL, failure = :failure, changed_at = now()
    WHERE domain = :domain AND id = :id AND outcome <> :outcome
    RETURNING domain, id, channel, status, started_at, ended_at
)
INSERT INTO event (kind, subject, payload)
SELECT 'exstream.job_failed', 'exstream:' || domain || '/' || split_part(id, '/', 1),
    jsonb_strip_nulls(jsonb_build_object('channel', channel, 'type', coalesce(:type::text, channel),
        'source', 'job ' || split_part(id, '/', 1), 'job', split_part(id, '/', 1), 'status', status,
        'msg', :failure::text, 'unit', id, 'started', started_at, 'ended', ended_at, 'error', :failure::text, 'next', :next::text))
FROM failed RETURNING id;

-- name: again
-- A person wants what was given up: it is fetched like one that was never tried.
UPDATE exstream_job SET outcome = 'due', due_at = now(), tries = 0, failure = NULL, changed_at = now()
WHERE domain = :domain AND (id = :id OR split_part(id, '/', 1) = :id) AND outcome IN ('reported', 'gone', 'ignored')
RETURNING id;

-- name: unexamined
-- Jobs at their end whose steps and messages were not read for exceptions yet.
SELECT id, channel, status, msg, started_at, ended_at, changed_at FROM exstream_job
WHERE domain = :domain AND position('/' IN id) = 0 AND examined_at IS NULL AND NOT status = ANY(:running)
ORDER BY changed_at LIMIT :most;

-- name: examined!
-- Its exceptions are told; one in failure is reported.
UPDATE exstream_job SET examined_at = now(),
    outcome = CASE WHEN outcome = 'watched' AND :failed THEN 'reported' ELSE outcome END
WHERE domain = :domain AND id = :id;

-- name: trouble
-- Exceptions become events, each once, however often they are seen.
WITH seen AS MATERIALIZED (
    SELECT * FROM json_to_recordset(:troubles::json) AS t(what text, id text, digest text, kind text, subject text, facts jsonb)
), fresh AS (
    INSERT INTO exstream_trouble (domain, what, id, digest)
    SELECT DISTINCT :domain, what, id, digest FROM seen ON CONFLICT DO NOTHING
    RETURNING what, id, digest
)
INSERT INTO event (kind, subject, payload)
SELECT DISTINCT ON (what, id, digest) s.kind, s.subject, s.facts FROM seen s JOIN fresh USING (what, id, digest)
RETURNING id;

-- name: known
-- Which of these were told already.
SELECT id, digest FROM exstream_trouble WHERE domain = :domain AND what = :what AND id = ANY(:ids);

-- name: list_newest
-- Units for people, the last that changed first.
SELECT domain, id, channel, status, outcome, tries, failure, consignment_id, started_at, ended_at, changed_at
FROM exstream_job WHERE domain = :domain AND (:outcome::text IS NULL OR outcome = :outcome)
ORDER BY changed_at DESC LIMIT :most;
