"""``python -m flota.toolchain --fetch``: get what a firmware build needs from the network, once."""

from __future__ import annotations

import argparse
import sys

from flota.errors import FlotaError
from flota.toolchain.thirdparty import fetch_third_party


def main(arguments: list[str]) -> int:
    """Fetch; 0 when it is there."""
    parser = argparse.ArgumentParser(prog="python -m flota.toolchain", description=__doc__)
    parser.add_argument("--fetch", action="store_true", required=True, help="fetch the third-party C sources")
    parser.parse_args(arguments)
    try:
        found = fetch_third_party()
    except FlotaError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error.message} ({error.code}){hint}\n")
        return error.exit_code
    sys.stderr.write(f"third-party sources are in {found.folder.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
