-- Personal data and the keys it is encrypted under: outside the log, so it can be destroyed (DESIGN section 5).

-- Whose data it is. `lookup` is a keyed hash of what identifies the subject, `wrapped_key` its key,
-- encrypted under the vault's master key. Without this row the ciphertexts can never be read again.
CREATE TABLE subjects (
    id          uuid  PRIMARY KEY,
    tenant      uuid  NOT NULL,
    kind        text  NOT NULL,
    lookup      bytea NOT NULL,
    wrapped_key bytea NOT NULL,
    UNIQUE (tenant, kind, lookup)
);

-- A personal value with the salt of its commitment, encrypted. The log does not refer to it: an entry
-- stays as it is when its disclosures are gone.
CREATE TABLE disclosures (
    stream     uuid   NOT NULL,
    version    bigint NOT NULL,
    path       text   NOT NULL,
    subject    uuid   NOT NULL REFERENCES subjects,
    ciphertext bytea  NOT NULL,
    PRIMARY KEY (stream, version, path)
);
CREATE INDEX disclosures_by_subject ON disclosures (subject);

GRANT SELECT, INSERT, DELETE ON subjects, disclosures TO countersign_service;
