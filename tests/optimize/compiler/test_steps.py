"""What a compiled model says about its steps agrees with its code, its file and its memory plan."""

from __future__ import annotations

import itertools
import re

import pytest
from operator_models import One
from recurrent_models import lstm_model, svdf_model
from tflite_builder import small_model

from optimize.compiler import CORES, CompiledModel, compile_tflite
from optimize.facts import read_facts


@pytest.fixture(params=sorted(CORES))
def compiled(request: pytest.FixtureRequest) -> CompiledModel:
    return compile_tflite(small_model(), name="small", core=request.param)


def test_every_step_is_a_function_of_the_code_in_order(compiled: CompiledModel) -> None:
    code = compiled.files["model.c"].decode()
    defined = re.findall(r"^static __attribute__\(\(noinline\)\) void (op\d+_\w+)\(", code, re.MULTILINE)
    assert [step.function for step in compiled.steps] == defined
    assert [step.operator for step in compiled.steps] == list(compiled.operators)
    assert {f"src/nn/{step.kernel}" for step in compiled.steps} <= {
        source.rpartition(".")[0] for source in compiled.kernel_sources
    }


def test_the_steps_share_the_work_and_the_constants_of_the_model(compiled: CompiledModel) -> None:
    assert sum(step.macs for step in compiled.steps) == read_facts(small_model()).macs > 0
    assert sum(step.weight_bytes for step in compiled.steps) == compiled.weight_bytes > 0


def product(left: tuple[int, ...], right: tuple[int, ...], out: tuple[int, ...], adjoint: tuple[bool, bool]) -> bytes:
    one = One(left)
    other = one.tensor(right)
    table = ("BatchMatMulOptions", {"adjX": adjoint[0], "adjY": adjoint[1]})
    return one.model("BATCH_MATMUL", [out], one.x, other, table=table, inputs=[one.x, other])


def test_recurrent_layers_and_products_are_work_too() -> None:
    models = {
        svdf_model(1, features=6, units=4, rank=2, memory=5, batch=3): 3 * 8 * (6 + 5),
        lstm_model(1, units=4, shape=(2, 3, 5)): 2 * 3 * 4 * 4 * (5 + 4),
        product((2, 3, 4), (2, 4, 5), (2, 3, 5), (False, False)): 2 * 3 * 5 * 4,
        product((2, 4, 3), (2, 5, 4), (2, 3, 5), (True, True)): 2 * 3 * 5 * 4,
    }
    for model, macs in models.items():
        assert read_facts(model).macs == macs
        assert sum(step.macs for step in compile_tflite(model, name="m").steps) == macs


def test_the_memory_is_that_of_the_arena(compiled: CompiledModel) -> None:
    blocks = compiled.memory
    assert max(block.offset + block.bytes for block in blocks) <= compiled.arena_bytes
    assert all(-1 <= block.first <= block.last <= len(compiled.steps) for block in blocks)
    scratch = {block.first: block.bytes for block in blocks if block.kind == "scratch"}
    assert scratch == {i: step.scratch_bytes for i, step in enumerate(compiled.steps) if step.scratch_bytes}
    inputs = {(block.offset, block.bytes) for block in blocks if block.first == -1}
    assert inputs == {(spec.arena_offset, spec.bytes) for spec in compiled.inputs}


def test_what_lives_for_more_than_one_common_step_is_apart(compiled: CompiledModel) -> None:
    for one, other in itertools.combinations(compiled.memory, 2):
        common = min(one.last, other.last) - max(one.first, other.first)
        if common > 0:  # one step in common may be an input that its result overwrites
            assert one.offset + one.bytes <= other.offset or other.offset + other.bytes <= one.offset
