"""``flota server``: set up and run the fleet server, sign in to it, manage its accounts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flota.cli.common import AsJson, print_json
from flota.errors import UsageError

app = typer.Typer(
    name="server",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Set up and run the fleet server; sign in to it.",
)
user_app = typer.Typer(
    name="user", no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Accounts of operators."
)
app.add_typer(user_app)

Folder = Annotated[Path, typer.Argument(help="The server's folder.")]
_STDIN_HELP = "Read the password from the first line of standard input."
FromStdin = Annotated[bool, typer.Option("--password-stdin", help=_STDIN_HELP)]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0: choose a free one at the first start and keep it.")]


@app.command()
def init(
    folder: Folder,
    host: Annotated[str, typer.Option(help="The name or address that devices and operators connect to.")] = "127.0.0.1",
    bind: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Port = 8443,
    device_port: Port = 8444,
    mqtt_port: Port = 8883,
    admin_user: Annotated[str, typer.Option(help="The first operator; empty: none yet.")] = "",
    admin_password_stdin: Annotated[bool, typer.Option("--admin-password-stdin", help=_STDIN_HELP)] = False,
    as_json: AsJson = False,
) -> None:
    """Make a server: CA, certificates, online keys, database, broker configuration. All of it, or nothing."""
    from fleet_server.config import Settings
    from fleet_server.setup import init_server

    admin = _new_user(admin_user, "operator", admin_password_stdin) if admin_user else None
    settings = Settings(host=host, bind=bind, port=port, device_port=device_port, mqtt_port=mqtt_port)
    made = init_server(folder, settings, admin)
    if as_json:
        print_json({"folder": str(made.folder), "ca": str(made.ca), "server_keys": str(made.server_keys)})
        return
    print(f"fleet server in {made.folder}")
    print(f"for the publisher: flota release init --server-keys {made.server_keys}")
    print(f"start it: flota server run {folder}")


@app.command()
def run(
    folder: Folder,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The operator port; 0: a free one. Default: as set at init."),
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write addresses here, as JSON, once everything listens.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
) -> None:
    """Run the server and its broker until it is stopped (SIGTERM, Ctrl-C)."""
    import logging

    from fleet_server.main import run_server

    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for name in ("alembic", "uvicorn", "httpx", "asyncio", "mqtt", "python_multipart"):
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)
    run_server(folder, port=port, ready_file=ready_file)


@app.command("rotate-director")
def rotate_director_command(
    folder: Folder,
    retire: Annotated[
        bool, typer.Option("--retire", help="Delete the keys older than the one that signs; the second half.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Replace the key that signs assignments, in two halves; the server may run meanwhile.

    The new key signs once a release names it: hand server-keys.json to `flota release init` and publish. When every
    device has seen that release, do the same again with --retire.
    """
    from fleet_server.setup import rotate_director

    config = rotate_director(folder, retire=retire)
    if as_json:
        print_json({"server_keys": str(config.server_keys), "retired": retire})
    else:
        print(f"{'retired the older keys' if retire else 'made a new director key'}; now, as the publisher:")
        print(f"flota release init --server-keys {config.server_keys} && flota release publish")


@app.command()
def login(
    url: Annotated[str, typer.Option(help="The server's address, https://HOST:PORT.")],
    ca: Annotated[Path, typer.Option(help="The fleet's ca.pem.")],
    user: Annotated[str, typer.Option(help="Your user name.")],
    password_stdin: FromStdin = False,
    as_json: AsJson = False,
) -> None:
    """Sign in, and keep the session for later commands."""
    from flota.api import FleetClient, StoredSession
    from flota.errors import ConfigError

    try:
        ca_pem = ca.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{ca} cannot be read", hint="give the ca.pem of the server's folder") from error
    with FleetClient(url, ca=ca_pem) as client:
        session = client.login(user, _password(f"password of {user}", password_stdin, confirm=False))
    stored = StoredSession(
        url=url, token=session.token, ca_pem=ca_pem, username=session.username, expires_at=session.expires_at
    )
    path = stored.save()
    if as_json:
        print_json({"username": session.username, "role": session.role.value, "expires_at": session.expires_at})
    else:
        print(f"signed in to {url} as {session.username} ({session.role.value}); session in {path}")


@app.command()
def logout() -> None:
    """End the session and forget it."""
    from flota.api import FleetClient
    from flota.api.session import default_path

    with FleetClient.from_session() as client:
        client.logout()
    default_path().unlink(missing_ok=True)
    print("signed out")


@user_app.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="The user name.")],
    role: Annotated[str, typer.Option(help="operator (may change things) or viewer.")] = "operator",
    password_stdin: FromStdin = False,
    as_json: AsJson = False,
) -> None:
    """Make an account."""
    from flota.api import FleetClient

    user = _new_user(name, role, password_stdin)
    with FleetClient.from_session() as client:
        made = client.add_user(user)
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        print(f"user {made.name} ({made.role.value})")


@user_app.command("list")
def user_list(as_json: AsJson = False) -> None:
    """List the accounts."""
    from flota.api import FleetClient

    with FleetClient.from_session() as client:
        users = client.users()
    if as_json:
        print_json([user.model_dump(mode="json") for user in users])
        return
    table = Table("user", "role", "disabled", box=None, header_style="bold")
    for user in users:
        table.add_row(user.name, user.role.value, "yes" if user.disabled else "")
    Console().print(table)


def _new_user(name: str, role: str, from_stdin: bool):  # type: ignore[no-untyped-def]  # models are imported lazily
    from pydantic import ValidationError

    from flota.api.models import MIN_PASSWORD, NewUser

    if role not in ("operator", "viewer"):
        raise UsageError(f"there is no role {role}", hint="use operator or viewer")
    password = _password(f"password for {name}", from_stdin, confirm=True)
    if len(password) < MIN_PASSWORD:
        raise UsageError(f"the password is shorter than {MIN_PASSWORD} characters", hint="choose a longer one")
    try:
        return NewUser.model_validate({"name": name, "password": password, "role": role})
    except ValidationError as error:
        raise UsageError(
            f"{name!r} is not a user name", hint="use lower-case letters, digits and . _ @ - inside"
        ) from error


def _password(prompt: str, from_stdin: bool, *, confirm: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))
    else:
        raise UsageError("there is no terminal to ask for a password", hint="pass it on standard input, see --help")
    if not password:
        raise UsageError("the password is empty", hint="type one, or pipe it in")
    return password
