"""The cycle model against sequences counted by hand, regions and buckets, and the strict reading of its file."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest
from sequences import SEQUENCES, P, Sequence

from flota.errors import StorageError
from hil.bare import Engine, Inference, SourceFile, measure_bare
from hil.cycles import Cost, CyclesPlugin, Region, build_plugin, parse_counts
from hil.cycles.plugin import interface_version
from hil.errors import CountsInvalid

RETURN = Cost(1, 1 + P)
_HEAD = """
.syntax unified
.thumb
.bss
.balign 16
buffer: .space 256
.text
.macro one name
    ldr r0, =buffer
    add r1, r0, #128
    mov r5, r0
    movs r2, #4
    movs r4, #1
    vmov.f32 s0, #1.0
    movs r3, #0
    bl seq_\\name
.endm
"""
_REST = b"""
#include "bare.h"
int32_t bare_setup(void) { return 0; }
bare_tensor_t bare_input(uint32_t i) { (void)i; return (bare_tensor_t){0, 0}; }
bare_tensor_t bare_output(uint32_t i) { (void)i; return (bare_tensor_t){0, 0}; }
"""


def assembly(sequences: tuple[Sequence, ...]) -> bytes:
    """A ``bare_invoke`` that calls each sequence as a function of its own."""
    text = [_HEAD, ".global bare_invoke\n.type bare_invoke, %function\nbare_invoke:\npush {r4-r8, lr}"]
    text += [f"one {sequence.name}" for sequence in sequences]
    text += ["movs r0, #0\npop {r4-r8, pc}\n.ltorg"]
    for sequence in sequences:
        lines = sequence.assembly.replace("; ", "\n")
        text += [f".balign 4\n.type seq_{sequence.name}, %function\nseq_{sequence.name}:\n{lines}\nbx lr\n.ltorg"]
    return ("\n".join(text) + "\n").encode()


def engine(invoke: bytes) -> Engine:
    """The smallest engine around a ``bare_invoke`` in assembly."""
    files = {"invoke.S": invoke, "rest.c": _REST}
    return Engine("sequences", (SourceFile(Path("invoke.S")), SourceFile(Path("rest.c"))), files=files)


@pytest.fixture(scope="module")
def costs() -> dict[str, Cost]:
    """What each sequence took, its return included."""
    report = measure_bare(engine(assembly(SEQUENCES)), [Inference(b"")], buckets=r"seq_\w+")
    return report.bucket_costs(0)


@pytest.mark.emulated
@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence.name)
def test_a_sequence_takes_what_the_manual_says(sequence: Sequence, costs: dict[str, Cost]) -> None:
    assert costs[f"seq_{sequence.name}"] == Cost(sequence.instructions, sum(sequence.cycles)) + RETURN


@pytest.mark.emulated
def test_what_a_bucket_has_and_what_it_leaves_to_others() -> None:
    """``outer`` calls ``inner`` (a bucket) and ``helper`` (none), then ends with a jump to ``last`` (a bucket)."""
    invoke = b"""
.syntax unified
.thumb
.macro function name
.type \\name, %function
\\name:
.endm
.global bare_invoke
function bare_invoke
    push {r4, lr}
    bl b_outer
    movs r0, #0
    pop {r4, pc}
function helper
    nop
    bx lr
function b_inner
    nop
    nop
    bx lr
function b_last
    nop
    nop
    nop
    bx lr
function b_outer
    push {r4, lr}
    bl b_inner
    bl helper
    bl b_inner
    pop {r4, lr}
    b b_last
"""
    report = measure_bare(engine(invoke), [Inference(b"")] * 2, buckets=r"b_\w+")
    costs = report.bucket_costs(1)
    assert costs["b_inner"] == Cost(2 * 3, 2 * (2 + 1 + P))
    assert costs["b_last"] == Cost(4, 3 + 1 + P)
    assert costs["b_outer"] == Cost(6 + 2, 3 + 3 * (1 + P) + 3 + (1 + P) + 1 + (1 + P))
    assert costs[""] == Cost(4, 3 + (1 + P) + 1 + 3 + P)
    assert report.runs[1].instructions == sum(cost.instructions for cost in costs.values())


@pytest.mark.emulated
def test_the_parts_of_the_cycles_are_told() -> None:
    invoke = b"""
.syntax unified
.thumb
.global bare_invoke
.type bare_invoke, %function
bare_invoke:
    ldr r1, =buffer
    ldr r2, [r1]
    ldr r0, [r1]
    ldr r3, [r1, #1]
    adds r1, #4
    str r0, [r1]
    it eq
    ldreq r0, [r1]
    vadd.f32 s0, s0, s0
    vadd.f32 s0, s0, s0
    movs r0, #0
    bx lr
    .ltorg
    .lcomm buffer, 16
"""
    passage = measure_bare(engine(invoke), [Inference(b"")]).runs[0].passage
    assert passage is not None
    assert (passage.taken, passage.saved, passage.folded, passage.address_stalls) == (1, 2, 1, 1)
    assert (passage.result_stalls, passage.unaligned, passage.skipped) == (1, 2, 1)
    assert passage.interruptions == 0


def test_the_plugin_is_built_once(tmp_path: Path) -> None:
    first = build_plugin(tmp_path)
    built_at = first.stat().st_mtime_ns
    assert build_plugin(tmp_path) == first
    assert first.stat().st_mtime_ns == built_at
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


@pytest.mark.parametrize(
    ("qemu", "interface"),
    [("7.2.22", 1), ("8.2.2", 1), ("9.0.0", 2), ("9.1.0", 3), ("10.0.2", 3), ("11.0.50", 3), ("unknown", 1)],
)
def test_the_plugin_is_built_for_the_interface_of_the_emulator(tmp_path: Path, qemu: str, interface: int) -> None:
    assert interface_version(qemu) == interface
    version = ctypes.c_int.in_dll(_loaded(build_plugin(tmp_path, interface=interface)), "qemu_plugin_version")
    assert version.value == interface


def _loaded(library: Path) -> ctypes.CDLL:
    """Without QEMU's functions, which are looked up when they are called."""
    return ctypes.CDLL(str(library), mode=os.RTLD_LAZY)


GOOD = "flota-cycles 2\npassage 0 0 1 2 7 3 4 5 6\ncost 0 10 20\ncost 2 1 3\npassage 1 0 0 0 0 0 0 0 0\nend 2\n"


def test_counts_are_read() -> None:
    first, second = parse_counts(GOOD, regions=2, buckets=2)
    assert first.buckets == (Cost(0, 0), Cost(1, 3), Cost(10, 20))
    assert first.total == Cost(11, 23)
    assert (first.taken, first.saved, first.folded, first.skipped) == (1, 2, 7, 6)
    assert (second.region, second.total) == (1, Cost(0, 0))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "flota-cycles 1\nend 0\n",
        GOOD[:-1],
        GOOD[: len(GOOD) // 2],
        GOOD.replace("end 2", "end 3"),
        GOOD.replace("end 2", "unfinished\nend 2"),
        GOOD.replace("cost 2 1 3", "cost 3 1 3"),
        GOOD.replace("cost 2 1 3", "cost -1 1 3"),
        GOOD.replace("cost 2 1 3", "cost 2 1"),
        GOOD.replace("cost 2 1 3", "cost 2 1 3 4"),
        GOOD.replace("cost 2 1 3", "cost 2 1 \u0663"),
        GOOD.replace("cost 2 1 3", "something 2 1 3"),
        GOOD.replace("passage 1", "passage 2"),
        GOOD.replace("passage 1 0", "passage 1"),
        "flota-cycles 2\ncost 0 1 1\nend 0\n",
    ],
)
def test_counts_that_are_not_whole_are_refused(text: str) -> None:
    with pytest.raises(CountsInvalid):
        parse_counts(text, regions=2, buckets=2)


def test_a_folder_that_qemu_would_split_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    with pytest.raises(StorageError, match="with a comma") as error:
        CyclesPlugin(folder, [Region(0)]).arguments("qemu-system-arm")
    assert "TMPDIR" in error.value.hint
