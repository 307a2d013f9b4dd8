"""Examples of the reference pages: run as they stand, and compared with the page where it is at hand."""

import os
import subprocess
from pathlib import Path


def curl(example: str, folder: Path, **variables: str) -> tuple[int, str]:
    """Runs an example's curl by bash, with these variables set; the answer's status and body."""
    # curl reads its defaults from here, so that the example itself stays as it is.
    (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "\\n%{http_code}"\n')
    environment = {**_environment(folder), "CURL_HOME": str(folder), **variables}
    done = subprocess.run(["bash", "-c", example], capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def python(interpreter: str, example: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs an example's Python to its end, whatever that is."""
    return subprocess.run(
        [interpreter, "-c", example], capture_output=True, text=True, timeout=60, env=_environment(folder), check=False
    )


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(folder), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def page_holds(page: str, *examples: str) -> None:
    """The page has each of these, but for the lines that it is broken into: as text it has lost some of them."""
    text = _unbroken(page)
    for example in examples:
        assert _unbroken(example) in text, example


def _unbroken(text: str) -> str:
    return "".join(text.split())
