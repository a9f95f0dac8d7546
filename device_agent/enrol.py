"""Becoming a device of a fleet: a key that never leaves this folder, a one-time token, a certificate back."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device_agent.config import CONFIG_NAME, AgentConfig, Settings, save_config
from device_agent.errors import AlreadyEnrolled, EnrolmentFailed
from flota.errors import FlotaError, UsageError
from flota.files import write_atomic
from flota.topics import check_device_name
from flota.trust.ca import common_name, make_csr

_TIMEOUT = aiohttp.ClientTimeout(total=30)


class _Enrolled(BaseModel):
    """The server's answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    certificate_pem: str
    ca_pem: str
    mqtt_host: str
    mqtt_port: int = Field(ge=1, le=65535)
    artifacts_url: str
    tuf_root: str = Field(min_length=2)


class _Refusal(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    code: str = "agent.enrolment-failed"
    message: str = "the server refused"
    hint: str = ""


def enrol(server: str, ca: Path, token: str, device: str, folder: Path, *, board_port: str = "") -> AgentConfig:
    """Enrol ``device`` at ``server`` and write its folder; nothing is written if that fails.

    Args:
        server: Base URL of the operator port, ``https://…``.
        ca: The fleet CA's certificate (PEM); the server must show one of its certificates.
        token: The one-time token that registering the device gave.
        device: Its name.
        folder: Where it lives from now on.
        board_port: Serial URL of the microcontroller that is the device; empty: this machine is.

    Raises:
        AlreadyEnrolled: The folder holds an agent.
        UsageError: Not a device name, not an https URL, or an unreadable CA file.
        EnrolmentFailed: The server cannot be reached, refused, or answered nonsense.
    """
    check_device_name(device)
    if (folder / CONFIG_NAME).exists():
        raise AlreadyEnrolled(f"{folder} holds an enrolled agent", hint="use another folder, or remove that one")
    if urlsplit(server).scheme != "https":
        raise UsageError(f"{server!r} is not an https URL", hint="use the address that `flota server run` prints")
    key_pem, csr_pem = make_csr(device)
    body = {"token": token, "csr_pem": csr_pem.decode()}
    answer = anyio.run(_ask, f"{server.rstrip('/')}/api/v1/enrol", body, _context(ca))
    if common_name(answer.certificate_pem.encode()) != device:
        raise EnrolmentFailed(f"the token is for another device than {device}", hint="ask for a token of this device")
    config = _config(answer, device, folder, board_port)
    _write(config, key_pem, answer)
    return config


def _config(answer: _Enrolled, device: str, folder: Path, board_port: str) -> AgentConfig:
    try:
        settings = Settings(
            device=device,
            mqtt_host=answer.mqtt_host,
            mqtt_port=answer.mqtt_port,
            artifacts_url=answer.artifacts_url,
            board_port=board_port,
        )
    except ValidationError as error:
        raise EnrolmentFailed(f"the server's answer is not usable: {error.errors()[0]['msg']}") from error
    return AgentConfig(folder=folder.resolve(), settings=settings)


def _write(config: AgentConfig, key_pem: bytes, answer: _Enrolled) -> None:
    """``agent.toml`` last: a folder without it holds no agent, so a crash in between leaves none."""
    write_atomic(config.key, key_pem, mode=0o600)
    write_atomic(config.certificate, answer.certificate_pem.encode())
    write_atomic(config.ca, answer.ca_pem.encode())
    write_atomic(config.root, answer.tuf_root.encode())
    save_config(config)


def _context(ca: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=os.fspath(ca))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{ca}: not a readable CA certificate", hint="give the server's ca.pem with --ca") from error


async def _ask(url: str, body: dict[str, str], context: ssl.SSLContext) -> _Enrolled:
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.post(url, json=body, ssl=context, allow_redirects=False) as response,
        ):
            data = await response.read()
            if response.status not in (200, 201):
                raise _refusal(data, response.status)
            return _Enrolled.model_validate_json(data)
    except ValidationError as error:
        raise EnrolmentFailed(f"{url}: the answer is not an enrolment", hint="is this a Flota server?") from error
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError) as error:
        raise EnrolmentFailed(f"{url}: {error or type(error).__name__}", hint="is the server running?") from error


def _refusal(data: bytes, status: int) -> FlotaError:
    try:
        refusal = _Refusal.model_validate_json(data)
    except ValidationError:
        return EnrolmentFailed(f"the server answered HTTP {status}", hint="is this a Flota server?")
    error = EnrolmentFailed(refusal.message, hint=refusal.hint)
    error.code = refusal.code  # type: ignore[misc]  # the server's code says more than ours
    return error
