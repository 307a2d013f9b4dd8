-- Completed envelopes whose files are to be made. A row is work to do, not evidence: what came of it are facts in the log.
-- Rebuilding read models leaves the table alone.

-- `reason` is a code and `sentence` words of ours: nobody's name and nothing of a document stands here.
CREATE TABLE executions (
    envelope        uuid        PRIMARY KEY,
    position        bigint      NOT NULL,
    status          text        NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'done', 'failed')),
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    reason          text,
    sentence        text,
    updated_at      timestamptz NOT NULL
);
CREATE INDEX executions_waiting ON executions (next_attempt_at) WHERE status = 'waiting';
CREATE INDEX executions_failed ON executions (updated_at) WHERE status = 'failed';

GRANT SELECT, INSERT, UPDATE ON executions TO countersign_service;
