-- Reviews: questions to people about content that is frozen by its hash, and what waits for their answers.
-- What else a communication's letter carries: {inline, references, thread_id, amp}; and which one it takes the place of.
ALTER TABLE communication ADD COLUMN letter jsonb, ADD COLUMN replaces text;
CREATE INDEX communication_replaces ON communication (run_id, replaces) WHERE replaces IS NOT NULL;
-- The one mailbox that may carry it, because its thread lies there.
ALTER TABLE delivery ADD COLUMN only_from text;
CREATE INDEX delivery_only_from ON delivery (only_from)
    WHERE only_from IS NOT NULL AND disposition = 'queued' AND mailbox IS NULL;
-- What was stopped on its way; few. A question to a reviewer among it is one that nobody has got.
CREATE INDEX delivery_stopped ON delivery (run_id) WHERE disposition IN ('held', 'failed');
CREATE TABLE review (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    policy      text        NOT NULL,
    terms       jsonb       NOT NULL,                 -- the policy as it stood when this round began; a changed file changes no open round
    kind        text        NOT NULL CHECK (kind IN ('communication', 'run', 'flow_step', 'resource', 'case')),
    domain      text        NOT NULL DEFAULT '',
    ref         text        NOT NULL,                 -- communication:<id>, run key, step id, resource id
    name        text        NOT NULL DEFAULT '',
    facts       jsonb       NOT NULL DEFAULT '{}',
    author      text[]      NOT NULL DEFAULT '{}',
    state       text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'rejected', 'changes', 'superseded', 'cancelled')),
    round       integer     NOT NULL DEFAULT 1,
    stage       integer     NOT NULL DEFAULT 0,
    hash        text        NOT NULL,                 -- of the current round's content
    asked_at    timestamptz NOT NULL DEFAULT now(),
    deadline    timestamptz,
    overdue     boolean     NOT NULL DEFAULT false,
    agenda      jsonb       NOT NULL DEFAULT '[]',    -- [{at, what, n}], instants worked out once from business hours
    due_at      timestamptz,                          -- the first of the agenda
    step_state  text        NOT NULL DEFAULT 'none' CHECK (step_state IN ('none', 'due', 'done', 'refused', 'unclear')),
    origin      text        NOT NULL DEFAULT '',
    version     integer     NOT NULL DEFAULT 0,
    opened_at   timestamptz NOT NULL DEFAULT now(),
    decided_at  timestamptz,
    CHECK (state <> 'open' OR decided_at IS NULL),
    CHECK (due_at IS NULL OR state = 'open')
) WITH (fillfactor = 80);
CREATE INDEX review_due ON review (due_at, id) WHERE due_at IS NOT NULL;
-- One open review of a subject by one policy.
CREATE UNIQUE INDEX review_open ON review (kind, domain, ref, policy) WHERE state IN ('open', 'changes');
CREATE INDEX review_state ON review (state, id);
CREATE INDEX review_ref ON review (kind, domain, ref, id);
CREATE TABLE review_round (
    review_id bigint NOT NULL REFERENCES review, number integer NOT NULL,
    hash text NOT NULL, content jsonb NOT NULL,       -- {papers, facts, text}: what was shown
    began_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz, ended_by text,
    PRIMARY KEY (review_id, number)
);
CREATE TABLE review_seat (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    review_id   bigint  NOT NULL REFERENCES review, round integer NOT NULL, stage integer NOT NULL, rung integer NOT NULL DEFAULT 0,
    address     text    NOT NULL CHECK (address = lower(address)), name text NOT NULL DEFAULT '', locale text NOT NULL DEFAULT 'en',
    instead_of  text,
    state       text    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'answered', 'replaced', 'closed', 'unreachable')),
    version     integer NOT NULL DEFAULT 0,
    asked_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (review_id, round, stage, address),
    FOREIGN KEY (review_id, round) REFERENCES review_round
);
CREATE INDEX review_seat_person ON review_seat (address, id) WHERE state = 'waiting';
-- What people said, counted or not; append-only.
CREATE TABLE review_answer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    review_id bigint NOT NULL REFERENCES review, round integer NOT NULL, seat_id bigint REFERENCES review_seat,
    address text NOT NULL, verdict text CHECK (verdict IN ('approve', 'reject', 'change')),  -- NULL: unclear
    words text NOT NULL DEFAULT '', how text NOT NULL CHECK (how IN ('mail', 'page', 'command', 'one_click', 'policy', 'exstream')),
    counted boolean NOT NULL, why text NOT NULL DEFAULT '',
    evidence jsonb NOT NULL DEFAULT '{}', sighting bigint,               -- a message answers a case once, however often its event comes
    at timestamptz NOT NULL DEFAULT now(), UNIQUE (sighting, review_id)
);
CREATE UNIQUE INDEX review_answer_once ON review_answer (seat_id) WHERE counted;
CREATE INDEX review_answer_review ON review_answer (review_id, id);
CREATE TRIGGER review_answer_append_only BEFORE UPDATE OR DELETE ON review_answer FOR EACH ROW EXECUTE FUNCTION refuse_change();
-- One decision a round; the schema knows it.
CREATE TABLE review_decision (
    review_id bigint NOT NULL REFERENCES review, round integer NOT NULL, verdict text NOT NULL CHECK (verdict IN ('approve', 'reject', 'change')),
    by text NOT NULL, how text NOT NULL, words text NOT NULL DEFAULT '', hash text NOT NULL, late boolean NOT NULL DEFAULT false,
    votes jsonb NOT NULL DEFAULT '[]', at timestamptz NOT NULL,
    PRIMARY KEY (review_id, round), FOREIGN KEY (review_id, round) REFERENCES review_round
);
CREATE TRIGGER review_decision_append_only BEFORE UPDATE OR DELETE ON review_decision FOR EACH ROW EXECUTE FUNCTION refuse_change();
-- The outbox: what somebody is to be told. It becomes a communication once (run and key are unique), so a kill in between sends nothing twice.
CREATE TABLE review_mail (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('ask', 'remind', 'climb', 'tell', 'question', 'bundle')),
    address text NOT NULL, thread text NOT NULL,      -- review:<id>:<address> or bundle:<id>; one thread for each
    facts jsonb NOT NULL DEFAULT '{}',
    due_at timestamptz DEFAULT now(), tries integer NOT NULL DEFAULT 0, failure text,
    holder text, leased_until timestamptz,
    token text UNIQUE,                                -- of its delivery, once it is one
    raw text, rfc822_id text, paper_due_at timestamptz, -- the sent message in the document store
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (due_at IS NOT NULL OR token IS NOT NULL OR failure IS NOT NULL)
);
CREATE INDEX review_mail_due ON review_mail (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX review_mail_paper ON review_mail (paper_due_at) WHERE paper_due_at IS NOT NULL;
CREATE INDEX review_mail_thread ON review_mail (thread, id);
-- Which cases a mail asks about; a bundle numbers several.
CREATE TABLE review_mail_case (
    mail_id bigint NOT NULL REFERENCES review_mail, number integer NOT NULL, review_id bigint NOT NULL REFERENCES review,
    round integer NOT NULL, seat_id bigint REFERENCES review_seat, PRIMARY KEY (mail_id, number)
);
CREATE INDEX review_mail_case_review ON review_mail_case (review_id);
-- Raw answers of people, kept as evidence.
CREATE TABLE review_paper (
    review_id bigint NOT NULL REFERENCES review, mailbox text NOT NULL, message_id text NOT NULL, sha256 text,
    due_at timestamptz DEFAULT now(), tries integer NOT NULL DEFAULT 0, failure text, PRIMARY KEY (review_id, mailbox, message_id)
);
CREATE INDEX review_paper_due ON review_paper (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE review_delegation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, address text NOT NULL, to_address text NOT NULL, policy text,
    since timestamptz NOT NULL, until timestamptz, actor text NOT NULL, at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz,
    CHECK (address <> to_address), CHECK (until IS NULL OR until > since)
);
CREATE INDEX review_delegation_of ON review_delegation (address) WHERE ended_at IS NULL;
-- Why a communication may not leave yet. Written with it; its deliveries are held until none of these waits.
CREATE TABLE hold (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, communication_id bigint NOT NULL REFERENCES communication,
    gate text NOT NULL CHECK (gate IN ('approval', 'compliance')), policy text NOT NULL,
    findings jsonb NOT NULL DEFAULT '[]', papers jsonb NOT NULL DEFAULT '[]', review_id bigint REFERENCES review,
    -- Values of its record that the policy goes by.
    facts jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'released', 'refused', 'replaced')),
    -- It takes the place of another: whether this policy held that one too is looked up before anybody is asked.
    inherited boolean NOT NULL DEFAULT false,
    at timestamptz NOT NULL DEFAULT now(), UNIQUE (communication_id, policy)
);
CREATE INDEX hold_inherited ON hold (communication_id) WHERE inherited AND state = 'waiting';
CREATE INDEX hold_unseen ON hold (id) WHERE review_id IS NULL AND state = 'waiting';
CREATE INDEX hold_review ON hold (review_id, id) WHERE state = 'waiting';
CREATE INDEX hold_communication ON hold (communication_id);
-- What a communication waits for now, for people. NULL: for nobody's answer any more.
CREATE FUNCTION awaited(about bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT nullif(concat_ws('; ',
        'people are asked first, by ' || string_agg(h.policy, ', ' ORDER BY h.id)
            FILTER (WHERE coalesce(r.state, 'open') = 'open') || '; `millstream review list` shows how far they are',
        string_agg(format('%s wants it changed (review %s): a record with `replaces` takes its place', h.policy, r.id),
            '; ' ORDER BY h.id) FILTER (WHERE r.state = 'changes'),
        string_agg(format('the question of %s was taken back, and it stays held: `millstream review overrule %s approve` '
            'lets it go, as somebody whom the policy names', h.policy, r.id), '; ' ORDER BY h.id)
            FILTER (WHERE r.state = 'cancelled')), '')
    FROM hold h LEFT JOIN review r ON r.id = h.review_id WHERE h.communication_id = about AND h.state = 'waiting'
$$;
-- What a decision means for the deliveries it holds; carried out in portions, whatever dies.
CREATE TABLE hold_order (
    review_id bigint NOT NULL REFERENCES review, round integer NOT NULL, action text NOT NULL CHECK (action IN ('release', 'cancel', 'replace')),
    detail text NOT NULL DEFAULT '', actor text NOT NULL, due_at timestamptz DEFAULT now(), moved bigint NOT NULL DEFAULT 0,
    begun_at timestamptz, done_at timestamptz,           -- begun: a hold was settled, though others may keep its delivery
    PRIMARY KEY (review_id, round)
);
CREATE INDEX hold_order_due ON hold_order (due_at) WHERE due_at IS NOT NULL;
-- What Exstream shows for review: seen once, opened once.
CREATE TABLE review_watch (
    domain text NOT NULL, kind text NOT NULL CHECK (kind IN ('flow_step', 'resource')), id text NOT NULL, mark text NOT NULL,  -- version and time
    review_id bigint REFERENCES review, seen_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (domain, kind, id)
);
-- Blocks over the audit chain, so that a few entries can be proved without all others.
CREATE TABLE audit_block (
    number bigint PRIMARY KEY, first_seq bigint NOT NULL, last_seq bigint NOT NULL UNIQUE, root bytea NOT NULL, hash bytea NOT NULL,
    CHECK (last_seq >= first_seq)
);
CREATE TRIGGER audit_block_append_only BEFORE UPDATE OR DELETE ON audit_block FOR EACH ROW EXECUTE FUNCTION refuse_change();
