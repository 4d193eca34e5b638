-- name: chain_end^
-- The last entry there is; what happens from now on comes after it.
SELECT seq FROM audit_head;

-- name: deliveries_of
-- Deliveries with all that was tried to carry them.
SELECT d.token, r.key AS run, c.key, c.type, c.customer, c.content_hash, d.address, d.disposition, d.reason, d.detail, d.mailbox,
    d.thread_id, d.message_id, d.rfc822_id, d.accepted_at, d.created_at, d.changed_at,
    (SELECT coalesce(json_agg(to_jsonb(a) - 'delivery_id' ORDER BY a.number), '[]') FROM attempt a
     WHERE a.delivery_id = d.id) AS attempts
FROM delivery d JOIN communication c ON c.id = d.communication_id JOIN run r ON r.id = d.run_id
WHERE d.token = ANY(:tokens) ORDER BY d.token COLLATE "C";

-- name: held_of^
-- How many deliveries a review holds or held, and one hash for all their tokens (a line each, in order); the first of them.
SELECT count(*) AS deliveries,
    encode(sha256(convert_to(coalesce(string_agg(token || E'\n', '' ORDER BY token COLLATE "C"), ''), 'UTF8')), 'hex') AS hash,
    coalesce((array_agg(token ORDER BY token COLLATE "C"))[:most], '{}') AS tokens
FROM (SELECT DISTINCT d.token FROM hold h JOIN delivery d ON d.communication_id = h.communication_id
      WHERE h.review_id = :id) held;

-- name: holds_of
-- Why communications waited for a review, the first so many.
SELECT h.id, h.communication_id, r.key AS run, c.key, c.content_hash, h.gate, h.policy, h.findings, h.papers, h.state, h.at
FROM hold h JOIN communication c ON c.id = h.communication_id JOIN run r ON r.id = c.run_id
WHERE h.review_id = :id ORDER BY h.id LIMIT :most;

-- name: attempts_of
-- Every try at steps.
SELECT step_id, number, at, kind, outcome, effect, status, evidence FROM next_step_attempt
WHERE step_id = ANY(:steps) ORDER BY step_id, number;

-- name: still_fetched
-- Mails of which Gmail's copy is still to be fetched.
SELECT m.id FROM review_mail m JOIN review_mail_case c ON c.mail_id = m.id
WHERE c.review_id = :id AND m.paper_due_at IS NOT NULL;

-- name: entries_of
-- What the chain says about subjects up to a position, each entry with the hash before it.
SELECT a.seq, a.at, a.actor, a.kind, a.subject, a.payload, a.hash, b.hash AS before
FROM audit a LEFT JOIN audit b ON b.seq = a.seq - 1
WHERE a.subject = ANY(:subjects) AND a.seq <= :upto ORDER BY a.seq;

-- name: lock_chain^
-- Nothing is appended until this transaction ends.
SELECT seq FROM audit_head FOR UPDATE;

-- name: moved_since
-- Whether the chain says more about subjects than was read.
SELECT seq FROM audit WHERE subject = ANY(:subjects) AND seq > :after AND kind <> 'review.exported' LIMIT 1;

-- name: note_export!
-- Who took what out; last, as ever.
SELECT audit_append(json_build_array(json_build_object('actor', :actor::text, 'kind', 'review.exported',
    'subject', 'review:' || :id::bigint, 'payload', json_build_object('digest', :digest::text, 'files', :files::bigint))));

-- name: export_entry^
-- The first time that a review was exported as it stands.
SELECT a.seq, a.at, a.actor, a.kind, a.subject, a.payload, a.hash, b.hash AS before
FROM audit a LEFT JOIN audit b ON b.seq = a.seq - 1
WHERE a.subject = 'review:' || :id::bigint AND a.seq > :after AND a.kind = 'review.exported'
    AND a.payload::jsonb ->> 'digest' = :digest
ORDER BY a.seq LIMIT 1;
