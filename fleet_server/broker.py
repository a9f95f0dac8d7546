"""Mosquitto as our child: configuration, start, supervision, revocation.

Mutual TLS only. The common name of a certificate is the MQTT user name *and* the client id, so no device can act as, or
disconnect, another one; the ACL holds each to its own topics. The server itself connects as ``_server``, a name that no
device can have. When the server was killed, its Mosquitto lives on; the next start ends it (by process id and start
time) before it starts its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import pwd
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fleet_server.config import ServerConfig
from fleet_server.errors import BrokerFailed
from flota.files import write_atomic
from flota.programs import find_program
from flota.topics import FROM_DEVICE, FROM_SERVER, PREFIX
from flota.trust.ca import CRL

SERVICE = "_server"
_START_S = 10.0
_STOP_S = 5.0
_POLL_S = 0.05
_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)
_STABLE_S = 10.0

log = logging.getLogger("flota.broker")


@dataclass(slots=True)
class Broker:
    """The broker of one server folder, listening on ``bind``:``port``."""

    config: ServerConfig
    port: int
    _process: asyncio.subprocess.Process | None = None
    _expected_exit: bool = False

    @property
    def connect_host(self) -> str:
        """The address at which this machine reaches the broker."""
        bind = self.config.settings.bind
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(bind, bind)  # noqa: S104 - compared only

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def write_files(self, revoked: Iterable[str]) -> None:
        """Write configuration and ACL."""
        folder = self.config.broker_folder
        write_atomic(folder / "mosquitto.conf", self._configuration().encode(), mode=0o600)
        self._write_acl(revoked)

    async def run(self) -> None:
        """Keep it running until cancelled: a broker that dies is started again, later each time it dies quickly."""
        failures = 0
        try:
            while True:
                started = time.monotonic()
                await self._start()
                assert self._process is not None
                code = await self._process.wait()
                failures = 0 if self._expected_exit or time.monotonic() - started > _STABLE_S else failures + 1
                if not self._expected_exit:
                    log.warning("mosquitto ended with exit code %s; starting it again", code)
                    await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1] if failures else 0)
                self._expected_exit = False
        finally:
            await self._stop()

    async def wait_ready(self) -> None:
        """Wait until it takes connections.

        Raises:
            BrokerFailed: It does not within ten seconds.
        """
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self.pid is not None and await asyncio.to_thread(self._answers):
                return
            await asyncio.sleep(_POLL_S)
        raise BrokerFailed(
            f"mosquitto does not listen on port {self.port}", hint=f"see {self.config.broker_folder / 'broker.log'}"
        )

    def reload(self, revoked: Iterable[str]) -> None:
        """Have it read ACL and revocation list again: a revoked device is deaf and dumb from now on."""
        self._write_acl(revoked)
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    def restart(self, revoked: Iterable[str]) -> None:
        """Have it start anew, which ends every connection: a name that was revoked gets a new owner."""
        self._write_acl(revoked)
        if self._process is not None and self._process.returncode is None:
            self._expected_exit = True
            self._process.terminate()

    def end_stale(self) -> None:
        """End the Mosquitto of an earlier server of this folder that was killed.

        Raises:
            BrokerFailed: It does not end.
        """
        try:
            record = json.loads(self._record.read_bytes())
            pid, started = int(record["pid"]), int(record["started"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        for number, patience_s in ((signal.SIGTERM, _STOP_S), (signal.SIGKILL, _STOP_S)):
            if _start_time(pid) != started:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline and _start_time(pid) == started:
                time.sleep(_POLL_S)
        if _start_time(pid) == started:
            raise BrokerFailed(f"an old mosquitto (process {pid}) does not end", hint="end it by hand")

    @property
    def _record(self) -> Path:
        return self.config.broker_folder / "process.json"

    async def _start(self) -> None:
        program = find_program("mosquitto")
        with (self.config.broker_folder / "broker.log").open("ab") as stream:
            self._process = await asyncio.create_subprocess_exec(
                program,
                "-c",
                str(self.config.broker_folder / "mosquitto.conf"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,  # Ctrl-C is for us; we end it in order
            )
        record = {"pid": self._process.pid, "started": _start_time(self._process.pid) or 0}
        write_atomic(self._record, json.dumps(record).encode())

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(process.wait()), _STOP_S)
        except (asyncio.TimeoutError, asyncio.CancelledError):
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.connect_host, self.port), timeout=1.0):
                return True
        except OSError:
            return False

    def _configuration(self) -> str:
        config = self.config
        lines = {
            "per_listener_settings": "false",
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "allow_anonymous": "false",
            "acl_file": config.broker_folder / "acl",
            "persistence": "true",
            "persistence_location": f"{config.broker_folder}/",
            "persistence_file": "retained.db",
            "autosave_interval": 5,
            "max_queued_messages": 10_000,
            "max_packet_size": 1 << 20,
            "log_dest": f"file {config.broker_folder / 'broker.log'}",
            "log_timestamp_format": "%Y-%m-%dT%H:%M:%S",
            "connection_messages": "true",
            "listener": f"{self.port} {config.settings.bind}",
            "cafile": config.ca_folder / "ca.pem",
            "certfile": config.tls_certificate,
            "keyfile": config.tls_key,
            "crlfile": config.ca_folder / CRL,
            "tls_version": "tlsv1.2",
            "require_certificate": "true",
            "use_identity_as_username": "true",
            "use_username_as_clientid": "true",
        }
        text = "".join(f"{name} {value}\n" for name, value in lines.items())
        return "# Written by `flota server run` at every start; edit server.json instead.\n" + text

    def _write_acl(self, revoked: Iterable[str]) -> None:
        """``deny`` rules come first: they also silence connections that are open, which a revocation list does not."""
        lines = ["# Written by the fleet server.", f"user {SERVICE}", f"topic readwrite {PREFIX}/#"]
        for name in sorted(revoked):
            lines += [f"user {name}", f"topic deny {PREFIX}/{name}/#"]
        lines += [f"pattern write {PREFIX}/%u/{channel}" for channel in sorted(c.value for c in FROM_DEVICE)]
        lines += [f"pattern read {PREFIX}/%u/{channel}" for channel in sorted(c.value for c in FROM_SERVER)]
        write_atomic(self.config.broker_folder / "acl", ("\n".join(lines) + "\n").encode(), mode=0o600)


def _start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where there is none, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
