"""Releases: what the publisher signed comes in, devices fetch it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread
from fastapi import APIRouter, Request, Response, status
from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile

from fleet_server import audit, services, views
from fleet_server.api.deps import DeviceDep, FleetDep, OperatorDep, ViewerDep
from fleet_server.errors import ServerError
from fleet_server.state import Fleet
from flota.api.models import Published, ReleaseView
from flota.errors import StorageError

router = APIRouter(tags=["releases"])
device_router = APIRouter(tags=["artifacts"])

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["targets"],
                    "properties": {
                        "targets": {"type": "string", "format": "binary", "description": "targets.json"},
                        "root": {"type": "string", "format": "binary", "description": "JSON array of roots"},
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "the new files; each part's file name is the target path",
                        },
                    },
                }
            }
        },
    }
}


class BadUpload(ServerError):
    """The form lacks a part, or has one that does not belong there."""

    code = "release.bad-upload"
    status = 422


@router.get("/releases")
def list_releases(viewer: ViewerDep, fleet: FleetDep) -> list[ReleaseView]:
    """Every published release."""
    return services.list_releases(fleet)


@router.get("/releases/{model}/{version}")
def show_release(model: str, version: str, viewer: ViewerDep, fleet: FleetDep) -> ReleaseView:
    """One published release."""
    return views.release_view(fleet.repository, model, version)


@router.post("/releases", status_code=status.HTTP_201_CREATED, openapi_extra=_UPLOAD)
async def publish_release(request: Request, operator: OperatorDep, fleet: FleetDep) -> Published:
    """Publish signed metadata and the files that are new in it; all of it, or nothing.

    The form is read only after the credentials were checked.
    """
    async with request.form(max_files=1000, max_fields=10) as form:
        targets, root, files = form.get("targets"), form.get("root"), form.getlist("files")
        uploads = [file for file in files if isinstance(file, UploadFile)]
        if not isinstance(targets, UploadFile) or len(uploads) != len(files):
            raise BadUpload("the form has no file `targets`, or `files` that are not files")
        root_json = await root.read() if isinstance(root, UploadFile) else None
        return await to_thread.run_sync(_publish, fleet, await targets.read(), root_json, uploads, operator.name)


def _publish(
    fleet: Fleet, targets_json: bytes, root_json: bytes | None, uploads: Sequence[UploadFile], actor: str
) -> Published:
    fleet.config.uploads.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=fleet.config.uploads) as folder:
        files = {upload.filename or "": _save(upload, Path(folder) / str(i)) for i, upload in enumerate(uploads)}
        accepted = fleet.repository.accept(targets_json, root_json, files)
    new = tuple(info.path for info in accepted.new)
    with fleet.database.write() as session:
        detail = {"targets_version": accepted.version, "new": ",".join(new)}
        audit.record(session, actor, "release.publish", f"targets {accepted.version}", detail)
    return Published(targets_version=accepted.version, new=new)


def _save(upload: UploadFile, path: Path) -> Path:
    try:
        with path.open("wb") as stream, contextlib.closing(upload.file):
            shutil.copyfileobj(upload.file, stream, 1 << 20)
    except OSError as error:
        raise StorageError(
            f"{path.parent}: {error.strerror or error}", hint="free space on the server's disk"
        ) from error
    return path


@device_router.get("/tuf/metadata/{name}")
def tuf_metadata(name: str, device: DeviceDep, fleet: FleetDep) -> Response:
    """A TUF metadata file."""
    return Response(fleet.repository.metadata(name), media_type="application/json")


@device_router.api_route("/artifacts/{path:path}", methods=["GET", "HEAD"])
def artifact(path: str, request: Request, device: DeviceDep, fleet: FleetDep) -> Response:
    """A file of a release, whole or in ranges; its ETag is its SHA-256."""
    file = fleet.repository.artifact(path)
    headers = {"etag": f'"{file.name}"', "cache-control": "private, max-age=31536000, immutable"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return FileResponse(file, media_type="application/octet-stream", headers=headers)
