-- What a node has in common with those that it can ask; empty where an older version runs.
ALTER TABLE taskhub.node ADD COLUMN circle text NOT NULL DEFAULT '';
