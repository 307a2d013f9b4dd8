"""Envelopes of every kind, made by the deciders in memory, and the cases that their certificates are drawn from."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from PIL import Image, ImageDraw

from domain.actor import AddressSource, IdentityMethod, Mode, Provenance
from domain.canonical import Json
from domain.coordination import CreateEnvelope, Participate, RecordExecuted
from domain.envelope import Document, DocumentExecuted, EnvelopeCreated, OnParticipantFail, OrderMode, PlacedField, Slot
from domain.field import SIZES, FieldType
from domain.note import format_note, parse_note
from domain.personal import SubjectKind
from domain.seal import Obstacle, Profile, Seal
from domain.signing import (
    BounceReason,
    Channel,
    DeclineSigning,
    DocumentReference,
    FieldValue,
    GiveConsent,
    Invitation,
    OpenSession,
    ProcessCreated,
    ReportBounce,
    ReportDelivery,
    ResendInvitation,
    SendOtp,
    Session,
    SignatureMethod,
    SignatureMode,
    SignDocuments,
    VerifyOtp,
    ViewDocument,
)
from infrastructure.certificate_case import Circumstances, case_from
from infrastructure.pdf_drawing.case import Absent, Case
from infrastructure.sealed import StoredCheckpoint
from infrastructure.telling.happened import Happened, happened
from infrastructure.telling.personal import Disclosed, Erased, Shown
from tests.evidence_world import EvidenceWorld
from tests.histories import Row, forge

CONSENT: Final = sha256(b"consent").hexdigest()
BASE_URL: Final = "https://sign.example"
BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"


@dataclass(frozen=True, slots=True)
class Someone:
    """A participant; whoever has no e-mail address has none."""

    name: str
    email: str | None
    role: str | None = "signer"
    phone: str | None = None


def someone(name: str, role: str | None = "signer") -> Someone:
    local = "".join(letter for letter in name.lower() if letter.isascii() and letter.isalpha()) or f"p{len(name)}"
    return Someone(name, f"{local}@example.com", role)


@dataclass
class CertificateWorld(EvidenceWorld):
    """Adds to a ledger in memory what a certificate tells of: the credentials that act, browsers, deliveries, fields."""

    by: Mapping[str, Json] = field(default_factory=lambda: {"id": "pk_7Q2M", "kind": "partner-key"})
    #: Of each participant of whom something was recorded.
    people: dict[UUID, Someone] = field(default_factory=dict)
    erased: dict[tuple[UUID, int], int] = field(default_factory=dict)

    def append(self, stream: UUID, type: str, data: Mapping[str, Json], personal: Mapping[str, str] | None = None) -> Row:
        row = forge(super().append(stream, type, data, personal), by=self.by)
        self.rows[-1] = self.heads[stream] = row
        return row

    def send(
        self,
        people: Sequence[Someone],
        titles: Sequence[str] = ("Service agreement.pdf",),
        *,
        order: OrderMode = OrderMode.SEQUENTIAL,
        on_fail: OnParticipantFail = OnParticipantFail.CONTINUE,
        mode: Mode = Mode.LIVE,
        subject: str | None = "Service agreement 2026",
        zone: str | None = "America/Lima",
        labels: Sequence[str | None] = (),
    ) -> tuple[UUID, tuple[UUID, ...]]:
        """Sends the documents to the people, each of whom signs all; the first has text fields with those labels to fill in."""
        envelope, whose = self.uuid(), tuple(self.uuid() for _ in people)
        self.people |= dict(zip(whose, people, strict=True))
        about = partial(self.personal, kind=SubjectKind.ENVELOPE, key=str(envelope))
        papers = tuple(Document(self.uuid(), self.paper(), 3, about(title)) for title in titles)
        size = SIZES[FieldType.TEXT]
        created = EnvelopeCreated(
            self.tenant,
            mode,
            papers,
            tuple(
                Slot(who, number, tuple(paper.id for paper in papers), one.role)
                for number, (who, one) in enumerate(zip(whose, people, strict=True), 1)
            ),
            order,
            on_fail,
            self.now + timedelta(days=14),
            None,
            None if subject is None else about(subject),
            None,
            None,
            fields=tuple(
                PlacedField(whose[0], papers[0].id, FieldType.TEXT, 1, 72_000, 72_000 + 20_000 * number, *size, True, label)
                for number, label in enumerate(labels)
            ),
            zone=zone,
        )
        processes = {}
        for number, (who, one) in enumerate(zip(whose, people, strict=True), 1):
            person = partial(self.personal, key=f"email:{one.email}" if one.email else f"phone:{one.phone}")
            processes[who] = ProcessCreated(
                self.tenant,
                mode,
                envelope,
                number,
                tuple(DocumentReference(paper.id, paper.sha256) for paper in papers),
                (SignatureMode.EMAIL,),
                person(one.name),
                None if one.email is None else person(one.email),
                None if one.phone is None else person(one.phone),
                None,
                one.role,
                3,
                1,
            )
        self.on_package(CreateEnvelope(envelope, created, processes))
        return envelope, whose

    def acting(self, kind: str, id: str) -> "CertificateWorld":
        """Who shows a credential from now on."""
        self.by = {"id": id, "kind": kind}
        return self

    def seen(self, who: UUID, identity: IdentityMethod = IdentityMethod.OTP_EMAIL) -> Provenance:
        """What is observed of somebody at a browser."""
        person = partial(self.personal, key=f"email:{self.people[who].email}")
        return Provenance(identity, person("203.0.113.9"), AddressSource.TRUSTED_PROXY, person(BROWSER))

    def handed_over(self, envelope: UUID, who: UUID) -> None:
        self.acting("follower", "invitations")
        self.on_package(Participate(envelope, ReportDelivery(who, self._invitation(who), Channel.EMAIL)))

    def bounced(self, envelope: UUID, who: UUID) -> None:
        """The invitation is refused; the sender sends it again, and it is taken."""
        self.acting("follower", "invitations")
        self.on_package(Participate(envelope, ReportBounce(who, self._invitation(who), BounceReason.REFUSED)))
        self.later(minutes=7)
        self.acting("partner-key", "pk_7Q2M")
        again = Invitation(self.uuid(), self.random.randbytes(32).hex(), self.now + timedelta(days=30))
        self.on_package(Participate(envelope, ResendInvitation(who, again)))
        self.handed_over(envelope, who)

    def _invitation(self, who: UUID) -> UUID:
        invitation: Invitation = self.states[who].invitation
        return invitation.id

    def view_and_consent(self, envelope: UUID, who: UUID, provenance: Provenance, *, wrong_codes: int = 0) -> None:
        """Looks at each document, passes a one-time code if it is recognised by one, and consents."""
        self.acting("signer", f"sgs_{who.hex[:8]}")
        coded = provenance.identity is IdentityMethod.OTP_EMAIL
        before = replace(provenance, identity=IdentityMethod.TOKEN) if coded else provenance
        for paper, name in self.states[who].documents.items():
            self.on_package(Participate(envelope, ViewDocument(who, paper, name, before)))
            self.later(seconds=42.5)
        if coded:
            code = self.personal("123456")
            sent = SendOtp(who, Channel.EMAIL, code, self.now + timedelta(minutes=10), before)
            self.on_package(Participate(envelope, sent))
            for entered in (*["0" * 64] * wrong_codes, code.commitment):
                self.later(seconds=2.25)
                seen = provenance if entered == code.commitment else before
                self.on_package(Participate(envelope, VerifyOtp(who, entered, seen)))
        self.on_package(Participate(envelope, GiveConsent(who, CONSENT, "es-PE", provenance)))
        self.later(seconds=11)

    def accept(
        self,
        envelope: UUID,
        who: UUID,
        provenance: Provenance,
        method: SignatureMethod = SignatureMethod.TYPED,
        attestation: str | None = "I agree to sign this document electronically.",
        *,
        image: bytes | None = None,
        values: Sequence[str] = (),
    ) -> None:
        """Signs the whole slot, with values for the first fields."""
        person = partial(self.personal, key=f"email:{self.people[who].email}")
        drawn = None if image is None else person(f"data:image/png;base64,{base64.b64encode(image).decode()}")
        filled = tuple(FieldValue(number, person(value)) for number, value in enumerate(values, 1))
        said = None if attestation is None else person(attestation)
        self.on_package(Participate(envelope, SignDocuments(who, None, method, said, drawn, provenance, values=filled)))

    def sign_at_browser(self, envelope: UUID, who: UUID, *, wrong_codes: int = 0, **how: Any) -> None:
        """All that somebody does who opens the invitation."""
        self.handed_over(envelope, who)
        self.later(minutes=31)
        provenance = self.seen(who)
        self.view_and_consent(envelope, who, provenance, wrong_codes=wrong_codes)
        self.accept(envelope, who, provenance, **how)

    def sign_by_agent(self, envelope: UUID, who: UUID) -> None:
        """A program signs with the organization's key; nothing is observed of anybody."""
        self.acting("organization-key", "ok_3VXA")
        self.accept(envelope, who, Provenance(IdentityMethod.AGENT), SignatureMethod.CLICKED, None)

    def sign_by_platform(self, envelope: UUID, who: UUID) -> None:
        """The platform that sent it says that the participant has signed, from an address that it names."""
        self.acting("partner-key", "pk_7Q2M")
        address = self.personal("198.51.100.77", key=f"email:{self.people[who].email}")
        self.accept(envelope, who, Provenance(IdentityMethod.TOKEN, address, AddressSource.CLAIMED))

    def open_session(self, envelope: UUID, who: UUID) -> None:
        """Somebody who signed in at an identity provider opens a session."""
        self.acting("user", "usr_91")
        session = Session(self.uuid(), self.random.randbytes(32).hex(), self.now + timedelta(minutes=15))
        user = self.personal("oidc|9431", key=f"email:{self.people[who].email}")
        self.on_package(Participate(envelope, OpenSession(who, session, user, self.now - timedelta(seconds=3))))

    def sign_signed_in(self, envelope: UUID, who: UUID) -> None:
        """Somebody signs in a session."""
        self.open_session(envelope, who)
        provenance = self.seen(who, IdentityMethod.OIDC)
        self.view_and_consent(envelope, who, provenance)
        self.accept(envelope, who, provenance)

    def refuse(self, envelope: UUID, who: UUID, reason: str | None) -> None:
        self.handed_over(envelope, who)
        provenance = self.seen(who, IdentityMethod.TOKEN)
        self.acting("signer", f"sgs_{who.hex[:8]}")
        said = None if reason is None else self.personal(reason, key=f"email:{self.people[who].email}")
        self.on_package(Participate(envelope, DeclineSigning(who, said, provenance)))

    def execute_sealed(self, envelope: UUID, *seals: Seal | None) -> None:
        """Each document is executed with its seal; the last one's goes for those that follow."""
        self.acting("follower", "executions")
        for number, paper in enumerate(self.states[envelope].documents):
            body, name = self._seal()
            seal = seals[min(number, len(seals) - 1)]
            self.later(seconds=1.5)
            executed = DocumentExecuted(paper.id, sha256(body).hexdigest(), name, len(body), sha256(b"n").hexdigest(), seal)
            self.on_package(RecordExecuted(envelope, executed))

    def forget(self, envelope: UUID, who: UUID) -> None:
        """Destroys what is stored about a participant."""
        self.acting("operator", "terminal")
        key = f"email:{self.people[who].email}"
        for row in [row for row in self.rows if row.stream in self.streams(envelope)]:
            mine = [place for place, it in self.disclosures.items() if place[0] == row.position and it.subject.key == key]
            for place in mine:
                del self.disclosures[place]
                self.erased[row.stream, row.version] = len(self.rows) + 1
        self.erase(who)

    def told(self, envelope: UUID) -> list[Happened]:
        streams = self.streams(envelope)
        return [happened(row.position, row.leaf, row.raw) for row in self.rows if row.stream in streams]

    def personal_values(self, told: Sequence[Happened]) -> dict[str, Shown]:
        """What became of each value, by its commitment."""
        found: dict[str, Shown] = {}
        for each in told:
            for path, commitment in each.entry.personal.items():
                kept = self.disclosures.get((each.position, path))
                position = self.erased.get((each.entry.stream, each.entry.version))
                found[commitment] = Erased(position) if kept is None else Disclosed(kept.value)
        return found

    def stored_checkpoint(self) -> StoredCheckpoint:
        """The checkpoint of all there is, with its witnesses."""
        note = parse_note(self.checkpoint(len(self.rows)))
        own = [line for line in note.signatures if line.name == self.origin]
        plain = format_note(type(note)(note.text, tuple(own)))
        lines = self.checkpoint(len(self.rows)).decode().splitlines()
        others = tuple(line for line in lines if line.startswith("\u2014 ") and not line.startswith(f"\u2014 {self.origin} "))
        return StoredCheckpoint(len(self.rows), bytes(32), plain, self.now, others)

    def case(self, envelope: UUID, tenant: str = "Notaría Paz S.A.C.", *, sealed: bool = True) -> Case:
        """The case of the envelope as of now."""
        told = self.told(envelope)
        checkpoint = self.stored_checkpoint() if sealed else Absent("the log was not sealed within a minute")
        beside = Circumstances(
            tenant, BASE_URL, self.now + timedelta(seconds=5), checkpoint, consent_texts={CONSENT: "2026-11-01"}
        )
        return case_from(told, self.personal_values(told), beside)


SEAL: Final = Seal(
    Profile.B_T,
    Obstacle.NO_MATERIAL,
    sha256(b"seal").hexdigest(),
    datetime(2026, 11, 20, 23, 59, 7, tzinfo=UTC),
    "https://tsa.example",
)
BARE_SEAL: Final = Seal(Profile.B_B, Obstacle.NO_AUTHORITY, sha256(b"seal").hexdigest())


def stroke(wide: int = 360, high: int = 110) -> bytes:
    """A drawn signature as a PNG."""
    picture = Image.new("RGBA", (wide, high))
    draw = ImageDraw.Draw(picture)
    points = [(10, 80), (60, 10), (80, 95), (130, 30), (150, 85), (210, 40), (240, 80), (350, 20)]
    draw.line(points, fill=(20, 30, 120, 255), width=5, joint="curve")
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def one_signer(world: CertificateWorld) -> UUID:
    envelope, (ana,) = world.send([someone("Ana Paz Quispe", "Buyer")], labels=("city", None, "occupation"))
    world.sign_at_browser(envelope, ana, method=SignatureMethod.DRAWN, image=stroke(), values=("Lima", "yes", "architect"))
    world.execute_sealed(envelope, SEAL)
    return envelope


def three_in_order(world: CertificateWorld) -> UUID:
    """A bounce and a second sending, wrong codes, and a platform that tells of a signature."""
    people = [
        someone("Ana Paz Quispe", "Buyer"),
        someone("Jörg Müller-Łukasiewicz", "Seller"),
        Someone("Bo Chen", None, None, "+51 999 888 777"),
    ]
    envelope, (ana, joerg, bo) = world.send(people, ("Lease.pdf", "Annex A.pdf"), zone="Europe/Berlin")
    world.bounced(envelope, ana)
    world.later(hours=2)
    provenance = world.seen(ana)
    world.view_and_consent(envelope, ana, provenance, wrong_codes=2)
    world.accept(envelope, ana, provenance)
    world.sign_signed_in(envelope, joerg)
    world.sign_by_platform(envelope, bo)
    world.execute_sealed(envelope, SEAL, BARE_SEAL)
    return envelope


def declined_but_continued(world: CertificateWorld) -> UUID:
    envelope, (ana, bo) = world.send([someone("Ana Paz Quispe"), someone("Bo Chen")], order=OrderMode.PARALLEL, zone=None)
    world.refuse(envelope, bo, "The price is not what we agreed on.")
    world.sign_at_browser(envelope, ana)
    world.execute_sealed(envelope, BARE_SEAL)
    return envelope


def signed_by_an_agent(world: CertificateWorld) -> UUID:
    envelope, (bot,) = world.send([someone("Ana Paz Quispe", "Buyer")], subject=None)
    world.sign_by_agent(envelope, bot)
    world.execute_sealed(envelope, BARE_SEAL)
    return envelope


def erased(world: CertificateWorld) -> UUID:
    envelope, (ana, bo) = world.send([someone("Ana Paz Quispe"), someone("Bo Chen")])
    world.sign_at_browser(envelope, ana, image=stroke())
    world.sign_at_browser(envelope, bo)
    world.execute_sealed(envelope, SEAL)
    world.forget(envelope, ana)
    return envelope


def in_other_scripts(world: CertificateWorld) -> UUID:
    people = [someone(name) for name in ("李小龍", "Ναυσικά", "محمد", "Екатерина Иванова", "Nguyễn Thị Minh Khai")]
    envelope, whose = world.send(people, ("契約書.pdf", "Σύμβαση.pdf"), subject="契約 2026 / Σύμβαση")
    for who in whose:
        world.sign_at_browser(envelope, who)
    world.execute_sealed(envelope, SEAL)
    return envelope


def in_test_mode(world: CertificateWorld) -> UUID:
    envelope, (ana,) = world.send([someone("Ana Paz Quispe")], mode=Mode.TEST)
    world.sign_at_browser(envelope, ana)
    world.execute_sealed(envelope, BARE_SEAL)
    return envelope


def with_long_names(world: CertificateWorld) -> UUID:
    name = "Wolfeschlegelsteinhausenbergerdorff, " + "Maria de los Ángeles Fernanda " * 5 + "X" * 120
    title = "Contrato_de_prestación_de_servicios_profesionales_" * 4 + "v12 (final) signed copy of the second annex.pdf"
    address = Someone(
        name, f"{'a' * 64}@{'b' * 60}.{'c' * 60}.example", "Representative of the buyer and of all of its subsidiaries"
    )
    envelope, (long,) = world.send([address], (title,), subject="Regarding " + "the agreement on services, " * 12)
    world.sign_at_browser(envelope, long, attestation="I, the undersigned, " * 30)
    world.execute_sealed(envelope, SEAL)
    return envelope


def of_many(world: CertificateWorld, people: int = 100, titles: int = 4) -> UUID:
    """As many participants as an envelope may have."""
    envelope, whose = world.send(
        [Someone(f"Signer {number}", f"signer{number}@example.com") for number in range(people)],
        [f"Annex {number}.pdf" for number in range(titles)],
        order=OrderMode.PARALLEL,
    )
    for who in whose:
        world.sign_at_browser(envelope, who)
    world.execute_sealed(envelope, SEAL)
    return envelope


STORIES: Final = {
    story.__name__: story
    for story in (
        one_signer,
        three_in_order,
        declined_but_continued,
        signed_by_an_agent,
        erased,
        in_other_scripts,
        in_test_mode,
        with_long_names,
    )
}
