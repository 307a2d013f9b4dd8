"""Legal logs made by the deciders, in memory: what verification tests start from before they tamper.

Deterministic: the same calls give the same bytes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any, TypeVar, cast
from uuid import UUID

from psycopg import Connection

from domain import coordination, erasure, template
from domain.actor import AddressSource, IdentityMethod, Mode, Provenance
from domain.canonical import Json
from domain.coordination import AddDocument, AddParticipant, CreateEnvelope, PackageCommand, Participate
from domain.entry import NO_PREVIOUS, Entry, decode, encode, leaf_hash
from domain.envelope import CopyRecipient, Document, Envelope, EnvelopeCreated, OnParticipantFail, OrderMode, PlacedField, Slot
from domain.envelope import evolve as evolve_envelope
from domain.field import FieldType
from domain.personal import Personal, Subject, SubjectKind, conceal
from domain.signing import (
    Channel,
    DeclineSigning,
    DocumentReference,
    FieldValue,
    GiveConsent,
    Invitation,
    OpenSession,
    ProcessCreated,
    SendOtp,
    Session,
    SignatureMethod,
    SignatureMode,
    SignDocuments,
    Signing,
    VerifyOtp,
    ViewDocument,
)
from domain.signing import evolve as evolve_signing
from infrastructure.codec import Fact, encode_fact
from infrastructure.export_format import Header, Scope, ScopeKind, Trailer, entry_line, header_line, trailer_line
from infrastructure.history import Head

ORIGIN = "countersign.test/ledger"
START = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
ACTOR: Mapping[str, Json] = {"id": "key-1", "kind": "partner-key"}

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table `log`."""

    position: int
    stream: UUID
    version: int
    type: str
    leaf: bytes
    raw: bytes


@dataclass
class RecordedLog:
    """A growing log. `rows` are what verification gets to see; they may be tampered with."""

    origin: str = ORIGIN
    seed: int = 1
    now: datetime = START
    rows: list[Row] = field(default_factory=list)
    heads: dict[UUID, Row] = field(default_factory=dict)
    states: dict[UUID, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.tenant = self.uuid()

    def uuid(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def personal(self, value: Json, kind: SubjectKind = SubjectKind.PERSON, key: str = "email:ana@example.com") -> Personal:
        return conceal(value, self.random.randbytes(32), Subject(self.tenant, kind, key))

    def paper(self) -> str:
        """The SHA-256 of a new document in hex."""
        return self.random.randbytes(32).hex()

    def record(self, facts: Mapping[UUID, Sequence[Fact]]) -> None:
        """Appends facts without asking whether they are allowed; all get the same time."""
        for stream, stream_facts in facts.items():
            for fact in stream_facts:
                encoded = encode_fact(fact)
                self.append(stream, encoded.type, encoded.data, encoded.personal)

    def append(self, stream: UUID, type: str, data: Mapping[str, Json], personal: Mapping[str, str] | None = None) -> Row:
        """Appends one entry, hashed and chained as it should be."""
        last = self.heads.get(stream)
        entry = Entry(
            self.origin,
            stream,
            1 if last is None else last.version + 1,
            type,
            self.now,
            NO_PREVIOUS if last is None else last.leaf,
            ACTOR,
            data,
            personal or {},
        )
        raw = encode(entry)
        row = Row(len(self.rows) + 1, stream, entry.version, type, leaf_hash(raw), raw)
        self.rows.append(row)
        self.heads[stream] = row
        return row

    def later(self, **by: float) -> None:
        self.now += timedelta(**(by or {"seconds": 1.000001}))

    # Commands

    def on_template(self, command: template.TemplateCommand, stream: UUID) -> None:
        state = self.states.get(stream)
        facts = template.decide(command, state, self.now)
        for fact in facts:
            state = template.evolve(state, fact, self.now)
        self.states[stream] = state
        self.record({stream: facts})
        self.later()

    def on_package(self, command: PackageCommand) -> None:
        envelope = cast(Envelope | None, self.states.get(command.envelope))
        needs = coordination.needs(command, envelope)
        package = coordination.Package(envelope, {who: cast(Signing | None, self.states.get(who)) for who in needs.signings})
        invitations = tuple(
            Invitation(self.uuid(), self.random.randbytes(32).hex(), self.now + timedelta(days=30))
            for _ in range(needs.invitations)
        )
        decision = coordination.decide(command, package, self.now, invitations)
        for stream, facts in decision.facts.items():
            evolve: Callable[[Any, Any, datetime], Any] = evolve_envelope if stream == command.envelope else evolve_signing
            for fact in facts:
                self.states[stream] = evolve(self.states.get(stream), fact, self.now)
        self.record(decision.facts)
        self.later()

    # Scenarios

    def template(self) -> UUID:
        """A template with two versions, the first of them deleted."""
        stream = self.uuid()
        name = self.personal("Contrato de servicio", SubjectKind.TEMPLATE, str(stream))
        self.on_template(template.CreateTemplate(self.tenant, Mode.LIVE, stream, name, None), stream)
        file = template.StoredFile(self.random.randbytes(32).hex(), 48_213, 3)
        self.on_template(template.StoreFile(stream, 1, file), stream)
        signature = template.Field("signature", template.FieldType.SIGNATURE, 3, 72_000, 640_500)
        self.on_template(template.DefineFields(stream, (signature,)), stream)
        self.on_template(template.AddVersion(stream, name, name), stream)
        self.on_template(template.DeleteVersion(stream, 1), stream)
        return stream

    def open_envelope(
        self,
        participants: int = 2,
        documents: int = 2,
        order: OrderMode = OrderMode.SEQUENTIAL,
        on_fail: OnParticipantFail = OnParticipantFail.CANCEL_FLOW,
        deadline: timedelta | None = timedelta(days=14),
        zone: str | None = None,
        fields: bool = False,
    ) -> tuple[UUID, tuple[UUID, ...]]:
        """Creates and sends an envelope; answers its id and its participants'. With `fields`, each has a text to fill in."""
        envelope = self.uuid()
        papers = tuple(
            Document(self.uuid(), self.paper(), 3, self.personal("Contrato", SubjectKind.ENVELOPE, str(envelope)))
            for _ in range(documents)
        )
        whose = tuple(self.uuid() for _ in range(participants))
        created = EnvelopeCreated(
            tenant=self.tenant,
            mode=Mode.LIVE,
            documents=papers,
            participants=tuple(
                Slot(who, number, tuple(paper.id for paper in papers), "signer") for number, who in enumerate(whose, 1)
            ),
            order=order,
            on_participant_fail=on_fail,
            deadline=None if deadline is None else self.now + deadline,
            template=None,
            subject=self.personal("Firma, por favor", SubjectKind.ENVELOPE, str(envelope)),
            message=None,
            metadata=None,
            zone=zone,
            fields=tuple(
                PlacedField(who, papers[0].id, FieldType.TEXT, 1, 72_000, 72_000 * number, 160_000, 18_000, required=True)
                for number, who in enumerate(whose if fields else (), 1)
            ),
        )
        processes = {
            who: ProcessCreated(
                tenant=self.tenant,
                mode=Mode.LIVE,
                envelope=envelope,
                number=number,
                documents=tuple(DocumentReference(paper.id, paper.sha256) for paper in papers),
                modes=(SignatureMode.EMAIL,),
                name=self.personal(f"Ana {number}", key=f"email:ana{number}@example.com"),
                email=self.personal(f"ana{number}@example.com", key=f"email:ana{number}@example.com"),
                phone=None,
                document_number=None,
                role="signer",
                attempts_max=3,
                cooldown_seconds=30,
            )
            for number, who in enumerate(whose, 1)
        }
        self.on_package(CreateEnvelope(envelope, created, processes))
        return envelope, whose

    def drafted(self, participants: int = 2, documents: int = 2, *, send: bool = True) -> tuple[UUID, tuple[UUID, ...]]:
        """A draft that begins with nothing and gets its documents and participants one after the other, then is sent.

        The first document is there before the participants, the others come after them.
        """
        envelope, whose = self.uuid(), tuple(self.uuid() for _ in range(participants))
        about = partial(self.personal, kind=SubjectKind.ENVELOPE, key=str(envelope))
        created = EnvelopeCreated(
            tenant=self.tenant,
            mode=Mode.LIVE,
            documents=(),
            participants=(),
            order=OrderMode.PARALLEL,
            on_participant_fail=OnParticipantFail.CANCEL_FLOW,
            deadline=self.now + timedelta(days=14),
            template=None,
            subject=about("Firma, por favor"),
            message=None,
            metadata=None,
            copies=(
                CopyRecipient(self.uuid(), self.personal("Copia"), self.personal("copia@example.com"), about({"role": "cc"})),
            ),
        )
        self.on_package(CreateEnvelope(envelope, created, {}, send=False))
        papers = [Document(self.uuid(), self.paper(), 3, about("Contrato"), self.uuid()) for _ in range(documents)]
        for paper in papers[:1]:
            self.on_package(AddDocument(envelope, paper, ()))
        for number, who in enumerate(whose, 1):
            slot = Slot(who, number, tuple(paper.id for paper in papers[:1]), "signer")
            person = partial(self.personal, key=f"email:ana{number}@example.com")
            process = ProcessCreated(
                tenant=self.tenant,
                mode=Mode.LIVE,
                envelope=envelope,
                number=number,
                documents=tuple(DocumentReference(paper.id, paper.sha256) for paper in papers[:1]),
                modes=(SignatureMode.EMAIL,),
                name=person(f"Ana {number}"),
                email=person(f"ana{number}@example.com"),
                phone=None,
                document_number=None,
                role="signer",
                details=person({"firstName": f"Ana {number}"}),
                human_only=number == 1,
            )
            self.on_package(AddParticipant(envelope, slot, process))
        for paper in papers[1:]:
            self.on_package(AddDocument(envelope, paper, whose))
        if send:
            self.on_package(coordination.SendEnvelope(envelope))
        return envelope, whose

    def sign_in(self, envelope: UUID, who: UUID) -> None:
        """Opens a session for somebody who has just signed in."""
        session = Session(self.uuid(), self.random.randbytes(32).hex(), self.now + timedelta(minutes=15))
        self.on_package(Participate(envelope, OpenSession(who, session, self.personal("oidc|ana"), self.now)))

    def provenance(self) -> Provenance:
        return Provenance(IdentityMethod.OIDC, self.personal("203.0.113.9"), AddressSource.SOCKET, self.personal("Mozilla/5.0"))

    def sign(self, envelope: UUID, who: UUID) -> None:
        """Views a document, passes a one-time code, consents, fills in the fields, and signs the whole slot."""
        paper, sha = next(iter(self.states[who].documents.items()))
        self.on_package(Participate(envelope, ViewDocument(who, paper, sha, self.provenance())))
        code = self.personal("123456")
        self.on_package(
            Participate(envelope, SendOtp(who, Channel.EMAIL, code, self.now + timedelta(minutes=10), self.provenance()))
        )
        self.on_package(Participate(envelope, VerifyOtp(who, "0" * 64, self.provenance())))
        self.later(seconds=31)
        self.on_package(Participate(envelope, VerifyOtp(who, code.commitment, self.provenance())))
        self.on_package(Participate(envelope, GiveConsent(who, sha256(b"consent").hexdigest(), "es-PE", self.provenance())))
        attestation, provenance = self.personal("I agree to sign."), self.provenance()
        values = tuple(
            FieldValue(number, self.personal("Lima"))
            for number, placed in enumerate(self.states[envelope].fields, 1)
            if placed.participant == who
        )
        signed = SignDocuments(who, None, SignatureMethod.TYPED, attestation, None, provenance, values=values)
        self.on_package(Participate(envelope, signed))

    def decline(self, envelope: UUID, who: UUID) -> None:
        self.on_package(Participate(envelope, DeclineSigning(who, self.personal("no"), self.provenance())))

    def completed(self, **kinds: Any) -> tuple[UUID, tuple[UUID, ...]]:
        """A whole envelope, from creation to completion by all."""
        envelope, whose = self.open_envelope(**kinds)
        for who in whose:
            self.sign(envelope, who)
        return envelope, whose

    def erase(self, who: UUID) -> UUID:
        """Records that a person whose data stands in the first entry of `who` was erased."""
        subject = self.uuid()
        command = erasure.EraseSubject(self.tenant, subject, "gdpr-17", (erasure.ErasedEntry(who, 1),))
        self.record({subject: erasure.decide(command, None, self.now)})
        self.later()
        return subject

    def of_every_kind(self) -> "RecordedLog":
        """A small log with every way in which an envelope can begin and end, and some that have not ended."""
        self.template()
        _, whose = self.completed()
        envelope, others = self.open_envelope(order=OrderMode.PARALLEL)
        self.decline(envelope, others[1])
        envelope, others = self.open_envelope(on_fail=OnParticipantFail.CONTINUE, documents=1)
        self.decline(envelope, others[0])
        self.sign(envelope, others[1])
        envelope, _ = self.open_envelope()
        self.on_package(coordination.CancelEnvelope(envelope, None))
        envelope, _ = self.open_envelope(deadline=timedelta(minutes=1))
        self.later(minutes=2)
        self.on_package(coordination.ExpireEnvelope(envelope))
        self.erase(whose[0])
        self.open_envelope()
        envelope, others = self.drafted()
        self.sign_in(envelope, others[0])
        for who in others:
            self.sign(envelope, who)
        self.drafted(send=False)
        return self


def forge(row: Row, **changes: Any) -> Row:
    """`row` with members of its entry changed and hashed again, as somebody with access to the table could."""
    entry = replace(decode(row.raw), **changes)
    raw = encode(entry)
    return Row(row.position, entry.stream, entry.version, entry.type, leaf_hash(raw), raw)


def as_first_stored(rows: Iterable[Row], *streams: UUID) -> list[Row]:
    """The rows as the first version of the software would have stored them, with the chains of `streams` whole."""
    newer: Mapping[str, tuple[str, ...]] = {
        "envelope.certificate-issued": ("body_sha256", "body_bytes", "seal"),
        "envelope.created": ("fields", "copies"),
        "envelope.document-executed": ("body_bytes", "normalised_sha256", "seal"),
        "signing.process-created": ("human_only",),
        "template.fields-defined": (),
        "template.file-stored": (),
    }
    found = []
    for row in rows:
        stem = row.type.partition("/")[0]
        if row.stream in streams and stem in newer:
            data = {name: value for name, value in decode(row.raw).data.items() if name not in newer[stem]}
            found.append(forge(row, type=f"{stem}/1", data=data))
        else:
            found.append(row)
    for stream in streams:
        found = relink(found, stream)
    return found


def relink(rows: Iterable[Row], stream: UUID) -> list[Row]:
    """The rows with the chain of `stream` made whole again: what a forger does who controls everything."""
    last = NO_PREVIOUS
    repaired = []
    for row in rows:
        if row.stream != stream:
            repaired.append(row)
            continue
        repaired.append(forge(row, previous=last))
        last = repaired[-1].leaf
    return repaired


def export_file(rows: Sequence[Row], origin: str = ORIGIN, end: int | None = None) -> bytes:
    """An export of the whole log with a header and a trailer that fit the rows; the log's head is at `end`."""
    last = rows[-1].position if rows else 0
    return seal([header_line(Header(origin, Scope(ScopeKind.LOG), last if end is None else end, None)), *entry_lines(rows)], rows)


def part_file(rows: Sequence[Row], kind: ScopeKind, id: str, streams: Sequence[UUID], origin: str = ORIGIN) -> bytes:
    """An export of some streams of a log."""
    chosen = [row for row in rows if row.stream in streams]
    heads = {row.stream: Head(row.version, row.leaf, row.position) for row in chosen}
    return seal([header_line(Header(origin, Scope(kind, id), rows[-1].position, heads)), *entry_lines(chosen)], chosen)


def entry_lines(rows: Iterable[Row]) -> list[bytes]:
    return [entry_line(row.position, row.leaf, row.raw) for row in rows]


def seal(lines: Sequence[bytes], rows: Sequence[Row]) -> bytes:
    """The lines with a trailer that fits them."""
    body = b"".join(lines)
    return body + trailer_line(Trailer(len(rows), rows[-1].position if rows else 0, sha256(body).hexdigest()))


def store(conn: Connection[Any], rows: Sequence[Row], *, at: datetime) -> None:
    """Puts rows, their heads and the log's head into a migrated database, as the recorder would."""
    with conn.transaction(), conn.cursor() as cursor:
        with cursor.copy("COPY log (position, stream, version, type, leaf, entry) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "uuid", "int8", "text", "bytea", "bytea"])
            for row in rows:
                copy.write_row((row.position, row.stream, row.version, row.type, row.leaf, row.raw))
        heads = {row.stream: row for row in rows}
        with cursor.copy("COPY heads (stream, version, leaf, position) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["uuid", "int8", "bytea", "int8"])
            for row in heads.values():
                copy.write_row((row.stream, row.version, row.leaf, row.position))
        cursor.execute("UPDATE log_head SET position = %s, at = %s", [len(rows), at])
