"""What is nobody's fault, too much at once, or damaged, in this surface's words."""

from pathlib import Path

from infrastructure.database import DatabaseUrls
from tests.contract.partner_world import World, projecting, start
from tests.contract.signatures_world import body, pdf, project

pytest_plugins = ["tests.contract.partner_fixtures"]


def test_too_many_requests_of_one_key_are_rate_limited(database: DatabaseUrls, tmp_path: Path) -> None:
    with start(database, tmp_path, rate_limits="signatures.live=2/2") as world, projecting(database):
        own = project(world)
        answers = [own("GET", "/v1/signatures") for _ in range(3)]
        assert [answered.status for answered in answers] == [200, 200, 429]
        assert answers[2].code == "rate_limited"
        assert int(answers[2].headers["retry-after"]) >= 1
        assert own.other_key()("GET", "/v1/signatures").status == 200


def test_without_fresh_read_models_new_things_are_made_and_what_must_be_read_is_503_until_a_repeat(own_world: World) -> None:
    own = project(own_world)
    key = {"Idempotency-Key": "k"}
    stored = own.upload(pdf(("{{sign_here}}",)), **key)
    made = own("POST", "/v1/signatures", body(stored.body["id"]), headers=key)
    assert (stored.status, made.status) == (201, 201)
    for answered in (own.upload(b"", **key), own("POST", "/v1/signatures", body(stored.body["id"]), headers=key)):
        assert (answered.status, answered.code, answered.headers["retry-after"]) == (503, "service_unavailable", "2")
    for method, path in (("GET", ""), ("GET", "/download"), ("GET", "/certificate"), ("POST", "/cancel")):
        more = {"headers": key} if method == "POST" else {}
        answered = own(method, f"/v1/signatures/{made.body['id']}{path}", **more)
        assert (answered.status, answered.code) == (503, "service_unavailable")
    assert own("GET", "/v1/signatures").status == 503
    with projecting(own_world.database):
        again = own("POST", f"/v1/signatures/{made.body['id']}/cancel", headers=key)
        assert (again.status, again.body["status"]) == (200, "cancelled")
        assert own.upload(b"", **key).body["id"] == stored.body["id"]


def test_a_damaged_render_makes_no_request_and_is_told_without_its_content(own_world: World, tmp_path: Path) -> None:
    with projecting(own_world.database):
        own = project(own_world)
        render = own.render()
        forms = [path for path in tmp_path.rglob("sha256/*/*") if path.is_file()]
        for stored in forms:
            stored.chmod(0o600)
            stored.write_bytes(b"%PDF-1.7 altered")
        before = own_world.head()
        answered = own.create(render)
        assert (answered.status, answered.code) == (500, "internal")
        for stored in forms:
            stored.unlink()
        assert (own.create(render).status, own_world.head()) == (500, before)


def test_a_smaller_limit_of_the_settings_is_the_limit(database: DatabaseUrls, tmp_path: Path) -> None:
    with start(database, tmp_path, upload_limit_bytes=1000) as world:
        answered = project(world).upload(b"%PDF-1.7\n".ljust(1001))
        assert (answered.status, answered.code) == (413, "payload_too_large")
