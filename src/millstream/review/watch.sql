-- name: marks
-- What of a domain was put to people before, and how it looked then.
SELECT id, mark FROM review_watch WHERE domain = :domain AND kind = :kind;

-- name: waiting
-- Reviews of a domain that wait for people, or for new content.
SELECT id, kind, ref, state, version, step_state FROM review
WHERE domain = :domain AND kind = :kind AND state IN ('open', 'changes') ORDER BY id;

-- name: domains
-- Domains in which something waits, whether or not a policy concerns them still.
SELECT DISTINCT domain FROM review
WHERE kind IN ('resource', 'flow_step') AND state IN ('open', 'changes') AND domain <> '';

-- name: newest
-- The newest review of each policy about one thing.
SELECT DISTINCT ON (policy) id, policy, state, hash, step_state FROM review
WHERE kind = :kind AND domain = :domain AND ref = :ref ORDER BY policy, id DESC;

-- name: replaced^
-- Held flow steps for which changes were asked, and of which another one is the new edition.
SELECT id FROM review
WHERE kind = 'flow_step' AND domain = :domain AND policy = :policy AND state = 'changes' AND ref <> :ref
    AND facts ->> 'external_id' = :external_id AND coalesce(facts ->> 'channel', '') = :channel
ORDER BY id DESC LIMIT 1;

-- name: ours
-- What reviews of one thing asked Exstream for, and who decided it.
SELECT r.id, n.actor, n.verb, n.state, n.arguments ->> 'comment' AS comment
FROM review r JOIN next_step n ON n.subject = 'review:' || r.id AND n.target = r.ref
WHERE r.kind = :kind AND r.domain = :domain AND r.ref = :ref ORDER BY n.id DESC;

-- name: mark!
-- It was put to people as it is now.
INSERT INTO review_watch (domain, kind, id, mark, review_id)
VALUES (:domain, :kind, :id, :mark,
    (SELECT max(id) FROM review WHERE kind = :kind AND domain = :domain AND ref = :id))
ON CONFLICT (domain, kind, id) DO UPDATE SET mark = excluded.mark, seen_at = now(), review_id = excluded.review_id;

-- name: forget!
-- What waits there no more: should it come again, it comes anew.
DELETE FROM review_watch WHERE domain = :domain AND kind = :kind AND NOT id = ANY(:listed);
