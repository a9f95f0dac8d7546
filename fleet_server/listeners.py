"""Sockets, TLS and uvicorn: two HTTPS listeners in one process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from fleet_server.api.deps import Peer
from fleet_server.config import Ports, ServerConfig, load_ports, save_ports
from fleet_server.errors import AlreadyRunning, PortInUse

_BACKLOG = 1024
_GRACE_S = 3


class PeerProtocol(H11Protocol):
    """Hands the client certificate of the connection to the application, in ``scope["state"]["peer"]``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called when the TLS handshake is done."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        peer = _peer(tls.getpeercert()) if tls is not None else None
        if peer is not None:
            self.app_state = {**self.app_state, "peer": peer}


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals to ``main``."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def make_listener(app: ASGIApp, config: ServerConfig, *, devices: bool) -> Listener:
    """A listener for operators, or for devices with their certificates."""

    def context(_config: uvicorn.Config, _default: object) -> ssl.SSLContext:
        return server_tls(config, client_certificates=devices)

    settings = uvicorn.Config(
        app,
        http=PeerProtocol if devices else H11Protocol,
        ws="none" if devices else "auto",
        ssl_context_factory=context,
        ssl_certfile=config.tls_certificate,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return Listener(settings)


def server_tls(config: ServerConfig, *, client_certificates: bool) -> ssl.SSLContext:
    """TLS 1.2 or newer with our certificate; with ``client_certificates`` only peers of the fleet's CA get through."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config.tls_certificate, config.tls_key)
    if client_certificates:
        context.load_verify_locations(cafile=config.ca_certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def open_sockets(config: ServerConfig, port: int | None) -> tuple[Ports, socket.socket, socket.socket]:
    """Bind the operator and the device socket, and settle on the broker's port.

    A port is what ``--port`` says, else what was chosen before, else what ``server.json`` says; 0 takes a free one,
    which is remembered.

    Args:
        config: The server.
        port: The operator port of the command line; None: not given.

    Raises:
        PortInUse: One is taken.
    """
    settings, kept = config.settings, load_ports(config)
    http = open_socket(settings.bind, _wanted(port if port is not None else settings.port, kept.http if kept else None))
    device = open_socket(settings.bind, _wanted(settings.device_port, kept.device if kept else None))
    with open_socket(settings.bind, _wanted(settings.mqtt_port, kept.mqtt if kept else None)) as probe:
        mqtt = int(probe.getsockname()[1])
    ports = Ports(http=int(http.getsockname()[1]), device=int(device.getsockname()[1]), mqtt=mqtt)
    if ports != kept:
        save_ports(config, ports)
    return ports, http, device


def open_socket(bind: str, port: int) -> socket.socket:
    """A bound TCP socket.

    Raises:
        PortInUse: The port is taken, or may not be used.
    """
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((bind, port))
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"port {port} on {bind} is in use",
                hint="end the program that uses it, or set another port in server.json",
            ) from error
        raise PortInUse(f"cannot listen on {bind} port {port}: {error.strerror or error}") from error
    return opened


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the folder for one running server; the kernel gives it back when that is killed.

    Raises:
        AlreadyRunning: Another one holds it.
    """
    descriptor = os.open(folder / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise AlreadyRunning(f"a server runs in {folder} already", hint="stop that one first") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _wanted(configured: int, kept: int | None) -> int:
    return configured or kept or 0


def _peer(certificate: object) -> Peer | None:
    if not isinstance(certificate, dict):
        return None
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    serial = str(certificate.get("serialNumber", "")).lstrip("0").lower()
    return Peer(names[0], serial) if len(names) == 1 and serial else None
