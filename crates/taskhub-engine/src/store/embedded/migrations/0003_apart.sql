-- Long texts stand apart, so that whatever else changes of an instance does not write them again.

-- What does not stand in `instance` of an instance whose texts are long; few have a row here.
CREATE TABLE apart (
    instance      INTEGER PRIMARY KEY,
    custom_status TEXT,
    output        TEXT
) STRICT;

DROP VIEW instances;

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
    coalesce(
        custom_status, (SELECT apart.custom_status FROM apart WHERE apart.instance = key)
    ) AS custom_status,
    coalesce(
        iif(typeof(outcome) = 'text', outcome, NULL),
        (SELECT apart.output FROM apart WHERE apart.instance = key)
    ) AS output,
    events,
    lower(hex(execution)) AS execution,
    partition,
    key
FROM instance;
