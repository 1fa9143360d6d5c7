GRANT USAGE ON SCHEMA taskhub TO ROLE;
GRANT SELECT ON ALL TABLES IN SCHEMA taskhub TO ROLE;
GRANT INSERT, UPDATE, DELETE ON taskhub.hub, taskhub.partition, taskhub.lease, taskhub.node,
    taskhub.instance, taskhub.history, taskhub.message TO ROLE;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA taskhub TO ROLE;
