#!/usr/bin/env python3
"""Verifies a bundle of evidence, `countersign-evidence/1`, without a network: a second opinion beside `countersign verify`.

    python3 verify_evidence.py BUNDLE.zip --policy POLICY.txt [--tsa CERTIFICATES.pem] [--json]

POLICY.txt says whom you trust: the log's key, the witnesses, how many of them it takes (C2SP tlog-policy). CERTIFICATES.pem are those
of time-stamping authorities that you trust; without them tokens count for nothing. Take both, and this file, from elsewhere than the
bundle: whoever could write a false bundle could put a false verifier into it. Needs Python 3.11 and `cryptography` 42 or newer ones.
A check is valid, invalid, or indeterminate: nothing speaks against it, but it could not be established. The exit code is 0, 1 or 2
for the whole, in that order; 2 also if the command line is wrong.

Written from docs/evidence-format.md and docs/ledger-format.md; it shares no code with the program that makes bundles. Read it from top to
bottom: the basics, then class Verification with one method for each check, in their order. It does less than `countersign verify`: of
histories only the least rules, and not whether they break off within a decision; no receipts; of certificates no revocation, name
constraints or path lengths; of tokens only RSA (PKCS #1 v1.5) and ECDSA, with SHA-2; of PDFs their hashes, and no seals.
"""

import argparse
import json
import re
import struct
import sys
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import new, sha256
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5
from zlib import crc32

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

LARGEST, DEPTH, PATH_HASHES, CERTIFICATES = 2**53 - 1, 64, 63, 32
BUNDLE_BYTES, TEXT_BYTES, NOTE_BYTES, ENTRY_BYTES, STEP_BYTES = 2**31 - 1, 2**28, 1_000_000, 65_535, 65_536

# Forms of values, for `fits`, and of the names of members.
HASH, ID, POINTER = "[0-9a-f]{64}", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "(/([^~/]|~[01])*)*"
TIME, NUMBER, KEY_NAME = r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}\.\d{6}Z", "[1-9][0-9]{0,15}", r"[^\s+]+"
MANIFEST = {"envelope": ID, "files": dict, "format": "countersign-evidence/1", "ledger": str, "process": object}
MANIFEST |= {"withheld": [HASH]}
LINE, ROW = {"entry": str, "leaf": HASH, "position": int}, {"closed": bool, "leaf": HASH, "stream": ID, "version": int}
ENTRY = {"ledger": str, "stream": ID, "version": int, "type": str, "at": TIME, "previous": HASH}
ENTRY |= {"by": dict, "data": dict, "personal": dict}
MANIFEST_OF_HEADS = {"position": int, "root": HASH, "streams": int}
HEADS = {"position": int, "rows": [{"path": [HASH], "row": str}]}
DISCLOSED = {"path": POINTER, "position": int, "salt": HASH, "value": object}
ERASED, WITHHELD = {"erased": int, "path": POINTER, "position": int}, {"path": POINTER, "position": int, "withheld": True}
OTHERS = (
    rf"heads\.json|(checkpoints|consistency)/{NUMBER}|documents/{HASH}\.pdf|proofs/{NUMBER}\.tlog-proof|timestamps/{NUMBER}\.tst"
)

# The facts of an envelope and of a signing, and what is necessary before some of them in their stream.
WORDS = re.compile(r"\S+").findall
ENDS = WORDS("completed declined cancelled expired failed")
ENVELOPE = WORDS("created sent document-added participant-added participant-completed participant-failed deadline-extended")
STARTED = WORDS("document-viewed otp-sent otp-verified otp-failed consent-given fields-filled document-signed completed")
SIGNING = WORDS("process-created document-assigned invited invitation-resent invitation-delivered invitation-bounced started")
FIXED = WORDS("VERIFY.md checkpoint disclosures.jsonl entries.jsonl ledger.jsonl manifest.json report.html report.txt")
FIXED += ["verify_evidence.py"]
FIRST = WORDS("envelope.created signing.process-created")
LAST = WORDS("envelope.document-executed envelope.certificate-issued envelope.seal-renewed")
KNOWN = {f"envelope.{it}/1" for it in [*ENVELOPE, *ENDS]} | {f"{it}/1" for it in LAST} | {f"{it}/2" for it in [*FIRST, *LAST[:2]]}
KNOWN |= {f"signing.{it}/1" for it in [*SIGNING, *STARTED, *ENDS, "session-opened"]} | {"envelope.created/3"}
ENDINGS = {f"{kind}.{end}" for kind in ("envelope", "signing") for end in ENDS}
OUTCOMES = {"envelope.participant-completed": "completed", "envelope.participant-failed": "declined failed"}
ONCE = {"envelope.sent", "signing.invited", "signing.started"}
AFTER = {f"signing.{it}": "signing.started" for it in STARTED}
AFTER |= {"signing.started": "signing.invited", "signing.declined": "signing.invited"}


class Indeterminate(Exception):
    """Nothing speaks against it, but it could not be established."""


def need(holds: object, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def hashed(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


# Canonical JSON (RFC 8785)


def read_json(raw: bytes, fraction: type[str | float] = str) -> Any:
    """The value of which these bytes are the one spelling. Any number but an integer up to 2^53-1 is refused, unless read as float."""

    def whole(number: str) -> int | str | float:
        return int(number) if abs(int(number)) <= LARGEST else fraction(number)

    value = json.loads(raw.decode(), parse_float=fraction, parse_int=whole, parse_constant=str)
    need(spell(value).encode() == raw, "JSON in another than its canonical form")
    return value


def spell(value: Any, depth: int = 1) -> str:
    need(depth <= DEPTH or not isinstance(value, dict | list), f"a value that is nested deeper than {DEPTH} levels")
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{spell(name)}:{spell(member, depth + 1)}" for name, member in ordered) + "}"
    if isinstance(value, list):
        return "[" + ",".join(spell(member, depth + 1) for member in value) + "]"
    if not isinstance(value, float):
        return json.dumps(value, ensure_ascii=False)
    if 1e-6 <= abs(value) < 1e21:  # ECMAScript has the digits that Python finds, with or without an exponent
        return format(Decimal(repr(value)).normalize(), "f")
    return re.sub("e([+-])0", r"e\1", repr(value)) if value else "0"


def fits(value: Any, form: Any) -> bool:
    """A form is an object's members, a list of one form, a pattern, int for 1 to 2^53-1, another type, or True itself."""
    if isinstance(form, dict):
        return isinstance(value, dict) and value.keys() == form.keys() and all(fits(value[name], form[name]) for name in form)
    if isinstance(form, list):
        return isinstance(value, list) and all(fits(member, form[0]) for member in value)
    if isinstance(form, str):
        return isinstance(value, str) and re.fullmatch(form, value, re.DOTALL | re.ASCII) is not None
    if form is int:
        return type(value) is int and 1 <= value <= LARGEST
    return value is True if form is True else isinstance(value, form)


def read_lines(raw: bytes, *forms: Any, fraction: type[str | float] = str) -> list[Any]:
    """The values of a .jsonl file, each of one of the forms; a .json file is one line."""
    *lines, rest = raw.split(b"\n")
    values = [read_json(line, fraction) for line in lines]
    need(not rest and all(any(fits(value, form) for form in forms) for value in values), "a line of another form")
    return values


# Keys, signed notes, checkpoints, policies (C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy)

LOG, WITNESS = 1, 4  # kinds of signatures: Ed25519 of the text, Ed25519 of a cosignature/v1
KeyId = tuple[str, bytes]


def read_base64(text: str) -> bytes:
    raw = b64decode(text, validate=True)
    need(b64encode(raw).decode() == text, "base64 in another than its one spelling")
    return raw


def read_key(text: str, kind: int) -> tuple[KeyId, bytes]:
    """Its name and id, and its kind with the public key."""
    [(name, id, encoded)] = re.findall(rf"\A({KEY_NAME})\+([0-9a-f]{{8}})\+(\S+)\Z", text)
    key = read_base64(encoded)
    need(key[0] == kind and len(key) == 33, f"the key of {name} is not an Ed25519 key of kind {kind}")
    need(hashed(name.encode(), b"\n", key)[:4].hex() == id, f"the key of {name} has the id of another")
    return (name, bytes.fromhex(id)), key


class Checkpoint:
    def __init__(self, raw: bytes) -> None:
        note = raw.decode()
        text, _, signatures = note.removesuffix("\n").rpartition("\n\n")
        lines = [re.findall(rf"\A— ({KEY_NAME}) (\S+)\Z", line) for line in signatures.split("\n")]
        self.signatures = [(name, read_base64(encoded)) for line in lines for name, encoded in line]
        need(note.endswith("\n") and len(raw) <= 1_000_000 and len(lines) <= 100, "no signed note")
        need(all(lines) and all(len(it) > 4 for _, it in self.signatures), "a signed note with other lines than signatures")
        self.origin, size, root, *extensions = text.split("\n")
        need(self.origin and all(extensions) and not re.search(r"[\x00-\x09\x0b-\x1f]", note), "no checkpoint")
        self.text, self.size, self.root = f"{text}\n".encode(), int(size), read_base64(root)
        need(fits(size, f"0|{NUMBER}") and self.size <= LARGEST and len(self.root) == 32, "no checkpoint")

    def signers(self, keys: dict[KeyId, bytes]) -> set[KeyId]:
        """Which of these keys signed. What says to be a signature of one of them must be; those of others say nothing."""
        found = {(name, blob[:4]) for name, blob in self.signatures} & keys.keys()
        for name, blob in ((name, blob) for name, blob in self.signatures if (name, blob[:4]) in found):
            key, time, signature, message = keys[name, blob[:4]], b"", blob[4:], self.text
            if key[0] == WITNESS:
                time, signature = blob[4:12], blob[12:]
                message = b"cosignature/v1\ntime %d\n%b" % (int.from_bytes(time), message)
            try:
                ed25519.Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature, message)
            except InvalidSignature:
                raise ValueError(f"the signature of {name} under size {self.size} fails") from None
            need(time < b"\x80", f"the cosignature of {name} is of an impossible time")
        return found


class Policy:
    def __init__(self, raw: bytes) -> None:
        self.keys, self.names, self.groups = dict[KeyId, bytes](), dict[str, KeyId](), dict[str, tuple[int, list[str]]]()
        free, taken, quorums, publics = set[str](), {"none"}, list[str](), list[bytes]()
        need(not re.search(rb"[^\t\n\x20-\x7e\x80-\xff]", raw), "a control character")
        for words in (re.findall(r"[^ \t]+", line) for line in raw.decode("utf-8", "surrogateescape").split("\n")):
            match words:
                case ["log", text] | ["log", text, _] | ["witness", _, text] | ["witness", _, text, _]:
                    id, key = read_key(text, LOG if words[0] == "log" else WITNESS)
                    self.keys[id] = key
                    publics.append(key)
                    self.names |= {words[1]: id} if words[0] == "witness" else {}
                case ["group", name, least, *members]:
                    need(free.issuperset(members), f"group {name} has a member that is unknown, or in another group")
                    least = {"any": "1", "all": str(len(members))}.get(least, least)
                    possible = fits(least, NUMBER) and int(least) <= len(members) == len({*members})
                    need(possible, f"group {name} has no such threshold")
                    self.groups[name] = int(least), members
                    free -= {*members}
                case ["quorum", name]:
                    need(name in taken, f"the quorum {name} is not defined")
                    quorums.append(name)
                case _:
                    need(not words or words[0].startswith("#"), f"a line that begins with {words[:1]}")
            if words[:1] in (["witness"], ["group"]):
                need(words[1] not in taken, f"the name {words[1]} is taken")
                taken.add(words[1])
                free.add(words[1])
        need(len({*publics}) == len(publics), "a key twice")
        [self.quorum] = quorums

    def is_met(self, signers: set[KeyId]) -> bool:
        met = {"none"} | {name for name, id in self.names.items() if id in signers}
        for group, (least, members) in self.groups.items():  # each stands after its members
            met |= {group} if len(met.intersection(members)) >= least else set()
        return self.quorum in met


# The tree (RFC 9162 section 2.1), its proofs (C2SP tlog-proof, tlog-witness), and the map of heads


def root_by(path: list[bytes], leaf: bytes, index: int, size: int) -> bytes:
    """The root that a path leads to. The last hash of the path is beside the half of the tree that the leaf is in, and so on down."""
    need(index < size, "a position beyond the tree")
    if size == 1:
        need(not path, "a path that does not end")
        return leaf
    half = 1 << (size - 1).bit_length() - 1
    if index < half:
        return hashed(b"\1", root_by(path[:-1], leaf, index, half), path[-1])
    return hashed(b"\1", path[-1], root_by(path[:-1], leaf, index - half, size - half))


def roots_by(path: list[bytes], old: int, size: int, known: bytes | None) -> tuple[bytes, bytes]:
    """The roots at `old` and at `size` that a path leads to; the former is known as long as the part looked at begins on the left."""
    if old == size:
        need(len(path) == (known is None), "a path that does not end")
        return known or path[0], known or path[0]
    half = 1 << (size - 1).bit_length() - 1
    if old <= half:
        before, after = roots_by(path[:-1], old, half, known)
        return before, hashed(b"\1", after, path[-1])
    before, after = roots_by(path[:-1], old - half, size - half, None)
    return hashed(b"\1", path[-1], before), hashed(b"\1", path[-1], after)


def read_path(raw: bytes, head: str, checkpoint: bytes) -> list[bytes]:
    """The hashes between a head and the checkpoint."""
    body, end = raw.removeprefix(head.encode()), b"\n" + checkpoint
    need(len(body) < len(raw) and body.endswith(end), f"a proof that is not from {head.split()} to the checkpoint")
    *lines, rest = body.removesuffix(end).decode().split("\n")
    path = [read_base64(line) for line in lines]
    need(not rest and len(path) <= PATH_HASHES and all(len(it) == 32 for it in path), "a proof that is no list of hashes")
    return path


def root_of_heads(path: list[str], row: str, stream: str) -> bytes:
    key, found = int.from_bytes(hashed(bytes.fromhex(stream.replace("-", "")))), hashed(b"\0", row.encode())
    for depth, beside in zip(range(len(path), 0, -1), map(bytes.fromhex, path), strict=True):
        found = hashed(b"\1", beside, found) if key >> 256 - depth & 1 else hashed(b"\1", found, beside)
    return found


# Tokens (RFC 3161, RFC 5816) in CMS (RFC 5652), spelled in DER (X.690)

INTEGER, OCTETS, OID, MOMENT, SEQUENCE, SET, TAGGED = 0x02, 0x04, 0x06, 0x18, 0x30, 0x31, 0xA0
PKCS, SHA2, ECDSA = map(bytes.fromhex, ("2a864886f70d01", "6086480165030402", "2a8648ce3d0403"))
SIGNED_DATA, CONTENT_TYPE, DIGEST, TST_INFO = PKCS + b"\7\2", PKCS + b"\x09\3", PKCS + b"\x09\4", PKCS + b"\x09\x10\1\4"
SIGNER, SIGNER_V2, RSA = PKCS + b"\x09\x10\2\x0c", PKCS + b"\x09\x10\2\x2f", PKCS + b"\1\1"
HASHES = {SHA2 + bytes([it]): kind for it, kind in enumerate((hashes.SHA256(), hashes.SHA384(), hashes.SHA512()), 1)}
SIGNED_WITH = {
    prefix + bytes([it + first]): SHA2 + bytes([it]) for prefix, first in ((ECDSA, 1), (PKCS + b"\1", 10)) for it in (1, 2, 3)
}


class Der(NamedTuple):
    tag: int
    content: bytes
    raw: bytes = b""

    def parts(self, *tags: int) -> list["Der"]:
        """The elements in this one, the first of them with these tags."""
        found, raw, at = list[Der](), self.content, 0
        while at < len(raw):
            length, start = raw[at + 1], at + 2
            if length > 0x7F:
                start += length & 0x7F
                length = int.from_bytes(raw[at + 2 : start])
                need(start - at <= 6 and length > 0x7F and raw[at + 2], "a length in another than its one spelling")
            end = start + length
            need(raw[at] & 0x1F < 0x1F and end <= len(raw), "an element that is cut off")
            found.append(Der(raw[at], raw[start:end], raw[at:end]))
            at = end
        need([it.tag for it in found[: len(tags)]] == [*tags], "an element of another kind")
        return found


def stamped_at(token: bytes, text: bytes, anchors: list[x509.Certificate]) -> datetime:
    """The time of a token over a checkpoint's text."""
    kind, wrapped = Der(0, token).parts(SEQUENCE)[0].parts(OID, TAGGED)
    [data] = wrapped.parts(SEQUENCE)
    version, digests, content, packed, *_, signers = data.parts(INTEGER, SET, SEQUENCE, TAGGED)
    content_kind, wrapped = content.parts(OID, TAGGED)
    [octets], [signer] = wrapped.parts(OCTETS), signers.parts(SEQUENCE)
    _, _, imprint, _, time, *_ = Der(0, octets.content).parts(SEQUENCE)[0].parts(INTEGER, OID, SEQUENCE, INTEGER, MOMENT)
    need((kind.content, content_kind.content, signers.tag) == (SIGNED_DATA, TST_INFO, SET), "no TimeStampToken with one signer")
    algorithm, digest = imprint.parts(SEQUENCE, OCTETS)
    need(algorithm.parts(OID)[0].content == SHA2 + b"\1" and digest.content == hashed(text), "it is over something else")

    number, who, algorithm, signed, method, signature, *_ = signer.parts(INTEGER, SEQUENCE, SEQUENCE, TAGGED, SEQUENCE, OCTETS)
    need((version.content, number.content) == (b"\3", b"\1"), "a token of another version")
    pairs = [attribute.parts(OID, SET) for attribute in signed.parts()]
    attributes = {name.content: values.parts() for name, values in pairs}
    need(len(attributes) == len(pairs) and all(len(values) == 1 for values in attributes.values()), "a signed attribute twice")
    digested, method_kind = algorithm.parts(OID)[0].content, method.parts(OID)[0].content
    need(SIGNED_WITH.get(method_kind, digested) == digested and method_kind in {*SIGNED_WITH, RSA}, "signed in another way")
    listed = {it.parts(OID)[0].content for it in digests.parts() if it.tag == SEQUENCE}
    need(digested in listed, "a digest that the token does not list")
    hash_of = HASHES[digested]
    content_digest = new(hash_of.name, octets.content).digest()
    need(attributes[CONTENT_TYPE][0].content == TST_INFO, "signed is something else")
    need(attributes[DIGEST][0].content == content_digest, "signed is another content")

    [named] = attributes.get(SIGNER_V2) or attributes[SIGNER]
    names = named.parts(SEQUENCE)[0].parts(SEQUENCE)[0].parts()
    by = "sha256" if SIGNER_V2 in attributes else "sha1"
    if SIGNER_V2 in attributes and names[0].tag == SEQUENCE:
        by = HASHES[names.pop(0).parts(OID)[0].content].name
    [found] = [it.raw for it in packed.parts() if new(by, it.raw).digest() == names[0].content]
    given = [x509.load_der_x509_certificate(it.raw) for it in packed.parts()[:CERTIFICATES] if it.tag == SEQUENCE]
    certificate = x509.load_der_x509_certificate(found)
    fields = Der(0, found).parts(SEQUENCE)[0].parts(SEQUENCE)[0].parts(TAGGED)
    need(who.content == fields[3].raw + fields[1].raw, "the certificate named is not the signer's")
    key, message = certificate.public_key(), bytes([SET]) + signed.raw[1:]
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature.content, message, ec.ECDSA(hash_of))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature.content, message, padding.PKCS1v15(), hash_of)
    else:
        raise ValueError("a key that is neither RSA nor ECDSA")
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    alone = [it.dotted_string for it in usage.value] == ["1.3.6.1.5.5.7.3.8"]
    need(usage.critical and alone, "a signer whose certificate is not for time stamps alone")
    need(re.fullmatch(rb"\d{14}(\.\d*[1-9])?Z", time.content), "a time in another than its one spelling")
    moment = datetime.strptime(f"{time.content[:14].decode()}+0000", "%Y%m%d%H%M%S%z")
    reached = [certificate]
    for it in reached:  # grows by those that issued one reached
        reached += [issuer for issuer in (*given, *anchors) if issuer not in reached and issued(it, issuer, moment)]
    need({*anchors}.intersection(reached) and is_current(certificate, moment), "no chain of valid certificates to a given one")
    return moment + timedelta(microseconds=int(time.content[15:-1].ljust(6, b"0")[:6]))


def is_current(certificate: x509.Certificate, moment: datetime) -> bool:
    return certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc


def issued(certificate: x509.Certificate, issuer: x509.Certificate, moment: datetime) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca and is_current(issuer, moment)
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False


# The archive


def read_archive(raw: bytes) -> dict[str, memoryview]:
    """The members. An archive that is not spelled as it must be is refused."""
    members, central, at, last, left = dict[str, memoryview](), bytearray(), 0, "", TEXT_BYTES
    while raw.startswith(b"PK\3\4", at):
        size, name_size = struct.unpack_from("<IH", raw, at + 22)
        start = at + 30 + name_size
        name, content = raw[at + 30 : start].decode("ascii"), memoryview(raw)[start : start + size]
        left -= 0 if name.startswith("documents/") else size
        fields = struct.pack("<5H3I2H", 20, 0, 0, 0, 0x21, crc32(content), size, size, name_size, 0)
        need(raw[at + 4 : at + 30] == fields and len(content) == size and name > last, f"{name} is not stored as it must be")
        need(left >= 0 and len(members) < 65_535, "more than a bundle may have")
        central += b"PK\1\2\x14\3" + fields + struct.pack("<3H2I", 0, 0, 0, 0x81A40000, at) + name.encode()
        members[name], at, last = content, start + size, name
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, len(members), len(members), len(central), at, 0)
    need(raw[at:] == central + end, "the archive's directory is not that of its members")
    return members


def read_file(path: Path | None, limit: int) -> bytes:
    need(path and path.stat().st_size <= limit, f"none given, or one of more than {limit} bytes")
    return path.read_bytes() if path else b""


def read_entry(line: dict[str, Any]) -> dict[str, Any]:
    """The line with the entry's hash and, if its bytes are an entry, what it says."""
    raw = line["entry"].encode()
    entry = {"position": line["position"], "leaf": line["leaf"], "hash": hashed(b"\0", raw).hex()}
    try:
        said = read_json(raw)
        need(len(raw) <= ENTRY_BYTES and fits(said, ENTRY) and datetime.fromisoformat(said["at"]), "no entry")
        need(all(fits(path, POINTER) and fits(it, HASH) for path, it in said["personal"].items()), "no entry")
    except (ValueError, RecursionError):
        return entry
    return {**entry, **said, "kind": said["type"].split("/")[0]}


def texts_at(value: Any, *names: str) -> set[str]:
    """The texts to which names of members lead, through each item of a list; what has another form has none."""
    if isinstance(value, list):
        return {text for item in value for text in texts_at(item, *names)}
    if names:
        return texts_at(value.get(names[0]), *names[1:]) if isinstance(value, dict) else set()
    return {value} if isinstance(value, str) else set()


def named(facts: list[dict[str, Any]], *paths: str) -> set[str]:
    """The texts that facts have: each path is a kind of fact, and names of members."""
    wanted = [path.split() for path in paths]
    return {text for fact in facts for kind, *names in wanted if fact["kind"] == kind for text in texts_at(fact["data"], *names)}


class Verification:
    """One method for each check: it answers what was found, or raises why the check is not valid."""

    def __init__(self, bundle: Path, policy: Path | None, tsa: Path | None) -> None:
        self.bundle, self.policy, self.tsa = bundle, policy, tsa
        self.findings: list[dict[str, Any]] = []

    def run(self) -> str:
        """The verdict of the whole; `findings` has those of the checks."""
        for name, check in [it for it in vars(Verification).items() if it[0].startswith("check_")]:
            try:
                if any(finding["verdict"] != "valid" for finding in self.findings[:3]):
                    raise Indeterminate("not reached")
                verdict, reason = "valid", check(self)
            except Indeterminate as why:
                verdict, reason = "indeterminate", str(why)
            except Exception as why:  # noqa: BLE001 - whatever breaks on bytes that somebody sent makes them no evidence
                verdict, reason = "invalid", str(why) if type(why) is ValueError else f"{type(why).__name__}: {why}"
            counts = name != "check_time" or self.tsa is not None
            reason = "".join(it if it.isprintable() else "?" for it in reason)
            self.findings.append({"check": name[6:], "verdict": verdict, "reason": reason, "counts": counts})
        found = {finding["verdict"] for finding in self.findings if finding["counts"]}
        return next(verdict for verdict in ("invalid", "indeterminate", "valid") if verdict in found)

    def check_parse(self) -> str:
        members = read_archive(read_file(self.bundle, BUNDLE_BYTES))
        hashes_ = {name: sha256(content).hexdigest() for name, content in members.items()}
        need({*FIXED} <= {*members} and all(fits(it, OTHERS) for it in {*members} - {*FIXED}), "a member is missing or unknown")
        [manifest] = read_lines(bytes(members["manifest.json"]), MANIFEST)
        listed = {it: hash for it, hash in hashes_.items() if it != "manifest.json"}
        need(manifest["files"] == listed, "another hash than the manifest's")
        self.ledger, self.envelope, self.process = manifest["ledger"], manifest["envelope"], manifest["process"]
        need(self.process is None or (fits(self.process, ID) and self.process != self.envelope), "no id of a process")
        self.documents = {it[10:-4]: (hash, members[it]) for it, hash in hashes_.items() if it.startswith("documents/")}
        self.withheld = manifest["withheld"]
        need(self.withheld == sorted({*self.withheld} - {*self.documents}), "withheld documents out of order, or there")

        def numbered(folder: str) -> dict[int, bytes]:
            return {int(re.findall("[0-9]+", it)[0]): bytes(raw) for it, raw in members.items() if it.startswith(folder)}

        def sorted_lines(name: str, *forms: Any, fraction: type[str | float] = str) -> list[Any]:
            lines = read_lines(bytes(members[name]), *forms, fraction=fraction)
            places = [(it["position"], it.get("path", "").encode()) for it in lines]
            need(all(before < after for before, after in pairwise(places)), f"{name} is out of order, or has a line twice")
            return lines

        self.entries, self.others = ([*map(read_entry, sorted_lines(it, LINE))] for it in ("entries.jsonl", "ledger.jsonl"))
        self.disclosures = sorted_lines("disclosures.jsonl", DISCLOSED, ERASED, WITHHELD, fraction=float)
        self.heads = sorted_lines("heads.json", HEADS) if "heads.json" in members else []
        self.rows = [(*read_lines(it["row"].encode() + b"\n", ROW), it) for heads in self.heads for it in heads["rows"]]
        streams = [row["stream"] for row, _ in self.rows]
        need(streams == sorted({*streams}) and all(len(it["path"]) <= 256 for _, it in self.rows), "heads.json is out of order")
        needed = {it["erased"] for it in self.disclosures if "erased" in it} | {it["position"] for it in self.heads}
        need({it["position"] for it in self.others} == needed, "ledger.jsonl has not just the entries that are needed")

        raw = bytes(members["checkpoint"])
        self.checkpoint, self.tokens, steps, proofs = Checkpoint(raw), *map(numbered, ("timestamps/", "consistency/", "proofs/"))
        self.earlier = {size: Checkpoint(note) for size, note in numbered("checkpoints/").items()}
        self.steps = {size: read_path(it, f"old {size}\n", raw) for size, it in steps.items()}
        self.paths = {it: read_path(proof, f"c2sp.org/tlog-proof@v1\nindex {it - 1}\n", raw) for it, proof in proofs.items()}
        need(self.steps.keys() == self.earlier.keys() and max(steps, default=-1) < self.checkpoint.size, "sizes that do not fit")
        need({*self.tokens} <= {*steps, self.checkpoint.size}, "a token over no checkpoint")
        need(all(len(it) <= STEP_BYTES for it in steps.values()), "a proof of consistency that is too long")
        positions = [it["position"] for it in (*self.entries, *self.others)]
        need(self.entries and sorted(positions) == sorted(self.paths), "there is not one proof for each entry")

        self.facts, self.streams = [it for it in self.entries if "kind" in it], defaultdict[str, list[dict[str, Any]]](list)
        for fact in self.facts:
            self.streams[fact["stream"]].append(fact)
        return f"{len(members)} members"

    def check_policy(self) -> str:
        self.trust = Policy(read_file(self.policy, NOTE_BYTES))
        self.logs = {id for id, key in self.trust.keys.items() if key[0] == LOG and id[0] == self.ledger}
        need(self.logs, f"it has no log {self.ledger}")
        return f"it has the log {self.ledger}"

    def check_checkpoint(self) -> str:
        self.witnessed = 0
        for size, it in [*self.earlier.items(), (self.checkpoint.size, self.checkpoint)]:
            signers = it.signers(self.trust.keys)
            need(it.origin == self.ledger and it.size == size, f"the checkpoint of size {size} is of another log or size")
            need(signers & self.logs, f"the checkpoint of size {size} is not signed by the log")
            self.witnessed = max(self.witnessed, size if self.trust.is_met(signers) else 0)
        for size, it in self.earlier.items():
            roots = roots_by(self.steps[size], size, self.checkpoint.size, it.root)
            need(roots == (it.root, self.checkpoint.root), f"it does not continue that of size {size}")
        return f"size {self.checkpoint.size}, and {len(self.earlier)} before"

    def check_quorum(self) -> str:
        if self.witnessed < max(self.paths) and self.trust.quorum != "none":
            raise Indeterminate(f"entries after position {self.witnessed} are not witnessed")
        return f"what the policy asks for, at size {self.witnessed}"

    def check_time(self) -> str:
        if self.tsa is None:
            raise Indeterminate("no certificates of time-stamping authorities were given")
        anchors = x509.load_pem_x509_certificates(read_file(self.tsa, NOTE_BYTES))
        texts = {self.checkpoint.size: self.checkpoint.text} | {size: it.text for size, it in self.earlier.items()}
        moments = {size: stamped_at(token, texts[size], anchors) for size, token in self.tokens.items()}
        for size, moment in moments.items():
            covered = bisect_right(self.facts, size, key=itemgetter("position"))
            newest = datetime.fromisoformat(self.facts[covered - 1]["at"]) if covered else moment
            need(newest - moment <= timedelta(seconds=300), f"the token of size {size} is earlier than what it is over")
        times = [moment for size, moment in moments.items() if size >= self.entries[-1]["position"]]
        if not times:
            raise Indeterminate(f"no token is over entries after position {max(moments, default=0)}")
        return f"all entries existed at {min(times).isoformat()}"

    def check_inclusion(self) -> str:
        for entry in (*self.entries, *self.others):
            position, leaf = entry["position"], entry["hash"]
            need(leaf == entry["leaf"], f"the entry at {position} has another hash than its line says")
            root = root_by(self.paths[position], bytes.fromhex(leaf), position - 1, self.checkpoint.size)
            need(root == self.checkpoint.root, f"the entry at {position} is not in the tree")
        return f"{len(self.paths)} entries"

    def check_chain(self) -> str:
        for entry in (*self.entries, *self.others):
            need(entry.get("ledger") == self.ledger, f"what stands at {entry['position']} is no entry of this ledger")
        expected = {self.envelope, self.process or self.envelope}
        need(expected <= self.streams.keys(), "no entry of the envelope or of the process")
        need(self.streams.keys() <= expected | (set() if self.process else self.participants()), "a stream of something else")
        for its in self.streams.values():
            for number, fact in enumerate(its):
                previous = its[number - 1]["hash"] if number else "0" * 64
                continues = (fact["version"], fact["previous"]) == (number + 1, previous)
                need(continues, f"the entry at {fact['position']} does not continue its stream")
        for before, after in pairwise(self.facts):
            need(before["at"] <= after["at"], f"the entry at {after['position']} is earlier than the one before")
        return f"{len(self.streams)} streams"

    def participants(self) -> set[str]:
        paths = "envelope.created participants participant", "envelope.participant-added slot participant"
        return named(self.streams.get(self.envelope, []), *paths)

    def check_completeness(self) -> str:
        need(self.process or self.participants() <= self.streams.keys(), "a participant has no stream")
        if not self.heads:
            raise Indeterminate("no heads manifest")
        [entry] = [it for it in self.others if it["position"] == self.heads[0]["position"]]
        own, until = str(uuid5(NAMESPACE_URL, f"countersign:{self.ledger}")), entry["data"]["position"]
        need((entry["type"], entry["stream"]) == ("ledger.heads-recorded/1", own), "the manifest's entry is none")
        recorded = fits(entry["data"], MANIFEST_OF_HEADS) and until < entry["position"]
        need(recorded, "the manifest's entry is none, or of later entries")
        for row, proof in self.rows:
            root = root_of_heads(proof["path"], proof["row"], row["stream"])
            need(root.hex() == entry["data"]["root"], f"the row of {row['stream']} is not in the manifest")
            its = [it for it in self.streams.get(row["stream"], []) if it["position"] <= until]
            need(its, f"{row['stream']} has no entry up to the manifest")
            end = its[-1]["version"], its[-1]["hash"], any(it["kind"] in ENDINGS for it in its)
            need((row["version"], row["leaf"], row["closed"]) == end, f"{row['stream']} does not end as the manifest says")
        late = {stream for stream, its in self.streams.items() if its[0]["position"] > until}
        need(self.streams.keys() - late == {row["stream"] for row, _ in self.rows}, "a stream is not in the manifest")
        if self.facts[-1]["position"] > until:
            raise Indeterminate(f"complete up to position {until}; later entries are here")
        return f"complete up to position {until}"

    def check_history(self) -> str:
        if any(finding["verdict"] != "valid" for finding in self.findings if finding["check"] == "chain"):
            raise Indeterminate("the chain does not hold")
        seen, owed = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        papers, files = dict[str, str](), dict[str | None, str]()
        for fact in self.facts:
            stream, kind, data = fact["stream"], fact["kind"], fact["data"]
            before, where = seen[stream], f"{kind} at {fact['position']}"
            if fact["type"] not in KNOWN:
                raise Indeterminate(f"{where}: the type {fact['type']} is not known here, so nothing from there on is judged")
            need(kind.startswith("envelope.") == (stream == self.envelope), f"{where} is in another stream")
            need((kind in FIRST) == (fact["version"] == 1), f"{where} begins a stream, or does not")
            need(not before & ENDINGS or ("envelope.completed" in before and kind in LAST), f"{where} comes after the end")
            need(kind not in ONCE or kind not in before, f"{where} comes twice")
            need(kind not in AFTER or AFTER[kind] in before, f"{where} comes before {AFTER.get(kind)}")
            if kind == "envelope.created":
                papers |= {it["id"]: it["sha256"] for it in data["documents"]}
            elif kind == "envelope.document-added":
                papers[data["document"]["id"]] = data["document"]["sha256"]
            elif kind == "signing.process-created":
                need(data["envelope"] == self.envelope, f"{where} is of another envelope")
                owed[stream] = {it["id"] for it in data["documents"]}
            elif kind == "signing.document-assigned":
                owed[stream].add(data["document"]["id"])
            elif kind in {"signing.invited", *OUTCOMES}:
                need("envelope.sent" in seen[self.envelope], f"{where} comes before envelope.sent")
            elif kind == "signing.document-signed":
                need(papers.get(data["document"]) == data["sha256"], f"{where} is of no document of the envelope")
                need(data["document"] not in before, f"{where} is of a document that was signed")
                before.add(data["document"])
            elif kind == "signing.completed":
                need(owed[stream] <= before, f"{where} comes before all is signed")
            elif kind == "envelope.completed":
                need(self.participants() <= before, f"{where} comes before every participant has")
            elif kind in LAST:
                need(files.get(data.get("document")) == data.get("previous_sha256"), f"{where} is of another file than the last")
                files[data.get("document")] = data["sha256"]
            if kind in OUTCOMES:
                who, ends = data["participant"], {f"signing.{it}" for it in WORDS(OUTCOMES[kind])}
                need(who not in self.streams or ends & seen[who], f"{where} comes before the signing's end")
                before.add(who)
            before.add(kind)
        return "the least rules hold"

    def check_disclosures(self) -> str:
        facts = {fact["position"]: fact for fact in self.facts}
        owed = {(position, path): it for position, fact in facts.items() for path, it in fact["personal"].items()}
        erasures = [it for it in self.others if it.get("type") == "personal.erased/1"]
        erased = {(it["position"], entry["stream"], entry["version"]) for it in erasures for entry in it["data"]["entries"]}
        for line in self.disclosures:
            where = f"{line['path']} at {line['position']}"
            commitment = owed.pop((line["position"], line["path"]), None)
            need(commitment, f"there is no commitment {where}")
            if "value" in line:
                value = bytes.fromhex(line["salt"]) + spell(line["value"]).encode()
                need(hashed(b"countersign/personal/v1\n", value).hex() == commitment, f"{where} is not what was committed to")
            elif "erased" in line:
                fact = facts[line["position"]]
                need((line["erased"], fact["stream"], fact["version"]) in erased, f"{where} was not erased")
        if owed:
            raise Indeterminate(f"{len(owed)} commitments have no line")
        withheld = [f"{it['path']} at {it['position']}" for it in self.disclosures if "withheld" in it]
        return f"{len(self.disclosures)} values, {len(withheld)} of them withheld: {', '.join(withheld) or 'none'}"

    def check_files(self) -> str:
        originals = named(self.facts, "envelope.created documents sha256", "envelope.document-added document sha256")
        papers = originals | named(self.facts, *(f"{kind} sha256" for kind in LAST))
        need(all(name == hash for name, (hash, _) in self.documents.items()), "a document is not the one of its name")
        need({*self.documents, *self.withheld} <= papers, "a document that no fact names")
        for name, begins in self.beginnings().items():
            digest, at, content = sha256(), 0, self.documents[name][1]
            for size, hash in sorted(begins):
                digest.update(content[at:size])
                need(size <= len(content) and digest.hexdigest() == hash, f"{name} does not begin as a fact says")
                at = size
        needed = papers - named(self.facts, "envelope.seal-renewed previous_sha256") | originals
        if missing := needed - {*self.documents, *self.withheld}:
            raise Indeterminate(f"not there: {', '.join(sorted(missing))}")
        return f"{len(self.documents)} documents, {len(self.withheld)} withheld; the seals in them are not looked at"

    def beginnings(self) -> dict[str, set[tuple[int, str]]]:
        """What the files made after the end begin with, as sizes and hashes: what was sealed, and the form before a renewal."""
        bodies, found = dict[str, tuple[int, str]](), defaultdict[str, set[tuple[int, str]]](set)
        for data in (fact["data"] for fact in self.facts if fact["kind"] in LAST):
            paper, name, before, body, size = map(data.get, WORDS("document sha256 previous_sha256 body_sha256 body_bytes"))
            if fits(body, HASH) and fits(size, int):
                bodies[spell(paper)] = size, body
            if fits(name, HASH) and name in self.documents:
                found[name] |= {bodies[spell(paper)]} if spell(paper) in bodies else set()
                if fits(before, HASH) and before in self.documents:
                    found[name].add((len(self.documents[before][1]), before))
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Verifies a bundle of evidence: exit code 0 valid, 1 invalid, 2 indeterminate.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--policy", type=Path, help="whom you trust: a C2SP tlog-policy")
    parser.add_argument("--tsa", type=Path, help="certificates of time-stamping authorities, PEM")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    verification = Verification(asked.bundle, asked.policy, asked.tsa)
    verdict = verification.run()
    if asked.json:
        print(json.dumps({"bundle": asked.bundle.name, "verdict": verdict, "findings": verification.findings}))
    else:
        for finding in verification.findings:
            print(f"{finding['check']:13} {finding['verdict']:14} {finding['reason']}")
        print(f"{'whole':13} {verdict:14} countersign verify also replays the whole history, and looks at receipts")
    return ("valid", "invalid", "indeterminate").index(verdict)


if __name__ == "__main__":
    sys.exit(main())
