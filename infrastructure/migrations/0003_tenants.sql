-- Tenants and what lets them in, their credits, the answers kept for repeated requests, and the read side's positions.

CREATE TABLE tenants (
    id         uuid        PRIMARY KEY,
    name       text        NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE credentials (
    id          text        PRIMARY KEY,
    tenant      uuid        NOT NULL REFERENCES tenants,
    kind        text        NOT NULL,
    mode        text        NOT NULL,
    secret_hash bytea       NOT NULL,
    status      text        NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE INDEX credentials_by_tenant ON credentials (tenant);

-- A tenant without a row is not limited.
CREATE TABLE credits (
    tenant  uuid   PRIMARY KEY,
    balance bigint NOT NULL CHECK (balance >= 0)
);

-- The first answer to each idempotency key, written in the transaction of what it answers. When personal
-- data that the answer may hold is erased, so is its body.
CREATE TABLE idempotency (
    scope        text        NOT NULL,
    key          text        NOT NULL,
    request_hash bytea       NOT NULL,
    status       integer     NOT NULL,
    media_type   text        NOT NULL,
    body         bytea,
    streams      uuid[]      NOT NULL,
    created_at   timestamptz NOT NULL,
    erased       boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (scope, key),
    CHECK (erased = (body IS NULL))
);
CREATE INDEX idempotency_by_stream ON idempotency USING gin (streams);

GRANT SELECT, INSERT, UPDATE ON tenants, credentials, credits TO countersign_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency TO countersign_service;

CREATE SCHEMA read;
GRANT USAGE ON SCHEMA read TO countersign_service;
-- Tables that the projections make here later are the service's to fill.
ALTER DEFAULT PRIVILEGES IN SCHEMA read GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO countersign_service;
ALTER DEFAULT PRIVILEGES IN SCHEMA read GRANT USAGE ON SEQUENCES TO countersign_service;

-- How far each projection has come. It moves in the transaction that writes the rows.
CREATE TABLE read.positions (
    projection text   PRIMARY KEY,
    position   bigint NOT NULL,
    status     text   NOT NULL,
    error      text
);
