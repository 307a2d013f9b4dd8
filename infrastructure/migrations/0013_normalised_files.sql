-- Which blob is the normalised form of an accepted PDF, and how large its pages are displayed. It can all be computed anew from the
-- file, so a row is no evidence: what a process was executed on is a fact in the log.

-- `sizes` has width and height of each page in thousandths of a point, e.g. [[595276, 841890]].
CREATE TABLE normalised_files (
    sha256            text  PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    normalised_sha256 text  NOT NULL CHECK (normalised_sha256 ~ '^[0-9a-f]{64}$'),
    sizes             jsonb NOT NULL CHECK (jsonb_typeof(sizes) = 'array')
);

GRANT SELECT, INSERT, UPDATE ON normalised_files TO countersign_service;
