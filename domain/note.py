"""Signed notes: a text, and under it lines with the signatures of named keys.

C2SP signed-note (https://c2sp.org/signed-note) and, for timestamped signatures of witnesses, C2SP tlog-cosignature.
Nothing here does the cryptography: who verifies or signs is passed in (`Verify`, `Signer`).
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final, Protocol

from domain.spelling import MAX_NUMBER, SecondSpelling, SpellingError, from_base64, line_fault, to_base64

#: Limits of our own, as signed-note asks for; those of its first implementation (golang.org/x/mod/sumdb/note).
MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100

KEY_ID_BYTES: Final = 4
PUBLIC_KEY_BYTES: Final = 32
SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_TIMESTAMP_BYTES: Final = 8

_DASH: Final = "— "
_PRIVATE: Final = "PRIVATE+KEY+"
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")

#: Whether `signature` (64 bytes) is the Ed25519 signature (RFC 8032) of `message` by `public` (32 bytes).
#: Called with these three, in this order: public, message, signature.
Verify = Callable[[bytes, bytes, bytes], bool]

#: The public key (32 bytes) of an Ed25519 private key's seed (32 bytes).
PublicOf = Callable[[bytes], bytes]


class NoteError(ValueError):
    """The bytes are not a signed note, or it is not to be believed; the message says why."""


class NotSigned(NoteError):
    """A well-formed note without a signature by any of the keys that are known."""


class SignatureInvalid(NoteError):
    """A signature line names a known key, but is not that key's signature of this text."""

    def __init__(self, key: "VerifierKey") -> None:
        super().__init__(f"the signature by {key.name}+{key.id.hex()} is not valid for this text")
        self.key = key


class SignatureMisspelt(NoteError):
    """A signature line spells its bytes as base64 could, but should not.

    Other implementations read it. Here a changed last character would else go unnoticed; to be answered like a
    signature that is not valid.
    """


class KeyFormatError(NoteError):
    """Not a verifier or signer key; the message never holds the key."""


class SignatureType(IntEnum):
    """The byte that names how a key signs (signed-note, "Signature types"). Others are not supported."""

    #: Over the note's text.
    ED25519 = 0x01
    #: Over the text and a time (tlog-cosignature, "Ed25519 signed message"): what a witness gives.
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key that notes are checked with. `str(key)` is its one-line form, `name+id+base64`."""

    name: str
    type: SignatureType
    public: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public) != PUBLIC_KEY_BYTES:
            raise KeyFormatError(f"an Ed25519 public key has 32 bytes, not {len(self.public)}")

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256 over the name, a newline, the type and the public key."""
        return sha256(self.name.encode() + b"\n" + bytes((self.type,)) + self.public).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes((self.type,)) + self.public)}"


@dataclass(frozen=True, slots=True, repr=False)
class SignerKey:
    """A private key that notes are signed with: the Ed25519 seed, and the key it is verified with."""

    verifier: VerifierKey
    seed: bytes

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise KeyFormatError(f"an Ed25519 private key has 32 bytes, not {len(self.seed)}")

    def __repr__(self) -> str:
        return f"SignerKey({self.verifier})"

    def private_text(self) -> str:
        """The one-line form with the secret in it, `PRIVATE+KEY+name+id+base64`: for a key file or a setting only."""
        key = self.verifier
        return f"{_PRIVATE}{key.name}+{key.id.hex()}+{to_base64(bytes((key.type,)) + self.seed)}"


class Signer(Protocol):
    """Who signs: a public key, and the Ed25519 signature (64 bytes) of any message by its private key."""

    @property
    def key(self) -> VerifierKey: ...

    def sign(self, message: bytes) -> bytes: ...


def parse_verifier_key(text: str) -> VerifierKey:
    """The key of its one-line form; raises KeyFormatError unless `str(key)` gives `text` again."""
    name, type_, public, stated = _parse_key(text)
    key = VerifierKey(name, type_, public)
    if key.id.hex() != stated:
        raise KeyFormatError(f"the key of {name} has another id than it states")
    return key


def parse_signer_key(text: str, public_of: PublicOf) -> SignerKey:
    """The private key of its one-line form; raises KeyFormatError otherwise, without telling what the text holds."""
    if not text.startswith(_PRIVATE):
        raise KeyFormatError(f"a signer key begins with {_PRIVATE}")
    name, type_, seed, stated = _parse_key(text.removeprefix(_PRIVATE))
    if len(seed) != SEED_BYTES:
        raise KeyFormatError(f"an Ed25519 private key has 32 bytes, not {len(seed)}")
    key = SignerKey(VerifierKey(name, type_, public_of(seed)), seed)
    if key.verifier.id.hex() != stated:
        raise KeyFormatError(f"the key of {name} has another id than it states")
    return key


def _parse_key(text: str) -> tuple[str, SignatureType, bytes, str]:
    # Base64 holds "+" as well, so only the first two divide.
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise KeyFormatError("a key is written name+id+base64")
    name, stated, encoded = parts
    _check_name(name)
    if not _KEY_ID.fullmatch(stated):
        raise KeyFormatError("a key's id is eight lower-case hex digits")
    try:
        material = from_base64(encoded)
    except SpellingError as err:
        raise KeyFormatError(f"the key of {name} is {err}") from err
    if not material:
        raise KeyFormatError(f"the key of {name} is empty")
    try:
        type_ = SignatureType(material[0])
    except ValueError as err:
        raise KeyFormatError(f"the key of {name} has the unsupported type 0x{material[0]:02x}") from err
    return name, type_, material[1:], stated


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise KeyFormatError("a key's name is not empty and holds no space and no plus sign")
    if fault := line_fault(name):
        raise KeyFormatError(f"a key's name {fault}")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key's name and id (4 bytes), and what the key gave (for a cosignature with its time)."""

    name: str
    id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {to_base64(self.id + self.value)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and its signatures, none of which has been checked."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that has been checked. `time` (POSIX seconds) is what a cosignature says, else None."""

    key: VerifierKey
    signature: Signature
    time: int | None


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A text signed by at least one known key. `unknown` are the lines of other keys, which say nothing."""

    text: str
    verified: tuple[Verified, ...]
    unknown: tuple[Signature, ...]


def parse_note(raw: bytes) -> Note:
    """The note of its bytes, unchecked; raises NoteError unless `format_note` gives `raw` again."""
    if len(raw) > MAX_NOTE_BYTES:
        raise NoteError(f"{len(raw)} bytes; a note has at most {MAX_NOTE_BYTES}")
    try:
        whole = raw.decode()
    except UnicodeDecodeError as err:
        raise NoteError("the note is not UTF-8") from err
    if any(character < " " and character != "\n" for character in whole):
        raise NoteError("the note holds a control character")
    # The text may hold empty lines; the last one divides.
    body, blank, block = whole.rpartition("\n\n")
    if not blank:
        raise NoteError("no empty line between the text and the signatures")
    if not block:
        raise NoteError("no signature")
    if not block.endswith("\n"):
        raise NoteError("the last line does not end in a newline")
    lines = block[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"{len(lines)} signatures; a note has at most {MAX_SIGNATURES}")
    return Note(body + "\n", tuple(map(parse_signature, lines)))


def parse_signature(line: str) -> Signature:
    """The signature of its line, without the newline; raises NoteError unless `str(signature)` gives `line` again."""
    if not line.startswith(_DASH):
        raise NoteError("a signature line begins with an em dash and a space")
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not space:
        raise NoteError("a signature line holds a name, a space and a signature")
    _check_name(name)
    try:
        material = from_base64(encoded)
    except SecondSpelling as err:
        raise SignatureMisspelt(f"the signature by {name} is {err}") from err
    except SpellingError as err:
        raise NoteError(f"the signature by {name} is {err}") from err
    if len(material) <= KEY_ID_BYTES:
        raise NoteError(f"the signature by {name} holds nothing beyond a key id")
    return Signature(name, material[:KEY_ID_BYTES], material[KEY_ID_BYTES:])


def format_note(note: Note) -> bytes:
    """The note's bytes; raises NoteError for what could not be read back as it is."""
    try:
        raw = "".join((note.text, "\n", *(f"{signature}\n" for signature in note.signatures))).encode()
    except UnicodeEncodeError as err:
        raise NoteError("the note holds a lone surrogate, which UTF-8 cannot spell") from err
    if parse_note(raw) != note:
        raise NoteError("the text does not end in a newline")
    return raw


def open_note(raw: bytes, known: Collection[VerifierKey], verify: Verify) -> OpenedNote:
    """The text, and which known keys signed it.

    Raises NotSigned if none did, SignatureInvalid if a line names a known key and is not its signature of this text,
    NoteError for anything that is not a note. Lines of other keys are no fault (signed-note, "Signatures"). Of several
    signatures of one key, all of which must be valid, the first counts.
    """
    note = parse_note(raw)
    keys = {(key.name, key.id): key for key in known}
    verified: dict[VerifierKey, Verified] = {}
    unknown: list[Signature] = []
    for signature in note.signatures:
        key = keys.get((signature.name, signature.id))
        if key is None:
            unknown.append(signature)
        else:
            verified.setdefault(key, check_signature(note.text, signature, key, verify))
    if not verified:
        raise NotSigned("no signature by a known key")
    return OpenedNote(note.text, tuple(verified.values()), tuple(unknown))


def check_signature(text: str, signature: Signature, key: VerifierKey, verify: Verify) -> Verified:
    """Raises SignatureInvalid unless `signature` is what `key` gives for `text`, a note's text with its last newline."""
    time, value = None, signature.value
    message = text.encode()
    if key.type is SignatureType.COSIGNATURE:
        time, value = int.from_bytes(value[:_TIMESTAMP_BYTES], "big"), value[_TIMESTAMP_BYTES:]
        if time > MAX_NUMBER:
            raise SignatureInvalid(key)
        message = _cosigned(message, time)
    named = (signature.name, signature.id) == (key.name, key.id)
    if not named or len(value) != SIGNATURE_BYTES or not verify(key.public, message, value):
        raise SignatureInvalid(key)
    return Verified(key, signature, time)


def sign_text(text: str, signer: Signer) -> Signature:
    """The signature of a note's text (with its last newline); raises NoteError unless the key's type is ED25519."""
    key = signer.key
    if key.type is not SignatureType.ED25519:
        raise NoteError("this key only cosigns, with a time")
    return Signature(key.name, key.id, signer.sign(_signable(text)))


def cosign_text(text: str, signer: Signer, time: int) -> Signature:
    """The cosignature of a checkpoint's text (with its last newline) at `time` in POSIX seconds.

    Raises NoteError unless the key's type is COSIGNATURE.
    """
    key = signer.key
    if key.type is not SignatureType.COSIGNATURE:
        raise NoteError("this key signs without a time")
    if not 0 <= time <= MAX_NUMBER:
        raise NoteError(f"{time} is not a time from 0 to 2^63-1")
    message = _cosigned(_signable(text), time)
    return Signature(key.name, key.id, time.to_bytes(_TIMESTAMP_BYTES, "big") + signer.sign(message))


def _signable(text: str) -> bytes:
    """What cannot be the text of a note is never signed as one."""
    if not text.endswith("\n"):
        raise NoteError("the text does not end in a newline")
    for line in text.split("\n"):
        if fault := line_fault(line):
            raise NoteError(f"a line of the text {fault}")
    return text.encode()


def _cosigned(text: bytes, time: int) -> bytes:
    """tlog-cosignature, "Ed25519 signed message"."""
    return b"cosignature/v1\ntime %d\n%b" % (time, text)
