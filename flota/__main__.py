"""``python -m flota``: the same as the ``flota`` script."""

from flota.cli import main

main()
