-- name: papers_due
-- Sent mails of which the records do not yet have what was really sent.
UPDATE review_mail m SET paper_due_at = now() + make_interval(secs => :seconds)
FROM (SELECT id FROM review_mail WHERE paper_due_at <= now() ORDER BY paper_due_at LIMIT :most FOR UPDATE SKIP LOCKED) next
WHERE m.id = next.id
RETURNING m.id, m.token, m.created_at, (
    SELECT row_to_json(d) FROM (
        SELECT disposition, mailbox, message_id, accepted_at, due_at IS NOT NULL AS moving,
               (SELECT substring(a.evidence FROM 'raw:([0-9a-f]{64})') FROM attempt a
                WHERE a.delivery_id = delivery.id AND a.kind = 'send' AND position('raw:' IN a.evidence) > 0
                ORDER BY a.number DESC LIMIT 1) AS raw
        FROM delivery WHERE delivery.token = m.token) d) AS delivery;

-- name: paper_later!
-- It has not left, or its mailbox cannot be asked now.
UPDATE review_mail SET paper_due_at = now() + make_interval(secs => :seconds) WHERE id = :mail AND raw IS NULL;

-- name: paper_never!
-- There is nothing to fetch.
UPDATE review_mail SET paper_due_at = NULL WHERE id = :mail;

-- name: paper_kept^
-- What was really sent lies in the document store, and the Message-ID that its reader sees is known.
WITH kept AS (
    UPDATE review_mail SET raw = :sha256, rfc822_id = :rfc822_id, paper_due_at = NULL
    WHERE id = :mail AND raw IS NULL RETURNING id, token
), known AS (
    UPDATE delivery d SET rfc822_id = :rfc822_id FROM kept
    WHERE d.token = kept.token AND d.rfc822_id IS NULL AND :rfc822_id::text IS NOT NULL RETURNING d.id
)
SELECT (SELECT count(*) FROM known) AS known, audit_append(json_agg(json_build_object('actor', 'reviews',
    'kind', 'review.paper', 'subject', 'review:' || c.review_id, 'payload', json_build_object('mail', kept.id,
        'delivery', kept.token, 'sha256', :sha256::text, 'message', :rfc822_id::text)) ORDER BY c.number))
FROM kept JOIN review_mail_case c ON c.mail_id = kept.id;

-- name: answers_due
-- Answers of people of which the records do not yet have the raw message.
UPDATE review_paper p SET due_at = now() + make_interval(secs => :seconds), tries = p.tries + 1
FROM (SELECT review_id, mailbox, message_id FROM review_paper WHERE due_at <= now()
      ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED) next
WHERE (p.review_id, p.mailbox, p.message_id) = (next.review_id, next.mailbox, next.message_id)
RETURNING p.review_id, p.mailbox, p.message_id, p.tries;

-- name: answer_kept^
-- The raw answer lies in the document store.
WITH kept AS (
    UPDATE review_paper SET sha256 = :sha256, due_at = NULL, failure = NULL
    WHERE review_id = :review AND mailbox = :mailbox AND message_id = :message AND sha256 IS NULL
    RETURNING review_id
)
SELECT audit_append(json_agg(json_build_object('actor', 'reviews', 'kind', 'review.paper',
    'subject', 'review:' || review_id, 'payload', json_build_object('mailbox', :mailbox::text,
        'answer', :message::text, 'sha256', :sha256::text)))) FROM kept;

-- name: answer_later!
-- It could not be fetched; without a time it never will be.
UPDATE review_paper SET failure = :failure,
    due_at = CASE WHEN :seconds::float8 IS NULL THEN NULL ELSE now() + make_interval(secs => :seconds::float8) END
WHERE review_id = :review AND mailbox = :mailbox AND message_id = :message AND sha256 IS NULL;
