-- Time stamps (RFC 3161) of checkpoints: the tokens themselves, whose hashes are facts in the log.

-- `time` is the token's own, `certificate_ends` until when the authority's certificate was valid. `received_at` is this
-- machine's time: it decides when to ask again, and proves nothing.
CREATE TABLE timestamps (
    size             bigint      NOT NULL CHECK (size >= 1),
    authority        text        NOT NULL,
    token            bytea       NOT NULL CHECK (octet_length(token) BETWEEN 1 AND 65536),
    time             timestamptz NOT NULL,
    certificate_ends timestamptz NOT NULL,
    received_at      timestamptz NOT NULL,
    PRIMARY KEY (size, authority)
);
CREATE INDEX timestamps_by_time ON timestamps (time);

CREATE TRIGGER timestamps_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON timestamps
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_what_was_signed();
ALTER TABLE timestamps ENABLE ALWAYS TRIGGER timestamps_are_append_only;

-- How often in a row an authority has failed, and until when it is left alone. Work to do, not evidence.
CREATE TABLE timestamp_failures (
    authority     text        PRIMARY KEY,
    failures      integer     NOT NULL,
    left_alone_to timestamptz NOT NULL
);

GRANT SELECT, INSERT ON timestamps TO countersign_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON timestamp_failures TO countersign_service;
