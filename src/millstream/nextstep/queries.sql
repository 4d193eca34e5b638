-- name: ask^
-- Write a wish down, in the transaction of whoever has it. The same key asks once.
WITH asked AS (
    INSERT INTO next_step (key, verb, domain, target, arguments, content, subject, actor)
    VALUES (:key, :verb, :domain, :target, :arguments::jsonb, :content, :subject, :actor)
    ON CONFLICT (key) DO NOTHING
    RETURNING id, key, verb, domain, target, subject, actor
)
SELECT id, audit_append(json_build_array(json_build_object('actor', actor, 'kind', 'step.due', 'subject', 'step:' || id,
    'payload', json_build_object('key', key, 'verb', verb, 'domain', domain, 'target', target, 'about', subject)))) AS audited
FROM asked;

-- name: claim
-- Take what is due and in nobody's hands. One that stands in `doing` was begun by somebody who never told its end.
WITH due AS (
    SELECT id FROM next_step WHERE due_at <= now() AND (leased_until IS NULL OR leased_until < now())
    ORDER BY due_at, id LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE next_step s SET holder = :holder, leased_until = now() + make_interval(secs => :seconds)
FROM due WHERE s.id = due.id
RETURNING s.id, s.key, s.verb, s.domain, s.target, s.arguments, s.content, s.subject, s.actor, s.state, s.tries,
    s.begun_at, s.before,
    (SELECT count(*) FROM next_step_attempt a WHERE a.step_id = s.id AND a.kind = 'probe' AND a.effect = 'unknown'
        AND a.number > coalesce((SELECT max(number) FROM next_step_attempt b WHERE b.step_id = s.id AND b.kind <> 'probe'), 0)
    ) AS looks;

-- name: keep!
-- The holder lives.
UPDATE next_step SET leased_until = now() + make_interval(secs => :seconds) WHERE holder = :holder;

-- name: leave!
-- The holder ends in order: what it has not begun, or begun without hearing of the end, is the next one's at once.
UPDATE next_step SET holder = NULL, leased_until = NULL WHERE holder = :holder;

-- name: begin
-- Durable before the call: whoever finds the step so looks before it calls. Only its holder may, and only while nobody
-- has cancelled it.
WITH begun AS (
    UPDATE next_step SET state = 'doing', begun_at = now(), tries = tries + 1, before = :before::jsonb, changed_at = now()
    WHERE id = :id AND holder = :holder AND state = 'due'
    RETURNING id, tries, begun_at, verb, target
)
SELECT tries, begun_at, audit_append(json_build_array(json_build_object('actor', 'worker', 'kind', 'step.doing',
    'subject', 'step:' || id, 'payload', json_build_object('verb', verb, 'target', target, 'try', tries)))) AS audited
FROM begun;

-- name: settle
-- What an attempt led to. The attempt is evidence and stays, also where somebody else holds the step now; only its holder
-- moves it. Who asked learns of an end by an event.
WITH step AS MATERIALIZED (
    SELECT * FROM next_step WHERE id = :id FOR UPDATE
), noted AS (
    INSERT INTO next_step_attempt (step_id, number, kind, outcome, effect, status, evidence)
    SELECT id, 1 + coalesce((SELECT max(number) FROM next_step_attempt WHERE step_id = :id), 0),
        :kind, :outcome, :effect, :status, :evidence
    FROM step
), moved AS (
    UPDATE next_step s SET state = :state, reason = :reason, result = coalesce(:result::jsonb, s.result),
        due_at = CASE WHEN :due_in::float8 IS NULL THEN NULL ELSE now() + make_interval(secs => :due_in::float8) END,
        holder = NULL, leased_until = NULL, changed_at = now()
    FROM step WHERE s.id = step.id AND step.holder = :holder AND step.state IN ('due', 'doing')
    RETURNING s.id, s.key, s.verb, s.domain, s.target, s.subject, s.state, s.reason, s.result, step.state AS was
), told AS (
    INSERT INTO event (kind, subject, payload)
    SELECT CASE m.state WHEN 'done' THEN 'step.done' WHEN 'failed' THEN 'step.failed' ELSE 'step.unclear' END, m.subject,
        jsonb_strip_nulls(jsonb_build_object('step', m.id, 'key', m.key, 'verb', m.verb, 'domain', m.domain,
            'target', m.target, 'reason', m.reason, 'result', m.result, 'error', CASE WHEN m.state <> 'done' THEN m.reason END,
            'source', 'step ' || m.id, 'customer', c.customer,
            'type', coalesce(c.type, CASE WHEN m.verb IN ('generate', 'fulfil') THEN m.target END)))
    FROM moved m
    LEFT JOIN delivery d ON starts_with(m.subject, 'delivery:') AND d.token = substr(m.subject, 10)
    LEFT JOIN communication c ON c.id = d.communication_id
    WHERE m.state IN ('done', 'failed', 'uncertain')
), audited AS MATERIALIZED (
    SELECT audit_append(json_agg(json_build_object('actor', 'worker', 'kind', 'step.' || state, 'subject', 'step:' || id,
        'payload', json_strip_nulls(json_build_object('was', was, 'by', :kind::text, 'outcome', :outcome::text,
            'effect', :effect::text)))))
    FROM moved WHERE state <> was
)
SELECT moved.id, moved.state FROM moved, audited;

-- name: by_person
-- A person moves a step from one of these states: only one that nobody has in hand at this moment.
WITH step AS MATERIALIZED (
    SELECT * FROM next_step WHERE id = :id AND state = ANY(:from_states)
        AND (leased_until IS NULL OR leased_until < now()) FOR UPDATE
), noted AS (
    INSERT INTO next_step_attempt (step_id, number, kind, outcome, effect, evidence)
    SELECT id, 1 + coalesce((SELECT max(number) FROM next_step_attempt WHERE step_id = :id), 0), 'person', :outcome,
        :effect, :why
    FROM step
), moved AS (
    UPDATE next_step s SET state = :state, due_at = CASE WHEN :due THEN now() END, reason = :why,
        tries = CASE WHEN :due THEN 0 ELSE s.tries END, holder = NULL, leased_until = NULL, changed_at = now()
    FROM step WHERE s.id = step.id
    RETURNING s.id, s.key, s.verb, s.domain, s.target, s.subject, s.state, step.state AS was
), told AS (
    INSERT INTO event (kind, subject, payload)
    SELECT CASE m.state WHEN 'done' THEN 'step.done' ELSE 'step.failed' END, m.subject,
        jsonb_strip_nulls(jsonb_build_object('step', m.id, 'key', m.key, 'verb', m.verb, 'domain', m.domain,
            'target', m.target, 'reason', :why::text, 'by', :actor::text,
            'error', CASE WHEN m.state <> 'done' THEN :why::text END, 'source', 'step ' || m.id, 'customer', c.customer,
            'type', coalesce(c.type, CASE WHEN m.verb IN ('generate', 'fulfil') THEN m.target END)))
    FROM moved m
    LEFT JOIN delivery d ON starts_with(m.subject, 'delivery:') AND d.token = substr(m.subject, 10)
    LEFT JOIN communication c ON c.id = d.communication_id
    WHERE m.state IN ('done', 'failed', 'cancelled')
), audited AS MATERIALIZED (
    SELECT audit_append(json_agg(json_build_object('actor', :actor::text, 'kind', 'step.' || state,
        'subject', 'step:' || id, 'payload', json_build_object('was', was, 'why', :why::text))))
    FROM moved
)
SELECT moved.id FROM moved, audited;

-- name: find_one^
-- One step, whole.
SELECT id, key, verb, domain, target, arguments, content, subject, actor, state, due_at, tries, begun_at, reason, result,
    created_at, changed_at
FROM next_step WHERE id = :id;

-- name: attempts
-- Every try at a step, in order.
SELECT number, at, kind, outcome, effect, status, evidence FROM next_step_attempt WHERE step_id = :id ORDER BY number;

-- name: list_newest
-- Steps for people, the newest first.
SELECT id, verb, domain, target, state, tries, due_at, subject, actor, reason, changed_at FROM next_step
WHERE (:state::text IS NULL OR state = :state) AND (:verb::text IS NULL OR verb = :verb)
    AND (:subject::text IS NULL OR subject = :subject)
ORDER BY id DESC LIMIT :most;

-- name: waiting^
-- How many go on by themselves.
SELECT count(*) AS steps FROM next_step WHERE due_at IS NOT NULL;
