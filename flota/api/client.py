"""A typed, synchronous client of the fleet server's API (httpx)."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from flota.api import models
from flota.api.errors import Garbled, Refused, Unauthorized, Unreachable, Untrusted
from flota.api.session import StoredSession
from flota.errors import ConfigError
from flota.messages import HealthLimits, Reply

T = TypeVar("T")
_Query = Mapping[str, str | int | float]
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_UPLOAD_TIMEOUT = httpx.Timeout(600.0, connect=5.0)


class FleetClient:
    """The API of one server. Use it as a context manager, or call :meth:`close`.

    Every method raises ``Unreachable``, ``Untrusted``, ``Unauthorized``, ``Refused`` or ``Garbled``
    (:mod:`flota.api.errors`).

    Args:
        url: The operator port, such as ``https://fleet.example:8443``.
        token: A bearer token; empty for the calls that need none.
        ca: The fleet CA's certificate: a file, or its PEM text.

    Raises:
        ConfigError: ``ca`` is not a certificate.
    """

    def __init__(self, url: str, token: str = "", ca: Path | str = "") -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self._url + models.API, headers=headers, verify=_context(ca), timeout=_TIMEOUT, trust_env=False
        )

    @classmethod
    def from_session(cls, path: Path | None = None) -> FleetClient:
        """The client of the session that ``flota server login`` stored.

        Raises:
            NotSignedIn: There is none.
        """
        session = StoredSession.load(path)
        return cls(session.url, session.token, session.ca_pem)

    def __enter__(self) -> FleetClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # ---- operators

    def login(self, username: str, password: str) -> models.Session:
        """Sign in; the token in the answer is for a new client."""
        return self._post("/session", models.Session, models.Credentials(username=username, password=password))

    def logout(self) -> None:
        """End this session."""
        self._send("DELETE", "/session")

    def whoami(self) -> models.User:
        """The account of this session."""
        return self._get("/session", models.User)

    def users(self) -> list[models.User]:
        """Every account."""
        return self._get("/users", list[models.User])

    def add_user(self, user: models.NewUser) -> models.User:
        """Make an account."""
        return self._post("/users", models.User, user)

    # ---- devices

    def devices(self) -> list[models.DeviceView]:
        """Every device, by name."""
        return self._get("/devices", list[models.DeviceView])

    def device(self, name: str) -> models.DeviceDetail:
        """One device."""
        return self._get(f"/devices/{name}", models.DeviceDetail)

    def add_device(self, device: models.NewDevice) -> models.EnrolmentToken:
        """Register a device; the token in the answer enrols it, once."""
        return self._post("/devices", models.EnrolmentToken, device)

    def revoke_device(self, name: str) -> models.DeviceView:
        """Refuse the device's certificate from now on."""
        return self._parse(self._send("DELETE", f"/devices/{name}"), models.DeviceView)

    def history(self, name: str) -> list[models.Ran]:
        """What really ran on a device, in order."""
        return self._get(f"/devices/{name}/history", list[models.Ran])

    def command(self, name: str, command: models.CommandRequest) -> Reply:
        """Ask a device something and wait for its answer."""
        with self._patient(command.timeout_s):
            return self._post(f"/devices/{name}/command", Reply, command)

    def assign(self, name: str, assignment: models.ManualAssignment) -> models.Assigned:
        """Assign a release to one device, outside any rollout."""
        return self._post(f"/devices/{name}/assign", models.Assigned, assignment)

    def enrol(self, token: str, csr_pem: bytes) -> models.Enrolled:
        """Trade a one-time token and a certificate request for a certificate."""
        return self._post("/enrol", models.Enrolled, models.Enrolment(token=token, csr_pem=csr_pem.decode()))

    def groups(self) -> list[models.GroupView]:
        """Every group."""
        return self._get("/groups", list[models.GroupView])

    def add_group(self, group: models.NewGroup) -> models.GroupView:
        """Make a group, or move devices into it."""
        return self._post("/groups", models.GroupView, group)

    # ---- releases

    def releases(self) -> list[models.ReleaseView]:
        """Every published release."""
        return self._get("/releases", list[models.ReleaseView])

    def release(self, model: str, version: str) -> models.ReleaseView:
        """One published release."""
        return self._get(f"/releases/{model}/{version}", models.ReleaseView)

    def publish_release(
        self, targets_json: bytes, root_json: bytes | None, files: Mapping[str, Path]
    ) -> models.Published:
        """Send signed metadata and the files (target path → file) the server does not have yet."""
        known = {bundle.sha256 for release in self.releases() for bundle in release.bundles}
        with contextlib.ExitStack() as stack:
            parts = [("targets", ("targets.json", targets_json, "application/json"))]
            if root_json is not None:
                parts.append(("root", ("root.json", root_json, "application/json")))
            streams = [
                ("files", (path, stack.enter_context(file.open("rb")), "application/octet-stream"))
                for path, file in files.items()
                if not _is_known(file, known)
            ]
            answer = self._send("POST", "/releases", files=[*parts, *streams], timeout=_UPLOAD_TIMEOUT)
        return self._parse(answer, models.Published)

    # ---- rollouts

    def rollouts(self) -> list[models.RolloutSummary]:
        """Every rollout, the newest first."""
        return self._get("/rollouts", list[models.RolloutSummary])

    def rollout(self, identity: int) -> models.RolloutView:
        """One rollout with waves, devices and gate values."""
        return self._get(f"/rollouts/{identity}", models.RolloutView)

    def create_rollout(
        self,
        model: str,
        version: str,
        *,
        devices: Sequence[str] = (),
        group: str = "",
        waves: Sequence[models.Wave] = (models.Wave(percent=100),),
        success_threshold: float = 1.0,
        max_failures: int | None = None,
        probation_s: float = 60.0,
        wave_soak_s: float = 0.0,
        timeout_s: float = 3600.0,
        limits: HealthLimits | None = None,
    ) -> models.RolloutView:
        """Start a rollout; see :class:`flota.api.models.NewRollout`."""
        with _usage():
            document = models.NewRollout(
                model=model,
                version=version,
                devices=tuple(devices),
                group=group,
                waves=tuple(waves),
                success_threshold=success_threshold,
                max_failures=max_failures,
                probation_s=probation_s,
                wave_soak_s=wave_soak_s,
                timeout_s=timeout_s,
                limits=limits or HealthLimits(),
            )
        return self._post("/rollouts", models.RolloutView, document)

    def pause_rollout(self, identity: int) -> models.RolloutView:
        """Assign no more devices until it is resumed."""
        return self._post(f"/rollouts/{identity}/pause", models.RolloutView)

    def resume_rollout(self, identity: int) -> models.RolloutView:
        """Go on with a paused rollout."""
        return self._post(f"/rollouts/{identity}/resume", models.RolloutView)

    def abort_rollout(self, identity: int, *, rollback: bool = True) -> models.RolloutView:
        """End a rollout; with ``rollback`` every device it moved goes back."""
        return self._post(f"/rollouts/{identity}/abort", models.RolloutView, models.AbortRequest(rollback=rollback))

    # ---- records

    def telemetry(
        self, *, device: str = "", name: str = "", since: float = 0.0, limit: int = 1000
    ) -> list[models.TelemetryView]:
        """Readings, oldest first."""
        query = _given(device=device, name=name, since=since, limit=limit)
        return self._get("/telemetry", list[models.TelemetryView], query)

    def events(self, *, device: str = "", since: float = 0.0, limit: int = 1000) -> list[models.EventView]:
        """Events of devices, oldest first."""
        return self._get("/events", list[models.EventView], _given(device=device, since=since, limit=limit))

    def audit(self, *, after: int = 0, limit: int = 1000) -> list[models.AuditView]:
        """The audit log, oldest first, after the line ``after``."""
        return self._get("/audit", list[models.AuditView], _given(after=after, limit=limit))

    def check_audit(self) -> models.AuditCheck:
        """Recompute the audit log's chain of hashes on the server."""
        return self._get("/audit/check", models.AuditCheck)

    def metrics(self) -> str:
        """The server's figures in Prometheus' text format."""
        return self._send("GET", f"{self._url}/metrics").text

    # ---- inside

    def _get(self, path: str, kind: type[T], query: _Query | None = None) -> T:
        return self._parse(self._send("GET", path, params=query), kind)

    def _post(self, path: str, kind: type[T], document: BaseModel | None = None) -> T:
        content = document.model_dump_json().encode() if document is not None else None
        headers = {"content-type": "application/json"} if content else {}
        return self._parse(self._send("POST", path, content=content, headers=headers), kind)

    def _send(self, method: str, path: str, **options: object) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)  # type: ignore[arg-type]
        except httpx.TransportError as error:
            raise self._transport_error(error) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Unreachable(f"{self._url} is not a URL", hint="write it as https://HOST:PORT") from error
        if response.is_success:
            return response
        raise _refusal(response)

    def _transport_error(self, error: httpx.TransportError) -> Unreachable | Untrusted:
        text = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return Untrusted(
                f"{self._url}: the server's certificate is not of the given CA",
                hint="pass the fleet's ca.pem with --ca",
            )
        return Unreachable(f"{self._url}: {text}", hint="check the address, and that `flota server run` is running")

    @staticmethod
    def _parse(response: httpx.Response, kind: type[T]) -> T:
        try:
            return TypeAdapter(kind).validate_json(response.content)
        except ValidationError as error:
            raise Garbled(f"{response.url} answered something else than the fleet API", hint="check the URL") from error

    @contextlib.contextmanager
    def _patient(self, extra_s: float) -> Iterator[None]:
        usual = self._http.timeout
        self._http.timeout = httpx.Timeout(30.0 + extra_s, connect=5.0)
        try:
            yield
        finally:
            self._http.timeout = usual


def _refusal(response: httpx.Response) -> Refused:
    try:
        problem = models.Problem.model_validate_json(response.content)
    except ValidationError:
        problem = models.Problem(code="api.error", message=f"the server answered {response.status_code}")
    kind = Unauthorized if response.status_code in (401, 403) else Refused
    return kind(problem.message, code=problem.code, status=response.status_code, hint=problem.hint)


def _context(ca: Path | str) -> ssl.SSLContext:
    try:
        if isinstance(ca, Path):
            return ssl.create_default_context(cafile=str(ca))
        return ssl.create_default_context(cadata=ca or None)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(f"{ca if isinstance(ca, Path) else 'CA'}: not a certificate in PEM") from error


def _is_known(file: Path, known: set[str]) -> bool:
    from flota.files import sha256_file

    return sha256_file(file) in known


def _given(**query: str | float) -> dict[str, str | int | float]:
    return {name: value for name, value in query.items() if value not in ("", 0, 0.0)}


@contextlib.contextmanager
def _usage() -> Iterator[None]:
    from flota.errors import UsageError

    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")) from error
