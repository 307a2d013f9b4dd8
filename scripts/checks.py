"""The checks of the project, in order; the tests come last and only when the rest holds."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from typing import Final

from scripts.bootstrap import become

#: The step's name, its heading, and its command after `python`.
CHECKS: Final = (
    ("lint", "Lint", ("-m", "ruff", "check", ".")),
    ("format", "Format", ("-m", "ruff", "format", "--check", ".")),
    ("types", "Types", ("-m", "mypy")),
    ("imports", "Import rules", ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-logo'])")),
)
TESTS: Final = "tests"


def main() -> None:
    """Runs the checks and ends the process: 0 when all holds. Arguments it does not know go to pytest."""
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__, epilog="All other arguments go to pytest.")
    names = [name for name, _, _ in CHECKS]
    parser.add_argument("--only", action="append", choices=[*names, TESTS], help="run this step alone (may be repeated)")
    arguments, for_pytest = parser.parse_known_args()
    wanted = arguments.only or [*names, TESTS]
    failed = [title for name, title, command in CHECKS if name in wanted and not _holds(title, command)]
    if failed:
        sys.exit(f"\nFAILED: {', '.join(failed)}." + (" The tests were not run." if TESTS in wanted else ""))
    if TESTS in wanted:
        _heading("Tests")
        # Replaced, so that pytest's closing line is the last one.
        become([sys.executable, "-m", "pytest", "-n", str(_workers()), *for_pytest])
    print("\nAll holds.")


def _workers() -> int:
    """One more than there are cores: most of the tests' time is waiting for servers that they start."""
    return (os.cpu_count() or 1) + 1


def _holds(title: str, command: tuple[str, ...]) -> bool:
    _heading(title)
    started = time.monotonic()
    code = subprocess.run([sys.executable, *command], check=False).returncode
    print(f"{title}: {'passed' if code == 0 else 'FAILED'} in {time.monotonic() - started:.1f} s", flush=True)
    return code == 0


def _heading(title: str) -> None:
    width = shutil.get_terminal_size().columns
    print(f"\n── {title} ".ljust(min(width, 80), "─"), flush=True)


if __name__ == "__main__":
    main()
