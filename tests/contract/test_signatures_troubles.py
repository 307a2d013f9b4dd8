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


def test_without_fresh_read_models_the_answer_is_503_and_a_repeat_with_the_key_finds_what_was_done(own_world: World) -> None:
    own = project(own_world)
    key = {"Idempotency-Key": "k"}
    stored = own("POST", "/v1/renders", content=pdf(("{{sign_here}}",)), headers={"Content-Type": "application/pdf", **key})
    assert (stored.status, stored.code, stored.headers["retry-after"]) == (503, "service_unavailable", "2")
    with projecting(own_world.database):
        render = own("POST", "/v1/renders", content=b"", headers={"Content-Type": "application/pdf", **key}).body["id"]
        assert own("GET", f"/v1/renders/{render}").body["status"] == "succeeded"
    made = own("POST", "/v1/signatures", body(render))
    assert made.status == 201
    for method, path in (("GET", ""), ("GET", "/download"), ("GET", "/certificate"), ("POST", "/cancel")):
        answered = own(method, f"/v1/signatures/{made.body['id']}{path}")
        assert (answered.status, answered.code) == (503, "service_unavailable")
    assert own("GET", "/v1/signatures").status == 503


def test_a_damaged_render_makes_no_request_and_is_told_without_its_content(own_world: World, tmp_path: Path) -> None:
    with projecting(own_world.database):
        own = project(own_world)
        render = own.render()
        (stored,) = [path for path in tmp_path.rglob("sha256/*/*") if path.is_file()]
        stored.chmod(0o600)
        stored.write_bytes(b"%PDF-1.7 altered")
        before = own_world.head()
        answered = own.create(render)
        assert (answered.status, answered.code) == (500, "internal")
        stored.unlink()
        assert (own.create(render).status, own_world.head()) == (500, before)


def test_a_smaller_limit_of_the_settings_is_the_limit(database: DatabaseUrls, tmp_path: Path) -> None:
    with start(database, tmp_path, upload_limit_bytes=1000) as world:
        answered = project(world).upload(b"%PDF-1.7\n".ljust(1001))
        assert (answered.status, answered.code) == (413, "payload_too_large")
