-- The first schema: hubs that share a database.

-- One row per hub; all else hangs on its key.
CREATE TABLE taskhub.hub (
    key        integer  PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name       text     COLLATE "C" NOT NULL CONSTRAINT hub_name UNIQUE,
    partitions smallint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The fence. A commit locks its rows and checks their epochs; only a claim changes them, and so
-- waits for the commits of the owner before, and shuts out all later ones.
CREATE TABLE taskhub.partition (
    hub   integer  NOT NULL,
    id    smallint NOT NULL,
    epoch bigint   NOT NULL DEFAULT 0,
    PRIMARY KEY (hub, id)
) WITH (fillfactor = 50);

-- Who owns which partition, and until when, in microseconds since 1970 by the clock of the
-- server; nobody does when `until` is null. Apart from the fence, so that a renewal does not wait
-- for commits, nor they for it.
CREATE TABLE taskhub.lease (
    hub       integer  NOT NULL,
    partition smallint NOT NULL,
    epoch     bigint   NOT NULL DEFAULT 0,
    until     bigint,
    node      text,
    address   text,
    PRIMARY KEY (hub, partition)
) WITH (fillfactor = 50);

-- The nodes, and until when each of them is thought to live.
CREATE TABLE taskhub.node (
    hub     integer NOT NULL,
    id      text    COLLATE "C" NOT NULL,
    address text    NOT NULL,
    until   bigint  NOT NULL,
    PRIMARY KEY (hub, id)
) WITH (fillfactor = 50);

-- One row per instance. Times are microseconds since 1970, UTC. In texts, the characters U+0000
-- and U+0001, which hardly anybody uses, stand as U+0001 and another one.
CREATE TABLE taskhub.instance (
    key           bigint   PRIMARY KEY,
    events        bigint   NOT NULL,
    due           bigint,
    created_at    bigint   NOT NULL,
    updated_at    bigint   NOT NULL,
    completed_at  bigint,
    execution     uuid     NOT NULL,
    hub           integer  NOT NULL,
    partition     smallint NOT NULL,
    status        smallint NOT NULL,
    busy          boolean  NOT NULL,
    id            text     COLLATE "C" NOT NULL,
    name          text     NOT NULL,
    version       text,
    stuck         text,
    parent        bytea,
    tags          jsonb,
    custom_status text,
    output        text,
    outcome       bytea,  -- an encoded failure, or no output
    CONSTRAINT instance_id UNIQUE (hub, id)
) WITH (fillfactor = 85);

-- Each node takes a thousand at a time.
CREATE SEQUENCE taskhub.instance_key INCREMENT BY 1000;

-- What is due, by time, and what has work; instances that ended or wait for somebody are in
-- neither.
CREATE INDEX instance_due ON taskhub.instance (hub, partition, due, id) WHERE due IS NOT NULL;
CREATE INDEX instance_busy ON taskhub.instance (hub, partition, id) WHERE busy;

-- Lists are sorted by creation, or by the end.
CREATE INDEX instance_created ON taskhub.instance (hub, created_at, id);
CREATE INDEX instance_completed ON taskhub.instance (hub, completed_at, id)
    WHERE completed_at IS NOT NULL;

-- The few that failed or are parked, in a hub of many that did not, and entities.
CREATE INDEX instance_failed ON taskhub.instance (hub, created_at, id) WHERE status = 3;
CREATE INDEX instance_stuck ON taskhub.instance (hub, created_at, id) WHERE stuck IS NOT NULL;
CREATE INDEX instance_entity ON taskhub.instance (hub, created_at, id)
    WHERE id >= '@' AND id < 'A';

-- Histories in pieces, one per turn, each under the number of its first event.
CREATE TABLE taskhub.history (
    instance    bigint NOT NULL,
    first_event bigint NOT NULL,
    events      bytea  NOT NULL,
    PRIMARY KEY (instance, first_event)
);

-- Messages that were sent and not yet taken. Places are given before the commit: one may appear
-- that is lower than others that were seen before.
CREATE TABLE taskhub.message (
    place     bigint   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    epoch     bigint   NOT NULL,
    number    bigint   NOT NULL,
    hub       integer  NOT NULL,
    partition smallint NOT NULL,
    sender    smallint NOT NULL,
    receiver  text     NOT NULL,
    message   bytea    NOT NULL,
    CONSTRAINT message_id UNIQUE (hub, partition, sender, epoch, number)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- By an expression, so that only who reads an inbox comes by here: the planner would look up a
-- single message here as well, and read the whole inbox for it.
CREATE INDEX message_inbox ON taskhub.message (hub, (partition::integer), place);

-- For people: what the rows above mean.
CREATE VIEW taskhub.instances AS SELECT
    hub.name AS hub,
    id,
    instance.name,
    version,
    CASE status
        WHEN 0 THEN 'Running'
        WHEN 1 THEN 'Completed'
        WHEN 2 THEN 'ContinuedAsNew'
        WHEN 3 THEN 'Failed'
        WHEN 4 THEN 'Canceled'
        WHEN 5 THEN 'Terminated'
        WHEN 6 THEN 'Pending'
        WHEN 7 THEN 'Suspended'
    END AS status,
    to_timestamp(instance.created_at / 1e6) AS created_at,
    to_timestamp(updated_at / 1e6) AS updated_at,
    to_timestamp(completed_at / 1e6) AS completed_at,
    CASE WHEN due < 0 THEN '-infinity' ELSE to_timestamp(due / 1e6) END AS due,
    busy,
    stuck,
    tags,
    custom_status,
    output,
    events,
    replace(execution::text, '-', '') AS execution,
    partition,
    instance.key
FROM taskhub.instance JOIN taskhub.hub ON hub.key = instance.hub;
