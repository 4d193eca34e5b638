-- name: lock_review^
-- Whatever happens to a review happens after what happened before it. What hangs on it is read afterwards, by a statement
-- of its own: this one's snapshot may be older than the lock.
SELECT id FROM review WHERE id = :id FOR NO KEY UPDATE;

-- name: lock_reviews
-- Several at once, always in the same order: who holds the audit chain's head waits for no review.
SELECT id FROM review WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE;

-- name: lock_subject^
-- The review of a subject by a policy that is not at its end.
SELECT id FROM review
WHERE kind = :kind AND domain = :domain AND ref = :ref AND policy = :policy AND state IN ('open', 'changes')
FOR NO KEY UPDATE;

-- name: lock_due
-- What comes by itself now and nobody has in hand.
SELECT id FROM review WHERE due_at <= :now ORDER BY due_at, id LIMIT :most FOR NO KEY UPDATE SKIP LOCKED;

-- name: read_reviews
-- Reviews with their current content, all seats with the answers that counted, and the current round's decision.
SELECT r.id, r.policy, r.terms::text AS terms, r.kind, r.domain, r.ref, r.name, r.facts, r.author, r.state, r.round,
    r.stage, r.hash, r.asked_at, r.deadline, r.overdue, r.agenda, r.version, r.step_state, o.content, to_json(d) AS decision,
    (SELECT coalesce(json_agg(json_build_object('id', s.id, 'round', s.round, 'stage', s.stage, 'rung', s.rung,
        'address', s.address, 'name', s.name, 'locale', s.locale, 'instead_of', s.instead_of, 'state', s.state,
        'version', s.version, 'answer', to_json(a)) ORDER BY s.id), '[]')
     FROM review_seat s LEFT JOIN review_answer a ON a.seat_id = s.id AND a.counted WHERE s.review_id = r.id) AS seats
FROM review r
JOIN review_round o ON o.review_id = r.id AND o.number = r.round
LEFT JOIN review_decision d ON d.review_id = r.id AND d.round = r.round
WHERE r.id = ANY(:ids) ORDER BY r.id;

-- name: delegations_now
-- Those that hold now or later.
SELECT id, address, to_address, policy, since, until, actor, at FROM review_delegation
WHERE ended_at IS NULL AND (until IS NULL OR until > :now) ORDER BY id;

-- name: seen^
-- Whether a message has answered this review before.
SELECT id FROM review_answer WHERE sighting = :sighting AND review_id = :id;

-- name: open_review^
-- One open review of a subject by a policy; nothing where somebody else was faster.
INSERT INTO review (policy, terms, kind, domain, ref, name, facts, author, hash, origin, opened_at)
VALUES (:policy, :terms::jsonb, :kind, :domain, :ref, :name, :facts::jsonb, :author, :hash, :origin, :now)
ON CONFLICT (kind, domain, ref, policy) WHERE state IN ('open', 'changes') DO NOTHING
RETURNING id;

-- name: write
-- What happened to reviews, each locked by this transaction: rounds, seats, answers, decisions, mails, events.
WITH changed AS (
    UPDATE review r SET state = c.state, round = c.round, stage = c.stage, hash = c.hash, author = c.author,
        asked_at = c.asked_at, deadline = c.deadline, overdue = c.overdue, agenda = c.agenda, due_at = c.due_at,
        version = c.version, terms = coalesce(c.terms, r.terms), step_state = coalesce(c.step_state, r.step_state),
        decided_at = CASE WHEN c.decided THEN :now WHEN c.state = 'open' THEN NULL ELSE r.decided_at END
    FROM jsonb_to_recordset(:reviews::jsonb) AS c(id bigint, state text, round integer, stage integer, hash text,
        author text[], asked_at timestamptz, deadline timestamptz, overdue boolean, agenda jsonb, due_at timestamptz,
        version integer, terms jsonb, step_state text, decided boolean)
    WHERE r.id = c.id
), ended AS (
    UPDATE review_round o SET ended_at = :now, ended_by = e.ended_by
    FROM jsonb_to_recordset(:ended::jsonb) AS e(review_id bigint, number integer, ended_by text)
    WHERE o.review_id = e.review_id AND o.number = e.number AND o.ended_at IS NULL
), begun AS (
    INSERT INTO review_round (review_id, number, hash, content, began_at, ended_at, ended_by)
    SELECT b.review_id, b.number, b.hash, b.content, :now, CASE WHEN b.ended_by IS NOT NULL THEN :now END, b.ended_by
    FROM jsonb_to_recordset(:begun::jsonb)
        AS b(review_id bigint, number integer, hash text, content jsonb, ended_by text)
), seats AS (
    INSERT INTO review_seat (review_id, round, stage, rung, address, name, locale, instead_of, state, version, asked_at)
    SELECT s.review_id, s.round, s.stage, s.rung, s.address, s.name, s.locale, s.instead_of, s.state, s.version, :now
    FROM jsonb_to_recordset(:seats::jsonb) AS s(n integer, review_id bigint, round integer, stage integer, rung integer,
        address text, name text, locale text, instead_of text, state text, version integer)
    ORDER BY s.n
    ON CONFLICT (review_id, round, stage, address) DO UPDATE SET rung = excluded.rung, instead_of = excluded.instead_of,
        state = excluded.state, version = excluded.version
    RETURNING id, review_id, round, stage, address
), said AS (
    INSERT INTO review_answer (review_id, round, seat_id, address, verdict, words, how, counted, evidence, sighting, at)
    SELECT a.review_id, a.round, a.seat_id, a.address, a.verdict, a.words, a.how, true, a.evidence, a.sighting, :now
    FROM jsonb_to_recordset(:answers::jsonb) AS a(review_id bigint, round integer, seat_id bigint, address text,
        verdict text, words text, how text, evidence jsonb, sighting bigint)
), decided AS (
    INSERT INTO review_decision (review_id, round, verdict, by, how, words, hash, late, votes, at)
    SELECT d.review_id, d.round, d.verdict, d.by, d.how, d.words, d.hash, d.late, d.votes, :now
    FROM jsonb_to_recordset(:decisions::jsonb) AS d(review_id bigint, round integer, verdict text, by text, how text,
        words text, hash text, late boolean, votes jsonb)
), told AS (
    INSERT INTO event (kind, subject, payload)
    SELECT e.kind, e.subject, e.payload
    FROM jsonb_to_recordset(:events::jsonb) AS e(kind text, subject text, payload jsonb)
), wanted AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(:mails::jsonb) AS m(n integer, kind text, review_id bigint, round integer,
        stage integer, address text, seat_id bigint, facts jsonb, wait double precision)
), mails AS (
    INSERT INTO review_mail (kind, address, thread, facts, due_at)
    SELECT kind, address, 'review:' || review_id || ':' || address, facts, now() + make_interval(secs => wait)
    FROM wanted ORDER BY n RETURNING id
), numbered AS (
    SELECT id, row_number() OVER (ORDER BY id) AS n FROM mails
), cases AS (
    INSERT INTO review_mail_case (mail_id, number, review_id, round, seat_id)
    SELECT m.id, 1, w.review_id, w.round, coalesce(w.seat_id, s.id)
    FROM numbered m JOIN wanted w USING (n)
    LEFT JOIN seats s ON (s.review_id, s.round, s.stage, s.address) = (w.review_id, w.round, w.stage, w.address)
)
SELECT id, review_id, round, stage, address FROM seats;

-- name: audit!
-- What this transaction did; last, because the chain's head is locked from here to its end.
SELECT audit_append(:entries::json);

-- name: note_uncounted^
-- What somebody said that does not count; the same message is kept once for a review.
INSERT INTO review_answer (review_id, round, seat_id, address, verdict, words, how, counted, why, evidence, sighting, at)
SELECT r.id, least(greatest(coalesce(:round::bigint, r.round), 1), r.round)::integer,
    (SELECT max(s.id) FROM review_seat s WHERE s.review_id = r.id AND s.address = :address),
    :address, :verdict, :words, :how, false, :why, :evidence::jsonb, :sighting, :now
FROM review r WHERE r.id = :id
ON CONFLICT (sighting, review_id) DO NOTHING
RETURNING id;

-- name: put_mail^
-- One more mail in the thread of a person.
WITH seat AS (
    SELECT max(id) AS id FROM review_seat WHERE review_id = :id AND address = :address
), mail AS (
    INSERT INTO review_mail (kind, address, thread, facts)
    VALUES (:kind, :address, 'review:' || :id || ':' || :address, :facts::jsonb) RETURNING id
), noted AS (
    INSERT INTO review_mail_case (mail_id, number, review_id, round, seat_id)
    SELECT mail.id, 1, r.id, r.round, seat.id FROM mail, seat, review r WHERE r.id = :id
)
SELECT id FROM mail;

-- name: set_step_state^
-- How far what a decision asked for has come.
UPDATE review SET step_state = :state WHERE id = :id RETURNING id, round;

-- name: set_subject^
-- The next edition of a subject has a number of its own.
UPDATE review SET ref = :ref, name = :name, facts = :facts::jsonb WHERE id = :id RETURNING id;

-- name: bounced_mail
-- Which seats a mail that came back had asked.
SELECT c.review_id, m.kind, m.address FROM review_mail m JOIN review_mail_case c ON c.mail_id = m.id
WHERE m.token = :token ORDER BY c.review_id;

-- name: stopped_mails
-- Questions that were stopped on their way while somebody is thought to have them.
SELECT c.review_id, m.address, d.reason, d.detail
FROM run r JOIN delivery d ON d.run_id = r.id AND d.disposition IN ('held', 'failed')
JOIN review_mail m ON m.token = d.token AND m.kind IN ('ask', 'climb', 'bundle')
JOIN review_mail_case c ON c.mail_id = m.id
JOIN review_seat s ON s.id = c.seat_id AND s.state = 'waiting' AND s.address = m.address
WHERE starts_with(r.key, 'reviews/') ORDER BY c.review_id LIMIT :most;

-- name: stopped_words
-- Other mails that were stopped on their way; each is told of once.
WITH stopped AS (
    UPDATE review_mail m SET failure = 'stopped: ' || d.error
    FROM (SELECT m.id, concat_ws(': ', d.reason, d.detail) AS error
          FROM run r JOIN delivery d ON d.run_id = r.id AND d.disposition IN ('held', 'failed')
          JOIN review_mail m ON m.token = d.token AND m.kind IN ('remind', 'tell', 'question') AND m.failure IS NULL
          WHERE starts_with(r.key, 'reviews/') ORDER BY m.id LIMIT :most FOR UPDATE OF m SKIP LOCKED) d
    WHERE m.id = d.id
    RETURNING m.id, m.kind, m.address, d.error
)
SELECT s.kind, s.address, s.error, c.review_id FROM stopped s JOIN review_mail_case c ON c.mail_id = s.id
ORDER BY c.review_id;

-- name: raise_event!
-- Something that other rooms are told of.
INSERT INTO event (kind, subject, payload) VALUES (:kind, :subject, :payload::jsonb);

-- name: list_reviews
-- Reviews for people, the newest first.
SELECT r.id, r.policy, r.kind, r.domain, r.ref, r.name, r.state, r.round, r.stage, r.hash, r.asked_at, r.deadline,
    r.overdue, r.due_at, r.step_state, r.opened_at, r.decided_at,
    (SELECT coalesce(array_agg(s.address ORDER BY s.id), '{}') FROM review_seat s
     WHERE s.review_id = r.id AND s.round = r.round AND s.stage = r.stage AND s.state = 'waiting') AS waiting
FROM review r
WHERE (:state::text IS NULL OR r.state = :state) AND (:policy::text IS NULL OR r.policy = :policy)
    AND (:overdue::boolean IS NULL OR r.overdue = :overdue) AND (:before::bigint IS NULL OR r.id < :before)
    AND (:address::text IS NULL OR r.id IN
        (SELECT s.review_id FROM review_seat s WHERE s.address = :address AND s.state = 'waiting'))
ORDER BY r.id DESC LIMIT :most;

-- name: count_reviews
-- How many there are of each policy in each state.
SELECT policy, state, overdue, count(*) AS reviews FROM review GROUP BY policy, state, overdue ORDER BY 1, 2, 3;

-- name: history_of^
-- Everything about one review, in the order in which it happened.
SELECT r.*,
    (SELECT json_agg(to_jsonb(o) - 'review_id' ORDER BY o.number) FROM review_round o WHERE o.review_id = r.id) AS rounds,
    (SELECT coalesce(json_agg(to_jsonb(s) - 'review_id' ORDER BY s.id), '[]') FROM review_seat s
     WHERE s.review_id = r.id) AS seats,
    (SELECT coalesce(json_agg(to_jsonb(a) - 'review_id' ORDER BY a.id), '[]') FROM review_answer a
     WHERE a.review_id = r.id) AS answers,
    (SELECT coalesce(json_agg(to_jsonb(d) - 'review_id' ORDER BY d.round), '[]') FROM review_decision d
     WHERE d.review_id = r.id) AS decisions,
    (SELECT coalesce(json_agg(json_build_object('id', m.id, 'kind', m.kind, 'address', m.address, 'thread', m.thread,
        'facts', m.facts, 'round', c.round, 'seat_id', c.seat_id, 'number', c.number, 'token', m.token, 'raw', m.raw,
        'rfc822_id', m.rfc822_id, 'due_at', m.due_at, 'failure', m.failure, 'created_at', m.created_at,
        'disposition', d.disposition, 'reason', d.reason, 'mailbox', d.mailbox, 'message_id', d.message_id,
        'accepted_at', d.accepted_at) ORDER BY m.id), '[]')
     FROM review_mail_case c JOIN review_mail m ON m.id = c.mail_id LEFT JOIN delivery d ON d.token = m.token
     WHERE c.review_id = r.id) AS mails,
    (SELECT coalesce(json_agg(json_build_object('id', n.id, 'key', n.key, 'verb', n.verb, 'domain', n.domain,
        'target', n.target, 'state', n.state, 'tries', n.tries, 'reason', n.reason, 'actor', n.actor,
        'created_at', n.created_at, 'changed_at', n.changed_at) ORDER BY n.id), '[]')
     FROM next_step n WHERE n.subject = 'review:' || r.id) AS steps,
    (SELECT coalesce(json_agg(to_jsonb(h) - 'review_id' ORDER BY h.round), '[]') FROM hold_order h
     WHERE h.review_id = r.id) AS orders,
    (SELECT coalesce(json_agg(to_jsonb(p) - 'review_id' ORDER BY p.mailbox, p.message_id), '[]') FROM review_paper p
     WHERE p.review_id = r.id) AS papers
FROM review r WHERE r.id = :id;

-- name: lock_delegations!
-- One delegation is made at a time: two that lead in a circle together would each look right.
SELECT pg_advisory_xact_lock(hashtext('review_delegation'));

-- name: delegate^
-- Somebody answers for somebody else from a time on.
INSERT INTO review_delegation (address, to_address, policy, since, until, actor, at)
VALUES (:address, :to_address, :policy, :since, :until, :actor, :now) RETURNING id;

-- name: wake_for_delegation^
-- Open questions to whoever is away look again when the delegation begins.
WITH woken AS (
    UPDATE review SET agenda = agenda || jsonb_build_array(jsonb_build_object('at', :at::timestamptz, 'what', 'delegate', 'n', 0)),
        due_at = least(due_at, :at::timestamptz)
    WHERE id IN (SELECT id FROM review WHERE state = 'open' AND (:policy::text IS NULL OR policy = :policy)
        AND id IN (SELECT review_id FROM review_seat WHERE address = :address AND state = 'waiting')
        ORDER BY id FOR NO KEY UPDATE)
    RETURNING id
)
SELECT count(*) AS reviews FROM woken;

-- name: end_delegation^
-- It holds no more.
UPDATE review_delegation SET ended_at = :now WHERE id = :id AND ended_at IS NULL RETURNING address, to_address;

-- name: put_off^
-- What is due first cannot be done for a reason that lies with us: others go on, and it is tried again.
UPDATE review SET due_at = :now::timestamptz + make_interval(secs => :seconds)
WHERE id = (SELECT id FROM review WHERE due_at <= :now ORDER BY due_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id;
