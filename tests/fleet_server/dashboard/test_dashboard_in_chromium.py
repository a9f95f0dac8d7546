"""The dashboard in a real browser, on a real server with a real broker and devices that speak real MQTT."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from flota.api import FleetClient
from flota.api.models import RolloutStatus, RolloutView, Wave
from flota.messages import EventKind, HealthLimits, Phase

pytestmark = pytest.mark.xdist_group("dashboard")
PATHS = ["/", "/devices/press-01", "/releases", "/rollouts", "/rollouts/1", "/audit", "/nothing/here"]


def test_an_empty_fleet_says_what_to_do_next(ada) -> None:
    ada.open("/", "fleet-empty")
    assert "flota device add" in ada.text("fleet-empty")
    for path, name, command in (
        ("/releases", "releases-empty", "flota release publish"),
        ("/rollouts", "rollouts-empty", "flota rollout create"),
    ):
        ada.open(path, name)
        assert command in ada.text(name)


@pytest.fixture(scope="module")
def fleet(server):
    """Three devices, two of which run motion 1.0.0; 1.1.0 is published."""
    for name in ("canary", "press-01"):
        server.add_device(name).report()
    server.add_device("mixer", kind="mcu", board="qemu-mps2-an386").report()
    for version in ("1.0.0", "1.1.0"):
        server.publish(version)
    first = server.api.create_rollout("motion", "1.0.0", devices=["canary", "press-01"])
    for name in ("canary", "press-01"):
        server.devices[name].confirm(server.devices[name].take(first.id))
    eventually("1.0.0", lambda: server.api.rollout(first.id).status is RolloutStatus.SUCCEEDED)
    return server


@pytest.fixture
def rollout(fleet) -> Iterator[RolloutView]:
    """A rollout of 1.1.0 to canary, then press-01; aborted at the end if it is not over."""
    made = fleet.api.create_rollout(
        "motion",
        "1.1.0",
        devices=["canary", "press-01"],
        waves=[Wave(size=1), Wave(percent=100)],
        limits=HealthLimits(max_latency_ratio=2.0),
    )
    yield made
    if fleet.api.rollout(made.id).status in (RolloutStatus.RUNNING, RolloutStatus.PAUSED):
        fleet.api.abort_rollout(made.id, rollback=False)


def eventually(what: str, check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline, f"{what}: not within 20 s"
        time.sleep(0.05)


# ---- signing in and out


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_visible_without_a_session(server, path: str) -> None:
    with httpx.Client(verify=False) as anyone:
        page = anyone.get(server.url + path, headers={"accept": "text/html"})
        assert page.status_code == 303
        assert page.headers["location"].startswith("/login")
        assert page.headers["cache-control"] == "no-store"
        script = anyone.get(server.url + path)
        assert script.status_code == 401
        assert script.json()["code"] == "api.unauthorized"


def test_scripts_and_sockets_need_a_session_too(server) -> None:
    with httpx.Client(verify=False) as anyone:
        for path in ("/_nicegui/3.18.0/static/nicegui.js", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
            assert anyone.get(server.url + path).status_code == 401


def test_a_call_that_does_not_exist_gets_a_document(server) -> None:
    with httpx.Client(verify=False) as anyone:
        answer = anyone.get(f"{server.url}/api/v1/nothing", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert answer.json()["code"] == "http.not-found"


def test_signing_in_leads_back_to_the_page_that_was_asked_for(fleet, visit) -> None:
    visit.page.goto(f"{visit.url}/devices/canary")
    assert visit.page.url.endswith("/login?to=%2Fdevices%2Fcanary")
    visit.page.fill("[name=username]", "ada")
    visit.page.fill("[name=password]", "correct horse battery")
    visit.page.press("[name=password]", "Enter")
    visit.page.wait_for_url(f"{visit.url}/devices/canary")
    (cookie,) = visit.page.context.cookies()
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    assert cookie["name"].startswith("__Host-")


def test_a_wrong_password_is_told_and_too_many_are_throttled(server, visit) -> None:
    for _ in range(5):
        visit.sign_in("mallory", "wrong")
        assert "user name or password is wrong" in visit.page.get_by_role("alert").inner_text()
    visit.sign_in("mallory", "wrong")
    assert "too many failed sign-ins" in visit.page.get_by_role("alert").inner_text()
    visit.page.goto(f"{visit.url}/")
    assert "/login" in visit.page.url
    visit.complaints = [text for text in visit.complaints if not re.search(r"status of (401|429)", text)]


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_elsewhere_after_signing_in(server, to: str) -> None:
    form = {"username": "ada", "password": "correct horse battery", "to": to}
    answer = httpx.post(f"{server.url}/login", data=form, verify=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


def test_another_sites_form_is_refused(server) -> None:
    form = {"username": "ada", "password": "correct horse battery"}
    answer = httpx.post(f"{server.url}/login", data=form, headers={"origin": "https://evil.example"}, verify=False)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_signing_out_ends_the_session_on_the_server(server, visit) -> None:
    visit.sign_in("ada")
    visit.page.wait_for_url(f"{visit.url}/")
    (cookie,) = visit.page.context.cookies()
    visit.page.get_by_role("button", name="Sign out").click()
    visit.page.wait_for_url(f"{visit.url}/login")
    assert not visit.page.context.cookies()
    answer = httpx.get(f"{server.url}/", cookies={cookie["name"]: cookie["value"]}, verify=False)
    assert answer.status_code == 401


def test_an_open_page_leaves_when_its_session_ends(server, visit) -> None:
    session = server.session("vera")
    visit.enter(session.token)
    visit.open("/audit", "audit")
    with FleetClient(server.url, session.token, server.folder / "ca.pem") as same_session:
        same_session.logout()
    visit.page.wait_for_url(f"{visit.url}/login?to=%2Faudit")


# ---- looking


def test_the_fleet_table_shows_filters_and_follows_the_devices(fleet, ada) -> None:
    ada.open("/", "fleet")
    assert "online" in ada.row("fleet", "canary")
    assert "qemu-mps2-an386 (emulated)" in ada.row("fleet", "mixer")
    ada.page.get_by_test_id("search").fill("mixer")
    ada.page.get_by_test_id("fleet").locator("tbody tr").filter(has_text="canary").wait_for(state="detached")
    ada.page.get_by_test_id("search").fill("")
    fleet.devices["press-01"].report(online=False)
    ada.page.get_by_test_id("fleet").locator("tr").filter(has_text="press-01").filter(has_text="offline").wait_for()
    ada.see("tile-offline", "1")
    ada.page.get_by_test_id("tile-offline").click()
    ada.page.get_by_test_id("fleet").locator("tbody tr").filter(has_text="canary").wait_for(state="detached")
    assert "press-01" in ada.row("fleet", "press-01")
    fleet.devices["press-01"].report()
    ada.see("tile-offline", "0")


def test_the_fleet_table_sorts(fleet, ada) -> None:
    ada.open("/", "fleet")
    names = ada.page.get_by_test_id("fleet").locator("tbody tr td:first-child")
    assert names.all_inner_texts() == ["canary", "mixer", "press-01"]
    ada.page.get_by_role("columnheader", name="Device").click()
    names.first.filter(has_text="press-01").wait_for()
    assert names.all_inner_texts() == ["press-01", "mixer", "canary"]


def test_times_are_relative_with_the_absolute_one_as_tooltip(fleet, ada) -> None:
    ada.open("/", "fleet")
    time = ada.page.get_by_test_id("fleet").locator("time").first
    assert re.fullmatch(r"now|\d+ (s|min) ago", time.inner_text())
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", time.get_attribute("title"))


def test_a_device_shows_state_telemetry_and_events_as_they_come(fleet, ada) -> None:
    ada.open("/devices/mixer", "events-empty")
    device = fleet.devices["mixer"]
    for value in (10.0, 11.0, 12.0):
        device.measure(latency_p50_ms=value, latency_p95_ms=value + 5, inferences=20.0)
    device.tell(EventKind.STARTED, "1.0.0", detail="<img src=x onerror=alert(1)>")
    ada.see("events", "started")
    assert "<img src=x" in ada.text("events")
    assert ada.text("device-link").strip() == "online"
    assert ada.text("device-agent") == "0.1.0"
    plot = ada.page.get_by_test_id("plot-latency")
    plot.locator("path[stroke='#4c86d9']").first.wait_for()
    plot.get_by_text("95th percentile").wait_for()


def test_what_does_not_exist_says_how_to_list_what_does(fleet, ada) -> None:
    for path, command in (("/devices/nobody", "flota device list"), ("/rollouts/999", "flota rollout list")):
        answer = ada.page.goto(ada.url + path)
        assert answer.status == 404
        ada.page.get_by_text(command).wait_for()
    ada.complaints = [text for text in ada.complaints if "status of 404" not in text]


def test_releases_and_the_audit_log(fleet, ada) -> None:
    ada.open("/releases", "releases")
    row = ada.row("releases", "1.1.0")
    assert "linux-litert" in row
    assert "ago" in row or "now" in row
    ada.open("/audit", "audit")
    assert "ada" in ada.row("audit", "release.publish")


def test_the_theme_is_kept(fleet, ada) -> None:
    ada.open("/", "fleet")
    ada.page.get_by_test_id("theme").click()
    ada.page.locator("body.body--dark").wait_for()
    fleet.devices["canary"].report(online=False)  # an update must not undo it
    ada.see("tile-offline", "1")
    fleet.devices["canary"].report()
    ada.see("tile-offline", "0")
    ada.page.locator("body.body--dark").wait_for()
    ada.open("/rollouts", "live")
    ada.page.locator("body.body--dark").wait_for()
    assert "dark" in ada.text("theme")


# ---- rollouts


def test_a_rollout_is_followed_live(fleet, rollout, ada) -> None:
    canary, press = fleet.devices["canary"], fleet.devices["press-01"]
    ada.open(f"/rollouts/{rollout.id}", "waves")
    assert "running" in ada.text("status")
    assert "≤ 2 × the version before" in ada.text("gates")
    first = canary.take(rollout.id)
    ada.page.get_by_test_id("members").locator("tr").filter(has_text="canary").filter(has_text="probation").wait_for()
    canary.confirm(first)
    ada.page.get_by_test_id("waves").locator("tr").filter(has_text="Wave 1").filter(has_text="passed").wait_for()
    ada.page.get_by_test_id("waves").locator("tr").filter(has_text="Wave 2").filter(has_text="active").wait_for()
    press.confirm(press.take(rollout.id))
    ada.see("status", "succeeded")
    assert "100%" in ada.row("waves", "Wave 2")
    ada.page.get_by_test_id("states").locator("[data-state=succeeded]").filter(has_text="2").wait_for()
    ada.see("timeline", "assign")
    assert not ada.page.get_by_test_id("abort").is_visible()
    ada.open("/rollouts", "rollouts")
    assert "2 of 2" in ada.row("rollouts", "1.1.0")
    ada.open("/devices/canary", "history")
    assert "running now" in ada.row("history", "1.1.0")


def test_a_failing_canary_is_shown_with_its_code(fleet, rollout, ada) -> None:
    ada.open(f"/rollouts/{rollout.id}", "waves")
    canary = fleet.devices["canary"]
    canary.fail(canary.take(rollout.id), "health.latency", "median 41 ms is 4.1 × 10 ms")
    ada.see("status", "failed")
    ada.see("members", "health.latency")
    assert "4.1 × 10 ms" in ada.row("members", "canary")
    assert "failed" in ada.row("gates", "median latency")
    assert "failed" in ada.row("waves", "Wave 1")
    (listed,) = (row for row in fleet.api.rollouts() if row.id == rollout.id)
    view = fleet.api.rollout(rollout.id)
    assert (listed.devices, listed.succeeded, listed.failed) == (view.devices, view.succeeded, view.failed) == (2, 0, 1)


def test_pause_resume_and_abort_act_after_a_yes(fleet, rollout, ada) -> None:
    page = ada.page
    ada.open(f"/rollouts/{rollout.id}", "pause")
    page.get_by_test_id("pause").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_test_id("confirm").first.wait_for(state="hidden")
    assert fleet.api.rollout(rollout.id).status is RolloutStatus.RUNNING
    for button, status in (("pause", "paused"), ("resume", "running"), ("abort", "aborted")):
        page.get_by_test_id(button).click()
        page.locator("[data-testid=confirm]:visible").click()
        ada.see("status", status)
        assert fleet.api.rollout(rollout.id).status.value == status
    assert "aborted by ada" in ada.text("reason")
    assert not [name for name in ("pause", "resume", "abort") if page.get_by_test_id(name).is_visible()]


def test_a_refused_action_is_told(fleet, rollout, ada) -> None:
    ada.open(f"/rollouts/{rollout.id}", "pause")
    ada.page.get_by_test_id("pause").click()
    fleet.api.abort_rollout(rollout.id, rollback=False)
    ada.page.locator("[data-testid=confirm]:visible").click()
    ada.page.get_by_text("flota rollout show").wait_for()
    assert fleet.api.rollout(rollout.id).status is RolloutStatus.ABORTED


def test_a_viewer_sees_everything_and_no_buttons(fleet, rollout, vera) -> None:
    vera.open(f"/rollouts/{rollout.id}", "waves")
    assert "viewer" in vera.page.locator(".who").inner_text()
    assert "running" in vera.text("status")
    for name in ("pause", "resume", "abort"):
        assert vera.page.get_by_test_id(name).count() == 0


def test_the_pictures_of_the_readme_can_be_taken_again(fleet, rollout, tmp_path) -> None:
    script = Path(__file__).parents[3] / "scripts" / "screenshot.py"
    given = ["--url", fleet.url, "--ca", str(fleet.folder / "ca.pem"), "--user", "ada", "--out", str(tmp_path)]
    subprocess.run([sys.executable, str(script), *given], input=b"correct horse battery\n", check=True, timeout=120)
    for name in ("fleet.png", "rollout.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_an_open_page_comes_back_by_itself_when_the_server_was_killed(fleet, ada) -> None:
    ada.open("/", "fleet")
    fleet.process.kill()
    fleet.process.start()
    fleet.devices["mixer"].wait_connected()
    fleet.devices["mixer"].report(phase=Phase.DOWNLOAD)
    ada.page.get_by_test_id("fleet").locator("tr").filter(has_text="mixer").filter(has_text="download").wait_for()
    ada.complaints = [text for text in ada.complaints if not re.search(r"ERR_CONNECTION|WebSocket|handshake", text)]
