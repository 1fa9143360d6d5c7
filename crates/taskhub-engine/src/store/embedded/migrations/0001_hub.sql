-- The first schema of a hub in a folder.

-- Who owns which partition; a commit under an epoch that is not the latest is refused.
CREATE TABLE partition (
    id      INTEGER PRIMARY KEY,
    epoch   INTEGER NOT NULL DEFAULT 0,
    owner   TEXT,
    address TEXT
) STRICT;

-- One row per instance. Times are microseconds since 1970, UTC.
-- What changes in every turn stands before what is long and seldom changes.
CREATE TABLE instance (
    key           INTEGER PRIMARY KEY,
    id            TEXT    NOT NULL UNIQUE,
    partition     INTEGER NOT NULL,
    status        INTEGER NOT NULL,
    events        INTEGER NOT NULL,
    due           INTEGER,
    busy          INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    completed_at  INTEGER,
    execution     BLOB    NOT NULL,
    name          TEXT    NOT NULL,
    version       TEXT,
    stuck         TEXT,
    parent        BLOB,
    tags          BLOB,
    custom_status TEXT,
    outcome       ANY  -- TEXT: the output; BLOB: an encoded failure, or no output when empty
) STRICT;

-- What is due, by time, and what has work. Both cover their question, so nothing else is read for
-- it; instances that ended or wait for somebody are in neither.
CREATE INDEX instance_due ON instance (partition, due, id) WHERE due IS NOT NULL;
CREATE INDEX instance_busy ON instance (partition, id) WHERE busy = 1;

-- Lists are sorted by creation, or by the end. New rows go to the end of each index, so they cost
-- little; equal times are sorted by id when read.
CREATE INDEX instance_created ON instance (created_at);
CREATE INDEX instance_completed ON instance (completed_at) WHERE completed_at IS NOT NULL;

-- The few that failed or are parked, in a hub of many that did not, and entities: free for others.
CREATE INDEX instance_failed ON instance (created_at) WHERE status = 3;
CREATE INDEX instance_stuck ON instance (created_at) WHERE stuck IS NOT NULL;
CREATE INDEX instance_entity ON instance (created_at) WHERE id >= '@' AND id < 'A';

-- Histories in pieces, one per turn, each under the number of its first event.
CREATE TABLE history (
    instance    INTEGER NOT NULL,
    first_event INTEGER NOT NULL,
    events      BLOB    NOT NULL,
    PRIMARY KEY (instance, first_event)
) STRICT, WITHOUT ROWID;

-- Messages that were sent and not yet taken, by receiver, in the order of their commits.
CREATE TABLE message (
    partition INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    sender    INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    receiver  TEXT    NOT NULL,
    message   BLOB    NOT NULL,
    PRIMARY KEY (partition, place)
) STRICT, WITHOUT ROWID;

-- Finds a message that was taken.
CREATE UNIQUE INDEX message_id ON message (partition, sender, epoch, number);

-- For people: what the rows above mean.
CREATE VIEW instances AS SELECT
    id,
    name,
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
    strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1e6, 'unixepoch') AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', updated_at / 1e6, 'unixepoch') AS updated_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', completed_at / 1e6, 'unixepoch') AS completed_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', due / 1e6, 'unixepoch') AS due,
    busy,
    stuck,
    custom_status,
    iif(typeof(outcome) = 'text', outcome, NULL) AS output,
    events,
    lower(hex(execution)) AS execution,
    partition,
    key
FROM instance;
