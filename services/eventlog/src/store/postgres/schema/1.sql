-- The one row that every append locks: position p+1 exists only after p is committed.
CREATE TABLE shiplog.log_head (
    one           boolean PRIMARY KEY DEFAULT true CHECK (one),
    next_position bigint NOT NULL CHECK (next_position >= 0),
    checkpoint    bytea
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO shiplog.log_head (next_position) VALUES (0);

-- The last revision of each stream.
CREATE TABLE shiplog.streams (
    stream   text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL CHECK (revision >= 0)
) WITH (fillfactor = 80);

-- Header and data are the exact bytes that are hashed. Type and schema repeat what the header says, for people.
CREATE TABLE shiplog.events (
    position bigint PRIMARY KEY CHECK (position >= 0),
    event_id uuid NOT NULL,
    revision bigint NOT NULL CHECK (revision >= 0),
    schema   bigint,
    stream   text COLLATE "C" NOT NULL,
    type     text COLLATE "C",
    header   bytea NOT NULL,
    data     bytea NOT NULL,
    UNIQUE (stream, revision)
);

-- What follows stops accidents, not an administrator: a changed row is found by the tree.
CREATE FUNCTION shiplog.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the event log is only ever appended to: % on % is refused', TG_OP, TG_TABLE_NAME;
END $$;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON shiplog.events
    FOR EACH STATEMENT EXECUTE FUNCTION shiplog.refuse();
CREATE TRIGGER streams_are_never_removed BEFORE DELETE OR TRUNCATE ON shiplog.streams
    FOR EACH STATEMENT EXECUTE FUNCTION shiplog.refuse();
CREATE TRIGGER streams_only_grow BEFORE UPDATE ON shiplog.streams
    FOR EACH ROW WHEN (NEW.revision <= OLD.revision OR NEW.stream <> OLD.stream)
    EXECUTE FUNCTION shiplog.refuse();
CREATE TRIGGER the_head_is_never_removed BEFORE DELETE OR TRUNCATE ON shiplog.log_head
    FOR EACH STATEMENT EXECUTE FUNCTION shiplog.refuse();
CREATE TRIGGER the_log_only_grows BEFORE UPDATE ON shiplog.log_head
    FOR EACH ROW WHEN (NEW.next_position < OLD.next_position OR NEW.checkpoint IS NULL AND OLD.checkpoint IS NOT NULL)
    EXECUTE FUNCTION shiplog.refuse();
