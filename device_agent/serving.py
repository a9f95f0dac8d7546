"""Inference for programs on this machine: the Open Inference Protocol, version 2, over REST.

On a Unix socket and, if asked for, on loopback; never on another address. Pages in a browser can reach loopback too, so
whatever carries an ``Origin`` is refused. Protocol: https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from pydantic import ValidationError

from device_agent.errors import AgentError, InvalidRequest, NoModel
from device_agent.host import Host
from device_agent.installers.base import Model, ModelClosed
from device_agent.tensors import DATATYPES, InferRequest, case_of, outputs_of
from flota import __version__
from flota.bundle import TensorSignature
from flota.errors import FlotaError

MAX_BODY_BYTES = 16 << 20
_HOST = "127.0.0.1"
_HOST_KEY: web.AppKey[Host] = web.AppKey("host", Host)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PortTaken(AgentError):
    """The loopback port of the inference server is in use."""

    code = "serving.port-in-use"


@asynccontextmanager
async def serving(host: Host, unix_socket: Path, port: int) -> AsyncIterator[None]:
    """Serve while the block runs. ``port`` 0: Unix socket only.

    Raises:
        PortTaken: Another program has the loopback port.
        AgentError: The socket cannot be made.
    """
    runner = web.AppRunner(application(host), access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, _unix_listener(unix_socket)).start()
        if port:
            await _start_loopback(runner, port)
        yield
    finally:
        await runner.cleanup()
        unix_socket.unlink(missing_ok=True)


def application(host: Host) -> web.Application:
    """The protocol's routes over ``host``."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_errors])
    app[_HOST_KEY] = host
    app.router.add_get("/v2", _server)
    app.router.add_get("/v2/health/live", _live)
    app.router.add_get("/v2/health/ready", _ready)
    for base in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        app.router.add_get(base, _metadata)
        app.router.add_get(base + "/ready", _model_ready)
        app.router.add_post(base + "/infer", _infer)
    return app


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    if "Origin" in request.headers:
        return _error("requests from web pages are refused", 403)
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _error(error.reason, error.status)
    except InvalidRequest as error:
        return _error(error.message, 400)
    except NoModel as error:
        return _error(error.message, 503)
    except FlotaError as error:
        return _error(f"{error.message} ({error.code})", 500)


async def _server(_request: web.Request) -> web.Response:
    return web.json_response({"name": "flota-agent", "version": __version__, "extensions": []})


async def _live(_request: web.Request) -> web.Response:
    return web.json_response({"live": True})


async def _ready(request: web.Request) -> web.Response:
    ready = request.app[_HOST_KEY].model is not None
    return web.json_response({"ready": ready}, status=200 if ready else 503)


async def _metadata(request: web.Request) -> web.Response:
    manifest = _model(request).manifest
    return web.json_response(
        {
            "name": manifest.model,
            "versions": [manifest.version],
            "platform": f"flota_{manifest.requires.runtime}",
            "inputs": [_signature(tensor) for tensor in manifest.inputs],
            "outputs": [_signature(tensor) for tensor in manifest.outputs],
        }
    )


async def _model_ready(request: web.Request) -> web.Response:
    return web.json_response({"name": _model(request).manifest.model, "ready": True})


async def _infer(request: web.Request) -> web.Response:
    try:
        wanted = InferRequest.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"request: {where}: {first['msg']}") from error
    model, data = await _run(request, wanted)
    manifest = model.manifest
    outputs = [tensor.model_dump(mode="json") for tensor in outputs_of(wanted, manifest.outputs, data)]
    body = {"model_name": manifest.model, "model_version": manifest.version, "outputs": outputs}
    return web.json_response({"id": wanted.id, **body} if wanted.id else body)


async def _run(request: web.Request, wanted: InferRequest) -> tuple[Model, bytes]:
    """Run on the version that serves; after a switch the request is checked against the new version and run there."""
    while True:
        model = _model(request)
        try:
            return model, await request.app[_HOST_KEY].infer(model, case_of(wanted, model.manifest.inputs))
        except ModelClosed:
            if request.app[_HOST_KEY].model is model:
                raise NoModel("the model is being replaced") from None


def _model(request: web.Request) -> Model:
    """The model that serves, if the request's path means it."""
    model = request.app[_HOST_KEY].model
    if model is None:
        raise NoModel("no model is installed")
    name, version = request.match_info["model"], request.match_info.get("version")
    if name != model.manifest.model:
        raise web.HTTPNotFound(reason=f"no model {name!r}; this device runs {model.manifest.model}")
    if version is not None and version != model.manifest.version:
        raise web.HTTPNotFound(reason=f"{name} {version} does not run; {model.manifest.version} does")
    return model


def _signature(tensor: TensorSignature) -> dict[str, object]:
    return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": list(tensor.shape)}


def _error(message: str, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _unix_listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o660)
    except OSError as error:
        listener.close()
        raise AgentError(
            f"{path}: {error.strerror or error}", hint="use a folder with a shorter path (107 bytes at most)"
        ) from error
    return listener


async def _start_loopback(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, _HOST, port).start()
    except OSError as error:
        raise PortTaken(
            f"port {port} on {_HOST}: {error.strerror or error}", hint="set another http_port in agent.toml"
        ) from error
