-- Those that have not ended, in a hub of many that have: a list of what runs reads nothing else.
CREATE INDEX instance_live ON taskhub.instance (hub, created_at, id)
    WHERE completed_at IS NULL AND (id < '@' OR id >= 'A');
