"""A ledger in memory that gives out bundles of evidence, without a server: what tests of evidence start from before they tamper.

Keys, salts, ids and times follow from a seed, so the same calls give the same bytes. A forger is whoever changes `rows` (with
`forge` and `relink` of `tests.histories`) and seals again, or changes the content of a bundle and writes it again.
"""

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import sha256
from uuid import UUID

from domain.canonical import canonical
from domain.checkpoint import Checkpoint, format_checkpoint
from domain.coordination import RecordCertified, RecordExecuted, RecordRenewed
from domain.envelope import CertificateIssued, DocumentExecuted, SealRenewed
from domain.erasure import SubjectErased
from domain.heads import NO_PART, Head, RowProof, missing, prove, update
from domain.ids import milliseconds
from domain.merkle import consistency_proof, inclusion_proof, root_of
from domain.note import Note, SignatureType, SignerKey, VerifierKey, cosign_text, format_note, parse_note, sign_text
from domain.personal import Disclosure
from domain.policy import NONE, Group, Log, Policy, Witness, format_policy
from domain.seal import Obstacle, Profile, Seal
from domain.sealing import ENDINGS, HeadsRecorded, ledger_stream
from infrastructure.bundle_archive import chunks_of, write_archive
from infrastructure.bundle_format import Content, Document, Earlier, Texts, members_of, write
from infrastructure.bundle_lines import Disclosed, DisclosureLine, EntryLine, ErasedBy, HeadRow, Heads, Withheld
from infrastructure.codec import Fact, encode_fact
from infrastructure.signing_keys import SigningKey, public_of
from tests.evidence_stamps import Authority
from tests.histories import ORIGIN, RecordedLog, Row

TEXTS = Texts(b"How to verify.\n", b"<!doctype html><title>Report</title>\n", b"Report\n", b"# A verifier.\n")


@cache
def signing_key(name: str, type: SignatureType = SignatureType.ED25519, generation: int = 1) -> SigningKey:
    """The key of this name; another generation is another key."""
    seed = sha256(f"{name} {type.name} {generation}".encode()).digest()
    return SigningKey(SignerKey(VerifierKey(name, type, public_of(seed)), seed))


def witness_key(name: str) -> SigningKey:
    return signing_key(f"{name}.witness.test", SignatureType.COSIGNATURE)


WITNESSES = ("alice", "bob", "carol")


def policy_file(
    *, origin: str = ORIGIN, keys: Sequence[SigningKey] = (), witnesses: Sequence[str] = WITNESSES, threshold: int = 2
) -> bytes:
    """A tlog-policy that believes the ledger's key (or `keys`), and asks for `threshold` of the witnesses, or for none."""
    logs = tuple(Log(key.key) for key in keys or (signing_key(origin),))
    known = tuple(Witness(name, witness_key(name).key) for name in witnesses)
    if not threshold:
        return format_policy(Policy(logs, known, (), NONE))
    return format_policy(Policy(logs, known, (Group("quorum", threshold, tuple(witnesses)),), "quorum"))


def sign_checkpoint(
    checkpoint: Checkpoint, keys: Sequence[SigningKey], cosigned_by: Iterable[str] = (), at: datetime | None = None
) -> bytes:
    """The note of a checkpoint, with the cosignatures of witnesses at a time."""
    text = format_checkpoint(checkpoint)
    signatures = [sign_text(text, key) for key in keys]
    if at is not None:
        signatures += [cosign_text(text, witness_key(name), milliseconds(at) // 1000) for name in cosigned_by]
    return format_note(Note(text, tuple(signatures)))


def text_of(note: bytes) -> bytes:
    """What a time stamp of a checkpoint is of."""
    return parse_note(note).text.encode()


def packed(content: Content) -> bytes:
    """The bytes of a bundle."""
    file = io.BytesIO()
    write(content, file)
    return file.getvalue()


def unpacked(content: Content) -> dict[str, bytes]:
    """The members of a bundle by name, to be changed and given to `repacked`."""
    return {name: b"".join(chunks()) for name, chunks in members_of(content).items()}


def repacked(members: Mapping[str, bytes], *, rehashed: bool = True) -> bytes:
    """An archive of these members. The manifest gets the hashes that fit them, unless it is to stay as it is."""
    found = dict(members)
    if rehashed:
        manifest = json.loads(found.pop("manifest.json"))
        manifest["files"] = {name: sha256(raw).hexdigest() for name, raw in found.items()}
        found["manifest.json"] = canonical(manifest) + b"\n"
    file = io.BytesIO()
    write_archive({name: chunks_of(raw) for name, raw in found.items()}, file)
    return file.getvalue()


def heads_of(rows: Iterable[Row]) -> dict[UUID, Head]:
    """Where each stream ends."""
    found: dict[UUID, Head] = {}
    ends = {type.partition("/")[0] for type in ENDINGS}
    for row in rows:
        closed = row.type.partition("/")[0] in ends or (row.stream in found and found[row.stream].closed)
        found[row.stream] = Head(row.stream, row.version, row.leaf, closed)
    return found


def map_of(heads: Collection[Head], streams: Iterable[UUID] = ()) -> tuple[bytes, dict[UUID, RowProof]]:
    """The root of the heads manifest, and the rows of some streams with their paths."""
    asked = {head.stream for head in heads} | set(streams)
    stored: dict[str, bytes | None] = dict.fromkeys(missing({}, asked))
    made = update(stored, NO_PART, heads)
    stored |= made.nodes
    while absent := missing(stored, asked):
        stored |= dict.fromkeys(absent)
    return made.root.hash, prove(stored, made.root, streams)


@dataclass
class EvidenceWorld(RecordedLog):
    """A ledger with keys, witnesses and a time-stamping authority, that keeps documents and personal values."""

    #: Who signs checkpoints: the ledger's key, unless others are named.
    keys: tuple[SigningKey, ...] = ()
    #: Which witnesses cosign whatever is signed.
    cosigners: tuple[str, ...] = WITNESSES
    authority: Authority = field(default_factory=Authority)
    disclosures: dict[tuple[int, str], Disclosure] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    #: Which of them a later form begins with.
    superseded: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.keys = self.keys or (signing_key(self.origin),)

    def paper(self) -> str:
        return self._store(b"%PDF-1.7\n" + self._revision("document"))

    def execute(self, envelope: UUID) -> None:
        """Each document of a completed envelope is executed and the certificate issued; then the seals of the first and of it are renewed."""
        seal = Seal(Profile.B_T, Obstacle.NO_MATERIAL, sha256(b"certificate").hexdigest(), self.now, "https://tsa.example")
        papers = self.states[envelope].documents
        for paper in papers:
            body, name = self._seal()
            drawn_on = sha256(b"normalised").hexdigest()
            executed = DocumentExecuted(paper.id, sha256(body).hexdigest(), name, len(body), drawn_on, seal)
            self.on_package(RecordExecuted(envelope, executed))
        body, name = self._seal()
        self.on_package(RecordCertified(envelope, CertificateIssued(name, sha256(body).hexdigest(), len(body), seal)))
        for document in (papers[0].id, None):
            self._renew(envelope, document)

    def _seal(self) -> tuple[bytes, str]:
        """A body, and the name of the file that begins with it."""
        body = b"%PDF-1.7\n" + self._revision("body")
        return body, self._store(body + self._revision("seal"))

    def _renew(self, envelope: UUID, document: UUID | None) -> None:
        state = self.states[envelope]
        before = state.certificate if document is None else state.executed[document]
        after = self._store(self.documents[before] + self._revision("time stamp"))
        self.superseded.add(before)
        self.on_package(RecordRenewed(envelope, SealRenewed(document, before, after, self.now)))

    def _revision(self, what: str) -> bytes:
        return f"% {what} {self.random.randbytes(24).hex()}\n%%EOF\n".encode()

    def _store(self, raw: bytes) -> str:
        name = sha256(raw).hexdigest()
        self.documents[name] = raw
        return name

    def record(self, facts: Mapping[UUID, Sequence[Fact]]) -> None:
        for stream, stream_facts in facts.items():
            for fact in stream_facts:
                encoded = encode_fact(fact)
                row = self.append(stream, encoded.type, encoded.data, encoded.personal)
                self.disclosures |= {(row.position, path): it for path, it in encoded.disclosures}

    def record_heads(self) -> Row:
        """Appends the heads manifest of all entries so far."""
        heads = heads_of(self.rows)
        root, _ = map_of(heads.values())
        fact = HeadsRecorded(len(self.rows), len(heads), root.hex())
        self.record({ledger_stream(self.origin): [fact]})
        self.later()
        return self.rows[-1]

    def leaves(self) -> list[bytes]:
        return [row.leaf for row in self.rows]

    def checkpoint(self, size: int, cosigned_by: Iterable[str] | None = None) -> bytes:
        """The signed and cosigned note of the log at a size."""
        checkpoint = Checkpoint(self.origin, size, root_of(self.leaves()[:size]))
        names = self.cosigners if cosigned_by is None else cosigned_by
        return sign_checkpoint(checkpoint, self.keys, names, self.now)

    def streams(self, envelope: UUID, process: UUID | None = None) -> set[UUID]:
        """The streams that a bundle of an envelope, or of one of its processes, is about."""
        return {envelope, *self.states[envelope].slots} if process is None else {envelope, process}

    def bundle(
        self,
        envelope: UUID,
        process: UUID | None = None,
        *,
        size: int | None = None,
        earlier: Sequence[int] = (),
        stamped: Mapping[int, datetime] | None = None,
        withheld: Collection[tuple[int, str]] = (),
        withheld_documents: Collection[str] = (),
        streams: Collection[UUID] | None = None,
        all_forms: bool = False,
    ) -> Content:
        """What the ledger gives out about an envelope or one of its processes: entries, and proofs to the checkpoint of `size`.

        `earlier` are sizes of further checkpoints, `stamped` the times at which checkpoints were stamped, by size; `withheld`
        are positions and paths of personal values, `withheld_documents` the SHA-256 of documents; `streams` are others than those
        that the bundle says it is about; with `all_forms`, files whose seals were renewed are there as they were before, too.
        """
        size = size or len(self.rows)
        rows = self.rows[:size]
        streams = self.streams(envelope, process) if streams is None else streams
        chosen = [row for row in rows if row.stream in streams]
        disclosures = list(self._disclosed(rows, chosen, withheld))
        heads = self._heads(rows, streams)
        needed = {line.erased for line in disclosures if isinstance(line, ErasedBy)} | ({heads.position} if heads else set())
        wanted = self.documents if all_forms else self.documents.keys() - self.superseded
        named = [name for name in self.documents if name in wanted and any(name.encode() in row.raw for row in chosen)]
        leaves = self.leaves()[:size]
        notes = {each: self.checkpoint(each) for each in (*earlier, size)}
        return Content(
            ledger=self.origin,
            envelope=envelope,
            process=process,
            entries=tuple(map(entry_of, chosen)),
            ledger_entries=tuple(entry_of(rows[position - 1]) for position in sorted(needed)),
            disclosures=tuple(disclosures),
            heads=heads,
            checkpoint=notes[size],
            earlier={each: Earlier(notes[each], consistency_proof(leaves, each)) for each in earlier},
            proofs={it: inclusion_proof(leaves, it - 1) for it in sorted(needed | {row.position for row in chosen})},
            timestamps={it: self.authority.stamp(text_of(notes[it]), time) for it, time in (stamped or {}).items()},
            documents={name: Document.of(self.documents[name]) for name in named if name not in withheld_documents},
            withheld=tuple(sorted(withheld_documents)),
            texts=TEXTS,
        )

    def _disclosed(
        self, rows: Iterable[Row], chosen: Iterable[Row], withheld: Collection[tuple[int, str]]
    ) -> Iterator[DisclosureLine]:
        erased = {
            (it["stream"], it["version"]): row.position
            for row in rows
            if row.type == SubjectErased.TYPE
            for it in json.loads(row.raw)["data"]["entries"]
        }
        for row in chosen:
            for path in sorted(json.loads(row.raw)["personal"]):
                where = (row.position, path)
                if (by := erased.get((str(row.stream), row.version))) is not None:
                    yield ErasedBy(*where, by)
                elif where in withheld:
                    yield Withheld(*where)
                else:
                    yield Disclosed(*where, self.disclosures[where].salt, self.disclosures[where].value)

    def _heads(self, rows: Sequence[Row], streams: Collection[UUID]) -> Heads | None:
        """The last manifest's rows of these streams, which lead to its root as long as no entry before it was changed."""
        last = next((row for row in reversed(rows) if row.type == HeadsRecorded.TYPE), None)
        if last is None:
            return None
        heads = heads_of(rows[: json.loads(last.raw)["data"]["position"]])
        _, proofs = map_of(heads.values(), sorted(streams, key=str))
        return Heads(last.position, tuple(HeadRow(*proof) for proof in proofs.values()))


def entry_of(row: Row) -> EntryLine:
    return EntryLine(row.position, row.leaf, row.raw)


@dataclass(frozen=True, slots=True)
class Story:
    """A world in which one envelope has come to its end, and what there is to say about it."""

    world: EvidenceWorld
    envelope: UUID
    participants: tuple[UUID, ...]

    @property
    def process(self) -> UUID:
        return self.participants[0]

    def position(self, type: str) -> int:
        """Of the first entry of a type, in a stream of the envelope."""
        streams = self.world.streams(self.envelope)
        return next(row.position for row in self.world.rows if row.stream in streams and row.type.startswith(type))


def tell(seed: int = 1, *, erased: bool = False) -> Story:
    """An envelope signed by its two participants among others, then the heads manifest; another seed tells it otherwise.

    With `erased`, what the first participant's first entry was about is destroyed before the manifest.
    """
    world = EvidenceWorld(seed=seed)
    world.template()
    world.open_envelope(participants=1, documents=1)
    envelope, participants = world.open_envelope()
    world.open_envelope(participants=1, documents=1)
    for who in participants:
        world.sign(envelope, who)
    if erased:
        world.erase(participants[0])
    world.record_heads()
    return Story(world, envelope, participants)
