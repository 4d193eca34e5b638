-- What doors took in before it became a run, and what goes back to Exstream. The words stand in
-- docs/explanation/architecture.md; the reasons for each way in docs/decisions.

-- A process does what only one may do at a time: watch a folder, ask Exstream for finished jobs.
CREATE TABLE duty (
    name         text PRIMARY KEY,
    holder       text NOT NULL,
    epoch        bigint      NOT NULL DEFAULT 1,
    leased_until timestamptz NOT NULL
);

-- What a door took in, from the moment it is promised: the receipt. Only with this row may a door say yes.
CREATE TABLE consignment (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    door         text        NOT NULL CHECK (door IN ('driver', 'folder', 'http', 'smtp', 'pull')),
    key          text        NOT NULL CHECK (key <> ''),   -- what makes a second handing-over the same one
    digest       text        NOT NULL,                     -- SHA-256 of what was handed over
    kind         text        NOT NULL CHECK (kind IN ('driver', 'manifest', 'index', 'message')),
    place        text        NOT NULL,                     -- sha256:<hex> in the document store, or file:<absolute path>
    size         bigint      NOT NULL,
    run_key      text        NOT NULL,
    pool         text        NOT NULL,
    mode         text        NOT NULL CHECK (mode IN ('draft', 'direct')),
    policy       jsonb       NOT NULL DEFAULT '{}',
    facts        jsonb       NOT NULL DEFAULT '{}',        -- envelope, headers, job and flow
    source       text        NOT NULL DEFAULT '',          -- for people: file, caller, client
    state        text        NOT NULL DEFAULT 'received' CHECK (state IN ('received', 'taken', 'failed')),
    due_at       timestamptz DEFAULT now(),                -- when it is taken next; NULL: nothing more happens by itself
    tries        integer     NOT NULL DEFAULT 0,
    holder       text,
    leased_until timestamptz,
    run_id       bigint REFERENCES run,
    receipt      jsonb,                                    -- what became of its lines
    problem      text,
    received_at  timestamptz NOT NULL DEFAULT now(),
    taken_at     timestamptz,
    tidied_at    timestamptz,                              -- its files were moved to their last place, or dropped
    UNIQUE (door, key),
    CHECK (state <> 'failed' OR problem IS NOT NULL),
    CHECK (state <> 'taken' OR (receipt IS NOT NULL AND taken_at IS NOT NULL)),
    CHECK ((holder IS NULL) = (leased_until IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX consignment_due ON consignment (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX consignment_run ON consignment (run_id);
CREATE INDEX consignment_untidy ON consignment (id) WHERE tidied_at IS NULL AND state <> 'received';

-- Exstream's jobs that were seen, and what was done about each.
CREATE TABLE exstream_job (
    domain         text        NOT NULL,
    id             text        NOT NULL,
    channel        text,
    mode           text,
    status         text        NOT NULL,
    started_at     timestamptz,
    ended_at       timestamptz,
    expires_at     timestamptz,
    external_id    text,
    msg            text,
    outcome        text        NOT NULL DEFAULT 'watched'
        CHECK (outcome IN ('watched', 'due', 'fetched', 'reported', 'ignored', 'gone')),
    due_at         timestamptz,
    tries          integer     NOT NULL DEFAULT 0,
    failure        text,
    consignment_id bigint REFERENCES consignment,
    examined_at    timestamptz,                            -- when its steps and messages were read for exceptions
    seen_at        timestamptz NOT NULL DEFAULT now(),
    changed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (domain, id)
);
CREATE INDEX exstream_job_due ON exstream_job (due_at) WHERE due_at IS NOT NULL;

-- An exception becomes an event once, however often it is seen.
CREATE TABLE exstream_trouble (
    domain text        NOT NULL,
    what   text        NOT NULL CHECK (what IN ('job', 'step', 'message', 'report')),
    id     text        NOT NULL,
    digest text        NOT NULL,
    at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (domain, what, id, digest)
);

-- What Exstream is to do next. `doing` is committed before the call, so whoever finds it later looks before it calls.
CREATE TABLE next_step (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key          text        NOT NULL UNIQUE CHECK (key <> ''),  -- asking twice asks once
    verb         text        NOT NULL CHECK (verb IN ('release_step', 'release_flow', 'stop_step', 'stop_flow', 'stop_job',
        'set_state', 'set_states', 'reprocess', 'generate', 'fulfil', 'trigger', 'drop_file', 'compose_ews', 'control_file')),
    domain       text        NOT NULL DEFAULT '',
    target       text        NOT NULL,                     -- the step, flow, job, resource, channel, or file
    arguments    jsonb       NOT NULL DEFAULT '{}',
    content      text,                                     -- SHA-256 of a driver in the document store
    subject      text        NOT NULL,                     -- what it is about: delivery:<token>, run:<key>, review:<id>
    actor        text        NOT NULL,
    state        text        NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'doing', 'done', 'uncertain', 'failed', 'cancelled')),
    due_at       timestamptz DEFAULT now(),
    tries        integer     NOT NULL DEFAULT 0,
    holder       text,
    leased_until timestamptz,
    begun_at     timestamptz,
    before       jsonb,                                    -- what stood at Exstream before the call, for looks after it
    reason       text,
    result       jsonb,
    created_at   timestamptz NOT NULL DEFAULT now(),
    changed_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (state NOT IN ('failed', 'uncertain') OR reason IS NOT NULL),
    CHECK ((holder IS NULL) = (leased_until IS NULL)),
    CHECK (state <> 'doing' OR begun_at IS NOT NULL)
);
CREATE INDEX next_step_due ON next_step (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX next_step_subject ON next_step (subject, id);

-- Each try with its evidence; append-only.
CREATE TABLE next_step_attempt (
    step_id  bigint      NOT NULL REFERENCES next_step,
    number   integer     NOT NULL,
    kind     text        NOT NULL CHECK (kind IN ('call', 'probe', 'person')),
    outcome  text        NOT NULL,
    effect   text        NOT NULL CHECK (effect IN ('no', 'yes', 'unknown')),
    status   integer,
    evidence text,
    at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (step_id, number)
);
CREATE TRIGGER next_step_attempt_append_only BEFORE UPDATE OR DELETE ON next_step_attempt
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Exstream's own email events that are still to be told to whoever reports on them.
CREATE TABLE email_event (
    delivery_id bigint      NOT NULL REFERENCES delivery,
    kind        text        NOT NULL CHECK (kind IN ('Submit', 'POST', 'NDLV')),
    event_id    text        NOT NULL UNIQUE,
    document    jsonb       NOT NULL,
    due_at      timestamptz DEFAULT now(),
    tries       integer     NOT NULL DEFAULT 0,
    failure     text,
    sent_at     timestamptz,
    PRIMARY KEY (delivery_id, kind),
    CHECK (due_at IS NOT NULL OR sent_at IS NOT NULL OR failure IS NOT NULL)
);
CREATE INDEX email_event_due ON email_event (due_at) WHERE due_at IS NOT NULL;

-- How far the audit chain was read for deliveries that were accepted. Its entries are numbered in the order in which they
-- become visible (the head's lock), so nothing can appear behind this place.
CREATE TABLE email_event_place (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    seq    bigint NOT NULL
);

-- Others who get the same communication: [{"address", "name"}]. Each is a delivery of its own.
ALTER TABLE communication ADD COLUMN copies jsonb NOT NULL DEFAULT '[]';
-- Which consignment brought it: so that a second try at the same one knows what the first had brought in.
ALTER TABLE communication ADD COLUMN consignment_id bigint;
