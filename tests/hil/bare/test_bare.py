"""Bare programs on the emulated machine: what crosses, what is counted, what is subtracted, and every way to fail."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from flota.errors import StorageError, UsageError
from flota.toolchain import CompileError
from hil.bare import Engine, Inference, SourceFile, measure_bare
from hil.bare.build import EMPTY
from hil.errors import BareFailed, UnknownBoard

pytestmark = pytest.mark.emulated

ADDER = Engine("adder", (SourceFile(Path(__file__).parent / "adder.c"),))
ZEROS = bytes(64)


def test_an_inference_gives_its_outputs_and_costs() -> None:
    inputs = bytes(range(64))
    report = measure_bare(ADDER, [Inference(inputs)], buckets=r"op\d+_\w+")
    run = report.runs[0]
    assert run.output == bytes(value + 1 for value in inputs)
    assert run.instructions is not None
    assert run.cycles_modelled is not None
    assert run.cycles_modelled > run.instructions > 64
    costs = report.bucket_costs(0)
    assert sorted(costs) == ["", "op0_add", "op1_count"]
    assert sum(cost.instructions for cost in costs.values()) == run.instructions
    assert sum(cost.cycles_modelled for cost in costs.values()) == run.cycles_modelled
    assert costs["op0_add"].instructions > 10 * costs["op1_count"].instructions > 0


def test_several_models_in_one_image_are_set_up_when_they_change() -> None:
    order = [0, 1, 1, 0, 1]
    report = measure_bare(ADDER, [Inference(ZEROS, model) for model in order], counted=False)
    assert [run.output[:2] for run in report.runs] == [b"\1\1", b"\3\2", b"\4\2", b"\1\1", b"\3\2"]
    assert all(run.instructions is None and run.cycles_modelled is None for run in report.runs)


def test_a_fresh_inference_forgets_what_was_before() -> None:
    inferences = [Inference(ZEROS, 1), Inference(ZEROS, 1), Inference(ZEROS, 1, fresh=True)]
    report = measure_bare(ADDER, inferences, counted=False)
    assert [run.output[0] for run in report.runs] == [3, 4, 3]


def test_counts_are_the_same_on_every_run() -> None:
    first, second = (measure_bare(ADDER, [Inference(ZEROS)] * 2).runs for _ in range(2))
    assert [run.passage for run in first] == [run.passage for run in second]
    assert first[0].passage == first[1].passage


def test_sizes_are_less_those_of_an_empty_harness() -> None:
    empty = measure_bare(EMPTY, [Inference(b"")], counted=False)
    assert (empty.ram_bytes, empty.flash_bytes, empty.stack_bytes, empty.heap_bytes) == (0, 0, 0, 0)
    report = measure_bare(ADDER, [Inference(ZEROS)], counted=False)
    assert 64 + 64 + 5 <= report.ram_bytes <= 64 + 64 + 5 + 64  # buffers and state, alignment, a few words of stack
    assert 0 < report.flash_bytes < 512


def test_a_cpp_engine_has_constructors_and_a_heap(tmp_path: Path) -> None:
    source = tmp_path / "engine.cc"
    source.write_text("""
#include "bare.h"
static uint8_t *tensor;
struct Once { Once() : value(41) {} uint8_t value; };
static Once once;
extern "C" int32_t bare_setup(void) { tensor = new uint8_t[1000]; return 0; }
extern "C" bare_tensor_t bare_input(uint32_t i) { return {tensor, i == 0 ? 4u : 0u}; }
extern "C" bare_tensor_t bare_output(uint32_t i) { return {tensor, i == 0 ? 4u : 0u}; }
extern "C" int32_t bare_invoke(void) { tensor[0] = static_cast<uint8_t>(tensor[0] + once.value); return 0; }
""")
    report = measure_bare(Engine("c++", (SourceFile(source),)), [Inference(b"\1\2\3\4")])
    assert report.runs[0].output == b"\x2a\2\3\4"
    assert 1000 <= report.heap_bytes < 1100


def test_an_assembly_source_and_a_generated_header(tmp_path: Path) -> None:
    source = tmp_path / "invoke.S"
    source.write_text(
        '#include "number.h"\n.syntax unified\n.thumb\n.global bare_invoke\n.type bare_invoke, %function\n'
        "bare_invoke:\nldr r1, =cell\nmovs r0, #NUMBER\nstrb r0, [r1]\nmovs r0, #0\nbx lr\n.ltorg\n"
    )
    rest = b"""
#include "bare.h"
uint8_t cell[1];
int32_t bare_setup(void) { return 0; }
bare_tensor_t bare_input(uint32_t i) { (void)i; return (bare_tensor_t){0, 0}; }
bare_tensor_t bare_output(uint32_t i) { return (bare_tensor_t){cell, i == 0 ? 1u : 0u}; }
"""
    files = {"number.h": b"#define NUMBER 77\n", "sub/rest.c": rest}
    engine = Engine("mixed", (SourceFile(source), SourceFile(Path("sub/rest.c"))), files=files)
    report = measure_bare(engine, [Inference(b"")])
    assert report.runs[0].output == bytes([77])
    assert report.runs[0].instructions == 5


@pytest.mark.parametrize(
    ("inference", "message"),
    [
        (Inference(bytes(63)), "other bytes"),
        (Inference(bytes(65)), "other bytes"),
        (Inference(ZEROS, 2), "no such model"),
        (Inference(b"\xff" + bytes(63)), "the engine failed"),
        (Inference(b"\xfe" + bytes(63)), "faulted"),
    ],
)
def test_a_failure_is_one_clear_error(inference: Inference, message: str) -> None:
    with pytest.raises(BareFailed, match=message):
        measure_bare(ADDER, [inference])


def test_a_program_that_hangs_is_ended_at_its_deadline() -> None:
    with pytest.raises(BareFailed, match=r"not done in 1 s"):
        measure_bare(ADDER, [Inference(b"\xfd" + bytes(63))], deadline_s=1.0)


def test_another_processor_counts_and_models_nothing() -> None:
    run = measure_bare(ADDER, [Inference(ZEROS)], board="qemu-mps3-an547").runs[0]
    assert run.output == b"\1" * 64
    assert run.instructions is not None
    assert run.cycles_modelled is None


def test_the_emulator_dies_with_a_killed_parent(tmp_path: Path) -> None:
    program = (
        "import sys, tempfile; from pathlib import Path; from hil.bare import *; tempfile.tempdir = sys.argv[1]\n"
        "engine = Engine('hangs', (SourceFile(Path(sys.argv[2])),))\n"
        "measure_bare(engine, [Inference(bytes([0xFD]) + bytes(63))])\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent / "adder.c")]
    with subprocess.Popen(command) as parent:
        watch = os.pidfd_open(_emulator_of(parent.pid, deadline=time.monotonic() + 60))
        parent.send_signal(signal.SIGKILL)
    try:
        assert select.select([watch], [], [], 10)[0]
    finally:
        os.close(watch)


def _emulator_of(parent: int, *, deadline: float) -> int:
    """The process id of a process's emulator, once it has become one."""
    while time.monotonic() < deadline:
        for task in Path(f"/proc/{parent}/task").iterdir():
            for child in (task / "children").read_text().split():
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text().startswith("qemu-system"):
                        return int(child)
        time.sleep(0.05)
    raise AssertionError("no emulator was started")


def test_bad_engines_and_boards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownBoard):
        measure_bare(ADDER, [Inference(ZEROS)], board="host")
    with pytest.raises(UsageError, match="not a C"):
        measure_bare(Engine("x", (SourceFile(tmp_path / "x.rs"),)), [Inference(b"")])
    with pytest.raises(UsageError, match="outside"):
        measure_bare(Engine("x", (), files={"../x.c": b""}), [Inference(b"")])
    broken = Engine("x", (SourceFile(Path("x.c")),), files={"x.c": b"int broken("})
    with pytest.raises(CompileError):
        measure_bare(broken, [Inference(b"")])
    with pytest.raises(CompileError, match="undefined reference"):
        measure_bare(Engine("x", ()), [Inference(b"")])


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    measure_bare(ADDER, [Inference(ZEROS)], counted=False)
    assert not list(tmp_path.iterdir())


def test_no_room_for_temporary_files_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StorageError, match="gone") as error:
        measure_bare(EMPTY, [Inference(b"")])
    assert "TMPDIR" in error.value.hint
