"""The settings, read once from the environment.

The field `read_wait_seconds` is the variable `COUNTERSIGN_READ_WAIT_SECONDS`; only `DATABASE_URL` has
the name that hosting platforms give it. An empty variable counts as unset.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from infrastructure.issuers import OidcIssuer, distinct, read_issuers
from infrastructure.rates import DEFAULTS, RateLimits

PREFIX: Final = "COUNTERSIGN_"

#: Bytes of the secret key and of the master key: keys of HMAC-SHA-256 and AES-256.
KEY_BYTES: Final = 32

Network = IPv4Network | IPv6Network
SurfaceName = Literal["partner", "signing", "signatures", "sessions", "ledger"]


class SettingsError(ValueError):
    """Some variables have values that cannot be used; the message has a line for each, with the reason."""


def variable(field: str) -> str:
    """The environment variable of a field."""
    return "DATABASE_URL" if field == "database_url" else PREFIX + field.upper()


def _split(value: object) -> object:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _hosts(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [item.strip().partition("=") for item in value.split(",") if item.strip()]
    if not all(host and surface for host, _, surface in pairs):
        raise ValueError("is not of the form host=surface,host=surface")
    return {host.strip().lower(): surface.strip() for host, _, surface in pairs}


def _lines(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


def _key(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as err:
        raise ValueError(f"is not base64: {err}") from err


def _key_length(value: bytes) -> bytes:
    if len(value) != KEY_BYTES:
        raise ValueError(f"holds {len(value)} bytes; a key is {KEY_BYTES} random bytes in base64")
    return value


def _folder(value: Path) -> Path:
    return value.expanduser().absolute()


def _database(value: str) -> str:
    # libpq reads a URL or keyword=value pairs (PostgreSQL documentation, "Connection Strings").
    if urlsplit(value).scheme not in ("postgresql", "postgres") and "=" not in value:
        raise ValueError("is not of the form postgresql://user:password@host:port/name")
    return value


def _web_address(value: str) -> str:
    address = urlsplit(value)
    if address.scheme not in ("http", "https") or not address.netloc or address.query or address.fragment:
        raise ValueError("is not of the form https://host:port/path")
    return value.rstrip("/")


def _authority(value: str, info: ValidationInfo) -> str:
    address = urlsplit(value)
    if address.scheme not in ("http", "https") or not address.netloc or "@" in address.netloc or address.fragment:
        raise ValueError("is not of the form https://host/path, without a user")  # it is part of entries and bundles
    if info.data.get("tsa_certificates") is None:
        raise ValueError(f"needs {variable('tsa_certificates')}: without certificates to trust, no time stamp can be believed")
    return value


def _time_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("is not the name of a time zone as the IANA database has it, for example Europe/Madrid")
    return value


def _default_base_url(known: dict[str, Any]) -> str:
    host = known.get("host", "")
    # A wildcard is where a server listens, not where a client can go.
    name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http://{name}:{known.get('port')}"


def _default_blob_url(known: dict[str, Any]) -> str:
    # Without a usable data folder there is no default either; the error then names the folder.
    return (known["data"] / "blobs").as_uri() if "data" in known else ""


DatabaseUrl = Annotated[str, AfterValidator(_database)]
Key = Annotated[bytes, BeforeValidator(_key), AfterValidator(_key_length)]


class Settings(BaseModel):
    """What a running Countersign was told. Frozen; secrets are left out of its `repr`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    data: Annotated[Path, AfterValidator(_folder)] = Field(
        Path("var"), description="Folder of everything kept: database, files, keys, outbox. Default ./var."
    )
    database_url: DatabaseUrl | None = Field(
        None, repr=False, description="PostgreSQL to use instead of the embedded server, as the service connects to it."
    )
    owner_database_url: DatabaseUrl | None = Field(
        None, repr=False, description="The same database as its owner, for migrations. Default: DATABASE_URL."
    )
    origin: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        pattern=r"^[^\s+\x00-\x1f]+$",  # as a key is named (C2SP signed-note)
        description="The ledger's name, part of every entry. Default: made on the first run and kept.",
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    base_url: Annotated[str, AfterValidator(_web_address)] = Field(
        default_factory=_default_base_url,
        description="Address that clients use, in links and signed URLs. Default http://host:port.",
    )
    blob_url: str = Field(
        default_factory=_default_blob_url,
        description="Where PDFs are kept: file://, s3://, gs:// or az://. Default: blobs in the data folder.",
    )
    smtp_host: str | None = Field(
        None, description="Mail server. Default: none, mails become .eml files in the data folder's outbox."
    )
    smtp_port: int = Field(587, ge=1, le=65_535, description="Port of the mail server.")
    smtp_user: str | None = Field(None, description="Account at the mail server.")
    smtp_password: str | None = Field(None, repr=False, description="Password at the mail server.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection to the mail server is protected."
    )
    mail_from: str = Field("countersign@localhost", pattern=r"@", description="Sender of invitations.")
    upload_limit_bytes: int = Field(25 * 1024 * 1024, ge=1, description="Largest PDF accepted, in bytes.")
    upload_limit_pages: int = Field(500, ge=1, description="Most pages of a PDF accepted.")
    url_lifetime_seconds: int = Field(900, ge=1, le=604_800, description="How long a signed upload or download URL works.")
    read_wait_seconds: float = Field(
        5.0, gt=0, le=60, description="How long a read waits for the projections before it answers 503."
    )
    evidence_wait_seconds: float = Field(
        5.0, ge=0, le=60, description="How long a bundle of evidence waits for a heads manifest and a checkpoint that cover it."
    )
    session_lifetime_days: int = Field(30, ge=1, description="How long a signing session may be completed.")
    checkpoint_seconds: float = Field(
        2.0, ge=0.5, le=3600, description="Within how many seconds new entries are under a signed checkpoint. Ends are at once."
    )
    heads_seconds: float = Field(
        600.0,
        ge=1,
        le=86_400,
        description="Within how many seconds new entries are under a heads manifest, which is made on demand too.",
    )
    public_log: bool = Field(
        True, description="Whether checkpoints, tiles, entries and their proofs are open to anybody, or to credentials only."
    )
    log_keys: Annotated[tuple[str, ...], BeforeValidator(_lines)] = Field(
        (),
        repr=False,
        description="Private keys that sign checkpoints, PRIVATE+KEY+..., with white space between them. "
        "Default: files in the data folder.",
    )
    witness_policy: Annotated[Path, AfterValidator(_folder)] | None = Field(
        None,
        description="C2SP tlog-policy file: the witnesses to ask for cosignatures, with their addresses, and the quorum. Default: none.",
    )
    witness_wait_seconds: float = Field(
        5.0, ge=0, le=3600, description="How long a checkpoint waits for the quorum of witnesses before it is published without."
    )
    idempotency_hours: int = Field(24, ge=1, description="How long an idempotency key is remembered.")
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_split)] = Field(
        (), description="Networks whose X-Forwarded-For is believed: 10.0.0.0/8,fd00::/8."
    )
    surface_hosts: Annotated[Mapping[str, SurfaceName], BeforeValidator(_hosts)] = Field(
        default_factory=dict, description="Surfaces by host name: sign.example.com=partner,api.example.com=sessions."
    )
    time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        "UTC",
        description="Time zone in which papers tell times beside UTC, where a request names none: an IANA name, Europe/Madrid.",
    )
    execution_lanes: int = Field(
        2,
        ge=0,
        le=64,
        description="How many completed envelopes a process with followers executes at once; 0 leaves that to other processes.",
    )
    rate_limits: RateLimits = Field(
        default_factory=lambda: dict(DEFAULTS),
        description="Requests of one credential, at once / per minute: sessions.live=100/1000,signing.user=off; or off for all. "
        "Classes and defaults: docs/operating.md.",
    )
    oidc_issuers: Annotated[tuple[OidcIssuer, ...], BeforeValidator(read_issuers), AfterValidator(distinct)] = Field(
        (),
        description='Issuers of users\' tokens, as JSON: [{"issuer": "https://login.example.com", "audience": "countersign", '
        '"tenant": "ID", "mode": "live"}]. Optional: mode (live), jwks (discovered), algorithms. See docs/operating.md.',
    )
    oidc_leeway_seconds: int = Field(
        30, ge=0, le=300, description="How far the clocks of this machine and of an issuer of tokens may differ."
    )
    tsa_certificates: Annotated[Path, AfterValidator(_folder)] | None = Field(
        None,
        description="PEM file with the root certificates of the time-stamping authority, and those between if it does not send them.",
    )
    tsa_url: Annotated[str, AfterValidator(_authority)] | None = Field(
        None, description="Time-stamping authority (RFC 3161) that stamps checkpoints. Default: none."
    )
    tsa_policy: str | None = Field(
        None, pattern=r"^\d+(\.\d+)+$", description="Policy that its tokens must be issued under, as 1.2.3.4. Default: any."
    )
    tsa_timeout_seconds: float = Field(10.0, gt=0, le=60, description="How long the time-stamping authority is waited for.")
    timestamp_seconds: int = Field(3600, ge=1, description="How often the newest checkpoint is stamped while there is news.")
    seal_pkcs12: Annotated[Path, AfterValidator(_folder)] | None = Field(
        None,
        description="PKCS#12 file with the key and certificate that seal documents. Default: one for development, made in the data folder.",
    )
    seal_pkcs12_password: str | None = Field(None, repr=False, description="Password of that file.")
    seal_pkcs11_module: Annotated[Path, AfterValidator(_folder)] | None = Field(
        None, description="PKCS#11 library of the token or module (HSM) whose key seals documents, instead of a file."
    )
    seal_pkcs11_token: str | None = Field(None, description="Label of that token.")
    seal_pkcs11_label: str | None = Field(None, description="Label of the private key in it.")
    seal_pkcs11_pin: str | None = Field(None, repr=False, description="PIN of that token.")
    seal_certificates: Annotated[Path, AfterValidator(_folder)] | None = Field(
        None,
        description="PEM file with the root certificates of the seal and those on the way to them; with a PKCS#11 key its certificate too.",
    )
    seal_revocations: Annotated[Path, AfterValidator(_folder)] | None = Field(
        None,
        description="File or folder with lists of revoked certificates (CRL; PEM or DER) of the seal's and the time stamps' issuers, "
        "read anew for each seal.",
    )
    secret_key: Key | None = Field(
        None, repr=False, description="32 random bytes in base64; signs URLs and tokens. Default: a file in the data folder."
    )
    master_key: Key | None = Field(
        None,
        repr=False,
        description="32 random bytes in base64; wraps the keys of personal data. Default: a file in the data folder.",
    )

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The settings of `environment`, else of this process; raises SettingsError naming each bad variable."""
        source = os.environ if environment is None else environment
        given = {field: source[variable(field)] for field in cls.model_fields if source.get(variable(field))}
        try:
            return cls.model_validate(given)
        except ValidationError as err:
            raise SettingsError("\n".join(_complaints(err, given))) from err


def _complaints(error: ValidationError, given: Mapping[str, str]) -> list[str]:
    complaints: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_input=False):
        field = str(fault["loc"][0])
        if field in given:  # a default computed from a bad value is not the mistake
            reason = fault["msg"].removeprefix("Value error, ")
            complaints.setdefault(field, f"{variable(field)}: {reason[:1].lower()}{reason[1:]}")
    return list(complaints.values())
