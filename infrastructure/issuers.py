"""Issuers of users' tokens as the settings name them (OpenID Connect), read from COUNTERSIGN_OIDC_ISSUERS."""

from ipaddress import ip_address
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from domain.actor import Mode
from domain.canonical import CanonicalError, parse_json
from domain.ids import IdError, parse_uuid

#: Signatures with a public key alone (RFC 7518 section 3.1, RFC 8037): `none` and the HMACs cannot be allowed.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
DEFAULT_ALGORITHMS: Final[tuple[Algorithm, ...]] = ("RS256", "ES256", "EdDSA", "PS256")

#: What the directory can hold of a user's issuer.
MAX_ISSUER_CHARACTERS: Final = 255
MAX_URL_CHARACTERS: Final = 2048
MAX_ISSUERS: Final = 100


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine, as an address or by the name `localhost` (RFC 6761 section 6.3)."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_key_url(value: str) -> bool:
    """Whether keys may be fetched from a URL: https, or http on this machine; no user, no fragment, no other characters."""
    try:
        address = urlsplit(value)
        port = address.port
    except ValueError:
        return False
    plain = value.isascii() and value.isprintable() and " " not in value and "|" not in value and len(value) <= MAX_URL_CHARACTERS
    named = bool(address.hostname) and "@" not in address.netloc and not address.fragment and port != 0
    return plain and named and (address.scheme == "https" or (address.scheme == "http" and is_loopback(value)))


def _key_url(value: str) -> str:
    if not is_key_url(value):
        raise ValueError("is not of the form https://host/path (http only for this machine)")
    return value


def _issuer_url(value: str) -> str:
    # OpenID Connect Discovery section 4.1: an issuer has neither query nor fragment.
    if "?" in _key_url(value):
        raise ValueError("is not of the form https://host/path (http only for this machine)")
    if len(value) > MAX_ISSUER_CHARACTERS:
        raise ValueError(f"has more than {MAX_ISSUER_CHARACTERS} characters")
    return value


def _tenant(value: object) -> object:
    if isinstance(value, UUID):
        return value
    try:
        return parse_uuid(value if isinstance(value, str) else "")
    except IdError as err:
        raise ValueError("is not a tenant's id; countersign tenant list shows them") from err


class OidcIssuer(BaseModel):
    """An issuer whose tokens for `audience` name users of one tenant and one mode (docs/adr/0014)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: Annotated[str, AfterValidator(_issuer_url)]
    audience: str = Field(min_length=1, max_length=255)
    tenant: UUID
    mode: Mode = Mode.LIVE
    jwks: Annotated[str, AfterValidator(_key_url)] | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = DEFAULT_ALGORITHMS


def read_issuers(value: object) -> object:
    """The issuers of a setting: a JSON list of objects. Raises ValueError that names the entry and the member."""
    if not isinstance(value, str):
        return value
    try:
        listed = parse_json(value.encode(errors="surrogatepass"))
    except CanonicalError as err:
        raise ValueError(f"is not JSON: {err}") from err
    if not isinstance(listed, list) or len(listed) > MAX_ISSUERS:
        raise ValueError(f"is not a JSON list of at most {MAX_ISSUERS} issuers")
    return tuple(_issuer(item, number) for number, item in enumerate(listed, 1))


def _issuer(item: object, number: int) -> OidcIssuer:
    if not isinstance(item, dict):
        raise ValueError(f"issuer {number} is not a JSON object")
    try:
        return OidcIssuer.model_validate(item | ({"tenant": _tenant(item["tenant"])} if "tenant" in item else {}))
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"issuer {number}, {first['loc'][0]}: {reason[:1].lower()}{reason[1:]}") from err
    except ValueError as err:
        raise ValueError(f"issuer {number}, tenant: {err}") from err


def distinct(issuers: tuple[OidcIssuer, ...]) -> tuple[OidcIssuer, ...]:
    """Raises ValueError unless each token can mean one of them: no two with the same issuer and audience."""
    seen: set[tuple[str, str]] = set()
    for number, one in enumerate(issuers, 1):
        if (one.issuer, one.audience) in seen:
            raise ValueError(f"issuer {number} repeats the issuer and the audience of one before it")
        seen.add((one.issuer, one.audience))
    return issuers
