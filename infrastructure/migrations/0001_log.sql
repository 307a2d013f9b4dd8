-- The log, its heads and its counter (DESIGN sections 5 and 6).

-- Roles belong to the whole server, so another database's migration may be making the same one now:
-- it then appears either as a duplicate object or as a clash in the catalog's unique index.
DO $$
BEGIN
    CREATE ROLE countersign_service NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$;
-- Since PostgreSQL 16 whoever makes a role may grant it, but must grant it to itself to act as it.
DO $$
DECLARE
    may_act_as text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    IF NOT pg_has_role(current_user, 'countersign_service', may_act_as) THEN
        GRANT countersign_service TO CURRENT_USER;
    END IF;
EXCEPTION WHEN unique_violation THEN
    NULL;
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO countersign_service;

-- One row per entry. `entry` holds the canonical bytes that are hashed; the other columns repeat what
-- is in them, so that PostgreSQL can find and order them, and fsck compares both.
CREATE TABLE log (
    position bigint PRIMARY KEY CHECK (position >= 1),
    stream   uuid   NOT NULL,
    version  bigint NOT NULL CHECK (version >= 0),
    type     text   NOT NULL,
    leaf     bytea  NOT NULL CHECK (octet_length(leaf) = 32),
    entry    bytea  NOT NULL CHECK (octet_length(entry) BETWEEN 1 AND 65535),
    UNIQUE (stream, version)
);

CREATE FUNCTION refuse_change_of_the_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % refused', TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'Facts are corrected by appending another fact.';
END
$$;

-- Per statement: a change is refused even if it would touch no row. ALWAYS: also in sessions that
-- switch ordinary triggers off with session_replication_role.
CREATE TRIGGER log_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_the_log();
ALTER TABLE log ENABLE ALWAYS TRIGGER log_is_append_only;

-- The last entry of each stream: derived from the log, checked by fsck. Room is left on each page, so
-- that an update stays on its page and touches no index.
CREATE TABLE heads (
    stream   uuid   PRIMARY KEY,
    version  bigint NOT NULL,
    leaf     bytea  NOT NULL,
    position bigint NOT NULL
) WITH (fillfactor = 75);

-- One row: the counter behind gapless positions. Whoever appends holds its lock until the commit.
CREATE TABLE log_head (
    one      boolean     PRIMARY KEY DEFAULT true CHECK (one),
    ledger   text        NOT NULL,
    position bigint      NOT NULL CHECK (position >= 0),
    at       timestamptz NOT NULL
) WITH (fillfactor = 10);

GRANT SELECT ON schema_migrations TO countersign_service;
GRANT SELECT, INSERT ON log TO countersign_service;
GRANT SELECT, INSERT, UPDATE ON heads TO countersign_service;
GRANT SELECT, UPDATE (position, at) ON log_head TO countersign_service;
