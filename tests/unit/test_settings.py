"""The environment becomes settings that cannot be wrong, or a message that names the variable."""

import base64
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from infrastructure.settings import KEY_BYTES, Settings, SettingsError, variable

KEY = bytes(range(KEY_BYTES))


def test_an_empty_environment_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.read({})
    assert settings.data == tmp_path / "var"
    assert settings.blob_url == (tmp_path / "var" / "blobs").as_uri()
    assert (settings.host, settings.port, settings.base_url) == ("127.0.0.1", 8080, "http://127.0.0.1:8080")
    assert (settings.upload_limit_bytes, settings.upload_limit_pages) == (26_214_400, 500)
    assert (settings.url_lifetime_seconds, settings.session_lifetime_days, settings.idempotency_hours) == (900, 30, 24)
    assert settings.database_url is None
    assert settings.smtp_host is None
    assert settings.trusted_proxies == ()


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.read({"COUNTERSIGN_PORT": "", "DATABASE_URL": ""}).port == 8080


def test_every_variable_is_read() -> None:
    settings = Settings.read(
        {
            "COUNTERSIGN_DATA": "/srv/ledger",
            "DATABASE_URL": "postgresql://service@db/ledger",
            "COUNTERSIGN_OWNER_DATABASE_URL": "host=db user=owner dbname=ledger",
            "COUNTERSIGN_ORIGIN": "ledger.example.com",
            "COUNTERSIGN_HOST": "::1",
            "COUNTERSIGN_PORT": "9000",
            "COUNTERSIGN_SMTP_HOST": "mail.example.com",
            "COUNTERSIGN_SMTP_SECURITY": "tls",
            "COUNTERSIGN_READ_WAIT_SECONDS": "0.5",
            "COUNTERSIGN_TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8",
            "COUNTERSIGN_SURFACE_HOSTS": "Sign.example.com=partner, api.example.com=sessions",
            "COUNTERSIGN_SECRET_KEY": base64.b64encode(KEY).decode(),
        }
    )
    assert settings.data == Path("/srv/ledger")
    assert settings.database_url == "postgresql://service@db/ledger"
    assert settings.owner_database_url == "host=db user=owner dbname=ledger"
    assert settings.base_url == "http://[::1]:9000"
    assert settings.smtp_security == "tls"
    assert settings.read_wait_seconds == 0.5
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert settings.surface_hosts == {"sign.example.com": "partner", "api.example.com": "sessions"}
    assert settings.secret_key == KEY


def test_a_wildcard_address_is_not_shown_to_clients() -> None:
    assert Settings.read({"COUNTERSIGN_HOST": "0.0.0.0"}).base_url == "http://localhost:8080"


def test_the_base_url_loses_its_trailing_slash() -> None:
    assert Settings.read({"COUNTERSIGN_BASE_URL": "https://sign.example.com/"}).base_url == "https://sign.example.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COUNTERSIGN_PORT", "http"),
        ("COUNTERSIGN_PORT", "70000"),
        ("COUNTERSIGN_PORT", "tcp://10.0.0.1:8080"),
        ("DATABASE_URL", "mysql://db/ledger"),
        ("COUNTERSIGN_OWNER_DATABASE_URL", "ledger"),
        ("COUNTERSIGN_ORIGIN", "ledger\x01"),
        ("COUNTERSIGN_BASE_URL", "sign.example.com"),
        ("COUNTERSIGN_SMTP_SECURITY", "ssl"),
        ("COUNTERSIGN_MAIL_FROM", "nobody"),
        ("COUNTERSIGN_UPLOAD_LIMIT_BYTES", "0"),
        ("COUNTERSIGN_URL_LIFETIME_SECONDS", "-1"),
        ("COUNTERSIGN_READ_WAIT_SECONDS", "0"),
        ("COUNTERSIGN_READ_WAIT_SECONDS", "nan"),
        ("COUNTERSIGN_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("COUNTERSIGN_TIME_ZONE", "Europe/Nowhere"),
        ("COUNTERSIGN_EXECUTION_LANES", "-1"),
        ("COUNTERSIGN_SURFACE_HOSTS", "sign.example.com"),
        ("COUNTERSIGN_SURFACE_HOSTS", "sign.example.com=signly"),
        ("COUNTERSIGN_SECRET_KEY", "not base64"),
        ("COUNTERSIGN_MASTER_KEY", base64.b64encode(KEY[:-1]).decode()),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.read({name: value})
    assert str(refusal.value).startswith(f"{name}: ")
    assert "\n" not in str(refusal.value), "only the variable that was wrong is named"


def test_two_bad_values_are_both_named() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.read({"COUNTERSIGN_PORT": "x", "COUNTERSIGN_IDEMPOTENCY_HOURS": "y"})
    assert [line.partition(":")[0] for line in str(refusal.value).splitlines()] == [
        "COUNTERSIGN_PORT",
        "COUNTERSIGN_IDEMPOTENCY_HOURS",
    ]


def test_no_secret_appears_in_a_refusal_or_in_the_repr() -> None:
    password = "correct-horse"
    with pytest.raises(SettingsError) as refusal:
        Settings.read({"COUNTERSIGN_SECRET_KEY": password, "DATABASE_URL": f"mysql://u:{password}@db/x"})
    assert password not in str(refusal.value)
    settings = Settings.read({"DATABASE_URL": f"postgresql://u:{password}@db/x", "COUNTERSIGN_SMTP_PASSWORD": password})
    assert password not in repr(settings)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings.read({}).port = 1


def test_every_setting_has_a_description_and_a_variable() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert len({variable(field) for field in Settings.model_fields}) == len(Settings.model_fields)
