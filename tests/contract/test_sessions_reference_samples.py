"""The reference page's own examples: curl by bash, Python by Python, changed in nothing but host, credential and ids.

The page comes as one line of text, so the line breaks of its examples are put back first.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.contract.partner_world import World
from tests.contract.sessions_server import Organization
from tests.shared_data import shared

pytest_plugins = ["tests.contract.partner_fixtures"]

HOST = "https://api.mattermode.com"
CREDENTIAL = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"


def example(begin: str, end: str) -> str:
    """The example of the page that begins and ends so."""
    text = shared("reference/mattermode-complete-session.txt").read_text()
    start = text.index(begin)
    return text[start : text.index(end, start)]


def with_own(text: str, organization: Organization, session: str) -> str:
    """The example for another host, credential and session."""
    changed = text.replace(HOST, organization.world.url).replace(CREDENTIAL, organization.secret)
    return changed.replace("id_placeholder", session).replace("{id}", session)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CURL_HOME": str(folder), "HOME": str(folder), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def curl(text: str, folder: Path) -> tuple[int, dict[str, object]]:
    """Status and body of what an example in curl is answered."""
    lines = text.strip().replace("\\ ", "\\\n")
    done = run(["bash", "-c", lines.replace("curl ", "curl -s -w '\\n%{http_code}' ", 1)], folder)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_the_curl_example_with_the_token_completes_the_session(world: World, tmp_path: Path) -> None:
    own = Organization.of(world)
    signer = own.sent()["signers"][0]
    text = example("curl -X POST", "const body")
    assert "Authorization" not in text
    status, body = curl(
        with_own(text, own, signer["signing_session"]).replace("Token: string", f"Token: {own.token(signer)}"), tmp_path
    )
    assert status == 200, body
    assert list(body) == ["session", "acknowledgement", "envelope_status", "document_ids"]
    assert body["envelope_status"] == "completed"


def test_the_curl_example_with_a_bearer_alone_is_refused_as_the_page_says(world: World, tmp_path: Path) -> None:
    own = Organization.of(world)
    session = own.sent()["signers"][0]["signing_session"]
    status, body = curl(with_own(example("curl --request POST", "const response"), own, session), tmp_path)
    assert (status, body["code"]) == (403, "invalid_session_token")


def test_the_python_example_sends_no_session_token_and_is_refused_as_the_page_says(world: World, tmp_path: Path) -> None:
    own = Organization.of(world)
    session = own.sent()["signers"][0]["signing_session"]
    text = with_own(example("import requests", "import java"), own, session)
    lines = re.sub(r"(?<=requests)(?=headers)|(?<=\})(?=payload|resp)|(?<=\))(?=resp|print)", "\n", text)
    assert len(lines.splitlines()) == 6
    done = run([sys.executable, "-c", lines], tmp_path)
    assert done.returncode == 1
    assert "403 Client Error" in done.stderr, done.stderr
    # With the header that the page's table demands, the same example completes.
    signer = own.sent()["signers"][0]
    token = f'"X-Signing-Session-Token": "{own.token(signer)}",'
    complete = lines.replace(session, signer["signing_session"]).replace('"Matter-Version"', f'{token} "Matter-Version"')
    done = run([sys.executable, "-c", complete.replace("ee7c3a9b", "ee7c3a9c")], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "'agent_authorized'" in done.stdout
