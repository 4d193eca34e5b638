-- name: find_delivery^
-- The delivery that a message is about, by the strongest clue that names one; an envelope sender is signed. In a thread with several: the one whose
-- address failed, else the newest that was sent before. What a lane has in hand has its thread already, and Gmail's
-- word on it may come before the lane's own. A guess by recipient and time counts only where it is the only one, where
-- nothing in the message names another, and where the Message-ID that is known does not contradict.
WITH clue AS MATERIALIZED (
    SELECT array(SELECT lower(unnest(:recipients::text[]))) AS recipients
), in_thread AS MATERIALIZED (
    SELECT token, address, accepted_at, id FROM delivery
    WHERE mailbox = :mailbox AND thread_id = :thread_id AND :thread_id <> '' AND disposition = 'accepted'
    UNION ALL
    SELECT token, address, accepted_at, id FROM delivery
    WHERE mailbox = :mailbox AND thread_id = :thread_id AND :thread_id <> ''
      AND disposition IN ('sending', 'uncertain')
), thread AS (
    SELECT d.token, d.address FROM in_thread d, clue
    ORDER BY (lower(d.address) = ANY(clue.recipients)) DESC,
             (coalesce(d.accepted_at, :at::timestamptz) <= :at::timestamptz) DESC,
             d.accepted_at DESC NULLS LAST, d.id DESC
    LIMIT 1
), original AS (
    SELECT d.token, d.address FROM delivery d, clue
    WHERE d.rfc822_id = ANY(:message_ids::text[])
    ORDER BY (lower(d.address) = ANY(clue.recipients)) DESC,
             (coalesce(d.accepted_at, :at::timestamptz) <= :at::timestamptz) DESC,
             d.accepted_at DESC NULLS LAST, d.id DESC
    LIMIT 1
), candidate AS MATERIALIZED (
    SELECT d.token, d.address FROM delivery d, clue
    WHERE :returned_token::text IS NULL AND lower(d.address) = ANY(clue.recipients)
      AND d.disposition = 'accepted' AND d.mailbox IN (:mailbox, 'relay:' || :mailbox)
      AND d.accepted_at > :at::timestamptz - make_interval(secs => :window)
      AND d.accepted_at <= :at::timestamptz + make_interval(secs => :skew)
      AND (d.rfc822_id IS NULL OR cardinality(:message_ids::text[]) = 0)
    LIMIT 2
)
SELECT token, address, how FROM (
    SELECT 0 AS rank, token, address, 'envelope' AS how FROM delivery WHERE token = :envelope_token
    UNION ALL SELECT 1, token, address, 'thread' FROM thread
    UNION ALL SELECT 2, token, address, 'header' FROM delivery WHERE token = :returned_token
    UNION ALL SELECT 3, token, address, 'message_id' FROM original
    UNION ALL SELECT 4, token, address, 'reply_token' FROM delivery WHERE token = lower(:reply_token)
    UNION ALL SELECT 5, min(token), min(address), 'recipient' FROM candidate HAVING count(*) = 1
) found ORDER BY rank LIMIT 1;
