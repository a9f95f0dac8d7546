"""What a user does wrong, or finds broken, ends in one clear line and a hint, exit code ≠ 0, and nothing written."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import agent_bundles
import pytest
from fleet_driver import PASSWORD, USER, Fleet, eventually
from flota_command import Answer, flota, tree

from flota.api.models import NewDevice
from flota.api.session import SESSION_FILE, StoredSession
from flota.demo.processes import flota_command
from flota.release import init_publisher, list_releases
from flota.trust.online import OnlineRepository

pytestmark = [pytest.mark.xdist_group("end-to-end-errors"), pytest.mark.timeout(600)]

BUILD = Path(__file__).parents[2] / "build"  # where the firmware's tests keep it, too
TOKEN_S = 4.0
WIDTH = 64


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own, so that no session of the user is read or written."""
    folder = tmp_path / "home"
    folder.mkdir()
    return {"HOME": str(folder)}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The empty folder a command runs in."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole int8 model."""
    path = tmp_path_factory.mktemp("model") / "chain.tflite"
    path.write_bytes(agent_bundles.tflite(1, width=WIDTH, layers=2))
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole bundle."""
    return agent_bundles.make_bundle(tmp_path_factory.mktemp("bundles"), "1.0.0", width=WIDTH)


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publisher folder that is ready for releases."""
    folder = tmp_path_factory.mktemp("publisher")
    server = OnlineRepository(tmp_path_factory.mktemp("server"))
    init_publisher(folder, server.server_keys())
    return folder


@pytest.fixture(scope="module")
def fleet(new_fleet: Callable[..., Fleet]) -> Fleet:
    return new_fleet(enrolment_token_s=TOKEN_S)


def only_tools(folder: Path, *programs: str) -> dict[str, str]:
    """An environment whose PATH has these programs alone."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"{program} is not installed")
        (folder / program).symlink_to(found)
    return {"PATH": str(folder)}


# ---- models and bundles


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_tflite_file(tflite: Path, work: Path, share: float) -> None:
    data = tflite.read_bytes()
    cut = work / "cut.tflite"
    cut.write_bytes(data[: int(len(data) * share)])
    before = tree(work)
    answer = flota("bench", "cut.tflite", cwd=work)
    assert answer.code == "optimize.invalid-model"
    assert "download it again" in answer.hint or "converter" in answer.hint
    assert tree(work) == before


@pytest.mark.parametrize("command", ["train", "optimize"])
def test_an_unknown_model(command: str, work: Path) -> None:
    answer = flota(command, "nosuch", cwd=work)
    assert answer.code == "models.unknown"
    assert "'nosuch'" in answer.message
    assert "motion" in answer.hint
    assert tree(work) == {}


def test_an_unknown_model_on_the_bench(work: Path) -> None:
    answer = flota("bench", "nosuch", cwd=work)
    assert answer.code == "usage"
    assert "'nosuch'" in answer.message
    assert tree(work) == {}


@pytest.mark.parametrize(
    "command", [("bench", "motion", "--board", "nosuch"), ("board", "run", "--board", "nosuch", "--flash", "flash")]
)
def test_an_unknown_board(command: tuple[str, ...], work: Path) -> None:
    answer = flota(*command, cwd=work)
    assert answer.code == "board.unknown"
    assert "'nosuch'" in answer.message
    assert "qemu-mps2-an386" in answer.hint
    assert tree(work) == {}


@pytest.mark.parametrize(
    ("programs", "missing"), [(("qemu-system-arm",), "arm-none-eabi-gcc"), ((), "qemu-system-arm")]
)
def test_a_missing_program(programs: tuple[str, ...], missing: str, tflite: Path, tmp_path: Path, work: Path) -> None:
    answer = flota("bench", str(tflite), cwd=work, environment=only_tools(tmp_path / "bin", *programs))
    assert answer.code == "tool.missing"
    assert missing in answer.message
    assert "apt-get install" in answer.hint
    assert tree(work) == {}


def test_a_missing_compiler_for_an_emulated_board(tmp_path: Path, work: Path) -> None:
    environment = only_tools(tmp_path / "bin", "qemu-system-arm")
    answer = flota("board", "run", "--flash", "flash", cwd=work, environment=environment)
    assert answer.code == "tool.missing"
    assert tree(work) == {}


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_bundle_with_one_byte_changed(bundle: Path, publisher: Path, work: Path, share: float) -> None:
    data = bytearray(bundle.read_bytes())
    data[int(len(data) * share)] ^= 0x01
    (work / bundle.name).write_bytes(bytes(data))
    before, repository = tree(work), files_of(publisher)
    for command in (
        ("release", "create", "--publisher", str(publisher), bundle.name),
        ("bench", "motion", "--bundle", bundle.name, "--board", "host"),
    ):
        answer = flota(*command, cwd=work)
        assert answer.code in ("bundle.digest-mismatch", "bundle.invalid")
        assert answer.hint
    assert tree(work) == before
    assert files_of(publisher) == repository


def test_a_release_that_does_not_fit_on_the_disk(bundle: Path, publisher: Path, work: Path) -> None:
    """A limit on file size fails the same writes that a full disk does, and needs no privileges."""
    repository = files_of(publisher)
    limit = bundle.stat().st_size // 2
    done = subprocess.run(
        flota_command(["release", "create", "--publisher", str(publisher), str(bundle)]),
        capture_output=True,
        cwd=work,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        timeout=120,
    )
    lines = tuple(line for line in done.stderr.decode().splitlines() if line.strip())
    assert Answer(done.returncode, done.stdout.decode(), lines).code == "storage"
    assert files_of(publisher) == repository
    assert list_releases(publisher) == []


def files_of(folder: Path) -> dict[str, bytes]:
    """Its files, without the locks that commands take."""
    return {path: data for path, data in tree(folder).items() if (folder / path).is_file() and "lock" not in path}


# ---- ports


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("which", ["port", "device_port", "mqtt_port"])
def test_a_port_in_use_by_another_program(spare_server: Path, taken_port: int, tmp_path: Path, which: str) -> None:
    settings = spare_server / "server.json"
    asked = json.loads(settings.read_bytes())
    settings.write_text(json.dumps({**asked, "port": 0, "device_port": 0, "mqtt_port": 0, which: taken_port}))
    ready = tmp_path / "ready.json"
    answer = flota("server", "run", str(spare_server), "--ready-file", str(ready))
    assert answer.code == "server.port-in-use"
    assert str(taken_port) in answer.message
    assert answer.hint
    assert not ready.exists()
    assert not (spare_server / "ports.json").exists()
    assert not (spare_server / "broker" / "process.json").exists()


@pytest.fixture(scope="module")
def spare_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server folder whose server does not run."""
    folder = tmp_path_factory.mktemp("spare") / "server"
    subprocess.run(flota_command(["server", "init", str(folder)]), check=True, capture_output=True, timeout=240)
    return folder


def test_a_server_on_top_of_a_server(spare_server: Path) -> None:
    before = tree(spare_server)
    assert flota("server", "init", str(spare_server)).code == "server.exists"
    assert tree(spare_server) == before


@pytest.mark.emulated
def test_a_port_in_use_for_an_emulated_board(taken_port: int, work: Path) -> None:
    environment = {"FLOTA_WORKSPACE": str(BUILD)}
    answer = flota("board", "run", "--flash", "flash", "--port", str(taken_port), cwd=work, environment=environment)
    assert answer.code == "board.port-in-use"
    assert str(taken_port) in answer.message
    assert tree(work) == {}


# ---- operators and devices


def sign_in(fleet: Fleet, home: dict[str, str], password: str) -> Answer:
    login = ["server", "login", "--url", fleet.addresses["url"], "--ca", str(fleet.ca), "--user", USER]
    return flota(*login, "--password-stdin", stdin=password + "\n", environment=home)


def test_a_wrong_password(fleet: Fleet, home: dict[str, str]) -> None:
    answer = sign_in(fleet, home, PASSWORD + "x")
    assert answer.code == "session.wrong-password"
    assert PASSWORD not in answer.message + answer.hint
    assert tree(Path(home["HOME"])) == {}
    assert flota("device", "list", environment=home).code == "api.not-signed-in"


def test_a_session_that_is_over(fleet: Fleet, home: dict[str, str]) -> None:
    assert sign_in(fleet, home, PASSWORD).exit_code == 0
    session = Path(home["HOME"]) / SESSION_FILE
    kept = session.read_bytes()
    assert session.stat().st_mode & 0o777 == 0o600
    assert flota("device", "list", "--json", environment=home).exit_code == 0
    assert flota("server", "logout", environment=home).exit_code == 0
    session.write_bytes(kept)
    assert flota("device", "list", environment=home).code == "api.unauthorized"


@pytest.fixture
def enrol(fleet: Fleet, tmp_path: Path) -> Callable[[str, str], Answer]:
    def run(device: str, token: str) -> Answer:
        command = ["agent", "enrol", "--server", fleet.addresses["url"], "--ca", str(fleet.ca), "--token", token]
        return flota(*command, "--device", device, "--dir", str(tmp_path / "agent"))

    return run


def test_an_expired_token(fleet: Fleet, tmp_path: Path, enrol: Callable[[str, str], Answer]) -> None:
    token = fleet.client.add_device(NewDevice(name="late"))
    assert token.expires_at <= time.time() + TOKEN_S
    eventually("the token expires", lambda: time.time() > token.expires_at)
    answer = enrol("late", token.token)
    assert answer.code == "enrol.token-expired"
    assert "flota device add" in answer.hint
    assert not (tmp_path / "agent").exists()
    assert fleet.client.device("late").status == "registered"


def test_a_used_token(fleet: Fleet, tmp_path: Path, enrol: Callable[[str, str], Answer]) -> None:
    device = fleet.add_device("once", start=False)
    answer = enrol("once", device.token)
    assert answer.code == "enrol.token-used"
    assert not (tmp_path / "agent").exists()


def test_an_invented_token(tmp_path: Path, enrol: Callable[[str, str], Answer]) -> None:
    assert enrol("once", "x" * 32).code == "enrol.token-refused"
    assert not (tmp_path / "agent").exists()


def test_a_server_of_another_ca(fleet: Fleet, publisher: Path, home: dict[str, str], spare_server: Path) -> None:
    login = ["server", "login", "--url", fleet.addresses["url"], "--ca", str(spare_server / "ca.pem"), "--user", USER]
    answer = flota(*login, "--password-stdin", stdin=PASSWORD + "\n", environment=home)
    assert answer.code == "api.untrusted"
    assert tree(Path(home["HOME"])) == {}


@pytest.mark.parametrize(
    "command",
    [
        ("device", "list"),
        ("device", "add", "new"),
        ("rollout", "create", "motion", "1.0.0", "--device", "once"),
        ("release", "publish", "--publisher", "PUBLISHER"),
    ],
)
def test_a_server_that_is_down(
    command: tuple[str, ...], spare_server: Path, publisher: Path, home: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    ca_pem = (spare_server / "ca.pem").read_text()
    session = StoredSession(url=url, token="t", ca_pem=ca_pem, username=USER, expires_at=time.time() + 60)
    session.save(Path(home["HOME"]) / SESSION_FILE)
    answer = flota(*(str(publisher) if part == "PUBLISHER" else part for part in command), environment=home)
    assert answer.code == "api.unreachable"
    assert url in answer.message
    assert "flota server run" in answer.hint


def test_a_broker_that_hangs_does_not_hang_the_server(fleet: Fleet, home: dict[str, str]) -> None:
    """Looking still works; asking a device ends in time and says that nobody answered."""
    assert sign_in(fleet, home, PASSWORD).exit_code == 0
    fleet.add_device("silent", start=False)
    os.kill(fleet.broker_pid, signal.SIGSTOP)
    try:
        assert flota("device", "list", "--json", environment=home).exit_code == 0
        answer = flota("device", "command", "silent", "ping", "--timeout-s", "1", environment=home)
        assert answer.code in ("device.no-answer", "broker.failed")
        assert answer.hint
    finally:
        os.kill(fleet.broker_pid, signal.SIGCONT)
