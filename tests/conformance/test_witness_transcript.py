"""A published witness's transcript, replayed against ours over HTTP."""

import json
from pathlib import Path

import httpx

from domain.note import SignatureType, VerifierKey, check_signature, parse_note, parse_signature
from infrastructure.signing_keys import generate, verify_ed25519
from tests.shared_data import shared
from tests.witness_server import witness_server


def test_a_published_transcript_gets_the_published_answers(tmp_path: Path) -> None:
    """But for the unknown log, step 3: 403 by that implementation, 404 by C2SP tlog-witness v1.0.0, as the transcript notes."""
    case = json.loads(shared("vectors/transcribed/witness_add_checkpoint.json").read_text())
    log = VerifierKey(case["log_origin"], SignatureType.ED25519, bytes.fromhex(case["log_public_key_hex"]))
    key = generate("example.com/witness", SignatureType.COSIGNATURE)
    told: dict[str, int] = {}
    with witness_server(tmp_path, [log], key) as url, httpx.Client() as http:
        for number, step in enumerate(case["steps"], 1):
            answer = http.post(f"{url}/add-checkpoint", content=step["request"].encode())
            assert answer.status_code == (404 if number == 3 else step["status"]), number
            told[step["assert"]] = told.get(step["assert"], 0) + 1
            if answer.status_code == 200:
                note = parse_note(step["request"].partition("\n\n")[2].encode())
                line = answer.text.removesuffix("\n")
                assert line.startswith("— example.com/witness ")
                check_signature(note.text, parse_signature(line), key.key, verify_ed25519)
            if answer.status_code == 409:
                assert answer.headers["content-type"] == "text/x.tlog.size"
                assert f"body == {json.dumps(answer.text)}" == step["assert"]
    assert (len(case["steps"]), told['body contains "— example.com/witness"'], told['body == "3\\n"']) == (9, 3, 1)
