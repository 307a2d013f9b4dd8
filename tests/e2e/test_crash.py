"""What is left after `kill -9`: one round of each kind here, many with `scripts/crash_rounds.py`."""

import re
import subprocess
import sys

import pytest

from scripts.server_process import ROOT


@pytest.mark.parametrize("kind", ["api", "postgres"])
def test_whatever_is_killed_under_load_nothing_is_lost_doubled_or_halved(kind: str) -> None:
    rounds = 1
    done = subprocess.run(
        [
            *(sys.executable, "scripts/crash_rounds.py", "--rounds", str(rounds), "--kill", kind),
            *("--seconds-of-load", "1", "--clients", "8"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"round +\d+: kill -9 of .* all holds", done.stdout)) == rounds
    acknowledged = re.search(r"acknowledged: (\d+) changes, (\d+) entries", done.stdout)
    assert acknowledged is not None
    assert int(acknowledged[1]) > 8, "there was load"
