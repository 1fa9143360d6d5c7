-- Those that have not ended, in a hub of many that have: a list of what runs reads nothing else.
CREATE INDEX instance_live ON instance (created_at)
    WHERE completed_at IS NULL AND NOT (id >= '@' AND id < 'A');
