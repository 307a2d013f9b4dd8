"""The keys that sign a ledger's checkpoints: files of the data folder, or given by a setting.

The data folder holds `log-1.key`, `log-2.key` and so on, each with mode 0600; all of them sign. Of a key that was retired
only the public half is kept, in `log-1.retired`: what it has signed is still known as this ledger's.
"""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psycopg

from domain.actor import Actor, ActorKind
from domain.entry import EntryError, decode
from domain.errors import SealingKeyUnusable
from domain.note import KeyFormatError, SignatureType, VerifierKey, parse_verifier_key
from domain.sealing import NOTHING, AddKey, KeyAdded, RetireKey, Sealing, SealingCommand, ledger_stream
from infrastructure import secrets, signing_keys
from infrastructure.database import DatabaseUrls, connect
from infrastructure.installation import InstallationError
from infrastructure.ledger import NO_ANSWER, Ledger
from infrastructure.secrets import SecretError
from infrastructure.settings import Settings, variable
from infrastructure.signing_keys import SigningKey

#: Who records the keys when a process starts.
BY: Final = Actor(ActorKind.FOLLOWER, "sealer")

_FILE: Final = re.compile(r"log-([1-9][0-9]{0,5})\.(key|retired)")


class LastKey(Exception):
    """Without this key nothing would be signed any more."""


class LogKeys:
    """The keys of one ledger. What a method answers is read anew each time, so a running process learns of a rotation."""

    def __init__(self, origin: str, folder: Path, given: Sequence[SigningKey] = ()) -> None:
        """With keys `given` by a setting, files are neither read nor written."""
        self.origin = origin
        self._folder = folder
        self._given = tuple(given)

    @property
    def in_files(self) -> bool:
        return not self._given

    def signing(self) -> tuple[SigningKey, ...]:
        """The keys that sign, the oldest first. Raises SecretError for a file that is no key of this ledger."""
        return self._given or tuple(self._own(signing_keys.load(path), path) for _, path in self._files("key"))

    def retired(self) -> tuple[VerifierKey, ...]:
        """The keys that have signed and do so no longer, as far as files tell."""
        return () if self._given else tuple(_public(path) for _, path in self._files("retired"))

    def known(self) -> tuple[VerifierKey, ...]:
        """The keys whose signatures are this ledger's."""
        return (*(each.key for each in self.signing()), *self.retired())

    def add(self) -> SigningKey:
        """Makes a new key, which signs from now on beside the others."""
        number = max((number for kind in ("key", "retired") for number, _ in self._files(kind)), default=0) + 1
        return signing_keys.load_or_create(self._folder / f"log-{number}.key", self.origin, SignatureType.ED25519)

    def retire(self, key: VerifierKey) -> None:
        """Ends a key: its private half is destroyed. Raises LastKey for the only one that signs."""
        path = next(path for _, path in self._files("key") if signing_keys.load(path).key == key)
        if len(self._files("key")) == 1:
            raise LastKey(f"{key.id.hex()} is the only key that signs")
        secrets.create(path.with_suffix(".retired"), f"{key}\n".encode())
        # Crash point: the key stands in both files, and still signs. To retire it again ends it.
        path.unlink()

    def _files(self, kind: str) -> list[tuple[int, Path]]:
        matches = ((_FILE.fullmatch(path.name), path) for path in self._folder.glob("log-*"))
        return sorted((int(match[1]), path) for match, path in matches if match is not None and match[2] == kind)

    def _own(self, key: SigningKey, path: Path) -> SigningKey:
        if (key.key.name, key.key.type) != (self.origin, SignatureType.ED25519):
            raise SecretError(f"{path} holds a key of {key.key.name}, not one of {self.origin} that signs checkpoints")
        return key


def open_log_keys(settings: Settings, urls: DatabaseUrls, origin: str) -> LogKeys:
    """The keys of an installation, with a first one made for a ledger of which nothing is signed yet. Blocking.

    Raises InstallationError when the ledger's key is missing, or cannot be used.
    """
    where = variable("log_keys")
    try:
        given = [signing_keys.from_text(text, where) for text in settings.log_keys]
        keys = LogKeys(origin, settings.data, given)
        for key in given:
            if (key.key.name, key.key.type) != (origin, SignatureType.ED25519):
                raise SecretError(f"{where} holds a key of {key.key.name}, not one of {origin} that signs checkpoints")
        if keys.signing():
            return keys
        with connect(urls.service) as connection:
            signed = connection.execute("SELECT 1 FROM checkpoints LIMIT 1").fetchone()
        if signed is not None:
            raise InstallationError(
                f"The ledger's checkpoints are signed, but the key is missing: restore {settings.data / 'log-1.key'} from a backup, or set "
                f"{where}. On several hosts set it on each that runs followers."
            )
        # By its name, and not as the next one: several processes may start at once, and one key is enough.
        signing_keys.load_or_create(settings.data / "log-1.key", origin, SignatureType.ED25519)
    except KeyFormatError as err:
        raise InstallationError(f"The ledger's name {origin!r} cannot name a key: {err}") from err
    except SecretError as err:
        raise InstallationError(str(err)) from err
    return keys


async def record_keys(ledger: Ledger, keys: LogKeys, by: Actor = BY) -> None:
    """Records in the ledger which keys sign and which were retired, as far as it does not say so already.

    Raises InstallationError for a key that would sign again after it was retired, and what `Ledger.handle` raises.
    """
    stream = ledger_stream(keys.origin)
    recorded = await ledger.state(Sealing, stream) or NOTHING
    signing = [str(each.key) for each in keys.signing()]
    commands: list[SealingCommand] = [AddKey(stream, key) for key in signing if key not in recorded.keys]
    commands += [RetireKey(stream, str(key)) for key in keys.retired() if str(key) in recorded.keys and str(key) not in signing]
    try:
        for command in commands:
            await ledger.handle(command, by, lambda outcome: NO_ANSWER)
    except SealingKeyUnusable as err:
        raise InstallationError(f"{err} Take it out of the data folder or {variable('log_keys')}") from err


def recorded_keys(conn: psycopg.Connection[Any], origin: str) -> tuple[VerifierKey, ...]:
    """The keys that the log says it was signed with, retired ones too; an entry that cannot be read names none."""
    query = "SELECT entry FROM public.log WHERE stream = %s AND type = %s"
    keys = []
    for (raw,) in conn.execute(query, [ledger_stream(origin), KeyAdded.TYPE], binary=True):
        with contextlib.suppress(EntryError, KeyFormatError):
            keys.append(parse_verifier_key(str(decode(raw).data.get("key"))))
    return tuple(keys)


def _public(path: Path) -> VerifierKey:
    try:
        return parse_verifier_key(path.read_text(encoding="utf-8").removesuffix("\n"))
    except (OSError, UnicodeDecodeError, KeyFormatError) as err:
        raise SecretError(f"{path} holds no public key: {err}") from err
