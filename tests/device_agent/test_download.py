"""Downloads over a real HTTP server that breaks off, lies and denies."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from device_agent import download
from device_agent.download import Downloader
from device_agent.errors import DiskFull, DownloadError, DownloadExpired
from device_agent.http import HttpClient
from flota.files import sha256_hex
from flota.messages import Assignment
from flota.trust.errors import FetchFailed, NotFound

DATA = bytes(range(256)) * 4096
PATH = "motion/1.0.0/motion-1.0.0-linux-litert.flota"


@dataclass
class Origin:
    """Serves ``data`` with ranges; ``breaks``: after how many bytes of a body each answer breaks off."""

    data: bytes = DATA
    breaks: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range", "")
        self.ranges.append(wanted)
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if start >= len(self.data):
            return web.Response(status=416)
        response = web.StreamResponse(status=206 if wanted else 200)
        if wanted:
            response.headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        response.content_length = len(self.data) - start
        await response.prepare(request)
        if self.breaks:
            await response.write(self.data[start : start + self.breaks.pop(0)])
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write(self.data[start:])
        return response


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
async def downloader(origin: Origin, tmp_path: Path) -> AsyncIterator[Downloader]:
    app = web.Application()
    app.router.add_get("/artifacts/{path:.*}", origin.answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield Downloader(HttpClient(session, str(server.make_url("/"))), tmp_path / "downloads")


@pytest.fixture
def assignment() -> Assignment:
    return make()


def make(*, expires_in_s: float = 60, size: int = len(DATA)) -> Assignment:
    now = time.time()
    return Assignment(
        device="d",
        counter=1,
        issued_at=now,
        expires_at=now + expires_in_s,
        model="motion",
        version="1.0.0",
        target="linux-litert",
        path=PATH,
        sha256=sha256_hex(DATA),
        size=size,
    )


async def test_a_broken_download_goes_on_where_it_broke(
    downloader: Downloader, origin: Origin, assignment: Assignment
) -> None:
    origin.breaks, origin.statuses = [300_000, 300_000], [503]
    await downloader.fetch(assignment)
    assert downloader.archive(assignment).read_bytes() == DATA
    assert origin.ranges[0] == ""
    assert sum(bool(text) for text in origin.ranges) == 2
    await downloader.fetch(assignment)
    assert len(origin.ranges) == 4, "what is there is not fetched again"
    downloader.forget()
    assert not downloader.archive(assignment).exists()


async def test_a_reboot_resumes_and_old_parts_go(
    downloader: Downloader, origin: Origin, assignment: Assignment, tmp_path: Path
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / f"{assignment.sha256}.part").write_bytes(DATA[:1000])
    (folder / "old.part").write_bytes(b"old")
    await downloader.fetch(assignment)
    assert origin.ranges == ["bytes=1000-"]
    assert [path.name for path in folder.iterdir()] == [f"{assignment.sha256}.flota"]


@pytest.mark.parametrize("torn", [b"\0" * 1000, b"\0" * len(DATA), b"\0" * (len(DATA) + 5)])
async def test_a_torn_part_is_fetched_anew_and_not_called_an_attack(
    downloader: Downloader, assignment: Assignment, tmp_path: Path, torn: bytes
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / f"{assignment.sha256}.part").write_bytes(torn)
    await downloader.fetch(assignment)
    assert downloader.archive(assignment).read_bytes() == DATA


@pytest.mark.parametrize("change", [lambda d: d[:-1] + b"x", lambda d: d + b"more", lambda d: d[:-5]])
async def test_other_bytes_arrive_for_verification_to_refuse(
    downloader: Downloader, origin: Origin, assignment: Assignment, change: Callable[[bytes], bytes]
) -> None:
    origin.data = change(DATA)
    await downloader.fetch(assignment)
    assert downloader.archive(assignment).read_bytes() != DATA
    assert downloader.archive(assignment).stat().st_size <= len(DATA) + download.CHUNK_BYTES


async def test_a_server_that_denies_it_ends_the_download(
    downloader: Downloader, origin: Origin, assignment: Assignment
) -> None:
    origin.statuses = [404] * 50
    with pytest.raises(DownloadError) as caught:
        await downloader.fetch(assignment)
    assert caught.value.code == "download.failed"
    assert len(origin.ranges) == download.MAX_DENIALS


async def test_an_assignment_that_expires_ends_the_download(downloader: Downloader, origin: Origin) -> None:
    origin.statuses = [503] * 50
    with pytest.raises(DownloadExpired):
        await downloader.fetch(make(expires_in_s=0.3))


async def test_no_room_is_said_before_anything_is_fetched(downloader: Downloader, origin: Origin) -> None:
    with pytest.raises(DiskFull) as caught:
        await downloader.fetch(make(size=1 << 60))
    assert caught.value.code == "download.disk-full"
    assert origin.ranges == []


async def test_small_bodies_and_their_errors(origin: Origin) -> None:
    app = web.Application()
    app.router.add_get("/tuf/{path:.*}", origin.answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        client = HttpClient(session, str(server.make_url("/")))
        assert await client.get("tuf/metadata/timestamp.json") == DATA
        for status, kind in ((404, NotFound), (403, NotFound), (500, FetchFailed)):
            origin.statuses = [status]
            with pytest.raises(kind):
                await client.get("tuf/metadata/x.json")
        url = str(server.make_url("/"))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(FetchFailed):
            await HttpClient(session, url).get("tuf/metadata/timestamp.json")
