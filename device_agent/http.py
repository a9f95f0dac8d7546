"""One HTTPS client to the device port of the server: mutual TLS, bounded answers, errors of ours."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from anyio import from_thread

from device_agent.config import AgentConfig
from flota.errors import ConfigError
from flota.trust.errors import FetchFailed, NotFound

MAX_METADATA_BYTES = 8 << 20
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)


def tls_context(config: AgentConfig) -> ssl.SSLContext:
    """TLS 1.2 or newer with the device's certificate; only the fleet's CA is trusted.

    Raises:
        ConfigError: Key or certificates are missing or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=config.ca)
        context.load_cert_chain(config.certificate, config.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{config.key.parent}: key or certificate cannot be used ({error})", hint="enrol the device again"
        ) from error
    return context


class HttpClient:
    """Requests relative to ``artifacts_url``."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._base = base_url.rstrip("/")

    def stream(self, path: str, headers: dict[str, str]) -> aiohttp.client._RequestContextManager:
        """Begin a GET whose body the caller reads; raises aiohttp.ClientError and asyncio.TimeoutError."""
        return self._session.get(f"{self._base}/{path}", headers=headers, allow_redirects=False)

    async def get(self, path: str) -> bytes:
        """A small body.

        Raises:
            NotFound: HTTP 403 or 404.
            FetchFailed: Not reachable, another status, or too large.
        """
        try:
            async with self.stream(path, {}) as response:
                if response.status in (403, 404):
                    raise NotFound(f"{path}: HTTP {response.status}")
                if response.status != 200:
                    raise FetchFailed(f"{path}: HTTP {response.status}")
                return await _bounded(response, path)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise FetchFailed(f"{path}: {error or type(error).__name__}", hint="is the server reachable?") from error

    def get_from_thread(self, path: str) -> bytes:
        """:meth:`get` for synchronous code in a worker thread of the event loop, such as the TUF client."""
        return from_thread.run(self.get, path)


@asynccontextmanager
async def http_client(config: AgentConfig, context: ssl.SSLContext) -> AsyncIterator[HttpClient]:
    """A client while the block runs."""
    connector = aiohttp.TCPConnector(ssl=context, limit=4)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, auto_decompress=False) as session:
        yield HttpClient(session, config.settings.artifacts_url)


async def _bounded(response: aiohttp.ClientResponse, path: str) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        body += piece
        if len(body) > MAX_METADATA_BYTES:
            raise FetchFailed(f"{path}: more than {MAX_METADATA_BYTES} bytes")
    return bytes(body)
