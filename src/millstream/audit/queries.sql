-- name: entries
-- The chain from one position on, in order.
SELECT seq, at, actor, kind, subject, payload, hash FROM audit WHERE seq > :after ORDER BY seq LIMIT :most;

-- name: head^
-- Where the chain ends.
SELECT seq, hash FROM audit_head;

-- name: history
-- What happened to one subject.
SELECT seq, at, actor, kind, payload FROM audit WHERE subject = :subject ORDER BY seq;

-- name: lock_blocks!
-- One block is made at a time.
SELECT pg_advisory_xact_lock(hashtext('audit_block'));

-- name: waiting^
-- How many entries lie in no block yet, whether the oldest of them is so many seconds old, and the last block.
SELECT coalesce(b.number, 0) AS number, coalesce(b.last_seq, 0) AS last_seq, b.hash,
    h.seq - coalesce(b.last_seq, 0) AS entries,
    coalesce((SELECT a.at < to_char((clock_timestamp() - make_interval(secs => :seconds)) AT TIME ZONE 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM audit a WHERE a.seq = coalesce(b.last_seq, 0) + 1), false) AS aged
FROM audit_head h LEFT JOIN (SELECT number, last_seq, hash FROM audit_block ORDER BY number DESC LIMIT 1) b ON true;

-- name: hashes
-- The hashes of entries that follow each other.
SELECT seq, hash FROM audit WHERE seq > :after AND seq <= :upto ORDER BY seq;

-- name: add_block!
-- One more block.
INSERT INTO audit_block (number, first_seq, last_seq, root, hash) VALUES (:number, :first_seq, :last_seq, :root, :hash);

-- name: blocks_upto
-- All blocks that begin at a position or before it.
SELECT b.number, b.first_seq, b.last_seq, b.root, a.hash AS last_hash, b.hash
FROM audit_block b JOIN audit a ON a.seq = b.last_seq WHERE b.first_seq <= :seq ORDER BY b.number;

-- name: block_after^
-- The block that comes after one.
SELECT number, first_seq, last_seq, root, hash FROM audit_block WHERE number > :number ORDER BY number LIMIT 1;
