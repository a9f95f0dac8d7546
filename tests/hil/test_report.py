from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hil.bench.render import render_changes, render_report
from hil.bench.report import (
    BenchReport,
    BoardFacts,
    Figure,
    OutputCheck,
    Source,
    Subject,
    compare,
    distribution,
    read_report,
    write_report,
)
from hil.errors import ReportInvalid

COUNTED = Source(kind="counted", where="qemu-mps2-an386", how="SysTick")


def report(instructions: float = 1000, *, board: str = "qemu-mps2-an386", equal: int = 10) -> BenchReport:
    return BenchReport(
        created_at="2026-01-01T00:00:00+00:00",
        subject=Subject(
            model="motion",
            version="1.0.0",
            target="cortex-m4f-aot",
            kind="bundle",
            filename="motion-1.0.0-cortex-m4f-aot.flota",
            sha256="0" * 64,
        ),
        board=BoardFacts(name=board, emulated=True, description="a board"),
        warmup=2,
        inferences=8,
        outputs=OutputCheck(
            reference="4 golden vectors",
            cases=4,
            checked=10,
            equal=equal,
            first_difference="" if equal == 10 else "case 0: byte 1 is 0x00, must be 0x01; 1 bytes differ",
        ),
        figures={
            "instructions": distribution("instructions", [instructions, instructions + 1, instructions + 2], COUNTED),
            "arena": Figure(unit="bytes", value=2048, source=COUNTED),
        },
        tools={"qemu": "7.2"},
    )


def test_a_saved_report_reads_back_equal(tmp_path: Path) -> None:
    path = write_report(tmp_path, report())
    assert path.name == "motion-1.0.0-qemu-mps2-an386.json"
    assert read_report(path) == report()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"schema_version": 2}', b"\xff\xfe"])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(ReportInvalid, match="not a bench report"):
        read_report(path)


def test_a_missing_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportInvalid, match="No such file"):
        read_report(tmp_path / "none.json")


def test_compare_gives_ratios_of_common_figures() -> None:
    changes = {change.name: change for change in compare(report(999), report(1999))}
    assert changes["instructions"].ratio == pytest.approx(2.0)
    assert changes["arena"].ratio == 1.0


def test_reports_of_two_boards_are_not_compared() -> None:
    with pytest.raises(ReportInvalid, match="two boards"):
        compare(report(), report(board="host"))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200))
def test_a_distribution_is_ordered_and_its_p95_covers_95_percent(readings: list[int]) -> None:
    figure = distribution("instructions", readings, COUNTED)
    assert figure.minimum is not None
    assert figure.p95 is not None
    assert figure.maximum is not None
    assert figure.minimum <= figure.value <= figure.maximum
    assert figure.readings == len(readings)
    assert sum(reading <= figure.p95 for reading in readings) >= 0.95 * len(readings)
    assert figure.p95 in readings


def test_no_readings_are_no_distribution() -> None:
    with pytest.raises(ValueError, match="no readings"):
        distribution("ms", [], COUNTED)


def test_what_people_read_names_source_and_outputs() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=160)
    console.print(render_report(report(equal=9)))
    console.print(render_changes(compare(report(), report(2000))))
    text = stream.getvalue()
    assert "emulated" in text
    assert "counted [1]" in text
    assert "[1] counted, qemu-mps2-an386: SysTick" in text
    assert "9 of 10 equal" in text
    assert "must be 0x01" in text
    assert "1.999" in text
