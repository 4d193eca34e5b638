-- Mailboxes are read: cursors, sightings, what could not be read, events between rooms, suppressed addresses.

-- What happened in a room, written in the transaction that made it true; `app` says which room answers it.
CREATE TABLE event (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text        NOT NULL CHECK (kind ~ '^[a-z]+\.[a-z_]+$'),  -- in the past tense: sighting.bounced_hard
    subject     text        NOT NULL,                 -- delivery:<token>, mailbox:<address>, run:<key>
    payload     jsonb       NOT NULL DEFAULT '{}',
    at          timestamptz NOT NULL DEFAULT now(),
    due_at      timestamptz DEFAULT now(),            -- NULL: answered, or put aside after too many tries
    tries       integer     NOT NULL DEFAULT 0,
    failure     text,
    answered_at timestamptz,
    CHECK (due_at IS NOT NULL OR answered_at IS NOT NULL OR failure IS NOT NULL)
);
CREATE INDEX event_due ON event (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX event_subject ON event (subject, id);

-- A mailbox that is read. Whoever holds the lease reads it; the epoch makes a holder that lost it write nothing.
CREATE TABLE mailbox (
    address       text        PRIMARY KEY CHECK (address = lower(address)),
    roles         text[]      NOT NULL DEFAULT '{}' CHECK (roles <@ ARRAY['sender', 'shared', 'request']),
    -- The cursor. new: nothing known. snapshot: the messages that are there are being listed, and history_id was noted
    -- before. delta: everything up to history_id is recorded.
    format        smallint    NOT NULL DEFAULT 1,     -- of the cursor, for those who come after
    phase         text        NOT NULL DEFAULT 'new' CHECK (phase IN ('new', 'snapshot', 'delta')),
    history_id    bigint,
    seen_id       bigint,                             -- where history stood at a look; the cursor goes there once late
    seen_at       timestamptz,                        -- records must have shown
    page_token    text,                               -- the next page of a snapshot
    since         timestamptz,                        -- how far back a snapshot looks
    moved_at      timestamptz,                        -- when a look last ended with all recorded
    -- The work on it.
    due_at        timestamptz DEFAULT now(),          -- when to look next; NULL: not read any more
    busy_at       timestamptz,                        -- when it last told something new
    hint          bigint,                             -- a history id that a push named and no look has reached
    hint_at       timestamptz,
    epoch         bigint      NOT NULL DEFAULT 0,
    holder        text,
    leased_until  timestamptz,
    failures      integer     NOT NULL DEFAULT 0,     -- in a row
    trouble       text,                               -- a word for the last failure, NULL while all is well
    failure       text,                               -- the same for people
    -- The watch: push as a hint.
    watch_until   timestamptz,
    watch_due_at  timestamptz,
    watch_failure text,
    warned        text[]      NOT NULL DEFAULT '{}',  -- what the watchdog has said and not yet taken back
    added_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (phase = 'new' OR history_id IS NOT NULL),
    CHECK (phase = 'snapshot' OR page_token IS NULL),
    CHECK ((seen_id IS NULL) = (seen_at IS NULL)),
    CHECK ((holder IS NULL) = (leased_until IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX mailbox_due ON mailbox (due_at) WHERE due_at IS NOT NULL;

-- What reading cost, so that a lane of the same mailbox leaves room for it, and the project's day counts it.
CREATE TABLE reading (
    mailbox text,                                     -- NULL: idle looks of many mailboxes together
    at      timestamptz NOT NULL DEFAULT now(),
    units   integer     NOT NULL,
    ahead   boolean     NOT NULL DEFAULT false        -- announced before it is spent, so that the lane makes room first
);
CREATE INDEX reading_mailbox_at ON reading (mailbox, at) WHERE mailbox IS NOT NULL;
CREATE INDEX reading_at ON reading USING brin (at) WITH (pages_per_range = 32);

-- What a mailbox told us, each message once.
CREATE TABLE sighting (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mailbox     text        NOT NULL REFERENCES mailbox,
    message_id  text        NOT NULL,                 -- Gmail's
    thread_id   text        NOT NULL DEFAULT '',
    kind        text        NOT NULL CHECK (kind IN ('bounced_hard', 'bounced_soft', 'delayed', 'limit_notice', 'replied',
                                                     'auto_replied', 'request', 'mail', 'bulk', 'own', 'vanished')),
    subject     text,                                 -- what it is about: delivery:<token>; NULL: nothing of ours
    mapped_by   text CHECK (mapped_by IN ('thread', 'header', 'message_id', 'reply_token', 'recipient')),
    proven      boolean     NOT NULL DEFAULT false,   -- it comes from whom it says, so it may have consequences
    verdict     jsonb       NOT NULL DEFAULT '{}',    -- who vouched for the sender
    sender      text        NOT NULL DEFAULT '',
    title       text        NOT NULL DEFAULT '',      -- the mail's Subject
    rfc822_id   text        NOT NULL DEFAULT '',      -- its Message-ID
    report      jsonb,                                -- what a mail server said, recipient by recipient
    reply       text,                                 -- what a person wrote
    full_text   text,                                 -- with what was quoted
    attachments jsonb       NOT NULL DEFAULT '[]',    -- [{name, media_type, size}]
    labels      text[]      NOT NULL DEFAULT '{}',
    received_at timestamptz,                          -- by Gmail's clock
    at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE (mailbox, message_id),
    CHECK ((subject IS NULL) = (mapped_by IS NULL))
);
CREATE INDEX sighting_subject ON sighting (subject, id) WHERE subject IS NOT NULL;
CREATE INDEX sighting_at ON sighting (at);
CREATE TRIGGER sighting_append_only BEFORE UPDATE OR DELETE ON sighting
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What could not be read: put aside with its source, counted, shown.
CREATE TABLE quarantine (
    mailbox     text        NOT NULL REFERENCES mailbox,
    message_id  text        NOT NULL,
    thread_id   text        NOT NULL DEFAULT '',
    problem     text        NOT NULL,
    source      text,                                 -- SHA-256 of the message in the document store
    size        bigint,
    at          timestamptz NOT NULL DEFAULT now(),
    cleared_at  timestamptz,
    cleared_by  text,
    PRIMARY KEY (mailbox, message_id)
);

-- Addresses that nothing of a stream is sent to.
CREATE TABLE suppression (
    stream   text        NOT NULL,
    address  text        NOT NULL CHECK (address = lower(address)),
    reason   text        NOT NULL CHECK (reason IN ('bounced_hard', 'bounced_soft', 'person')),
    detail   text        NOT NULL DEFAULT '',
    subject  text,                                    -- delivery:<token> that told us
    actor    text        NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, address)
);
-- What a delivery is told that is held for it, at intake and at the claim alike.
CREATE FUNCTION suppressed_because(entry suppression) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('nothing of %s is sent to %s since %s: %s; `millstream suppression remove` ends that', entry.stream,
        entry.address, to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), entry.detail)
$$;

-- The second axis of a delivery: what was sighted about it, apart from its disposition.
ALTER TABLE delivery ADD COLUMN sighted text[] NOT NULL DEFAULT '{}'
    CHECK (sighted <@ ARRAY['bounced_hard', 'bounced_soft', 'delayed', 'replied', 'auto_replied', 'limit_notice']);
ALTER TABLE delivery ADD COLUMN rfc822_id text;       -- the Message-ID the recipient sees, where it is known
CREATE INDEX delivery_rfc822 ON delivery (rfc822_id) WHERE rfc822_id IS NOT NULL;
CREATE INDEX delivery_bounced ON delivery (run_id) WHERE sighted && ARRAY['bounced_hard', 'bounced_soft'];
CREATE INDEX delivery_address ON delivery (lower(address), accepted_at) WHERE disposition = 'accepted';
-- Limit notices come back as sightings: a lane looks for none itself (docs/decisions/0012). Its history_id is where
-- evidence of what it sends lies after.
ALTER TABLE lane DROP COLUMN look_at, DROP COLUMN confirm_until;
-- Why a run is paused, where it paused itself.
ALTER TABLE run ADD COLUMN reason text;
