-- name: claim
-- Mails that are due, taken for a while: whoever dies gives them back by the end of the lease.
UPDATE review_mail m SET holder = :holder, leased_until = now() + make_interval(secs => :seconds)
FROM (SELECT id FROM review_mail WHERE due_at <= now() AND (leased_until IS NULL OR leased_until < now())
      ORDER BY due_at, id LIMIT :most FOR UPDATE SKIP LOCKED) next
WHERE m.id = next.id
RETURNING m.id, m.kind, m.address, m.thread, m.facts, m.tries, m.created_at;

-- name: cases
-- What a mail is about: review, the round it speaks of with the one before, its people, and what was decided.
SELECT c.number, c.round, c.seat_id, r.id, r.policy, r.terms, r.kind, r.domain, r.ref, r.name, r.facts, r.state,
       r.round AS round_now, r.stage, r.deadline, r.overdue, n.hash, n.content,
       (SELECT json_build_object('number', b.number, 'hash', b.hash, 'content', b.content) FROM review_round b
        WHERE b.review_id = r.id AND b.number < c.round ORDER BY b.number DESC LIMIT 1) AS before,
       (SELECT json_build_object('verdict', d.verdict, 'by', d.by, 'how', d.how, 'words', d.words, 'late', d.late,
                                 'at', d.at)
        FROM review_decision d WHERE d.review_id = r.id AND d.round = c.round) AS decision,
       (SELECT json_agg(json_build_object('id', s.id, 'address', s.address, 'name', s.name, 'locale', s.locale,
                                          'state', s.state, 'stage', s.stage, 'rung', s.rung,
                                          'instead_of', s.instead_of, 'asked_at', s.asked_at,
                                          'verdict', a.verdict, 'at', a.at) ORDER BY s.stage, s.rung, s.id)
        FROM review_seat s LEFT JOIN review_answer a ON a.seat_id = s.id AND a.counted
        WHERE s.review_id = r.id AND s.round = c.round) AS seats,
       (SELECT s.locale FROM review_seat s JOIN review_mail m ON m.id = c.mail_id
        WHERE s.review_id = r.id AND s.address = m.address ORDER BY s.id DESC LIMIT 1) AS locale,
       (SELECT s.name FROM review_seat s JOIN review_mail m ON m.id = c.mail_id
        WHERE s.review_id = r.id AND s.address = m.address ORDER BY s.id DESC LIMIT 1) AS reader
FROM review_mail_case c JOIN review r ON r.id = c.review_id
JOIN review_round n ON n.review_id = c.review_id AND n.number = c.round
WHERE c.mail_id = :mail ORDER BY c.number;

-- name: earlier
-- The mails before one in its conversation, the newest first: those of its thread, and bundles that asked about it.
SELECT m.id, m.kind, m.token, m.due_at IS NOT NULL AS due, coalesce(m.rfc822_id, d.rfc822_id) AS rfc822_id,
       m.paper_due_at IS NOT NULL AS paper_due, m.created_at,
       d.disposition, d.due_at IS NOT NULL AS moving, d.mailbox, d.thread_id, d.accepted_at, d.sighted, c.subject
FROM review_mail m LEFT JOIN delivery d ON d.token = m.token LEFT JOIN communication c ON c.id = d.communication_id
WHERE m.id < :mail AND m.address = :address AND (m.token IS NOT NULL OR m.due_at IS NOT NULL)
  AND (m.thread = :thread
    OR (m.kind = 'bundle' AND EXISTS (
        SELECT 1 FROM review_mail_case asked JOIN review_mail_case told USING (review_id)
        WHERE asked.mail_id = m.id AND told.mail_id = :mail)))
ORDER BY m.id DESC LIMIT 40;

-- name: token_of^
-- The delivery that a mail became.
SELECT d.token FROM communication c JOIN run r ON r.id = c.run_id JOIN delivery d ON d.communication_id = c.id
WHERE r.key = :run AND c.key = :key;

-- name: sent^
-- A mail is a delivery now; what was really sent is fetched for the records once it has left.
WITH done AS (
    UPDATE review_mail SET token = :token, due_at = NULL, holder = NULL, leased_until = NULL, failure = NULL,
        paper_due_at = now()
    WHERE id = :mail AND token IS NULL RETURNING id, kind, address
)
SELECT count(*) AS sent, audit_append(json_agg(json_build_object('actor', 'reviews', 'kind', 'review.mailed',
    'subject', 'review:' || c.review_id, 'payload', json_build_object('mail', done.id, 'kind', done.kind,
        'address', done.address, 'delivery', :token::text, 'round', c.round, 'case', c.number)) ORDER BY c.number))
FROM done JOIN review_mail_case c ON c.mail_id = done.id;

-- name: still_mine^
-- Whether nobody else has taken the mail since.
SELECT 1 AS mine FROM review_mail WHERE id = :mail AND holder = :holder AND token IS NULL AND leased_until > now();

-- name: put_off!
-- Not yet.
UPDATE review_mail SET due_at = now() + make_interval(secs => :seconds), holder = NULL, leased_until = NULL
WHERE id = :mail AND token IS NULL AND holder = :holder;

-- name: tried!
-- It could not be made; it is tried again, or put aside where no further try is worth it.
UPDATE review_mail SET tries = tries + 1, failure = :failure, holder = NULL, leased_until = NULL,
    due_at = CASE WHEN :seconds::float8 IS NULL THEN NULL ELSE now() + make_interval(secs => :seconds::float8) END
WHERE id = :mail AND token IS NULL AND holder = :holder;

-- name: give_up!
-- It cannot be made at all. Whoever it should have asked does not know that they are asked: the review room answers that.
WITH gone AS (
    UPDATE review_mail SET tries = tries + 1, failure = :failure, holder = NULL, leased_until = NULL, due_at = NULL
    WHERE id = :mail AND token IS NULL AND holder = :holder RETURNING id, kind, address
)
INSERT INTO event (kind, subject, payload)
SELECT 'review.mail_lost', 'review:' || c.review_id, jsonb_build_object('mail', gone.id, 'kind', gone.kind,
    'address', gone.address, 'round', c.round, 'error', :failure::text)
FROM gone JOIN review_mail_case c ON c.mail_id = gone.id ORDER BY c.number;

-- name: full_bundles!
-- Where as many asks wait for each other as one mail takes, the first of each so many is due now, and takes the others.
WITH waiting AS MATERIALIZED (
    SELECT DISTINCT m.address, r.policy, (r.terms #>> '{mail,bundle,most}')::integer AS most
    FROM review_mail m JOIN review_mail_case c ON c.mail_id = m.id JOIN review r ON r.id = c.review_id
    WHERE m.due_at > now() AND m.kind = 'ask' AND m.token IS NULL AND m.tries = 0
      AND r.terms #> '{mail,bundle,most}' IS NOT NULL
), placed AS (
    SELECT m.id, w.most, row_number() OVER (PARTITION BY m.address, w.policy, w.most ORDER BY m.id) AS place,
           count(*) OVER (PARTITION BY m.address, w.policy, w.most) AS asks
    FROM waiting w JOIN review_mail m USING (address) JOIN review_mail_case c ON c.mail_id = m.id
    JOIN review r ON r.id = c.review_id AND r.policy = w.policy
    WHERE m.due_at IS NOT NULL AND m.kind = 'ask' AND m.token IS NULL AND m.tries = 0
)
UPDATE review_mail m SET due_at = now() FROM placed p
WHERE m.id = p.id AND p.place <= p.asks - mod(p.asks, p.most) AND mod(p.place - 1, p.most) = 0
  AND m.due_at > now() AND m.token IS NULL;

-- name: bundle^
-- Asks to one person under one policy become one mail: the oldest takes the cases of the others.
WITH asks AS MATERIALIZED (
    SELECT m.id, c.review_id FROM review_mail m JOIN review_mail_case c ON c.mail_id = m.id
    JOIN review r ON r.id = c.review_id
    WHERE m.address = :address AND m.kind = 'ask' AND m.due_at IS NOT NULL AND m.token IS NULL AND m.tries = 0
      AND r.policy = :policy AND (m.id = :mail OR m.leased_until IS NULL OR m.leased_until < now())
      AND NOT EXISTS (SELECT 1 FROM communication o JOIN run w ON w.id = o.run_id
                      WHERE w.key = 'reviews/' || to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM')
                        AND o.key = 'review/' || m.id)
    ORDER BY m.id <> :mail, m.id LIMIT :most FOR UPDATE OF m SKIP LOCKED
), numbered AS (
    SELECT id, row_number() OVER (ORDER BY review_id, id) AS number FROM asks
    WHERE (SELECT count(*) FROM asks) > 1 AND EXISTS (SELECT 1 FROM asks WHERE id = :mail)
), moved AS (
    UPDATE review_mail_case c SET mail_id = :mail, number = -numbered.number
    FROM numbered WHERE c.mail_id = numbered.id RETURNING c.mail_id
), gone AS (
    UPDATE review_mail m SET due_at = NULL, failure = 'asked in mail ' || :mail::bigint, holder = NULL, leased_until = NULL
    FROM numbered WHERE m.id = numbered.id AND m.id <> :mail RETURNING m.id
), turned AS (
    UPDATE review_mail m SET kind = 'bundle', thread = 'bundle:' || m.id
    FROM numbered WHERE m.id = numbered.id AND m.id = :mail RETURNING m.id
)
SELECT (SELECT count(*) FROM moved) AS cases, (SELECT count(*) FROM gone) AS gone, (SELECT count(*) FROM turned) AS turned;

-- name: number_cases!
-- Their numbers as the mail shows them.
UPDATE review_mail_case SET number = -number WHERE mail_id = :mail AND number < 0;
