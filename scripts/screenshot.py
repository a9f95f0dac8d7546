"""Take the README's pictures of the dashboard from a running server, such as the one `flota demo --keep` leaves up.

    echo PASSWORD | .venv/bin/python scripts/screenshot.py --url https://127.0.0.1:PORT --ca ca.pem --user NAME

It signs in as a person would and writes docs/images/fleet.png and docs/images/rollout.png (the newest rollout, or the
one named).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import socket
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Page, sync_playwright

from flota.programs import install_command, look_for

_IMAGES = Path(__file__).parent.parent / "docs" / "images"
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_SETTLE_MS = 1500  # two polls, so that the picture is of a live page


def main() -> None:
    """Parse the command line and take both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the dashboard's address")
    parser.add_argument("--ca", required=True, type=Path, help="the fleet's ca.pem")
    parser.add_argument("--user", required=True)
    parser.add_argument("--out", type=Path, default=_IMAGES, help="folder of the pictures (default: docs/images)")
    parser.add_argument("--rollout", type=int, default=0, help="number of the rollout; default: the newest")
    parser.add_argument("--dark", action="store_true", help="dark colours")
    given = parser.parse_args()
    chromium = look_for("chromium")
    if chromium is None:
        sys.exit(f"error: chromium is not installed\nhint: {install_command('chromium')}")
    url, password = given.url.rstrip("/"), sys.stdin.readline().rstrip("\r\n")
    given.out.mkdir(parents=True, exist_ok=True)
    # the browser gets exactly the key that the fleet's CA vouches for
    pinned = f"--ignore-certificate-errors-spki-list={_server_key(url, given.ca)}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*_ARGUMENTS, pinned])
        page = browser.new_page(
            viewport={"width": 1360, "height": 640},
            device_scale_factor=1.5,
            color_scheme="dark" if given.dark else "light",
        )
        _sign_in(page, url, given.user, password)
        _picture(page, "fleet", given.out / "fleet.png")
        if given.rollout:
            page.goto(f"{url}/rollouts/{given.rollout}")
        else:
            page.goto(f"{url}/rollouts")
            page.get_by_test_id("rollouts").locator("tbody a").first.click()
        _picture(page, "waves", given.out / "rollout.png")
        browser.close()


def _server_key(url: str, ca: Path) -> str:
    """The SHA-256 of the server's public key (base64), after its certificate was checked against ``ca``."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=str(ca))
    with (
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as secured,
    ):
        certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def _sign_in(page: Page, url: str, user: str, password: str) -> None:
    page.goto(f"{url}/login")
    page.fill("[name=username]", user)
    page.fill("[name=password]", password)
    page.click("button[type=submit]")
    if page.get_by_role("alert").count():
        sys.exit(f"error: {page.get_by_role('alert').inner_text()}")


def _picture(page: Page, test_id: str, path: Path) -> None:
    page.get_by_test_id(test_id).first.wait_for()
    page.wait_for_timeout(_SETTLE_MS)
    page.screenshot(path=path, full_page=True)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
