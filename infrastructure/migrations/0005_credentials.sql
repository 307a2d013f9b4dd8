-- How a credential is sent, one active partner credential per tenant, and a way back to unlimited credits.

ALTER TABLE credentials
    ADD COLUMN method text NOT NULL,
    ADD CHECK (kind IN ('partner', 'organization')),
    ADD CHECK (mode IN ('live', 'test')),
    ADD CHECK (method IN ('KEY', 'HMAC')),
    ADD CHECK (status IN ('ACTIVE', 'REVOKED')),
    ADD CHECK (octet_length(secret_hash) = 32);

CREATE UNIQUE INDEX credentials_one_partner ON credentials (tenant) WHERE kind = 'partner' AND status = 'ACTIVE';
CREATE UNIQUE INDEX credentials_by_secret ON credentials (secret_hash);

-- A tenant without a row is not limited, so lifting the limit removes it.
GRANT DELETE ON credits TO countersign_service;
