"""The bench report: what was measured for (bundle, board), and for every figure where it came from."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flota.files import write_atomic
from hil.errors import ReportInvalid, WrongOutput

SCHEMA_VERSION = 1

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

LABELS: Mapping[str, str] = {
    "instructions": "instructions",
    "cycles": "cycles, modelled",
    "latency": "latency",
    "model_file": "model file",
    "flash_model": "flash, model",
    "flash_image": "flash, whole image",
    "flash_firmware": "flash, firmware",
    "ram_static": "RAM, static",
    "arena": "arena",
    "stack": "stack, peak",
    "stack_model": "stack, model's part",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Frozen):
    """Where a figure came from.

    ``measured`` on the board named, ``counted`` on an emulator (exact, no time), ``linked``: read from the program the
    linker wrote, ``modelled`` from a stated table, ``estimated`` by the method ``how`` says.
    """

    kind: Literal["measured", "counted", "linked", "modelled", "estimated"]
    where: str
    how: str


class Figure(_Frozen):
    """One figure. ``value`` is the median where there were several readings; ``readings`` says how many."""

    unit: Literal["instructions", "cycles", "bytes", "ms"]
    value: float
    minimum: float | None = None
    p95: float | None = None
    maximum: float | None = None
    readings: int = Field(default=1, ge=1)
    source: Source


class BoardFacts(_Frozen):
    """The board as it was: its name, whether it is emulated, and what exactly it is."""

    name: str
    emulated: bool
    description: str


class OutputCheck(_Frozen):
    """How many outputs were compared with what they must be, and how many were."""

    reference: str
    cases: int = Field(ge=1)
    checked: int = Field(ge=0)
    equal: int = Field(ge=0)
    first_difference: str = ""

    @property
    def passed(self) -> bool:
        """Whether something was checked and every output was right."""
        return self.checked > 0 and self.equal == self.checked


class Subject(_Frozen):
    """What was benched: a bundle, or a bare ``.tflite`` compiled for the bench."""

    model: str
    version: str
    target: str
    kind: Literal["bundle", "tflite"]
    filename: str
    sha256: Sha256


class BenchReport(_Frozen):
    """One bench of one subject on one board. Times are UTC in ISO 8601."""

    schema_version: Literal[1] = 1
    created_at: str
    subject: Subject
    board: BoardFacts
    warmup: int = Field(ge=0)
    inferences: int = Field(ge=1)
    outputs: OutputCheck
    figures: dict[str, Figure]
    tools: dict[str, str]

    @property
    def filename(self) -> str:
        """The report's own name in a workspace: ``<model>-<version>-<board>.json``."""
        return f"{self.subject.model}-{self.subject.version}-{self.board.name}.json"


class Change(_Frozen):
    """A figure of two reports; ``ratio`` is new / old, None when the old one is zero."""

    name: str
    unit: str
    old: float
    new: float
    ratio: float | None


def distribution(unit: Literal["instructions", "cycles", "ms"], readings: Sequence[float], source: Source) -> Figure:
    """The figure of many readings: median, minimum, 95th percentile (nearest rank), maximum.

    Raises:
        ValueError: No readings.
    """
    if not readings:
        raise ValueError("no readings")
    ordered = sorted(readings)
    rank = -(-95 * len(ordered) // 100)
    return Figure(
        unit=unit,
        value=statistics.median(ordered),
        minimum=ordered[0],
        p95=ordered[rank - 1],
        maximum=ordered[-1],
        readings=len(ordered),
        source=source,
    )


def write_report(folder: Path, report: BenchReport) -> Path:
    """Save the report under its own name, atomically, and return its path."""
    path = folder / report.filename
    write_atomic(path, report.model_dump_json(indent=1).encode() + b"\n")
    return path


def read_report(path: Path) -> BenchReport:
    """The report in a file.

    Raises:
        ReportInvalid: The file cannot be read, or is not a report of a schema this version knows.
    """
    try:
        return BenchReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReportInvalid(f"{path}: {error.strerror}", hint="name a report that `flota bench` wrote") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise ReportInvalid(
            f"{path}: not a bench report: {where}: {first['msg']}", hint="name a report that `flota bench` wrote"
        ) from error


def compare(old: BenchReport, new: BenchReport) -> tuple[Change, ...]:
    """The figures that both reports have, in the new one's order.

    Raises:
        ReportInvalid: The reports are of two boards, or count in two units; their figures cannot be compared.
    """
    if old.board.name != new.board.name:
        raise ReportInvalid(
            f"the reports are of two boards, {old.board.name} and {new.board.name}",
            hint="compare reports of the same board",
        )
    return tuple(
        _change(name, old.figures[name], figure) for name, figure in new.figures.items() if name in old.figures
    )


def _change(name: str, old: Figure, new: Figure) -> Change:
    if old.unit != new.unit:
        raise ReportInvalid(f"{name} is in {old.unit} in one report and in {new.unit} in the other")
    ratio = new.value / old.value if old.value else None
    return Change(name=name, unit=new.unit, old=old.value, new=new.value, ratio=ratio)


def require_right_outputs(report: BenchReport) -> None:
    """Nothing when every output was right.

    Raises:
        WrongOutput: One was not.
    """
    check = report.outputs
    if not check.passed:
        raise WrongOutput(
            f"{check.checked - check.equal} of {check.checked} outputs are wrong; {check.first_difference}",
            hint="the model does not compute on this board what it must; do not release it",
        )
