-- One batch, one statement, one transaction. The last line fails, and with it all of it, when an
-- owner is stale or an instance is not there as it is remembered.
WITH owner AS MATERIALIZED (
    SELECT p.id
    FROM unnest($2::int2[], $3::int8[]) AS o (id, epoch)
    JOIN taskhub.partition AS p ON p.hub = $1 AND p.id = o.id
    WHERE p.epoch = o.epoch
    ORDER BY p.id
    FOR SHARE OF p
),
effect AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $4::int8[], $5::bool[], $6::int8[], $7::text[], $8::int2[], $9::int2[], $10::int8[],
        $11::int8[], $12::bool[], $13::int8[], $14::int8[], $15::int8[], $16::uuid[], $17::text[],
        $18::text[], $19::text[], $20::bytea[], $21::text[], $22::text[], $23::text[], $24::bytea[],
        $25::bool[]
    ) AS e (
        key, is_new, follows, id, partition, status, events,
        due, busy, created_at, updated_at, completed_at, execution, name,
        version, stuck, parent, tags, custom_status, output, outcome, shows
    )
),
added AS (
    INSERT INTO taskhub.instance (
        key, hub, id, partition, status, events, due, busy, created_at, updated_at, completed_at,
        execution, name, version, stuck, parent, tags, custom_status, output, outcome
    )
    SELECT
        key, $1, id, partition, status, events, due, busy, created_at, updated_at, completed_at,
        execution, name, version, stuck, parent, tags::jsonb, custom_status, output, outcome
    FROM effect WHERE is_new
),
changed AS (
    UPDATE taskhub.instance AS i SET
        status = e.status, events = e.events, due = e.due, busy = e.busy,
        created_at = e.created_at, updated_at = e.updated_at, completed_at = e.completed_at,
        execution = e.execution, name = e.name, version = e.version, stuck = e.stuck,
        parent = e.parent, tags = e.tags::jsonb,
        -- A value that stays, and is long, stays where it is: only what refers to it is written.
        custom_status = CASE WHEN e.shows THEN e.custom_status ELSE i.custom_status END,
        output = CASE WHEN e.shows THEN e.output ELSE i.output END,
        outcome = CASE WHEN e.shows THEN e.outcome ELSE i.outcome END
    FROM effect AS e
    WHERE NOT e.is_new AND i.key = e.key AND (e.follows IS NULL OR i.events = e.follows)
    RETURNING 1
),
removed AS (
    DELETE FROM taskhub.instance AS i
    USING (
        SELECT (SELECT o.key FROM taskhub.instance AS o WHERE o.hub = $1 AND o.id = n.id) AS key
        FROM unnest($26::text[]) AS n (id)
        OFFSET 0
    ) AS r
    WHERE cardinality($26) > 0 AND i.key = r.key
    RETURNING i.key
),
forgotten AS (
    DELETE FROM taskhub.history AS h
    USING (SELECT key FROM removed UNION ALL SELECT unnest($27::int8[])) AS f (key)
    WHERE h.instance = f.key
    RETURNING 1
),
piece AS (
    -- After the deletions: a history that begins anew has the numbers of the one before.
    INSERT INTO taskhub.history (instance, first_event, events)
    SELECT p.instance, p.first_event, p.events
    FROM unnest($28::int8[], $29::int8[], $30::bytea[]) AS p (instance, first_event, events)
    WHERE (SELECT count(*) FROM forgotten) >= 0
),
taken AS (
    DELETE FROM taskhub.message AS m
    USING (
        SELECT (
            SELECT o.place FROM taskhub.message AS o
            WHERE o.hub = $1 AND o.partition = n.partition AND o.sender = n.sender
                AND o.epoch = n.epoch AND o.number = n.number
        ) AS place
        FROM unnest($31::int2[], $32::int2[], $33::int8[], $34::int8[])
            AS n (partition, sender, epoch, number)
        OFFSET 0
    ) AS t
    WHERE cardinality($31) > 0 AND m.place = t.place
    RETURNING 1
),
sent AS (
    INSERT INTO taskhub.message (hub, partition, sender, epoch, number, receiver, message)
    SELECT $1, s.partition, s.sender, s.epoch, s.number, s.receiver, s.message
    FROM unnest($35::int2[], $36::int2[], $37::int8[], $38::int8[], $39::text[], $40::bytea[])
        WITH ORDINALITY AS s (partition, sender, epoch, number, receiver, message, turn)
    WHERE (SELECT count(*) FROM taken) >= 0
    ORDER BY s.turn
)
SELECT 1 / CASE
    WHEN (SELECT count(*) FROM owner) = cardinality($2)
        AND (SELECT count(*) FROM changed) = (SELECT count(*) FROM effect WHERE NOT is_new)
    THEN 1 ELSE 0
END
