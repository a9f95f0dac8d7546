"""The Open Inference Protocol over the agent's own sockets, with a real model."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from agent_bundles import MODEL, SCALE, ZERO_POINT, make_bundle
from crash_driver import assignment_of

from device_agent.errors import BoardAbsent
from device_agent.host import Host
from device_agent.installers.linux import LinuxInstaller
from device_agent.installers.mcu import BoardModel, McuInstaller
from device_agent.serving import PortTaken, serving
from device_agent.slots import Slots
from device_agent.state import AgentState, Job
from flota import bundle
from flota.messages import HealthLimits

BASE = "http://agent"


@pytest.fixture
def installer(tmp_path: Path) -> LinuxInstaller:
    subject = LinuxInstaller(Slots(tmp_path / "slots"))
    subject.activate(job(subject, tmp_path, "1.0.0", "A"))
    return subject


def job(installer: LinuxInstaller, folder: Path, version: str, slot: str, seed: int = 1) -> Job:
    path = make_bundle(folder, version, seed=seed)
    order = Job(assignment_of(path, 1, HealthLimits()), slot)  # type: ignore[arg-type]
    installer.install(order, path)
    return order


@pytest.fixture
async def client(installer: LinuxInstaller, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    path = tmp_path / "run" / "agent.sock"
    async with (
        serving(Host(installer), path, 0),
        aiohttp.ClientSession(BASE, connector=aiohttp.UnixConnector(str(path))) as session,
    ):
        yield session


def body(values: list[Any], datatype: str = "INT8", shape: tuple[int, ...] = (1, 16), **more: Any) -> dict[str, Any]:
    tensor = {"name": "input", "shape": shape, "datatype": datatype, "data": values}
    return {"inputs": [tensor], **more}


async def infer(client: aiohttp.ClientSession, request: Any, model: str = MODEL) -> tuple[int, Any]:
    async with client.post(f"/v2/models/{model}/infer", json=request) as response:
        return response.status, await response.json()


def golden(tmp_path: Path) -> tuple[list[int], list[int]]:
    case, expected = bundle.read(tmp_path / "slots" / "A.flota").golden_cases()[0]
    return np.frombuffer(case, np.int8).tolist(), np.frombuffer(expected, np.int8).tolist()


async def test_server_health_and_metadata(client: aiohttp.ClientSession) -> None:
    async def get(path: str) -> Any:
        async with client.get(path) as response:
            assert response.status == 200, path
            return await response.json()

    assert (await get("/v2"))["name"] == "flota-agent"
    assert await get("/v2/health/live") == {"live": True}
    assert await get("/v2/health/ready") == {"ready": True}
    assert await get(f"/v2/models/{MODEL}/ready") == {"name": MODEL, "ready": True}
    assert await get(f"/v2/models/{MODEL}/versions/1.0.0/ready") == {"name": MODEL, "ready": True}
    metadata = await get(f"/v2/models/{MODEL}")
    assert metadata["versions"] == ["1.0.0"]
    assert metadata["inputs"] == [{"name": "input", "datatype": "INT8", "shape": [1, 16]}]
    assert metadata == await get(f"/v2/models/{MODEL}/versions/1.0.0")


async def test_int8_gives_the_golden_output(client: aiohttp.ClientSession, tmp_path: Path) -> None:
    case, expected = golden(tmp_path)
    status, answer = await infer(client, body(case, id="7"))
    assert status == 200
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", MODEL, "1.0.0")
    assert answer["outputs"] == [{"name": "output", "shape": [1, 16], "datatype": "INT8", "data": expected}]
    assert (await infer(client, body([case])))[1]["outputs"][0]["data"] == expected, "nested data is the same"


async def test_fp32_is_quantized_in_and_dequantized_out(client: aiohttp.ClientSession, tmp_path: Path) -> None:
    case, expected = golden(tmp_path)
    real = [(value - ZERO_POINT) * SCALE for value in case]
    status, answer = await infer(client, body(real, "FP32"))
    assert status == 200
    assert answer["outputs"][0]["datatype"] == "FP32"
    assert answer["outputs"][0]["data"] == pytest.approx([(value - ZERO_POINT) * SCALE for value in expected])
    wanted = [{"name": "output", "parameters": {"datatype": "INT8"}}]
    assert (await infer(client, body(real, "FP32", outputs=wanted)))[1]["outputs"][0]["data"] == expected
    far = await infer(client, body([1e30] * 16, "FP32"))
    assert far[0] == 200, "real values out of range saturate, as quantization does"


@pytest.mark.parametrize(
    "request_body",
    [
        {},
        [],
        {"inputs": []},
        body([1] * 15),
        body([1] * 16, shape=(16,)),
        body([1] * 16, "BYTES"),
        body([1] * 16, "INT16"),
        body([1.5] * 16),
        body([128] * 16),
        body(["x"] * 16),
        body([[1], [1, 2]]),
        body([float("nan")] * 16, "FP32"),
        {"inputs": [{**body([1] * 16)["inputs"][0], "name": "other"}]},
        {"inputs": body([1] * 16)["inputs"] * 2},
        body([1] * 16, outputs=[{"name": "nothing"}]),
        body([1] * 16, outputs=[{"name": "output", "parameters": {"datatype": "INT64"}}]),
    ],
)
async def test_a_request_that_does_not_fit_is_answered_400(client: aiohttp.ClientSession, request_body: Any) -> None:
    status, answer = await infer(client, request_body)
    assert status == 400, answer
    assert answer["error"]


async def test_what_is_not_there_is_404_and_pages_are_refused(client: aiohttp.ClientSession) -> None:
    assert (await infer(client, body([1] * 16), model="other"))[0] == 404
    for path in (f"/v2/models/{MODEL}/versions/9.9.9", "/v2/nothing", "/"):
        async with client.get(path) as response:
            assert response.status == 404
            assert "error" in await response.json()
    async with client.get("/v2", headers={"Origin": "http://evil.example"}) as response:
        assert response.status == 403
    async with client.post(f"/v2/models/{MODEL}/infer", data=b"\xff") as response:
        assert response.status == 400


async def test_traffic_goes_on_over_a_switch(installer: LinuxInstaller, tmp_path: Path) -> None:
    import anyio
    from anyio import to_thread

    path, host = tmp_path / "agent.sock", Host(installer)
    case, _ = golden(tmp_path)
    answers: list[tuple[int, Any]] = []
    async with (
        serving(host, path, 0),
        aiohttp.ClientSession(BASE, connector=aiohttp.UnixConnector(str(path))) as client,
    ):

        async def ask() -> None:
            for _ in range(50):
                answers.append(await infer(client, body(case)))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(ask)
            for number in range(6):
                await anyio.sleep(0.02)
                order = job(installer, tmp_path, f"1.{number}.1", "BA"[number % 2], seed=number)
                await to_thread.run_sync(installer.activate, order)
    assert {status for status, _ in answers} == {200}
    assert len({answer["model_version"] for _, answer in answers}) > 1
    assert host.window.errors == 0


async def test_without_a_model_it_is_alive_but_not_ready(tmp_path: Path) -> None:
    installer = LinuxInstaller(Slots(tmp_path / "slots"))
    assert installer.recover(AgentState()) is None
    path = tmp_path / "agent.sock"
    async with (
        serving(Host(installer), path, 0),
        aiohttp.ClientSession(BASE, connector=aiohttp.UnixConnector(str(path))) as client,
    ):
        for where, status in (("/v2/health/live", 200), ("/v2/health/ready", 503), (f"/v2/models/{MODEL}", 503)):
            async with client.get(where) as response:
                assert response.status == status
        assert (await infer(client, body([1] * 16)))[0] == 503
    assert not path.exists()


async def test_loopback_port_and_its_conflict(installer: LinuxInstaller, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(PortTaken) as caught:
            async with serving(Host(installer), tmp_path / "a.sock", port):
                pass
        assert caught.value.hint
    async with (
        serving(Host(installer), tmp_path / "a.sock", port),
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/v2") as response,
    ):
        assert response.status == 200


async def test_a_board_that_cannot_be_reached_is_no_error_of_its_version(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"socket://127.0.0.1:{unused.getsockname()[1]}"  # nothing listens there
        gateway = McuInstaller(Slots(tmp_path / "slots"), url)
        model = BoardModel(bundle.read(make_bundle(tmp_path, "1.0.0", seed=1)), gateway._board)
        gateway._replace(model)
        host = Host(gateway)
        with pytest.raises(BoardAbsent):
            await host.infer(model, model.golden[0][0])
    assert (host.window.inferences, host.window.errors) == (0, 0)
