"""What signers put into fields, and the signatures that they draw: on the sessions surface and in the signer's queue."""

from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from api.surfaces import sessions
from domain.coordination import CreateEnvelope
from domain.entry import decode
from domain.envelope import PlacedField
from domain.field import SIZES, FieldType
from infrastructure.database import DatabaseUrls, connect
from infrastructure.vault import Reference
from tests.contract.partner_world import World as Server
from tests.contract.signing_world import handle, tenant, user
from tests.executing import drawing
from tests.running import Person, Running, Sent, client_of, in_loop, running

pytest_plugins = ["tests.contract.partner_fixtures"]

ANA = Person("Ana Pérez", "ana@example.com", number=1)
BO = Person("Bo Li", "bo@example.com", number=1)

#: Names, types, and whether they are required; the first participant's but for the last one.
FIELDS = (
    ("S", FieldType.SIGNATURE, True),
    ("City", FieldType.TEXT, True),
    ("Notes", FieldType.TEXT, False),
    ("Agreed", FieldType.CHECKBOX, True),
    ("News", FieldType.CHECKBOX, False),
    ("Day", FieldType.DATE, True),
    (None, FieldType.EMAIL, False),
    ("Theirs", FieldType.TEXT, False),
)
ALL = {"City": "Cádiz\nSpain", "Notes": "", "Agreed": True, "News": False, "Day": "2026-02-28", "7": "ana@new.example"}


def with_fields(command: CreateEnvelope, fields: Sequence[tuple[str | None, FieldType, bool]] = FIELDS) -> CreateEnvelope:
    """The same with fields on its first document."""
    who, document = [slot.participant for slot in command.created.participants], command.created.documents[0].id
    placed = [
        PlacedField(who[-1] if name == "Theirs" else who[0], document, kind, 1, 0, 0, *SIZES[kind], required, name)
        for name, kind, required in fields
    ]
    return replace(command, created=replace(command.created, fields=tuple(placed)))


@dataclass
class World:
    run: Running
    http: httpx.AsyncClient

    async def send(self) -> Sent:
        command = with_fields(self.run.creation(ANA, BO))
        await self.run.handle(command)
        return Sent(command.envelope, self.run.tenant, tuple(command.processes), (command.created.documents[0].id,))

    async def complete(self, sent: Sent, fields: Any = None, /, *, token: str | None = None, **more: Any) -> httpx.Response:
        body = {"electronic_signature_text": "I sign.", **({} if fields is None else {"fields": fields})}
        key = more.pop("key", None)
        headers = {"X-Signing-Session-Token": token or await self.run.token(sent.participants[0])}
        return await self.http.post(
            f"/v1/signing_sessions/{sent.session}/complete",
            json={**body, **more},
            headers=headers if key is None else {**headers, "Idempotency-Key": key},
        )


@asynccontextmanager
async def opened(database: DatabaseUrls, folder: Path) -> AsyncIterator[World]:
    async with running(database, folder) as run, client_of(sessions.build(run.deps)) as http:
        yield World(run, http)


@in_loop
async def test_what_was_filled_in_goes_with_the_signature_as_personal_data(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send()
        first = await world.complete(sent, ALL, key="k")
        assert first.status_code == 200, first.text
        *_, filled, signed, _ = await world.run.deps.recorder.read_stream(sent.participants[0])
        assert (filled.type, signed.type) == ("signing.fields-filled/1", "signing.document-signed/1")
        values: Any = decode(filled.raw).data["values"]
        assert [value["field"] for value in values] == [2, 4, 5, 6, 7]
        places = {Reference(filled.stream, filled.version, f"/values/{index}/value"): index for index in range(5)}
        found = await world.run.deps.vault.open(places)
        assert [found[place].value for place in places] == ["Cádiz\nSpain", True, False, "2026-02-28", "ana@new.example"]
        with connect(database.owner) as conn:
            kept = [
                bytes(row[0]) for row in conn.execute("SELECT entry FROM log UNION ALL SELECT body FROM idempotency").fetchall()
            ]
        assert not any("Cádiz".encode() in entry for entry in kept)
        head = await world.run.head()
        again = await world.complete(sent, ALL, key="k")
        assert (again.status_code, again.content) == (200, first.content)
        other = await world.complete(sent, {**ALL, "City": "Jerez"}, key="k")
        assert (other.status_code, other.json()["code"]) == (409, "validation_idempotency_key_conflict")
        assert await world.run.head() == head


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "a required text is missing": ({"City": None}, "Field City has to be filled in."),
    "a required text is blank": ({"City": "  "}, "Field City has to be filled in."),
    "a required box is not ticked": ({"Agreed": False}, "Field Agreed has to be filled in."),
    "a box gets a text": ({"Agreed": "yes"}, "It takes true or false."),
    "a text gets a truth value": ({"City": True}, "It takes a text."),
    "no such day": ({"Day": "2026-02-30"}, "It takes a day as YYYY-MM-DD."),
    "a day in other words": ({"Day": "20260228"}, "It takes a day as YYYY-MM-DD."),
    "no address": ({"7": "ana"}, "It takes an e-mail address."),
    "too long to be shown": ({"City": "m" * 400}, "The text does not fit 160 by 18 points"),
    "a control character": ({"City": "a\x00b"}, "It has control characters."),
    "no such field": ({"Town": "x"}, "There is no field Town"),
    "somebody else's field": ({"Theirs": "x"}, "There is no field Theirs"),
    "the signature itself": ({"S": "x"}, "There is no field S"),
}


@in_loop
async def test_what_cannot_stand_in_a_field_is_refused_and_nothing_is_signed(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send()
        head = await world.run.head()
        for name, (changes, sentence) in UNFIT.items():
            given = {label: value for label, value in {**ALL, **changes}.items() if value is not None}
            answered = await world.complete(sent, given)
            found = answered.json()
            assert (answered.status_code, found["code"], found["param"]) == (422, "validation_failed", "fields"), name
            assert sentence in found["detail"], name
            assert "m" * 9 not in answered.text  # what was given is personal
        unreadable: tuple[Any, ...] = (
            [],
            {"City": 1},
            {"x" * 101: "a"},
            {"City": "a" * 5001},
            {str(n): "a" * 4001 for n in range(5)},
        )
        for fields in unreadable:
            answered = await world.complete(sent, fields)
            assert (answered.status_code, answered.json()["code"]) == (422, "validation_failed")
            assert len(answered.json()["errors"]) == 1
        wrong = await world.complete(sent, {"Town": "x"}, token="sig_wrong", signature_blob=drawing())
        assert (wrong.status_code, wrong.json()["code"]) == (403, "invalid_session_token")
        assert await world.run.head() == head


def as_uri(size: tuple[int, int], colour: str) -> str:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return f"data:image/png;base64,{b64encode(out.getvalue()).decode()}"


@in_loop
async def test_the_image_of_a_signature_has_to_be_one_that_shows_something(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send()
        head = await world.run.head()
        images = {
            "invalid_image": "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\npixels").decode(),
            "blank": as_uri((90, 30), "white"),
            "too_large": as_uri((2001, 2000), "black"),
        }
        for code, image in images.items():
            answered = await world.complete(sent, ALL, signature_blob=image)
            assert (answered.status_code, answered.json()["errors"][0]["code"]) == (422, code)
        assert await world.run.head() == head
        answered = await world.complete(sent, ALL, signature_blob=drawing())
        assert (answered.status_code, answered.json()["acknowledgement"]["method"]) == (200, "drawn")


@pytest.fixture
def queue(world: Server) -> Any:
    """Calls of the first signer about the only document of a package with fields: its path, and the signer."""
    owner = tenant(world)
    runs = Running(world.database, world.deps, world.clock, None, owner)  # type: ignore[arg-type]
    command = with_fields(runs.creation(ANA, BO))
    handle(world, command)
    ana = user(world, owner, "user_ana", "ana@example.com")
    (signing,) = ana("GET", "/v1/signing/signer/signings").body["signings"]
    path = f"/v1/signing/signer/signings/{signing['id']}/documents"
    return ana, f"{path}/{ana('GET', path).body['documents'][0]['id']}/sign"


def test_in_the_queue_fields_are_filled_in_alike(world: Server, queue: Any) -> None:
    ana, path = queue
    head = world.head()
    for changes, sentence in UNFIT.values():
        given = {label: value for label, value in {**ALL, **changes}.items() if value is not None}
        answered = ana("POST", path, {"fields": given})
        assert (answered.status, sentence in answered.body["error"]) == (400, True)
    assert ana("POST", path).body["error"] == "Field City has to be filled in."
    assert ana("POST", path, {"fields": {"City": 7}}).status == 400
    assert world.head() == head
    assert ana("POST", path, {"fields": ALL}).body["firstESign"] is True
    assert world.head() == head + 5  # the start, the fields, the signature, the end, and the envelope's word of it
    assert ana("POST", path, {"fields": ALL}).body["firstESign"] is False
