"""The database itself keeps the log append-only: proved by trying, as the service and as the owner."""

import pytest
from psycopg import Connection, errors

from infrastructure.database import DatabaseUrls, connect

INSERT = "INSERT INTO log VALUES (1, '58bff266-cdad-46db-b373-1b06476146cd', 1, 'test.happened/1', decode(repeat('ab', 32), 'hex'), 'x')"
CHANGES = [
    "UPDATE log SET entry = 'y'",
    "UPDATE log SET entry = 'y' WHERE false",
    "DELETE FROM log",
    "TRUNCATE log",
    "INSERT INTO log SELECT * FROM log ON CONFLICT (position) DO UPDATE SET entry = 'y'",
    "MERGE INTO log USING (SELECT 1 AS position) AS new ON log.position = new.position WHEN MATCHED THEN DELETE",
]


def count(conn: Connection[tuple[object, ...]]) -> object:
    row = conn.execute("SELECT count(*) FROM log").fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("change", CHANGES)
def test_the_owner_cannot_change_the_log(database: DatabaseUrls, change: str) -> None:
    with connect(database.owner) as conn:
        conn.execute(INSERT)
        with pytest.raises(errors.RestrictViolation, match=r"the log is append-only: (UPDATE|DELETE|TRUNCATE) refused"):
            conn.execute(change.encode())
        assert count(conn) == 1


@pytest.mark.parametrize(
    "change",
    [
        *CHANGES,
        "DROP TABLE log",
        "ALTER TABLE log DISABLE TRIGGER ALL",
        "DROP TRIGGER log_is_append_only ON log",
        "CREATE TABLE x ()",
    ],
)
def test_the_service_is_not_even_permitted_to_try(database: DatabaseUrls, change: str) -> None:
    with connect(database.service) as conn:
        conn.execute(INSERT)
        with pytest.raises(errors.InsufficientPrivilege):
            conn.execute(change.encode())
        assert count(conn) == 1


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM heads",
        "TRUNCATE heads",
        "DELETE FROM log_head",
        "INSERT INTO log_head VALUES (false, 'other', 0, now())",
        "UPDATE log_head SET ledger = 'other'",
        "UPDATE disclosures SET ciphertext = 'x'",
        "DELETE FROM tenants",
        "DELETE FROM schema_migrations",
        "CREATE TABLE read.mine ()",
        "CREATE ROLE another",
    ],
)
def test_the_service_has_the_least_privilege_it_needs(database: DatabaseUrls, change: str) -> None:
    with connect(database.service) as conn, pytest.raises(errors.InsufficientPrivilege):
        conn.execute(change.encode())


def test_the_service_may_append_and_read(database: DatabaseUrls) -> None:
    with connect(database.service) as conn:
        assert conn.execute("SELECT current_user").fetchone() == ("countersign_service",)
        conn.execute(INSERT)
        assert count(conn) == 1


def test_a_table_that_a_projection_makes_belongs_to_the_owner_and_is_filled_by_the_service(database: DatabaseUrls) -> None:
    with connect(database.owner) as conn:
        conn.execute("CREATE TABLE read.things (id bigserial PRIMARY KEY)")
    with connect(database.service) as conn:
        conn.execute("INSERT INTO read.things DEFAULT VALUES")
        conn.execute("TRUNCATE read.things")
        with pytest.raises(errors.InsufficientPrivilege):
            conn.execute("DROP TABLE read.things")


def test_the_trigger_fires_in_sessions_that_switch_triggers_off(database: DatabaseUrls) -> None:
    with connect(database.owner) as conn:
        enabled = conn.execute("SELECT tgenabled FROM pg_trigger WHERE tgname = 'log_is_append_only'").fetchone()
    assert enabled == ("A",)  # always, whatever session_replication_role says
