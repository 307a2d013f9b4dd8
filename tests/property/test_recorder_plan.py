"""Planning a batch at once gives what planning its commands one by one would."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.entry import NO_PREVIOUS, decode, draft, leaf_hash
from infrastructure.append import Answer, Appended, CreditDebit, Idempotency, SealedDisclosure, StaleAppend
from infrastructure.recorder.command import Command, DraftedEntry, Expectation
from infrastructure.recorder.plan import Plan, State, plan

LEDGER = "countersign.test/plan"
START = datetime(2026, 11, 20, tzinfo=UTC)
STREAMS = [UUID(int=n) for n in range(1, 4)]
SUBJECTS = [UUID(int=n) for n in range(11, 13)]
TENANTS = [UUID(int=n) for n in range(21, 23)]

times = st.integers(0, 5).map(lambda seconds: START + timedelta(seconds=seconds))


@st.composite
def commands(draw: st.DrawFn) -> Command:
    entries = []
    expected = {}
    for stream in draw(st.lists(st.sampled_from(STREAMS), unique=True, max_size=3)):
        version = draw(st.integers(0, 4))
        expected[stream] = Expectation(version, or_new=draw(st.booleans()))
        for number in range(version + 1, version + 1 + draw(st.integers(0, 2))):
            unplaced = draft(LEDGER, stream, number, "test.happened/1", {}, {"n": number}, {})
            entries.append(DraftedEntry(stream, number, "test.happened/1", unplaced))
    disclosed = draw(st.lists(st.sampled_from(SUBJECTS), max_size=1))
    key = draw(st.none() | st.tuples(st.sampled_from("ab"), st.sampled_from([b"1", b"2"])))
    debit = draw(st.none() | st.tuples(st.sampled_from(TENANTS), st.integers(0, 3)))
    return Command(
        entries,
        expected,
        now=draw(times),
        not_after=draw(st.none() | times),
        disclosures=tuple(SealedDisclosure(STREAMS[0], 1, "/name", subject, b"") for subject in disclosed),
        idempotency=key and Idempotency("scope", key[0], key[1], lambda receipts: Answer(200, "", repr(receipts).encode())),
        debit=debit and CreditDebit(*debit),
    )


@st.composite
def states(draw: st.DrawFn) -> State:
    subjects = set(draw(st.lists(st.sampled_from(SUBJECTS), unique=True)))
    credits = draw(st.dictionaries(st.sampled_from(TENANTS), st.integers(0, 4)))
    return State(draw(st.integers(0, 3)), draw(times), subjects=subjects, credits=credits)


def comparable(outcome: Appended | Exception) -> object:
    return outcome if isinstance(outcome, Appended) else (type(outcome), str(outcome))


@given(st.lists(commands(), max_size=8), states(), times)
def test_a_batch_is_planned_like_its_commands_one_by_one(batch: list[Command], state: State, now: datetime) -> None:
    stepwise = deepcopy(state)
    together = plan(batch, state, now)
    alone = [plan([command], stepwise, now) for command in batch]

    assert [comparable(outcome) for outcome in together.outcomes] == [comparable(made.outcomes[0]) for made in alone]
    assert together.rows == [row for made in alone for row in made.rows]
    assert together.disclosures == [new for made in alone for new in made.disclosures]
    assert together.answers == [row for made in alone for row in made.answers]
    assert state == stepwise


@given(st.lists(commands(), max_size=8), states(), times)
def test_a_plan_keeps_every_rule_of_the_log(batch: list[Command], state: State, now: datetime) -> None:
    before = deepcopy(state)
    made = plan(batch, state, now)

    assert [row.position for row in made.rows] == list(range(before.position + 1, made.position + 1))
    last: dict[UUID, bytes] = {}
    at = before.at
    for row in made.rows:
        entry = decode(row.raw)
        assert (entry.stream, entry.version, entry.type) == (row.stream, row.version, row.type)
        assert entry.previous == last.get(row.stream, NO_PREVIOUS)
        assert entry.at >= max(at, now)
        assert row.leaf == leaf_hash(row.raw)
        last[row.stream], at = row.leaf, entry.at
    assert {stream: head.leaf for stream, head in state.heads.items()} == last
    assert all(balance >= 0 for balance in state.credits.values())
    assert {tenant: before.credits[tenant] - taken for tenant, taken in made.debits.items()} == {
        tenant: state.credits[tenant] for tenant in made.debits
    }
    _check_outcomes(batch, made)


def _check_outcomes(batch: list[Command], made: Plan) -> None:
    for command, outcome in zip(batch, made.outcomes, strict=True):
        if isinstance(outcome, Appended) and not outcome.repeated:
            assert [(receipt.stream, receipt.version) for receipt in outcome.receipts] == [entry[:2] for entry in command.entries]
            assert all(command.not_after is None or receipt.at <= command.not_after for receipt in outcome.receipts)


def test_an_answer_that_cannot_be_made_fails_its_own_command_and_leaves_no_trace() -> None:
    def broken(_: object) -> Answer:
        raise LookupError("no such template")

    unplaced = draft(LEDGER, STREAMS[0], 1, "test.happened/1", {}, {}, {})
    entry = DraftedEntry(STREAMS[0], 1, "test.happened/1", unplaced)
    bad = Command([entry], {STREAMS[0]: Expectation(0, or_new=False)}, START, idempotency=Idempotency("s", "k", b"", broken))
    good = Command([entry], {STREAMS[0]: Expectation(0, or_new=False)}, START)
    made = plan([bad, good, good], State(0, START), START)
    assert isinstance(made.outcomes[0], LookupError)
    assert isinstance(made.outcomes[1], Appended)
    assert isinstance(made.outcomes[2], StaleAppend)
    assert made.answers == []
    assert len(made.rows) == 1
