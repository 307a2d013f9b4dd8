-- The tree over the log, and what was signed of it (DESIGN section 9).

-- One row: up to where the log is sealed, and the right edge of its tree there (domain.merkle, CompactRange.to_bytes).
-- With an alarm nothing is signed until somebody has looked.
CREATE TABLE sealing (
    one            boolean     PRIMARY KEY DEFAULT true CHECK (one),
    size           bigint      NOT NULL DEFAULT 0 CHECK (size >= 0),
    frontier       bytea       NOT NULL,
    alarm          text,
    alarm_position bigint,
    alarm_at       timestamptz,
    CHECK ((alarm IS NULL) = (alarm_at IS NULL))
) WITH (fillfactor = 10);
INSERT INTO sealing (frontier) VALUES (decode('0000000000000000', 'hex'));

-- One row for a tile (C2SP tlog-tiles), at the right edge a partial one that grows in its place: any narrower one is
-- its beginning. Hashes do not compress.
CREATE TABLE tiles (
    level   smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    index   bigint   NOT NULL CHECK (index >= 0),
    content bytea    NOT NULL CHECK (octet_length(content) BETWEEN 32 AND 8192 AND octet_length(content) % 32 = 0),
    PRIMARY KEY (level, index)
);
ALTER TABLE tiles ALTER COLUMN content SET STORAGE EXTERNAL;

-- What the log's keys have signed, one checkpoint for a size. `note` is the signed note without cosignatures;
-- clients see it once it is published.
CREATE TABLE checkpoints (
    size      bigint      PRIMARY KEY CHECK (size >= 1),
    root      bytea       NOT NULL CHECK (octet_length(root) = 32),
    note      bytea       NOT NULL,
    at        timestamptz NOT NULL,
    published boolean     NOT NULL
);
CREATE INDEX checkpoints_unpublished ON checkpoints (size) WHERE NOT published;

-- The signature lines of witnesses under a checkpoint's text (C2SP tlog-cosignature).
CREATE TABLE cosignatures (
    size     bigint      NOT NULL REFERENCES checkpoints,
    key_name text        NOT NULL,
    key_id   bytea       NOT NULL CHECK (octet_length(key_id) = 4),
    line     text        NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (size, key_name, key_id)
);

-- What went wrong when a witness was last asked; NULL since it has answered with a cosignature again. Not evidence.
CREATE TABLE witnesses (
    key_name text        NOT NULL,
    key_id   bytea       NOT NULL CHECK (octet_length(key_id) = 4),
    error    text,
    at       timestamptz NOT NULL,
    PRIMARY KEY (key_name, key_id)
);

CREATE FUNCTION refuse_change_of_what_was_signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'What was signed stays signed.';
END
$$;

-- As for the log: per statement, and ALWAYS.
CREATE TRIGGER cosignatures_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON cosignatures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_what_was_signed();
CREATE TRIGGER checkpoints_are_kept
    BEFORE DELETE OR TRUNCATE ON checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_what_was_signed();
CREATE TRIGGER checkpoints_are_only_published
    BEFORE UPDATE ON checkpoints
    FOR EACH ROW
    WHEN ((OLD.size, OLD.root, OLD.note, OLD.at) IS DISTINCT FROM (NEW.size, NEW.root, NEW.note, NEW.at) OR OLD.published > NEW.published)
    EXECUTE FUNCTION refuse_change_of_what_was_signed();
CREATE TRIGGER tiles_are_kept
    BEFORE DELETE OR TRUNCATE ON tiles
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_what_was_signed();
CREATE TRIGGER tiles_only_grow
    BEFORE UPDATE ON tiles
    FOR EACH ROW
    WHEN ((OLD.level, OLD.index, OLD.content) IS DISTINCT FROM (NEW.level, NEW.index, substring(NEW.content FOR octet_length(OLD.content))))
    EXECUTE FUNCTION refuse_change_of_what_was_signed();
ALTER TABLE cosignatures ENABLE ALWAYS TRIGGER cosignatures_are_append_only;
ALTER TABLE checkpoints ENABLE ALWAYS TRIGGER checkpoints_are_kept;
ALTER TABLE checkpoints ENABLE ALWAYS TRIGGER checkpoints_are_only_published;
ALTER TABLE tiles ENABLE ALWAYS TRIGGER tiles_are_kept;
ALTER TABLE tiles ENABLE ALWAYS TRIGGER tiles_only_grow;

GRANT SELECT ON sealing, tiles, checkpoints, cosignatures TO countersign_service;
GRANT UPDATE (size, frontier, alarm, alarm_position, alarm_at) ON sealing TO countersign_service;
GRANT INSERT ON tiles, checkpoints, cosignatures TO countersign_service;
GRANT UPDATE (content) ON tiles TO countersign_service;
GRANT UPDATE (published) ON checkpoints TO countersign_service;
GRANT SELECT, INSERT, UPDATE (error, at) ON witnesses TO countersign_service;
