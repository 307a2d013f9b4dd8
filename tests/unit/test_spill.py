"""What is spilled comes back as it was, and nothing but our own values ever does."""

from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from domain.entry import decode
from domain.evidence import PackageEnd, PackageHistory
from domain.faults import Verdict
from infrastructure import history, replay
from infrastructure.codec import decode_fact
from infrastructure.spill import Spill, SpillError
from infrastructure.verification import verify
from tests.histories import RecordedLog, export_file


def test_values_beyond_the_capacity_come_back_from_the_file() -> None:
    spill: Spill[tuple[int, str]] = Spill(10)
    keys = [UUID(int=number) for number in range(1000)]
    with closing(spill):
        for number, key in enumerate(keys):
            assert spill.get(key) is None
            spill.put(key, (number, "value"))
        assert len(spill) == 1000
        assert [spill.get(key) for key in reversed(keys)] == [(number, "value") for number in reversed(range(1000))]
        assert sorted(value for _, value in spill.items()) == [(number, "value") for number in range(1000)]
        assert len(spill) == 1000


def test_a_changed_value_keeps_its_change() -> None:
    spill: Spill[list[int]] = Spill(1)
    with closing(spill):
        spill.put(UUID(int=1), [])
        for number in range(5):
            found = spill.get(UUID(int=1))
            assert found is not None
            found.append(number)
            spill.put(UUID(int=100 + number), [])
        assert spill.get(UUID(int=1)) == [0, 1, 2, 3, 4]


def test_the_history_of_an_envelope_goes_on_after_each_stay_in_the_file() -> None:
    log = RecordedLog()
    envelope, _ = log.completed()
    spill: Spill[PackageHistory] = Spill(1)
    with closing(spill):
        spill.put(envelope, PackageHistory(envelope))
        for row in log.rows:
            spill.put(log.uuid(), PackageHistory(envelope))  # drives the other one out
            package = spill.get(envelope)
            assert package is not None
            entry = decode(row.raw)
            package.feed(row.stream, decode_fact(entry.type, entry.data, entry.personal), entry.at)  # type: ignore[arg-type]
        package = spill.get(envelope)
        assert package is not None
        assert package.finish() is PackageEnd.CLOSED
        assert package.envelope == log.states[envelope]


class Intruder:
    """Would run when it is read, if anything of the kind were."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("read",)


@pytest.mark.parametrize("value", [Intruder(), Path("x"), Verdict, print])
def test_nothing_but_plain_data_of_our_own_is_read_back(value: object) -> None:
    spill: Spill[object] = Spill(1)
    with closing(spill):
        spill.put(UUID(int=1), value)
        spill.put(UUID(int=2), 2)
        if value is Verdict:
            assert spill.get(UUID(int=1)) is Verdict
        else:
            with pytest.raises(SpillError, match="not part of a spilled value"):
                spill.get(UUID(int=1))


def test_a_log_is_judged_alike_with_hardly_any_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RecordedLog().of_every_kind()
    path = tmp_path / "log.jsonl"
    path.write_bytes(export_file(log.rows))
    with closing(verify(path)) as report:
        expected = sorted(map(str, report.streams()))
    monkeypatch.setattr(history, "STREAMS", 1)
    monkeypatch.setattr(replay, "PACKAGES", 1)
    with closing(verify(path)) as report:
        assert report.verdict is Verdict.VALID
        assert sorted(map(str, report.streams())) == expected
