"""Rules that hold for every file of the project, each with what happened where it did not hold."""

import re
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT, modules, tracked_files

LINES = 450

#: Goes into each bundle of evidence as one file, so it cannot become a package; read from top to bottom it has one section a format.
ALONE = {"scripts/verify_evidence.py": 700}

#: Written in pieces, so that this file does not hold what it looks for.
ADDRESSES = re.compile(
    "|".join(
        (
            r"/(?:root|home/[a-z]+|Users/[A-Za-z]+)" + r"/",
            r"[A-Z]:\\" + r"Users",
            r"/opt/" + r"pypi",
            r"pypi\." + r"org",
            r"python" + r"hosted",
            r"npmjs\." + r"(?:org|com)",
            r"(?:extra-)?index" + r"-url[ =]+\S*:",
        )
    )
)


@pytest.mark.parametrize("module", list(modules(*PACKAGES)), ids=lambda module: str(module.relative_to(ROOT)))
def test_a_module_can_be_read_at_one_sitting(module: Path) -> None:
    """An audit trail was once written by hand at 48 places of services with 4,000 lines: nobody saw that some were missing."""
    most = ALONE.get(module.relative_to(ROOT).as_posix(), LINES)
    assert len(module.read_text().splitlines()) <= most, "a package of the same name, in parts, reads better"


def test_a_files_name_says_what_it_is_for() -> None:
    """Everything and nothing goes into `utils`; two such modules each held their own spelling of a time, and they differed."""
    empty = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common)(_|$)")
    assert [str(path) for path in modules(*PACKAGES, "tests") if empty.search(path.stem) or empty.search(path.parent.name)] == []


def test_no_file_names_a_machine_or_a_package_host() -> None:
    """A lock file with one company's mirror in it could be installed by nobody else, and told the world about that mirror."""
    found = []
    for file in tracked_files():
        try:
            lines = file.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{file.relative_to(ROOT)}:{number} {hit[0]}"
            for number, line in enumerate(lines, 1)
            if (hit := ADDRESSES.search(line))
        ]
    assert found == []


@pytest.mark.parametrize(
    "line", ["/ho" + "me/ana/x", "/ro" + "ot/.cache", "--index" + "-url https://mirror", "https://py" + "pi.org/simple"]
)
def test_such_a_name_would_be_seen(line: str) -> None:
    assert ADDRESSES.search(line)
