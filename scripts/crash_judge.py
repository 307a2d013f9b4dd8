"""Judges a database after a crash against what its clients remember: nothing lost, nothing twice, nothing by halves."""

import time
from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from domain.entry import Entry, decode
from domain.ids import parse_uuid
from infrastructure.blobs import BlobStore
from infrastructure.database import connect
from infrastructure.fsck import fsck
from infrastructure.heads import FOLLOWER as HEADS  # it records heads at intervals, so it may stay behind
from infrastructure.verification import Expectations
from scripts.crash_clients import Memory, Violation


@dataclass
class Told:
    """What the log tells, entry by entry."""

    position: int = 0
    templates: set[UUID] = field(default_factory=set)
    versions: int = 0
    documents: dict[UUID, set[UUID]] = field(default_factory=dict)
    processes: set[UUID] = field(default_factory=set)
    completed: set[UUID] = field(default_factory=set)
    cancelled: set[UUID] = field(default_factory=set)
    extended: Counter[UUID] = field(default_factory=Counter)
    resent: Counter[UUID] = field(default_factory=Counter)
    ended: dict[UUID, str] = field(default_factory=dict)
    disclosures: int = 0

    def add(self, entry: Entry) -> None:
        self.disclosures += len(entry.personal)
        match entry.type.partition("/")[0]:
            case "template.created":
                self.templates.add(entry.stream)
            case "template.version-added":
                self.versions += 1
            case "envelope.created":
                slots = entry.data["participants"]
                assert isinstance(slots, list)
                self.documents[entry.stream] = {parse_uuid(slot["participant"]) for slot in slots}
            case "envelope.deadline-extended":
                self.extended[entry.stream] += 1
            case "envelope.cancelled":
                self.cancelled.add(entry.stream)
                self.ended[entry.stream] = "cancelled"
            case "envelope.completed":
                self.ended[entry.stream] = "completed"
            case "signing.process-created":
                self.processes.add(entry.stream)
            case "signing.invitation-resent":
                self.resent[entry.stream] += 1
            case "signing.completed":
                self.completed.add(entry.stream)
            case _:
                pass


class Judge:
    """Reads the log as it grows, and the rest anew each time; files are at `blob_url`, `credits` is the tenant's first balance."""

    def __init__(self, service_url: str, blob_url: str, tenant: UUID, credits: int) -> None:
        self._url = service_url
        self._blobs = BlobStore.at(blob_url)
        self._tenant = tenant
        self._credits = credits
        self.told = Told()
        self.repeated = 0

    def judge(self, memory: Memory) -> None:
        """Call it while no client asks. Raises Violation, naming what does not hold."""
        faults = [*self._check_log(memory), *self._check_acts(memory), *self._check_tables(memory)]
        if faults:
            raise Violation("\n".join(faults))

    def judge_reads(self, seconds: float) -> None:
        """The read models say what the log says, no invitation is left to be noted, and all is sealed; waits for the followers."""
        deadline = time.monotonic() + seconds
        while faults := self._check_reads():
            if time.monotonic() > deadline:
                raise Violation("\n".join(faults))
            time.sleep(0.1)

    def _check_reads(self) -> list[str]:
        with connect(self._url) as conn:
            behind = conn.execute(
                "SELECT projection FROM read.positions, log_head WHERE positions.position < log_head.position AND projection <> %s"
                " UNION ALL SELECT coalesce('the sealer refuses: ' || alarm, 'the sealer') FROM sealing, log_head WHERE size < position",
                [HEADS],
            ).fetchall()
            statuses = dict(conn.execute("SELECT id, status FROM read.envelopes").fetchall())
        if behind:
            return [f"{name} is behind" for (name,) in behind]
        expected = {document: self.told.ended.get(document, "sent") for document in self.told.documents}
        return [] if statuses == expected else [f"read model of envelopes: {_difference(expected, statuses)}"]

    def _check_log(self, memory: Memory) -> list[str]:
        """Every acknowledged entry is in the log as its leaf hash says, the log is whole and possible, and its files are there."""
        report = fsck(self._url, Expectations(memory.receipts), blobs=self._blobs)
        try:
            found = [f"fsck: {fault}" for fault in list(report.faults)[:20]]
            return found if report.verdict == "valid" else found or [f"fsck: {report.verdict}"]
        finally:
            report.close()

    def _check_acts(self, memory: Memory) -> list[str]:
        """What was answered happened, once; and nothing happened that was not answered in the end."""
        with connect(self._url) as conn:
            rows = conn.execute("SELECT entry, position FROM log WHERE position > %s ORDER BY position", [self.told.position])
            for raw, position in rows:
                self.told.add(decode(raw))
                self.told.position = position
        told = self.told
        pairs: list[tuple[str, object, object]] = [
            ("templates", told.templates, memory.templates),
            ("versions of templates", told.versions, memory.versions),
            ("documents and their participants", told.documents, memory.documents),
            ("processes", told.processes, {who for people in memory.documents.values() for who in people}),
            ("completed sessions", told.completed, memory.completed),
            ("cancelled documents", told.cancelled, memory.cancelled),
            ("extensions", told.extended, memory.extended),
            ("resent invitations", told.resent, memory.resent),
        ]
        return [f"{what}: {_difference(log, clients)}" for what, log, clients in pairs if log != clients]

    def _check_tables(self, memory: Memory) -> list[str]:
        """What stands beside the log moved with it: credits, answers kept for repeats, disclosures."""
        with connect(self._url) as conn:
            balance = conn.execute("SELECT balance FROM credits WHERE tenant = %s", [self._tenant]).fetchone()
            kept = dict(conn.execute("SELECT key, created_at FROM idempotency").fetchall())
            disclosures = conn.execute("SELECT count(*) FROM disclosures").fetchone()
        assert balance is not None
        assert disclosures is not None
        self.repeated = sum(1 for key, tried in memory.tries.items() if key in kept and kept[key] < tried)
        faults = []
        if balance[0] != self._credits - len(memory.documents):
            faults.append(f"credits: {self._credits - balance[0]} were taken for {len(memory.documents)} documents")
        if kept.keys() != memory.keys:
            faults.append(f"kept answers: {_difference(set(kept), memory.keys)}")
        if disclosures[0] != self.told.disclosures:
            faults.append(f"{disclosures[0]} disclosures are stored for {self.told.disclosures} commitments")
        return faults


def _difference(log: object, clients: object) -> str:
    if isinstance(log, set) and isinstance(clients, set):
        return f"{sorted(map(str, log - clients))} only in the database, {sorted(map(str, clients - log))} only answered"
    if isinstance(log, dict) and isinstance(clients, dict):
        differing = {key for key in log.keys() | clients.keys() if log.get(key) != clients.get(key)}
        return "; ".join(f"{key}: {log.get(key)} in the log, {clients.get(key)} answered" for key in sorted(differing, key=str))
    return f"{log} in the log, {clients} answered"
