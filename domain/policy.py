"""The verifier's policy: which logs are accepted, and which witnesses must have seen a checkpoint.

C2SP tlog-policy (https://c2sp.org/tlog-policy). Names are octets there; here they are text in which octets that are
not UTF-8 stand as lone surrogates (Python's `surrogateescape`), so that two names are equal if their octets are.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from domain.checkpoint import Checkpoint, parse_checkpoint
from domain.note import (
    KeyFormatError,
    NotSigned,
    OpenedNote,
    SignatureType,
    Verified,
    VerifierKey,
    Verify,
    open_note,
    parse_verifier_key,
)

#: Limits of our own; tlog-policy asks for at least 32 of each.
MAX_POLICY_BYTES: Final = 262_144
MAX_DEFINITIONS: Final = 256

#: The predefined name: no cosignature is needed.
NONE: Final = "none"

_THRESHOLD: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
#: tlog-policy, "Character set": 0x09, 0x0A, 0x20-0x7E, 0x80-0xFF.
_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_WORD: Final = re.compile(r"[^ \t]+")


class PolicyError(ValueError):
    """Not a policy; the message names the line and why."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log whose checkpoints are accepted. Its key's name is its origin."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness; `name` is what groups and the quorum call it."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Has witnessed what at least `threshold` of its members have, each a witness or a group defined before."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The parsed file. `quorum` names a witness or a group, or is "none".

    Groups stand in the order of their definition. To be made by `parse_policy`, which checks all of it.
    """

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str

    def has_quorum(self, cosigners: Collection[VerifierKey]) -> bool:
        """Whether these keys, which have all cosigned one checkpoint, are enough."""
        if self.quorum == NONE:
            return True
        reached = {witness.name for witness in self.witnesses if witness.key in cosigners}
        for group in self.groups:
            if sum(member in reached for member in group.members) >= group.threshold:
                reached.add(group.name)
        return self.quorum in reached


@dataclass(frozen=True, slots=True)
class Accepted:
    """A checkpoint that a log of the policy signed. Whether its witnesses are enough is `Policy.has_quorum`.

    `cosignatures` are those of the policy's witnesses, each with its time; `note` is all that was signed.
    """

    checkpoint: Checkpoint
    log: Log
    cosignatures: tuple[Verified, ...]
    note: OpenedNote

    @property
    def cosigners(self) -> frozenset[VerifierKey]:
        return frozenset(each.key for each in self.cosignatures)


def open_checkpoint(raw: bytes, policy: Policy, verify: Verify) -> Accepted:
    """The checkpoint of a signed note, which one of the policy's logs must have signed under its own name.

    Raises NotSigned if none did, SignatureInvalid if a signature in the name of one of the policy's keys is not its,
    NoteError for what is not a note, CheckpointError if the log signed what is not a checkpoint.
    """
    logs = {log.key: log for log in policy.logs}
    note = open_note(raw, [*logs, *(witness.key for witness in policy.witnesses)], verify)
    signers = [logs[each.key] for each in note.verified if each.key in logs]
    if not signers:
        raise NotSigned("no signature by a log of the policy")
    checkpoint = parse_checkpoint(note.text)
    log = next((log for log in signers if log.key.name == checkpoint.origin), None)
    if log is None:
        raise NotSigned(f"no signature by the log whose name is the origin {checkpoint.origin!r}")
    cosignatures = tuple(each for each in note.verified if each.time is not None)
    return Accepted(checkpoint, log, cosignatures, note)


def parse_policy(raw: bytes) -> Policy:
    """The policy of its file; raises PolicyError for anything that tlog-policy does not allow."""
    if len(raw) > MAX_POLICY_BYTES:
        raise PolicyError(f"{len(raw)} bytes; a policy has at most {MAX_POLICY_BYTES}")
    if forbidden := _FORBIDDEN.search(raw):
        raise PolicyError(f"the octet 0x{forbidden[0][0]:02x} is not allowed")
    reader = _Reader()
    for number, line in enumerate(raw.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = _WORD.findall(line)
        if words and not words[0].startswith("#"):
            try:
                reader.read(words)
            except (PolicyError, KeyFormatError) as err:
                raise PolicyError(f"line {number}: {err}") from err
    return reader.finish()


def format_policy(policy: Policy) -> bytes:
    """The policy as a file; raises PolicyError for one that could not be read back as it is."""
    lines = [("log", str(log.key), log.url) for log in policy.logs]
    lines += [("witness", f"{witness.name} {witness.key}", witness.url) for witness in policy.witnesses]
    text = "".join(f"{word} {rest}\n" if url is None else f"{word} {rest} {url}\n" for word, rest, url in lines)
    text += "".join(f"group {group.name} {group.threshold} {' '.join(group.members)}\n" for group in policy.groups)
    try:
        raw = f"{text}quorum {policy.quorum}\n".encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as err:
        raise PolicyError("a name or an address cannot be written as octets") from err
    if parse_policy(raw) != policy:
        raise PolicyError("a name or an address holds white space, or is no text of its own")
    return raw


class _Reader:
    """Takes the lines one by one; later lines may only name what stands before them."""

    def __init__(self) -> None:
        self._logs: list[Log] = []
        self._witnesses: list[Witness] = []
        self._groups: list[Group] = []
        self._quorum: str | None = None
        self._names: set[str] = set()
        self._grouped: set[str] = set()
        self._kinds: dict[str, Callable[[list[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._name_quorum,
        }

    def read(self, words: list[str]) -> None:
        kind = self._kinds.get(words[0])
        if kind is None:
            raise PolicyError("a line begins with log, witness, group, quorum or #")
        kind(words[1:])

    def finish(self) -> Policy:
        if self._quorum is None:
            raise PolicyError("no line with the quorum")
        return Policy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorum)

    def _log(self, words: list[str]) -> None:
        if not 1 <= len(words) <= 2:
            raise PolicyError("a log is written: log KEY [URL]")
        key = _key(words[0], SignatureType.ED25519, (log.key for log in self._logs))
        self._logs.append(Log(key, *words[1:]))
        _limit("logs", self._logs)

    def _witness(self, words: list[str]) -> None:
        if not 2 <= len(words) <= 3:
            raise PolicyError("a witness is written: witness NAME KEY [URL]")
        key = _key(words[1], SignatureType.COSIGNATURE, (witness.key for witness in self._witnesses))
        self._define(words[0])
        self._witnesses.append(Witness(words[0], key, *words[2:]))
        _limit("witnesses", self._witnesses)

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise PolicyError("a group is written: group NAME THRESHOLD MEMBER...")
        name, threshold, *members = words
        for member in members:
            if member not in self._names:
                raise PolicyError("a member is not defined on a line before")
            if member in self._grouped:
                raise PolicyError("a name is a member more than once")
            self._grouped.add(member)
        number = _threshold(threshold, len(members))
        self._define(name)
        self._groups.append(Group(name, number, tuple(members)))
        _limit("groups", self._groups)

    def _name_quorum(self, words: list[str]) -> None:
        if len(words) != 1:
            raise PolicyError("the quorum is written: quorum NAME")
        if self._quorum is not None:
            raise PolicyError("a second line with a quorum")
        if words[0] != NONE and words[0] not in self._names:
            raise PolicyError("the quorum is not defined on a line before")
        self._quorum = words[0]

    def _define(self, name: str) -> None:
        if name == NONE:
            raise PolicyError("the name none is taken")
        if name in self._names:
            raise PolicyError("a name is defined a second time")
        self._names.add(name)


def _key(text: str, type_: SignatureType, others: Iterable[VerifierKey]) -> VerifierKey:
    key = parse_verifier_key(text)
    if key.type is not type_:
        raise PolicyError(f"a key of type 0x{key.type:02x} where one of type 0x{type_:02x} is needed")
    if any(other.public == key.public for other in others):
        raise PolicyError("a public key a second time")
    return key


def _threshold(text: str, members: int) -> int:
    if text in ("all", "any"):
        return members if text == "all" else 1
    if not _THRESHOLD.fullmatch(text) or int(text) > members:
        raise PolicyError(f"the threshold is all, any or a number from 1 to {members}")
    return int(text)


def _limit(what: str, defined: list[Log] | list[Witness] | list[Group]) -> None:
    if len(defined) > MAX_DEFINITIONS:
        raise PolicyError(f"more than {MAX_DEFINITIONS} {what}")
