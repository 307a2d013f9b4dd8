-- The heads manifest (domain.heads): derived from the log, as far as the follower `heads` in read.positions has come.

-- One row for each manifest: how far the log was taken in, and the map's streams and root there. `entry` is the position
-- of the fact that records it, NULL until it is appended.
CREATE TABLE manifests (
    position bigint PRIMARY KEY CHECK (position >= 1),
    streams  bigint NOT NULL CHECK (streams >= 1),
    root     bytea  NOT NULL CHECK (octet_length(root) = 32),
    entry    bigint CHECK (entry > position)
);
CREATE UNIQUE INDEX manifests_one_is_pending ON manifests ((true)) WHERE entry IS NULL;

-- The map of the last manifest, in nodes by the hex digits on the way to them. Room is left on each page, so that a node
-- that is written again stays on its page.
CREATE TABLE manifest_nodes (
    prefix  text COLLATE "C" PRIMARY KEY CHECK (prefix ~ '^[0-9a-f]{0,64}$'),
    content bytea NOT NULL
) WITH (fillfactor = 70);

-- One row: the position that somebody wants a manifest of.
CREATE TABLE manifest_wanted (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint  NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO manifest_wanted DEFAULT VALUES;

GRANT SELECT, INSERT, UPDATE (entry) ON manifests TO countersign_service;
GRANT SELECT, INSERT, UPDATE (content) ON manifest_nodes TO countersign_service;
GRANT SELECT, UPDATE (position) ON manifest_wanted TO countersign_service;
