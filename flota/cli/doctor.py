"""``flota doctor``: what this machine has, what it lacks and the command that installs it."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flota.cli.common import AsJson, print_json
from flota.diagnosis import Finding, diagnose


def command(
    as_json: AsJson = False,
) -> None:
    """Say what is installed, what is missing and the command that installs it.

    Exit code 1 when something is missing.
    """
    findings = diagnose()
    if as_json:
        print_json([_row(finding) for finding in findings])
    else:
        _print_table(findings)
    if any(not finding.found for finding in findings):
        raise typer.Exit(1)


def _row(finding: Finding) -> dict[str, str | bool]:
    return {
        "name": finding.name,
        "needed_for": finding.needed_for,
        "found": finding.found,
        "version": finding.version,
        "install": "" if finding.found else finding.install,
    }


def _print_table(findings: tuple[Finding, ...]) -> None:
    table = Table(box=None, header_style="bold")
    for column in ("", "what", "needed for", "version", "to install it"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if finding.found else "[red]missing[/]"
        install = "" if finding.found else escape(finding.install)
        table.add_row(mark, finding.name, escape(finding.needed_for), escape(finding.version), install)
    Console().print(table)
