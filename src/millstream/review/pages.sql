-- name: addressed
-- What the mail of a delivery asked, and whom.
SELECT m.address, c.number, c.review_id, c.round, c.seat_id
FROM review_mail m JOIN review_mail_case c ON c.mail_id = m.id
WHERE m.token = :token ORDER BY c.number;

-- name: rounds
-- What was shown in each round.
SELECT number, hash, content FROM review_round WHERE review_id = :id ORDER BY number;
