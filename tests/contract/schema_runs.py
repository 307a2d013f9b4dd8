"""schemathesis over a surface's OpenAPI document: it sends what the document allows and what it does not, with all its checks.

The bounds are those of a test among many. `SCHEMA_EXAMPLES` (of each operation) and `SCHEMA_SECONDS` (of the stateful phase) in the
environment set others, for a long look.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.contract.partner_world import World, pdf

#: How requests with a PDF are made: schemathesis knows no PDFs.
_HOOKS: Final = """
import schemathesis
from hypothesis import strategies
from pathlib import Path

@schemathesis.serializer("application/pdf")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode()

schemathesis.openapi.media_type("application/pdf", strategies.just(Path(__file__).with_name("some.pdf").read_bytes()))
"""


def hold(
    world: World,
    surface: str,
    folder: Path,
    headers: Mapping[str, str],
    *,
    configuration: str = "",
    phases: str = "coverage,fuzzing",
    examples: int = 5,
    seconds: int = 10,
    some_pdf: bytes | None = None,
) -> int:
    """Holds the surface against its document and answers how many cases were sent; fails with schemathesis' report.

    `configuration` (TOML) says of single operations what no JSON Schema can: which orders and members go together.
    """
    (folder / "openapi.json").write_text(json.dumps(world.surfaces[surface].openapi()))
    (folder / "some.pdf").write_bytes(some_pdf or pdf())
    (folder / "hooks.py").write_text(_HOOKS)
    (folder / "schemathesis.toml").write_text(configuration)
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    command += ["--config-file", "schemathesis.toml", "run", "openapi.json", "--url", world.url, "--checks", "all"]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    # What coverage finds in a document changes with the document alone, and slowly: it is left to the long look.
    if "SCHEMA_EXAMPLES" not in os.environ:
        phases = phases.removeprefix("coverage,")
    # One worker: Python 3.11 parses syntax trees wrongly in several threads at once, and hypothesis parses many.
    command += ["--phases", phases, "--max-examples", os.environ.get("SCHEMA_EXAMPLES") or str(examples), "--workers", "1"]
    if phases == "stateful":  # which has no end of its own
        command += ["--max-time", os.environ.get("SCHEMA_SECONDS") or str(seconds)]
        # What is accepted and what is not is held without links between operations, where each case is the same each time.
        command += ["--exclude-checks", "positive_data_acceptance,negative_data_rejection"]
    # The same cases each time: what a long look finds is mended, and a run among many tests tells of changes alone.
    command += ["--generation-deterministic", "--suppress-health-check", "all", "--warnings", "off", "--no-color"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(folder), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1_800, env=environment, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    found = re.search(r"([\d,]+) generated", done.stdout)
    assert found is not None, done.stdout[-2000:]
    cases = int(found[1].replace(",", ""))
    print(f"{surface}: {cases} cases, {phases}")
    return cases
