"""``flota release``: sign bundles into releases, offline, and publish them to the fleet server."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from flota.cli.common import AsJson, print_json

if TYPE_CHECKING:
    from flota.release import Release

app = typer.Typer(
    name="release",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Sign bundles into releases and publish them.",
)

Publisher = Annotated[
    Path,
    typer.Option(
        "--publisher",
        envvar="FLOTA_PUBLISHER",
        help="The publisher folder: private keys and signed metadata. Keep it off the server.",
    ),
]

Model = Annotated[str, typer.Argument(help="The model's name.")]
Version = Annotated[str, typer.Argument(help="The release's version, such as 1.0.0.")]

_DEFAULT = Path(".flota/publisher")


@app.command()
def init(
    publisher: Publisher = _DEFAULT,
    server_keys: Annotated[
        Path | None,
        typer.Option(
            "--server-keys", help="server-keys.json of the fleet server whose online keys the root shall name."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the publisher's keys; with --server-keys, sign the root for that server.

    Run it again after the server rotated a key (with its new file), or to renew metadata that is about to expire.
    """
    from flota.release import init_publisher
    from flota.trust.keys import ServerKeys

    state = init_publisher(publisher, ServerKeys.from_file(server_keys) if server_keys else None)
    if as_json:
        print_json(
            {
                "publisher": str(publisher),
                "root_version": state.root_version,
                "root_expires_at": state.root_expires_at,
                "targets_version": state.targets_version,
                "targets_expires_at": state.targets_expires_at,
                "image_public_key": str(state.image_public_key),
            }
        )
        return
    print(f"publisher folder {publisher}: root version {state.root_version}, targets version {state.targets_version}")
    print(f"provision microcontrollers with {state.image_public_key}")
    if state.root_version:
        until = datetime.fromtimestamp(min(state.root_expires_at, state.targets_expires_at), timezone.utc)
        print(f"devices trust this until {until:%Y-%m-%d}; to renew, run this again and publish")
        print("next: flota release publish (once, also without any release: devices enrol with the published root)")
    else:
        print("next: flota release init --server-keys FILE (the server-keys.json that `flota server init` wrote)")


@app.command()
def create(
    bundles: Annotated[list[Path], typer.Argument(help="Bundle files of one model version, one for each target.")],
    publisher: Publisher = _DEFAULT,
    security_floor: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="Devices that confirm this release refuse images with a lower security counter from then on.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign bundles into a release. MCU images inside are signed with the image key."""
    from flota.release import add_release

    _show(add_release(publisher, bundles, security_floor=security_floor), as_json=as_json)


@app.command(name="list")
def list_(publisher: Publisher = _DEFAULT, as_json: AsJson = False) -> None:
    """List the releases in the publisher folder."""
    from flota.release import list_releases

    releases = list_releases(publisher)
    if as_json:
        print_json([_row(release) for release in releases])
        return
    table = Table(box=None, header_style="bold")
    for column in ("model", "version", "floor", "targets"):
        table.add_column(column)
    for release in releases:
        targets = ", ".join(info.custom.target for info in release.bundles if info.custom)
        table.add_row(release.model, release.version, str(release.security_floor), targets)
    Console().print(table)


@app.command()
def show(model: Model, version: Version, publisher: Publisher = _DEFAULT, as_json: AsJson = False) -> None:
    """Show the bundles of one release."""
    from flota.release import get_release

    _show(get_release(publisher, model, version), as_json=as_json)


@app.command()
def publish(publisher: Publisher = _DEFAULT, as_json: AsJson = False) -> None:
    """Send signed metadata and new bundles to the fleet server you are signed in to."""
    from flota.api import FleetClient
    from flota.release import publish as publish_to

    with FleetClient.from_session() as client:
        version = publish_to(publisher, client)
    if as_json:
        print_json({"targets_version": version})
    else:
        print(f"published targets version {version}")


def _row(release: Release) -> dict[str, object]:
    return {
        "model": release.model,
        "version": release.version,
        "security_floor": release.security_floor,
        "bundles": [
            {
                "target": info.custom.target if info.custom else "",
                "path": info.path,
                "sha256": info.sha256,
                "size_bytes": info.size,
            }
            for info in release.bundles
        ],
    }


def _show(release: Release, *, as_json: bool) -> None:
    if as_json:
        print_json(_row(release))
        return
    table = Table(box=None, header_style="bold")
    for column in ("target", "bytes", "sha256", "path"):
        table.add_column(column, overflow="fold")
    for info in release.bundles:
        table.add_row(info.custom.target if info.custom else "", str(info.size), info.sha256[:16], info.path)
    print(f"release {release.model} {release.version}, security floor {release.security_floor}")
    Console().print(table)
