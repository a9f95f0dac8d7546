"""The HTTP API on a real server: credentials, roles, errors, ranges, uploads, metrics."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fleet_harness import ADMIN, PASSWORD, Publisher, ServerProcess, WireDevice, write_bundle

from flota import release
from flota.api import FleetClient
from flota.api.errors import Refused, Unauthorized, Unreachable, Untrusted
from flota.api.models import API, NewDevice, NewGroup, NewUser, Role
from flota.files import sha256_hex

MakeDevice = Callable[..., WireDevice]
OPEN = {("get", f"{API}/healthz"), ("get", "/healthz"), ("post", f"{API}/session"), ("post", f"{API}/enrol")}


@pytest.fixture(scope="module")
def http(server: ServerProcess) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(server.config.ca_certificate))
    return httpx.Client(base_url=server.url, verify=context, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def routes(client: FleetClient) -> list[tuple[str, str]]:
    document = client._send("GET", "/openapi.json").json()
    return [(method, path) for path, methods in document["paths"].items() for method in methods]


def test_nothing_answers_without_credentials(http: httpx.Client, routes: list[tuple[str, str]]) -> None:
    assert len(routes) > 25
    for method, path in {*routes, ("get", f"{API}/openapi.json"), ("get", f"{API}/metrics")} - OPEN:
        answer = http.request(method, re.sub(r"\{\w+\}", "1", path))
        assert answer.status_code == 401, (method, path)
        assert answer.json()["code"] == "api.unauthorized"
        assert answer.json()["hint"]
    for garbled in ("Bearer x", "Bearer", "Basic x", "Basic eA==", ""):
        assert http.get(f"{API}/devices", headers={"authorization": garbled}).status_code == 401


def test_a_viewer_may_look_but_change_nothing(
    server: ServerProcess, client: FleetClient, http: httpx.Client, routes: list[tuple[str, str]]
) -> None:
    client.add_user(NewUser(name="visitor", password=PASSWORD, role=Role.VIEWER))
    with server.login("visitor") as visitor:
        assert visitor.devices() == client.devices()
        token = visitor._http.headers["authorization"]
    changing = {(m, p) for m, p in routes if m != "get"} - OPEN - {("delete", f"{API}/session")}
    for method, path in changing:
        filled = re.sub(r"\{\w+\}", "1", path)
        answer = http.request(method, filled, headers={"authorization": token}, json={})
        assert answer.status_code in (403, 422), (method, path, answer.text)
        assert answer.status_code == 403 or answer.json()["code"] == "request.invalid"
    with pytest.raises(Unauthorized) as refused, server.login("visitor") as visitor:
        visitor.add_device(NewDevice(name="not-mine"))
    assert refused.value.code == "api.forbidden"


def test_sign_in_is_throttled(server: ServerProcess, client: FleetClient) -> None:
    client.add_user(NewUser(name="target", password=PASSWORD))
    with server.client() as anonymous:
        for _ in range(5):
            with pytest.raises(Unauthorized) as wrong:
                anonymous.login("target", "not the password")
            assert wrong.value.code == "session.wrong-password"
        with pytest.raises(Refused) as throttled:
            anonymous.login("target", PASSWORD)
        assert throttled.value.code == "session.throttled"
        assert anonymous.login(ADMIN, PASSWORD).role is Role.OPERATOR


def test_a_session_ends(server: ServerProcess) -> None:
    with server.login() as mine:
        assert mine.whoami().name == ADMIN
        mine.logout()
        with pytest.raises(Unauthorized):
            mine.whoami()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/devices", b"{", 422, "request.invalid"),
        ("POST", "/devices", b'{"name": "../x"}', 422, "request.invalid"),
        ("POST", "/devices", b'{"name": "ok", "unknown": 1}', 422, "request.invalid"),
        ("POST", "/rollouts", b'{"model": "motion", "version": "1.0.0"}', 422, "request.invalid"),
        ("GET", "/devices/nobody", None, 404, "not-found"),
        ("GET", "/devices/nobody/history", None, 404, "not-found"),
        ("DELETE", "/devices/nobody", None, 404, "not-found"),
        ("GET", "/rollouts/99999", None, 404, "not-found"),
        ("GET", "/rollouts/x", None, 422, "request.invalid"),
        ("POST", "/rollouts/99999/pause", None, 404, "not-found"),
        ("GET", "/releases/motion/7.7.7", None, 404, "not-found"),
        ("GET", "/telemetry?limit=0", None, 422, "request.invalid"),
        ("POST", "/groups", b'{"name": "g", "devices": ["nobody"]}', 404, "not-found"),
        ("POST", "/devices/nobody/command", b'{"name": "rm"}', 422, "request.invalid"),
        ("POST", "/devices/nobody/command", b'{"name": "ping"}', 404, "not-found"),
        ("POST", "/releases", b"no form", 422, "release.bad-upload"),
        ("PUT", "/devices", None, 404, "http.not-found"),
    ],
)
def test_bad_requests_get_one_clear_error(
    client: FleetClient, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    answer = client._http.request(method, path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert set(answer.json()) == {"code", "message", "hint"}


def test_a_body_that_is_too_large_is_not_read(client: FleetClient) -> None:
    answer = client._http.post("/devices", content=b" " * (2 << 20))
    assert answer.status_code in (400, 413)


def test_enrolment_tokens(
    server: ServerProcess, client: FleetClient, publisher: Publisher, group: str, tmp_path: Path
) -> None:
    name = f"{group}-a"
    token = client.add_device(NewDevice(name=name, group=group)).token
    wrong = WireDevice(f"{group}-other", tmp_path / "other", server)
    with pytest.raises(Refused) as refused:
        wrong.enrol_with(token)
    assert refused.value.code == "certificate.request-refused"
    right = WireDevice(name, tmp_path / "right", server)
    right.enrol_with(token)
    with pytest.raises(Refused) as refused:
        right.enrol_with(token)
    assert refused.value.code == "enrol.token-used"
    with pytest.raises(Refused) as refused:
        right.enrol_with("made-up")
    assert refused.value.code == "enrol.token-refused"
    with pytest.raises(Refused) as refused:
        client.add_device(NewDevice(name=name))
    assert refused.value.code == "device.exists"
    assert token not in server.config.database.read_bytes().decode("latin-1")


def test_artifacts_come_in_ranges(client: FleetClient, make_device: MakeDevice, publisher: Publisher) -> None:
    device = make_device("a")
    bundle = client.release("motion", "1.0.0").bundles[0]
    path = f"/artifacts/{bundle.path}"
    with device.http() as http:
        whole = http.get(path)
        assert sha256_hex(whole.content) == bundle.sha256
        assert whole.headers["etag"] == f'"{bundle.sha256}"'
        part = http.get(path, headers={"range": "bytes=100-199", "if-range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, whole.content[100:200])
        rest = http.get(path, headers={"range": "bytes=100-", "if-range": '"another"'})
        assert (rest.status_code, len(rest.content)) == (200, bundle.size)
        assert http.get(path, headers={"if-none-match": whole.headers["etag"]}).status_code == 304
        assert http.head(path).headers["content-length"] == str(bundle.size)
        for missing in (
            "/artifacts/motion/9.9.9/x.flota",
            "/artifacts/../keys/snapshot.pem",
            "/tuf/metadata/commit.json",
        ):
            assert http.get(missing).status_code == 404, missing


def test_the_device_port_takes_no_strangers(server: ServerProcess, client: FleetClient) -> None:
    url = str(server.ready["device_url"])
    context = ssl.create_default_context(cafile=str(server.config.ca_certificate))
    with pytest.raises(httpx.TransportError), httpx.Client(verify=context, trust_env=False) as http:
        http.get(f"{url}{API}/tuf/metadata/timestamp.json")
    context.load_cert_chain(server.config.service_certificate, server.config.service_key)
    with httpx.Client(verify=context, trust_env=False) as http:
        assert http.get(f"{url}{API}/tuf/metadata/timestamp.json").json()["code"] == "device.revoked"


def test_a_release_is_published_whole_or_not_at_all(
    server: ServerProcess, client: FleetClient, publisher: Publisher
) -> None:
    before = client.releases()
    folder = publisher.folder / "publisher"
    release.add_release(folder, [write_bundle(publisher.folder / "bundles", "3.0.0")])
    targets = (folder / "repository" / "metadata" / "targets.json").read_bytes()
    path = "motion/3.0.0/motion-3.0.0-linux-litert.flota"
    file = folder / "repository" / "targets" / path
    damaged = publisher.folder / "damaged"
    damaged.write_bytes(file.read_bytes()[:-1] + b"\xff")
    for files, root, code in (
        ({path: damaged}, None, "artifact.digest-mismatch"),
        ({}, None, "artifact.missing"),
        ({path: file}, b"[1]", "trust.garbled"),
    ):
        with pytest.raises(Refused) as refused:
            client.publish_release(targets, root, files)
        assert refused.value.code == code
    with pytest.raises(Refused) as refused:
        client.publish_release(targets.replace(b"3.0.0", b"4.0.0"), None, {path: file})
    assert refused.value.code == "trust.bad-signature"
    assert client.releases() == before
    assert not list(server.config.uploads.iterdir())
    assert client.publish_release(targets, None, {path: file}).new == (path,)
    assert client.release("motion", "3.0.0").bundles[0].path == path


def test_groups(client: FleetClient, group: str) -> None:
    client.add_device(NewDevice(name=f"{group}-x", group=group))
    view = client.add_group(NewGroup(name=f"{group}-north", description="hall", devices=(f"{group}-x",)))
    assert view.devices == (f"{group}-x",)
    by_name = {view.name: view.devices for view in client.groups()}
    assert by_name[group] == ()


def test_metrics_take_a_token_or_a_password(http: httpx.Client, client: FleetClient) -> None:
    assert "flota_devices_online" in client.metrics()
    basic = base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
    text = http.get("/metrics", headers={"authorization": f"Basic {basic}"}).text
    assert "flota_mqtt_connected 1.0" in text
    assert "flota_engine_leads 1.0" in text
    opened = [line.id for line in client.audit(limit=10_000) if line.action == "session.open"]
    http.get("/metrics", headers={"authorization": f"Basic {basic}"})  # every few seconds, for ever: no line each
    assert [line.id for line in client.audit(limit=10_000) if line.action == "session.open"] == opened
    wrong = base64.b64encode(f"{ADMIN}:nope".encode()).decode()
    assert http.get("/metrics", headers={"authorization": f"Basic {wrong}"}).status_code == 401


def test_the_audit_log_tells_who_did_what(client: FleetClient, group: str) -> None:
    client.add_device(NewDevice(name=f"{group}-audited", group=group))
    lines = [line for line in client.audit(limit=10_000) if line.subject == f"{group}-audited"]
    assert [(line.actor, line.action) for line in lines] == [(ADMIN, "device.add")]
    assert client.check_audit().intact


def test_the_client_says_what_is_wrong_with_the_connection(server: ServerProcess, tmp_path: Path) -> None:
    from flota.trust.ca import CertificateAuthority

    CertificateAuthority.create(tmp_path / "ca")
    with pytest.raises(Untrusted) as untrusted, FleetClient(server.url, ca=tmp_path / "ca" / "ca.pem") as stranger:
        stranger.login(ADMIN, PASSWORD)
    assert untrusted.value.hint
    with pytest.raises(Unreachable), FleetClient("https://127.0.0.1:1", ca=server.config.ca_certificate) as nobody:
        nobody.login(ADMIN, PASSWORD)
