"""The server process: it loads the configuration, starts every part in one task group, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from socket import socket

import anyio
from anyio.abc import TaskGroup
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from fleet_server import ingest
from fleet_server.app import device_app, operator_app
from fleet_server.assignments import Director
from fleet_server.broker import Broker
from fleet_server.config import Ports, ServerConfig, load_config
from fleet_server.database import Database
from fleet_server.errors import BrokerFailed, ServerError
from fleet_server.link import Link
from fleet_server.listeners import Listener, make_listener, open_sockets, run_lock
from fleet_server.rollouts.runner import Runner
from fleet_server.setup import issue_certificates
from fleet_server.state import Fleet, revoked_devices
from flota.errors import FlotaError
from flota.files import sweep_leftovers, write_atomic
from flota.programs import find_program
from flota.trust.ca import CertificateAuthority
from flota.trust.online import OnlineRepository

_POLL_S = 0.02
_HOUSEKEEPING_S = 600.0
_CRL_S = 86_400.0

log = logging.getLogger("flota.server")


def run_server(folder: Path, *, port: int | None = None, ready_file: Path | None = None) -> None:
    """Run the server in ``folder`` until SIGTERM or SIGINT.

    Args:
        folder: What ``flota server init`` made.
        port: The operator port; None: as configured, 0: a free one.
        ready_file: Gets ``{"url", "device_url", "mqtt_port", "dashboard", "ca", "pid"}`` once everything listens.

    Raises:
        NoServer, ConfigError: The folder is not a server's.
        MissingTool: Mosquitto is not installed.
        AlreadyRunning, PortInUse, BrokerFailed, DatabaseFailed: It cannot run.
    """
    config = load_config(folder)
    find_program("mosquitto")
    with run_lock(config.folder):
        database = Database(config.database)
        try:
            database.migrate()
            Broker(config, port=0).end_stale()  # first: it still listens on the port we are about to try
            ports, http, device = open_sockets(config, port)
            with http, device:
                _run(_serve(config, ports, database, http, device, ready_file))
        finally:
            database.close()


def _run(server: Coroutine[None, None, None]) -> None:
    """Run to the end; of a group of errors, ours is the one to tell."""
    try:
        asyncio.run(server)
    except Exception as error:
        ours = _first_of_ours(error)
        if ours is None:
            raise
        raise ours from error


def _first_of_ours(error: BaseException) -> FlotaError | None:
    if isinstance(error, FlotaError):
        return error
    parts: Sequence[BaseException] = getattr(error, "exceptions", ())
    return next((ours for part in parts if (ours := _first_of_ours(part))), None)


async def _serve(
    config: ServerConfig, ports: Ports, database: Database, http: socket, device: socket, ready_file: Path | None
) -> None:
    fleet = _assemble(config, ports, database)
    fleet.broker.write_files(_revoked(database))
    operators, devices = operator_app(fleet), device_app(fleet)
    _mount_dashboard(operators, fleet)
    listeners = {
        make_listener(operators, config, devices=False): http,
        make_listener(devices, config, devices=True): device,
    }
    try:
        async with _background(fleet):
            await fleet.broker.wait_ready()
            await _wait_connected(fleet)
            async with _listening(listeners):
                if ready_file is not None:
                    write_atomic(ready_file, _ready(fleet))
                log.info("listening: operators on %s, devices on port %d", config.url(ports.http), ports.device)
                await _until_signal()
                log.info("stopping")
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


def _assemble(config: ServerConfig, ports: Ports, database: Database) -> Fleet:
    sweep_leftovers(config.folder)
    authority = CertificateAuthority.load(config.ca_folder)
    authority.crl()
    if not config.tls_certificate.exists():
        issue_certificates(config, authority)
    repository = OnlineRepository(config.trust_folder)
    director = Director(repository, config.settings)
    broker = Broker(config, ports.mqtt)
    link = Link(database, broker, on_state=lambda: runner.wake())
    runner = Runner(database, director, config.settings, f"{os.getpid()}-{secrets.token_hex(8)}", link.publish_pending)
    return Fleet(config, ports, database, authority, repository, director, broker, link, runner)


def _mount_dashboard(app: FastAPI, fleet: Fleet) -> None:
    from fleet_server.dashboard import mount

    mount(app, fleet)


@contextlib.asynccontextmanager
async def _background(fleet: Fleet) -> AsyncIterator[None]:
    """Broker, link, engine and housekeeping; they end in the opposite order."""
    async with AsyncExitStack() as stack:
        for job in (fleet.broker.run, fleet.link.run, fleet.runner.run, lambda: _housekeeping(fleet)):
            group: TaskGroup = await stack.enter_async_context(anyio.create_task_group())
            group.start_soon(job)
            stack.callback(group.cancel_scope.cancel)
        yield


@contextlib.asynccontextmanager
async def _listening(listeners: dict[Listener, socket]) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        for listener, bound in listeners.items():
            group.start_soon(_serve_one, listener, bound)
        try:
            while not all(listener.started for listener in listeners):
                await asyncio.sleep(_POLL_S)
            yield
        finally:
            for listener in listeners:
                listener.should_exit = True


async def _serve_one(listener: Listener, bound: socket) -> None:
    await listener.serve(sockets=[bound])
    if not listener.should_exit:
        raise ServerError("a listener ended by itself", hint="see the log above")


async def _wait_connected(fleet: Fleet) -> None:
    deadline = time.monotonic() + 10.0
    while not fleet.link.connected:
        if time.monotonic() > deadline:
            raise BrokerFailed(
                f"the broker on port {fleet.ports.mqtt} does not take our certificate",
                hint=f"see {fleet.config.broker_folder / 'broker.log'}",
            )
        await asyncio.sleep(_POLL_S)


async def _until_signal() -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return


async def _housekeeping(fleet: Fleet) -> None:
    """Renew what expires, forget what is old."""
    crl_at = time.monotonic()
    while True:
        await asyncio.to_thread(tidy, fleet)
        if time.monotonic() - crl_at >= _CRL_S and await asyncio.to_thread(_try, _renew_revocations, fleet):
            crl_at = time.monotonic()
        await asyncio.sleep(_HOUSEKEEPING_S)


def tidy(fleet: Fleet) -> None:
    """Every part by itself: metadata that cannot be signed must not keep old readings, nor a full disk, as they are."""
    for part in (_forget_old, lambda fleet: fleet.repository.refresh(), _renew_assignments):
        _try(part, fleet)


def _try(part: Callable[[Fleet], object], fleet: Fleet) -> bool:
    try:
        part(fleet)
    except (FlotaError, SQLAlchemyError) as error:  # a full disk must not end the server; it is tried again
        log.error("housekeeping: %s", error)
        return False
    return True


def _forget_old(fleet: Fleet) -> None:
    with fleet.database.write() as session:
        ingest.enforce_retention(session, fleet.config.settings)


def _renew_assignments(fleet: Fleet) -> None:
    with fleet.database.write() as session:
        fleet.director.renew(session)


def _renew_revocations(fleet: Fleet) -> None:
    fleet.authority.crl()
    fleet.broker.reload(_revoked(fleet.database))


def _revoked(database: Database) -> Iterable[str]:
    with database.read() as session:
        return revoked_devices(session)


def _ready(fleet: Fleet) -> bytes:
    url = fleet.config.url(fleet.ports.http)
    document = {
        "url": url,
        "device_url": fleet.config.url(fleet.ports.device),
        "mqtt_port": fleet.ports.mqtt,
        "dashboard": f"{url}/",
        "ca": str(fleet.config.ca_certificate),
        "pid": os.getpid(),
    }
    return json.dumps(document, indent=1).encode() + b"\n"
