-- Invitations on their way. A row is work to do, not evidence: what came of it is a fact in the log, and
-- neither the address nor the token stands here. Rebuilding read models leaves the table alone, since that
-- would send every invitation again.

-- `error` is a code of ours or of the mail system, never its words: those often repeat the address.
CREATE TABLE deliveries (
    invitation      uuid        PRIMARY KEY,
    signing         uuid        NOT NULL,
    position        bigint      NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    status          text        NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'delivered', 'bounced', 'void')),
    error           text
);
CREATE INDEX deliveries_waiting ON deliveries (next_attempt_at) WHERE status = 'waiting';

GRANT SELECT, INSERT, UPDATE ON deliveries TO countersign_service;
