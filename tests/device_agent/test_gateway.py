"""The agent as gateway: over the real firmware core on this machine, and over the emulated board."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from agent_fleet import AgentFleet, wait_until
from crash_driver import LocalFetcher, assignment_of, verify
from gateway_bundles import BOARD, CASE, compiled_bundle, simulator_bundle

from device_agent.core import Core
from device_agent.errors import BoardAbsent
from device_agent.installers.mcu import McuInstaller
from device_agent.journal import Journal
from device_agent.slots import Slots
from device_agent.state import Assigned
from flota.messages import HealthLimits, Result
from flota.toolchain import build_firmware
from flota.toolchain.host import build_host

sys.path.append(str(Path(__file__).parents[1] / "firmware"))
from firmware_helpers import ADDS_TWO, CRASHES, CRASHES_ON_EE, HANGS, Simulator, blank_flash

BUILD = Path(__file__).parents[2] / "build"
EASY = HealthLimits(min_inferences=4)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Simulator]:
    flash = tmp_path / "flash.bin"
    flash.write_bytes(blank_flash())
    simulator = Simulator(build_host("simulator", BUILD / "firmware-host"), flash)
    simulator.start()
    yield simulator
    simulator.stop()


class Gateway:
    """A core over the simulated board, and what a test asks of it."""

    def __init__(self, folder: Path, core: Core) -> None:
        self.folder, self.core, self.counter = folder, core, 0

    async def update(self, path: Path, limits: HealthLimits = EASY) -> Result:
        self.counter += 1
        await self.core.machine.post(
            Assigned(time.time(), assignment_of(path, self.counter, limits), str(self.counter))
        )
        with anyio.fail_after(60):
            while True:
                result = self.core.machine.state.last_result
                if result is not None and result.counter == self.counter:
                    return result
                await anyio.sleep(0.01)

    @property
    def version(self) -> str:
        running = self.core.machine.state.running
        return running.version if running else ""


@asynccontextmanager
async def gateway(folder: Path, port: str) -> AsyncIterator[Gateway]:
    (folder / "downloads").mkdir(exist_ok=True)
    installer = McuInstaller(Slots(folder / "slots"), port)
    core = Core(
        installer=installer,
        journal=Journal(folder / "journal.json"),
        fetcher=LocalFetcher(folder, folder / "downloads"),
        verify=verify,
        probe_interval_s=0.02,
        report=lambda: None,
    )
    async with anyio.create_task_group() as tasks:
        await core.start(tasks)
        try:
            yield Gateway(folder, core)
        finally:
            tasks.cancel_scope.cancel()
            installer.close()


async def test_versions_alternate_between_the_boards_slots(board: Simulator, tmp_path: Path) -> None:
    async with gateway(tmp_path, board.port) as subject:
        for number, version in enumerate(("1.0.0", "1.1.0", "1.2.0")):
            result = await subject.update(simulator_bundle(tmp_path, version))
            assert (result.outcome.value, result.code) == ("confirmed", "")
            running = subject.core.machine.state.running
            assert running is not None
            assert (running.version, running.slot) == (version, "ABA"[number])
        model = subject.core.host.model
        assert model is not None
        assert (await subject.core.host.infer(model, CASE))[:1] == b"\x01"
        assert subject.core.installer.board == "host-simulator"


@pytest.mark.parametrize(
    ("behaviour", "outcome", "codes"),
    [
        (ADDS_TWO, "failed", {"selftest.mismatch"}),
        (CRASHES, "failed", {"selftest.fell-back"}),
        (HANGS, "failed", {"selftest.fell-back"}),
    ],
)
async def test_a_bad_image_leaves_the_former_one_running(
    board: Simulator, tmp_path: Path, behaviour: int, outcome: str, codes: set[str]
) -> None:
    async with gateway(tmp_path, board.port) as subject:
        await subject.update(simulator_bundle(tmp_path, "1.0.0"))
        result = await subject.update(simulator_bundle(tmp_path, "1.1.0", behaviour))
        assert (result.outcome.value, result.code in codes) == (outcome, True), result
        assert subject.version == "1.0.0"
        assert (await subject.update(simulator_bundle(tmp_path, "1.2.0"))).outcome.value == "confirmed"


async def test_a_crash_in_probation_goes_back(board: Simulator, tmp_path: Path) -> None:
    async with gateway(tmp_path, board.port) as subject:
        await subject.update(simulator_bundle(tmp_path, "1.0.0"))
        result = await subject.update(simulator_bundle(tmp_path, "1.1.0", CRASHES_ON_EE, marked=True))
        assert (result.outcome.value, result.code[:7]) == ("rolled-back", "health."), result
        assert subject.version == "1.0.0"
        model = subject.core.host.model
        assert model is not None
        assert model.manifest.version == "1.0.0"


async def test_the_board_itself_refuses_what_is_not_signed_for_it(board: Simulator, tmp_path: Path) -> None:
    async with gateway(tmp_path, board.port) as subject:
        await subject.update(simulator_bundle(tmp_path, "1.0.0", counter=2))
        result = await subject.update(simulator_bundle(tmp_path, "1.1.0", counter=2, signed=False))
        assert (result.outcome.value, result.code) == ("refused", "image.bad-signature")
        assert subject.version == "1.0.0"


async def test_a_board_that_is_unplugged_is_waited_for(board: Simulator, tmp_path: Path) -> None:
    async with gateway(tmp_path, board.port) as subject:
        await subject.update(simulator_bundle(tmp_path, "1.0.0"))
    port = board.port
    board.stop()
    async with gateway(tmp_path, port) as subject:
        assert subject.core.host.model is None
        state = subject.core.machine.state
        assert state.running is not None
        assert state.running.version == "1.0.0", "what is not known to have changed is still believed"
        assert state.outbox[-1].code == BoardAbsent.code


@pytest.mark.emulated
def test_a_gateway_process_updates_the_emulated_board(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from hil.boards import QemuBoard
    from hil.boards.provision import provision_flash

    elf = build_firmware(BOARD, BUILD / "firmware" / BOARD).elf
    emulated = QemuBoard(BOARD, flash=tmp_path / "board.flash", firmware_elf=elf)
    with AgentFleet(tmp_path) as fleet:
        key = load_pem_public_key((fleet.publisher / "keys" / "image.pub.pem").read_bytes())
        provision_flash(emulated, key)  # type: ignore[arg-type]
        with emulated:
            folder = tmp_path / "bundles"
            first = fleet.release(compiled_bundle(folder, "1.0.0", seed=1))
            second = fleet.release(compiled_bundle(folder, "1.1.0", seed=2))
            slow = fleet.release(compiled_bundle(folder, "1.2.0", seed=3, layers=12))
            agent = fleet.enrol("mcu-1", board_port=emulated.port).start()
            heard = fleet.heard["mcu-1"]
            assert fleet.wait_result(agent, fleet.assign(agent, first), 60).outcome.value == "confirmed"
            limits = HealthLimits(min_inferences=4, max_latency_ratio=3.0)
            counter = fleet.assign(agent, second, limits=limits)
            assert fleet.wait_result(agent, counter, 60).outcome.value == "confirmed"
            counter = fleet.assign(agent, slow, limits=limits, probation_s=60.0)
            result = fleet.wait_result(agent, counter, 60)
            assert (result.outcome.value, result.code) == ("rolled-back", "health.latency")
            assert "instructions" in result.detail
            assert " ms" not in result.detail
            fleet.wait_drained(agent)
            assert heard.history() == ["1.0.0", "1.1.0", "1.2.0", "1.1.0"]
            assert heard.state is not None
            assert (heard.state.kind.value, heard.state.board) == ("mcu", BOARD)
            bench = fleet.ask(agent, "bench").values
            assert bench["unit"] == "instructions"
            assert float(bench["median"]) > 1000
            agent.kill()
            emulated.power_cut()
            agent.start()
            fleet.wait_told(agent, "phase", "board.absent")
            emulated.start()
            wait_until(agent.ready, "the gateway serves again", 60)
            assert fleet.ask(agent, "self-test").values["mismatches"] == 0
            assert agent.stop() == 0
