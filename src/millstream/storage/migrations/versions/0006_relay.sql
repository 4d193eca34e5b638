-- The relay road: lanes with a road, runs that say which roads may carry them, and what the organisation has drawn of its
-- ten minutes.

-- A lane of the relay is named `relay:<address>`, so that a mailbox may have one on each road and budgets never mix.
ALTER TABLE lane
    ADD COLUMN road text GENERATED ALWAYS AS (CASE WHEN starts_with(mailbox, 'relay:') THEN 'relay' ELSE 'api' END) STORED,
    ADD COLUMN address text GENERATED ALWAYS AS
        (CASE WHEN starts_with(mailbox, 'relay:') THEN substr(mailbox, 7) ELSE mailbox END) STORED;

ALTER TABLE run
    ADD COLUMN roads text[] NOT NULL DEFAULT '{api}'
        CHECK (roads <@ ARRAY['api', 'relay'] AND cardinality(roads) > 0),
    ADD COLUMN expected bigint,                            -- how many there will be, where its door knows
    -- What follows a lost reply of the relay is never decided by accident.
    ADD CHECK (NOT roads @> ARRAY['relay'] OR coalesce(policy ->> 'unclear' IN ('hold', 'again'), false));

ALTER TABLE communication
    ADD COLUMN sensitivity text NOT NULL DEFAULT 'normal' CHECK (sensitivity IN ('normal', 'confidential'));

ALTER TABLE delivery
    ADD COLUMN only_road text CHECK (only_road IN ('api', 'relay')),
    ADD COLUMN repeats integer NOT NULL DEFAULT 0 CHECK (repeats >= 0),    -- how often it was sent again after a lost reply
    -- What may lie with the relay already leaves by no other road: nobody would know the second for the same message.
    ADD CHECK (repeats = 0 OR (only_road = 'relay' AND rfc822_id IS NOT NULL)
        OR disposition IN ('held', 'failed', 'cancelled')),
    ADD CHECK (mailbox IS NULL OR disposition NOT IN ('sending', 'uncertain') OR NOT starts_with(mailbox, 'relay:')
        OR rfc822_id IS NOT NULL),
    ADD CHECK (mailbox IS NULL OR only_road IS NULL OR (only_road = 'relay') = starts_with(mailbox, 'relay:'));
-- What is bound to a road stands in an index of its own: a lane of the other road never walks past it.
DROP INDEX delivery_claimable;
CREATE INDEX delivery_claimable ON delivery (run_id, id)
    WHERE disposition = 'queued' AND mailbox IS NULL AND only_road IS NULL;
CREATE INDEX delivery_claimable_road ON delivery (run_id, only_road, id)
    WHERE disposition = 'queued' AND mailbox IS NULL AND only_road IS NOT NULL;
CREATE INDEX delivery_repeated ON delivery (run_id) WHERE repeats > 0;

CREATE OR REPLACE VIEW claimable_run AS
WITH RECURSIVE waiting AS (
    SELECT least(
        (SELECT run_id FROM delivery WHERE disposition = 'queued' AND mailbox IS NULL AND only_road IS NULL
         ORDER BY run_id LIMIT 1),
        (SELECT run_id FROM delivery WHERE disposition = 'queued' AND mailbox IS NULL AND only_road IS NOT NULL
         ORDER BY run_id LIMIT 1)) AS run_id
    UNION ALL
    SELECT least(
        (SELECT d.run_id FROM delivery d WHERE d.disposition = 'queued' AND d.mailbox IS NULL AND d.only_road IS NULL
           AND d.run_id > w.run_id ORDER BY d.run_id LIMIT 1),
        (SELECT d.run_id FROM delivery d WHERE d.disposition = 'queued' AND d.mailbox IS NULL
           AND d.only_road IS NOT NULL AND d.run_id > w.run_id ORDER BY d.run_id LIMIT 1))
    FROM waiting w WHERE w.run_id IS NOT NULL
)
SELECT r.id, r.pool, r.roads FROM waiting w JOIN run r ON r.id = w.run_id WHERE r.state = 'open' ORDER BY r.id;

ALTER TABLE sighting DROP CONSTRAINT sighting_mapped_by_check, ADD CONSTRAINT sighting_mapped_by_check
    CHECK (mapped_by IN ('thread', 'header', 'message_id', 'reply_token', 'recipient', 'envelope'));

-- What workers drew ahead of the organisation's ten minutes: one row a slice of the period. It counts until two slices
-- after the period, so that a message sent late in its slice is covered (docs/decisions/0031).
CREATE TABLE relay_grant (
    began_at timestamptz PRIMARY KEY,
    granted  bigint      NOT NULL CHECK (granted >= 0)
);

CREATE TABLE relay_organisation (
    single      boolean PRIMARY KEY DEFAULT true CHECK (single),
    rests_until timestamptz,
    reason      text
);
INSERT INTO relay_organisation DEFAULT VALUES;

-- Draw permissions for `wanted` recipients of the current slice: answers how many, until when they may be used, and when
-- there will be more. The row lock comes first and the sums come in statements of their own, which see what the drawer
-- before committed; one single statement would not. `a_day` null leaves the day uncounted.
CREATE FUNCTION relay_draw(wanted bigint, most bigint, seconds float8, a_day bigint)
RETURNS TABLE (granted bigint, slice timestamptz, seconds_left float8, again_in float8) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    rest  timestamptz;
    wide  float8 := seconds / 400;
    clock timestamptz;
    began timestamptz;
    used  bigint;
    here  bigint;
    today bigint;
    give  bigint;
BEGIN
    SELECT o.rests_until INTO rest FROM relay_organisation o FOR UPDATE;
    clock := clock_timestamp();
    began := to_timestamp(floor(extract(epoch FROM clock)::float8 / wide) * wide);
    IF rest > clock THEN
        RETURN QUERY SELECT 0::bigint, began, 0::float8, extract(epoch FROM rest - clock)::float8;
        RETURN;
    END IF;
    SELECT coalesce(sum(g.granted), 0), coalesce(sum(g.granted) FILTER (WHERE g.began_at >= began), 0) INTO used, here
    FROM relay_grant g WHERE g.began_at > clock - make_interval(secs => seconds + 2 * wide);
    IF a_day IS NOT NULL THEN
        SELECT coalesce(sum(g.granted), 0) INTO today FROM relay_grant g WHERE g.began_at > clock - interval '24 hours';
    END IF;
    give := greatest(0, least(wanted, most - used, ceil(1.1 * most / 400)::bigint - here,
                              coalesce(a_day - today, wanted)));
    IF give > 0 THEN
        INSERT INTO relay_grant AS g (began_at, granted) VALUES (began, give)
        ON CONFLICT (began_at) DO UPDATE SET granted = g.granted + excluded.granted;
    END IF;
    RETURN QUERY SELECT give, began, 2 * wide - extract(epoch FROM clock - began)::float8,
                        wide - extract(epoch FROM clock - began)::float8;
END $$;
