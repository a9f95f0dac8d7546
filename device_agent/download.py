"""Fetching a bundle: by HTTPS in ranges, resumed where a broken connection or a reboot left it.

The partial file is named by the digest of what it shall become. Its bytes are trusted with nothing: a resumed file that
does not have that digest is fetched once more from the start, so that a torn write is not mistaken for an attack.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import time
from pathlib import Path
from typing import BinaryIO

import aiohttp
from anyio import sleep, to_thread

from device_agent.backoff import Backoff
from device_agent.errors import DiskFull, DownloadError, DownloadExpired
from device_agent.http import HttpClient
from flota.errors import StorageError
from flota.files import sha256_file, sync_folder
from flota.messages import Assignment

CHUNK_BYTES = 1 << 18
RESERVE_BYTES = 4 << 20
"""Disk space that a download leaves free for journal and telemetry."""
MAX_DENIALS = 5


class _Again(Exception):
    """This try ended early; another may work."""


class Downloader:
    """Fetches bundles into ``folder``, one at a time."""

    def __init__(self, client: HttpClient, folder: Path) -> None:
        self._client = client
        self._folder = folder

    def archive(self, assignment: Assignment) -> Path:
        """Where the whole file of this assignment is, or will be."""
        return self._folder / f"{assignment.sha256}.flota"

    async def fetch(self, assignment: Assignment) -> None:
        """Fetch the bundle to :meth:`archive`; returns at once if it is there. Its digest is still to be verified.

        Network trouble is waited out until the assignment expires.

        Raises:
            DiskFull: No room for it.
            DownloadExpired: The assignment expired first.
            DownloadError: The server does not have it, or denies it.
            StorageError: The folder cannot be written.
        """
        if self.archive(assignment).exists():
            return
        self._prepare(assignment)
        await self._fetch_part(assignment)
        part = self._part(assignment)
        await to_thread.run_sync(_publish, part, self.archive(assignment))

    def forget(self) -> None:
        """Delete everything fetched; what was installed has been moved away."""
        for path in self._folder.glob("*"):
            path.unlink(missing_ok=True)

    def _part(self, assignment: Assignment) -> Path:
        return self._folder / f"{assignment.sha256}.part"

    def _prepare(self, assignment: Assignment) -> None:
        part = self._part(assignment)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in self._folder.glob("*"):
                if path != part:
                    path.unlink()
            have = part.stat().st_size if part.exists() else 0
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise StorageError(f"{self._folder}: {error.strerror or error}", hint="check permissions") from error
        if free < assignment.size - have + RESERVE_BYTES:
            raise DiskFull(
                f"{assignment.size - have} bytes to fetch, {free} bytes free",
                hint=f"free at least {RESERVE_BYTES >> 20} MiB more than the bundle on the agent's disk",
            )

    async def _fetch_part(self, assignment: Assignment) -> None:
        backoff, denials = Backoff(), 0
        resumed = self._part(assignment).exists()
        while True:
            try:
                await self._once(assignment)
            except _Again:
                pass
            except DownloadError as error:
                denials += 1
                if denials >= MAX_DENIALS or isinstance(error, DiskFull):
                    raise
            else:
                if not resumed or await self._is_whole(assignment):
                    return
                self._part(assignment).unlink()
                resumed = False
                continue
            if time.time() >= assignment.expires_at:
                raise DownloadExpired(f"{assignment.path} could not be fetched before its assignment expired")
            await sleep(backoff.next())
            resumed = self._part(assignment).exists()

    async def _is_whole(self, assignment: Assignment) -> bool:
        return await to_thread.run_sync(sha256_file, self._part(assignment)) == assignment.sha256

    async def _once(self, assignment: Assignment) -> None:
        """One request; on return the server has nothing more to send."""
        part = self._part(assignment)
        have = part.stat().st_size if part.exists() else 0
        if have > assignment.size:
            part.unlink()
            have = 0
        if have == assignment.size:
            return
        headers = {"Range": f"bytes={have}-"} if have else {}
        try:
            async with self._client.stream(f"artifacts/{assignment.path}", headers) as response:
                offset = _offset(response, have)
                await _store(response, part, offset, assignment.size)
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise _Again from error
        except OSError as error:
            raise _disk_error(part, error) from error


def _offset(response: aiohttp.ClientResponse, have: int) -> int:
    """Where the body starts in the file."""
    if response.status == 200:
        return 0
    if response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        return have
    if response.status == 416:  # the file at the server is shorter than what we have: start over
        return 0
    if response.status in (401, 403, 404, 410):
        raise DownloadError(f"{response.url.path}: HTTP {response.status}", hint="is the release still published?")
    raise _Again


async def _store(response: aiohttp.ClientResponse, part: Path, offset: int, size: int) -> None:
    with part.open("r+b" if offset else "wb") as stream:
        stream.seek(offset)
        if response.status == 416:
            raise _Again
        async for piece in response.content.iter_chunked(CHUNK_BYTES):
            if offset > size:
                return  # more than was signed: verification will refuse it
            await to_thread.run_sync(_write, stream, piece)
            offset += len(piece)


def _write(stream: BinaryIO, piece: bytes) -> None:
    stream.write(piece)
    stream.flush()


def _publish(part: Path, archive: Path) -> None:
    try:
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(archive)
        sync_folder(archive.parent)
    except OSError as error:
        raise _disk_error(part, error) from error


def _disk_error(path: Path, error: OSError) -> DiskFull | StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{path}: the disk is full", hint="free space on the agent's disk")
    return StorageError(f"{path}: {error.strerror or error}", hint="check the agent's disk")
