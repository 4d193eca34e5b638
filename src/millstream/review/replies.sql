-- name: pass_on!
-- What was answered to one of our questions is seen to in a transaction of its own: reviews are locked before the audit
-- chain, and who answered the same event before may hold the chain.
INSERT INTO event (kind, subject, payload)
SELECT 'review.reply_came', :subject, :payload::jsonb
WHERE EXISTS (SELECT 1 FROM review_mail WHERE token = ANY(:tokens::text[]));

-- name: mail_of^
-- The mail of ours that somebody answers: the one whose token the answer was sent to, else the one it seems to be about.
SELECT m.id, m.kind, m.address, m.token, m.facts, c.body_text
FROM review_mail m
LEFT JOIN delivery d ON d.token = m.token LEFT JOIN communication c ON c.id = d.communication_id
WHERE m.token = ANY(:tokens::text[])
ORDER BY array_position(:tokens::text[], m.token) LIMIT 1;

-- name: cases_of
-- What a mail asks about, with the content that it showed.
SELECT c.number, c.review_id, c.round, c.seat_id, o.hash
FROM review_mail_case c JOIN review_round o ON o.review_id = c.review_id AND o.number = c.round
WHERE c.mail_id = :mail_id ORDER BY c.number;

-- name: lock
-- Before anything is written: whoever waits for a review holds nothing that others wait for.
SELECT id FROM review WHERE id = ANY(:ids::bigint[]) ORDER BY id FOR NO KEY UPDATE;

-- name: sighting^
-- What somebody wrote.
SELECT id, mailbox, message_id, rfc822_id, sender, verdict, reply, full_text FROM sighting WHERE id = :id;

-- name: seen
-- Which of these reviews this very message was noted for.
SELECT review_id FROM review_answer WHERE sighting = :sighting AND review_id = ANY(:ids::bigint[]);

-- name: noted^
-- Whether somebody's message was noted for the same reason before.
SELECT EXISTS (SELECT 1 FROM review_answer WHERE review_id = :review_id AND address = :address AND why = :why) AS noted;

-- name: questions^
-- How many questions went to somebody about a review: of one reason in the last day, of any, and in all.
SELECT count(*) FILTER (WHERE facts->>'why' = :why AND created_at > now() - interval '1 day') AS same_today,
       count(*) FILTER (WHERE created_at > now() - interval '1 day') AS today, count(*) AS ever
FROM review_mail WHERE thread = 'review:' || :review_id::bigint || ':' || :address::text AND kind = 'question';

-- name: keep_paper!
-- The message itself is fetched as evidence.
INSERT INTO review_paper (review_id, mailbox, message_id) VALUES (:review_id, :mailbox, :message_id)
ON CONFLICT DO NOTHING;
