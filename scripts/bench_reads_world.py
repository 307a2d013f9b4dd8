"""The world that `bench_reads.py` reads: envelopes of several tenants, with what belongs to them, and credentials to see them.

The first of each kind are decided by the domain and appended by the recorder, as a server does it; the rest are copies of them
(`bench_reads_copies.py`).
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from random import Random
from typing import Final, TypeVar
from uuid import UUID

from domain.actor import Actor, ActorKind, IdentityMethod, Mode, Provenance
from domain.consent import AcceptDisclosure, ConsentAccepted, DisclosureText
from domain.coordination import CancelEnvelope, CreateEnvelope, Participate
from domain.directory import (
    OWNER,
    AddCompany,
    AddLocation,
    AppointManager,
    CreateOrganization,
    DefineFlow,
    JoinMember,
    Tier,
    Tiers,
    user_subject,
)
from domain.envelope import Document, EnvelopeCreated, OnParticipantFail, OrderMode, Slot, TemplateVersion
from domain.ids import uuid7
from domain.library import CommentDocument, CreateDocument, DocumentKind
from domain.personal import Personal, Subject, SubjectKind, person
from domain.signing import DeclineSigning, DocumentReference, ProcessCreated, SignatureMethod, SignatureMode, SignDocuments
from domain.template import CreateTemplate, DefineFields, Field, FieldType, ReviseTemplate, StoredFile, StoreFile
from infrastructure.aggregates import Command
from infrastructure.clock import SystemClock
from infrastructure.database import async_pool
from infrastructure.identity import Identity, KeyKind
from infrastructure.installation import Installation
from infrastructure.invitation_mint import InvitationMint
from infrastructure.issuer import ISSUER
from infrastructure.ledger import NO_ANSWER, Ledger
from infrastructure.recorder import Recorder
from infrastructure.vault import Vault
from scripts.bench_reads_copies import RememberingVault, multiply

#: The large tenant has nine tenths of the envelopes; these have the rest between them.
SMALL_TENANTS: Final = 4
LOCATIONS: Final = 20

#: One envelope in so many is the signer's of whom the queue is read.
QUEUE_SHARE: Final = 200
SIGNER: Final = "signer@example.com"

#: How far an envelope comes, with its weight. `cancelled` is given to one in a thousand.
FATES: Final[Mapping[str, int]] = {"draft": 5, "sent": 35, "partly": 20, "completed": 25, "declined": 15}
RARE: Final = "cancelled"

#: Envelopes that are decided one by one.
ORIGINALS: Final = 1_000

#: Commands under way at a time.
LANES: Final = 192

BY: Final = Actor(ActorKind.OPERATOR, "bench")
SEEN: Final = Provenance(IdentityMethod.TOKEN)
LIFETIME: Final = timedelta(days=1)

#: Told what is done of what there is to do.
Progress = Callable[[int, int], None]
T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """What was made: the large tenant, and the headers of each caller by name."""

    tenant: UUID
    callers: Mapping[str, Mapping[str, str]]
    popular: UUID  #: a document that a tenth of the envelopes are made from


def fill(installation: Installation, envelopes: int, progress: Progress) -> World:
    """Makes `envelopes` of them, a tenth as many templates, twice a tenth documents, and a directory."""
    return asyncio.run(_fill(installation, envelopes, progress))


async def _fill(installation: Installation, envelopes: int, progress: Progress) -> World:
    clock = SystemClock()
    async with async_pool(installation.urls.service) as pool:
        recorder = Recorder(installation.urls.service, installation.origin, pool, clock)
        recorder.start()
        vault = RememberingVault(pool, installation.keys)
        mint = InvitationMint(installation.keys, timedelta(days=30), os.urandom)
        identity = Identity(pool, installation.keys, clock)
        try:
            tenants = [await identity.create_tenant(f"Tenant {number}") for number in range(1 + SMALL_TENANTS)]
            originals = min(envelopes, ORIGINALS)
            maker = _Maker(Ledger(recorder, vault, mint, clock), vault, tuple(tenants), originals)
            done = 0

            def advance(count: int = 1) -> None:
                nonlocal done
                done += count
                progress(done, round(maker.total * envelopes / originals))

            await maker.make(advance)
            kept = (*tenants, *maker.kept)
            await multiply(installation.urls.owner, vault, maker.groups, kept, envelopes / originals, advance)
            return World(tenants[0], await _callers(identity, tenants[0]), maker.documents[0])
        finally:
            await asyncio.to_thread(recorder.close)


async def _callers(identity: Identity, tenant: UUID) -> dict[str, Mapping[str, str]]:
    partner = await identity.create_partner_key(tenant, "KEY")
    project = await identity.create_key(tenant, KeyKind.PROJECT, Mode.LIVE)
    _, organization = await identity.create_organization_key(tenant, Mode.LIVE)
    admin = f"Bearer {identity.mint_admin_token(tenant, LIFETIME)}"
    users = {
        "signer": identity.mint_user_token(tenant, "signer", Mode.LIVE, LIFETIME, SIGNER),
        "manager": identity.mint_user_token(tenant, "manager", Mode.LIVE, LIFETIME),
    }
    return {
        "nobody": {},
        "partner": {"X-Tenant-Signly": str(tenant), "X-Auth-Signly": partner.secret},
        "partner administrator": {"X-Auth-Signly": admin},
        "administrator": {"Authorization": admin},
        "project": {"Authorization": f"Bearer {project.secret}"},
        "organization": {"Authorization": f"Bearer {organization}"},
        **{name: {"Authorization": f"Bearer {token}"} for name, token in users.items()},
    }


class _Maker:
    """Makes the world by commands. The same numbers give the same shares, not the same ids."""

    def __init__(self, ledger: Ledger, vault: Vault, tenants: tuple[UUID, ...], envelopes: int) -> None:
        self._ledger = ledger
        self._vault = vault
        self._tenants = tenants
        self._count = envelopes
        self._people = max(20, envelopes // 20)
        self._clock = SystemClock()
        self._organization = self._id()
        self.locations = tuple(self._id() for _ in range(LOCATIONS))
        self.templates = tuple(self._id() for _ in range(max(20, envelopes // 10)))
        #: Documents of the library; the first is the one that many envelopes are made from.
        self.documents = tuple(self._id() for _ in range(max(20, envelopes // 5)))
        #: Streams that belong together, for copies of them.
        self.groups: list[tuple[UUID, ...]] = [(id,) for id in (*self.templates, *self.documents[1:])]

    @property
    def total(self) -> int:
        return self._count + len(self.templates) + len(self.documents)

    @property
    def kept(self) -> tuple[UUID, ...]:
        """What copies have in common with their originals."""
        return (self._organization, *self.locations, self.documents[0])

    async def make(self, advance: Callable[[], None]) -> None:
        await self._directory()
        await self._consent()
        await _spread(range(len(self.templates)), self._template, advance)
        await _spread(range(len(self.documents)), self._document, advance)
        await _spread(range(self._count), self._envelope, advance)

    def _id(self) -> UUID:
        return uuid7(self._clock.now(), os.urandom(10))

    async def _do(self, command: Command) -> None:
        await self._ledger.handle(command, BY, lambda outcome: NO_ANSWER)

    def _named(self, text: str, kind: SubjectKind, key: UUID, tenant: UUID | None = None) -> Personal:
        return self._vault.conceal(text, Subject(tenant or self._tenants[0], kind, str(key)))

    async def _directory(self) -> None:
        """An organization with companies, locations and flows, and a manager of all of it."""
        tenant, organization = self._tenants[0], self._organization

        def named(text: str) -> Personal:
            return self._named(text, SubjectKind.ORGANIZATION, organization)

        company, member = self._id(), self._id()
        await self._do(CreateOrganization(tenant, Mode.LIVE, organization, named("Dealers Ltd"), named("dealers")))
        await self._do(AddCompany(organization, company, named("Dealers North Ltd")))
        for number, location in enumerate(self.locations):
            await self._do(AddLocation(organization, location, named(f"Location {number}"), company))
            await self._do(DefineFlow(organization, self._id(), location, named(f"Flow {number}")))
        whose = user_subject(tenant, ISSUER, "manager")
        user = self._vault.conceal({"issuer": ISSUER, "subject": "manager"}, whose)
        await self._do(JoinMember(organization, member, user, None, None, OWNER))
        await self._do(AppointManager(organization, self._id(), member, Tiers(*(Tier.READ,) * 5)))

    async def _consent(self) -> None:
        whose = Subject(self._tenants[0], SubjectKind.PERSON, "stakeholder:stk_1")
        accepted = ConsentAccepted(
            tenant=self._tenants[0],
            mode=Mode.LIVE,
            stakeholder=self._vault.conceal("stk_1", whose),
            text=DisclosureText("1", _hash("disclosure"), "en"),
            hardware_capability_affirmed=True,
            paper_copy_request_method=self._vault.conceal("By mail", whose),
            captured_via=None,
            captured_at=None,
            provenance=SEEN,
        )
        await self._do(AcceptDisclosure(self._id(), accepted))

    async def _template(self, number: int) -> None:
        template = self.templates[number]
        name = self._named(f"Agreement {number}", SubjectKind.TEMPLATE, template)
        await self._do(CreateTemplate(self._tenants[0], Mode.LIVE, template, name, None))
        await self._do(StoreFile(template, 1, StoredFile(_hash(f"template {number}"), 48_213, 3)))
        await self._do(DefineFields(template, (Field("signature", FieldType.SIGNATURE, 3, 72_000, 640_500),)))
        if number % 2 == 0:
            await self._do(ReviseTemplate(template, location=self.locations[number // 2 % LOCATIONS]))

    async def _document(self, number: int) -> None:
        """Half of them renders, as the first is; few are the signer's own records, which have comments."""
        document, owned = self.documents[number], number % 50 == 7
        kind = (DocumentKind.RENDER, DocumentKind.GENERATED)[number % 2]
        whose = user_subject(self._tenants[0], ISSUER, "signer" if number % 500 == 7 else f"user {number // 1_000}")
        owner = {"issuer": ISSUER, "subject": "signer" if number % 500 == 7 else f"user {number // 1_000}"}
        await self._do(
            CreateDocument(
                tenant=self._tenants[0],
                mode=Mode.LIVE,
                document=document,
                kind=DocumentKind.CHATTEL if owned else kind,
                type="vehicle" if owned else "nda",
                title=self._named(f"Document {number}", SubjectKind.DOCUMENT, document),
                owner=self._vault.conceal(owner, whose) if owned else None,
                file=StoredFile(_hash(f"document {number}"), 31_007, 2),
            )
        )
        for comment in range(3 if owned else 0):
            author, text = self._vault.conceal(owner, whose), self._vault.conceal(f"Comment {comment}", whose)
            await self._do(CommentDocument(document, self._id(), author, text))

    async def _envelope(self, number: int) -> None:
        fate = self._fate(number)
        command = self._creation(number, send=fate != "draft")
        first, second = command.processes
        self.groups.append((command.envelope, first, second))
        await self._do(command)
        if fate in ("partly", "completed"):
            await self._sign(command.envelope, first)
        if fate == "completed":
            await self._sign(command.envelope, second)
        if fate == "declined":
            await self._do(Participate(command.envelope, DeclineSigning(first, None, SEEN)))
        if fate == RARE:
            await self._do(CancelEnvelope(command.envelope, None))

    def _fate(self, number: int) -> str:
        if number % 1_000 == 10:
            return RARE
        return Random(number).choices(tuple(FATES), tuple(FATES.values()))[0]

    async def _sign(self, envelope: UUID, who: UUID) -> None:
        await self._do(Participate(envelope, SignDocuments(who, None, SignatureMethod.TYPED, None, None, SEEN)))

    def _creation(self, number: int, *, send: bool) -> CreateEnvelope:
        small = number % 10 == 9
        tenant = self._tenants[1 + number // 10 % SMALL_TENANTS] if small else self._tenants[0]
        mode = Mode.TEST if number % 19 == 18 else Mode.LIVE
        envelope, document, whose = self._id(), self._id(), (self._id(), self._id())
        pdf = Document(
            document,
            _hash(f"envelope {number}"),
            2,
            self._named(f"Contract {number}", SubjectKind.ENVELOPE, envelope, tenant),
            None if small else self._source(number),
        )
        created = EnvelopeCreated(
            tenant=tenant,
            mode=mode,
            documents=(pdf,),
            participants=tuple(Slot(who, place, (document,)) for place, who in enumerate(whose, 1)),
            order=OrderMode.SEQUENTIAL if number % 2 and number % 5 else OrderMode.PARALLEL,
            on_participant_fail=OnParticipantFail.CANCEL_FLOW,
            deadline=None,
            template=None if small or number % 2 else TemplateVersion(self.templates[number // 2 % len(self.templates)], 1),
            subject=self._named(f"Please sign contract {number}", SubjectKind.ENVELOPE, envelope, tenant),
            message=None,
            metadata=None,
            location=self.locations[number // 3 % LOCATIONS] if number % 3 == 0 and not small else None,
        )
        people = [SIGNER if number % QUEUE_SHARE == 3 else self._address(number), self._address(number + self._people // 2)]
        processes = {
            who: self._process(tenant, mode, envelope, place, pdf, who, email)
            for place, (who, email) in enumerate(zip(whose, people, strict=True), 1)
        }
        return CreateEnvelope(envelope, created, processes, send)

    def _address(self, number: int) -> str:
        return f"person{number % self._people}@example.com"

    def _source(self, number: int) -> UUID | None:
        """Of ten envelopes one is made from the popular document, three from others, the rest from none."""
        match number % 10:
            case 1:
                return self.documents[0]
            case 2 | 3 | 4:
                return self.documents[number % len(self.documents)]
            case _:
                return None

    def _process(
        self, tenant: UUID, mode: Mode, envelope: UUID, place: int, pdf: Document, who: UUID, email: str
    ) -> ProcessCreated:
        whose = person(tenant, email=email, otherwise=who)
        return ProcessCreated(
            tenant,
            mode,
            envelope,
            place,
            (DocumentReference(pdf.id, pdf.sha256),),
            (SignatureMode.EMAIL,),
            self._vault.conceal(email.partition("@")[0].title(), whose),
            self._vault.conceal(email, whose),
            None,
            None,
        )


async def _spread(items: Iterable[T], act: Callable[[T], Awaitable[None]], advance: Callable[[], None]) -> None:
    """Does all of it, LANES at a time, begun in order."""
    waiting = iter(items)

    async def lane() -> None:
        for item in waiting:
            await act(item)
            advance()

    await asyncio.gather(*(lane() for _ in range(LANES)))


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
