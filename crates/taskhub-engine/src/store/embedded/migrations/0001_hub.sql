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
    attention     INTEGER,
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

-- What wants attention, by time. Covers the question, so nothing else is read for it; ended and
-- waiting instances are not in it.
CREATE INDEX instance_attention ON instance (partition, attention, id)
    WHERE attention IS NOT NULL;

-- Lists are sorted by creation. New rows go to its end, so it costs little; equal times are
-- sorted by id when read.
CREATE INDEX instance_created ON instance (created_at);

-- The few that failed or are parked, in a hub of many that did not: free for all others.
CREATE INDEX instance_failed ON instance (created_at) WHERE status = 3;
CREATE INDEX instance_stuck ON instance (created_at) WHERE stuck IS NOT NULL;

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
    strftime('%Y-%m-%dT%H:%M:%fZ', attention / 1e6, 'unixepoch') AS attention,
    stuck,
    custom_status,
    iif(typeof(outcome) = 'text', outcome, NULL) AS output,
    events,
    lower(hex(execution)) AS execution,
    partition,
    key
FROM instance;
