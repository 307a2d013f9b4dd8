"""The vault: disclosures, encrypted under a key of their subject (DESIGN section 5).

A subject is found by a keyed hash of what identifies it. Its key is wrapped by a key that is not in
the database. Erasing a subject destroys its key and its rows; what backups and the write-ahead log
still hold of the rows is ciphertext without a key.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.canonical import Json, canonical, parse_json
from domain.personal import SALT_BYTES, Disclosure, Personal, Subject, conceal
from infrastructure.append import SealedDisclosure
from infrastructure.database import Reads
from infrastructure.multiplexed import Statement
from infrastructure.recorder import wire
from infrastructure.secrets import Keys

NONCE_BYTES: Final = 12

#: Unwrapped subject keys kept in the process.
CACHED_KEYS: Final = 20_000


_DISCLOSED: Final = Statement(
    b"disclosed",
    b"SELECT d.stream, d.version, d.path, d.ciphertext, s.id, s.wrapped_key, s.lookup"
    b" FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS wanted(stream, version, path)"
    b" JOIN disclosures d USING (stream, version, path) JOIN subjects s ON s.id = d.subject",
)
#: Who comes second finds the first one's row; with both at once perhaps none, and looks again.
_SUBJECT_KEYS: Final = Statement(
    b"subject_keys",
    b"WITH made AS (INSERT INTO subjects (id, tenant, kind, lookup, wrapped_key)"
    b" SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::bytea[])"
    b" ON CONFLICT (tenant, kind, lookup) DO NOTHING RETURNING id, lookup, wrapped_key)"
    b" SELECT * FROM made UNION ALL SELECT id, lookup, wrapped_key FROM subjects WHERE lookup = ANY($4::bytea[])",
)


class VaultError(RuntimeError):
    """A stored disclosure cannot be opened: the key is not the one it was sealed with, or the row was altered."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a personal value stands: the entry and the path in its `personal`."""

    stream: UUID
    version: int
    path: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A disclosure read back: the value and its salt (32 bytes)."""

    value: Json
    salt: bytes


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """A subject's random id and its key (AES-256)."""

    id: UUID
    key: bytes


class Vault:
    """Seals what facts disclose, opens what readers may see, finds what is to be erased."""

    def __init__(self, pool: Reads, keys: Keys) -> None:
        self._pool = pool
        self._wrap = AESGCM(keys.wrap)
        self._lookup_key = keys.lookup
        #: By the subjects' lookups.
        self._cache: OrderedDict[bytes, SubjectKey] = OrderedDict()

    def conceal(self, value: Json, subject: Subject) -> Personal:
        """Commits to `value` under a fresh salt; the disclosure travels with it until it is sealed."""
        return conceal(value, secrets.token_bytes(SALT_BYTES), subject)

    def lookup(self, subject: Subject) -> bytes:
        """The keyed hash by which a subject is found (32 bytes)."""
        name = f"{subject.tenant}\n{subject.kind}\n{subject.key}".encode()
        return hmac.digest(self._lookup_key, name, "sha256")

    async def seal(self, disclosures: Sequence[tuple[Reference, Disclosure]]) -> tuple[SealedDisclosure, ...]:
        """Encrypts disclosures for the entries they will belong to, making subjects' keys as needed."""
        if not disclosures:
            return ()
        keys = await self._keys({disclosure.subject for _, disclosure in disclosures})
        sealed = []
        for place, disclosure in disclosures:
            key = keys[disclosure.subject]
            plain = canonical({"salt": disclosure.salt.hex(), "value": disclosure.value})
            nonce = secrets.token_bytes(NONCE_BYTES)
            ciphertext = nonce + AESGCM(key.key).encrypt(nonce, plain, _bound_to(place))
            sealed.append(SealedDisclosure(place.stream, place.version, place.path, key.id, ciphertext))
        return tuple(sealed)

    def forget(self, subjects: Iterable[Subject]) -> None:
        """Drops cached keys: they may belong to subjects that were erased meanwhile."""
        for subject in subjects:
            self._cache.pop(self.lookup(subject), None)

    async def open(self, references: Iterable[Reference]) -> Mapping[Reference, Opened]:
        """The disclosures at `references`; those that are erased or were never stored are missing.

        Raises VaultError when a stored one cannot be opened.
        """
        wanted = list(dict.fromkeys(references))
        if not wanted:
            return {}
        rows = await self._pool.fetch(
            _DISCLOSED,
            wire.uuid_array(item.stream for item in wanted),
            wire.int8_array([item.version for item in wanted]),
            wire.text_array(item.path for item in wanted),
        )
        opened = {}
        for stream, version, path, ciphertext, id, wrapped, lookup in rows:
            place, subject = Reference(wire.as_uuid(stream), wire.as_int(version), path.decode()), wire.as_uuid(id)
            held = self._cache.get(lookup)
            if held is None or held.id != subject:
                # Kept, because whoever looks at a person's data is often about to add to it.
                held = SubjectKey(subject, self._unwrap(subject, wrapped))
                self._keep(lookup, held)
            opened[place] = self._open(place, ciphertext, held.key)
        return opened

    async def open_entries(self, streams: Iterable[UUID]) -> Mapping[Reference, Opened]:
        """Every disclosure of the entries of `streams`."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT stream, version, path FROM disclosures WHERE stream = ANY(%s)", (list(streams),)
            )
            rows = await cursor.fetchall()
        return await self.open(Reference(*row) for row in rows)

    async def subject_id(self, subject: Subject) -> UUID | None:
        """The random id of a subject about which something is stored."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT id FROM subjects WHERE tenant = %s AND kind = %s AND lookup = %s",
                (subject.tenant, subject.kind, self.lookup(subject)),
            )
            row = await cursor.fetchone()
        return None if row is None else row[0]

    async def references_of(self, subject: UUID) -> tuple[Reference, ...]:
        """Where disclosures of a subject stand, in a stable order."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT stream, version, path FROM disclosures WHERE subject = %s ORDER BY stream, version, path", (subject,)
            )
            rows = await cursor.fetchall()
        return tuple(Reference(*row) for row in rows)

    async def _keys(self, subjects: set[Subject]) -> Mapping[Subject, SubjectKey]:
        lookups = {subject: self.lookup(subject) for subject in subjects}
        found = {subject: self._cache[lookup] for subject, lookup in lookups.items() if lookup in self._cache}
        # Again where an erasure came between making a key and reading it back.
        while missing := [subject for subject in subjects if subject not in found]:
            found.update(await self._fetch_or_make(missing))
        for subject, key in found.items():
            self._keep(lookups[subject], key)
        return found

    def _keep(self, lookup: bytes, key: SubjectKey) -> None:
        self._cache[lookup] = key
        self._cache.move_to_end(lookup)
        if len(self._cache) > CACHED_KEYS:
            self._cache.popitem(last=False)

    async def _fetch_or_make(self, subjects: Sequence[Subject]) -> Mapping[Subject, SubjectKey]:
        by_lookup = {self.lookup(subject): subject for subject in subjects}
        fresh = []
        for lookup, subject in by_lookup.items():
            identity, key = uuid4(), secrets.token_bytes(32)
            nonce = secrets.token_bytes(NONCE_BYTES)
            wrapped = nonce + self._wrap.encrypt(nonce, key, identity.bytes)
            fresh.append((identity, subject.tenant, subject.kind.value, lookup, wrapped))
        rows = await self._pool.fetch(
            _SUBJECT_KEYS,
            wire.uuid_array(row[0] for row in fresh),
            wire.uuid_array(row[1] for row in fresh),
            wire.text_array(row[2] for row in fresh),
            wire.bytea_array([row[3] for row in fresh]),
            wire.bytea_array([row[4] for row in fresh]),
        )
        found = {}
        for id, lookup, wrapped in rows:
            identity = wire.as_uuid(id)
            found[by_lookup[lookup]] = SubjectKey(identity, self._unwrap(identity, wrapped))
        return found

    def _unwrap(self, subject: UUID, wrapped: bytes) -> bytes:
        try:
            return self._wrap.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], subject.bytes)
        except InvalidTag as err:
            raise VaultError(
                "a subject's key does not open; is COUNTERSIGN_MASTER_KEY the one this database was made with?"
            ) from err

    def _open(self, place: Reference, ciphertext: bytes, key: bytes) -> Opened:
        try:
            plain = AESGCM(key).decrypt(ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], _bound_to(place))
        except InvalidTag as err:
            raise VaultError(f"the disclosure of {place.path} in {place.stream} version {place.version} was altered") from err
        content = parse_json(plain)
        if not isinstance(content, dict) or not isinstance(content.get("salt"), str):
            raise VaultError(f"the disclosure of {place.path} in {place.stream} version {place.version} is not one")
        return Opened(content.get("value"), bytes.fromhex(str(content["salt"])))


def _bound_to(place: Reference) -> bytes:
    """Additional data of the encryption: a row moved to another place does not open."""
    return f"{place.stream}\n{place.version}\n{place.path}".encode()
