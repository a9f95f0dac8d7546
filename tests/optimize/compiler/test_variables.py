"""Resource variables: their values over a stream are the interpreter's, copies are left out, misuse is refused."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s
from host_models import Array, Kernels, build_kernels, load, reference, run, run_sanitized, run_stream
from tflite_builder import options
from variable_models import SHAPE, Variables, counter, pack

from optimize.compiler import build_host_library, compile_tflite
from optimize.errors import InvalidModel, UnsupportedOperator

STEPS = 12


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def check(kernels: Kernels, model: bytes) -> str:
    """Compare a stream with the interpreter; the generated C."""
    compiled = compile_tflite(model, name="m")
    rng = np.random.default_rng(len(model))
    samples: list[list[Array]] = [[rng.integers(-20, 21, SHAPE).astype(np.int8)] for _ in range(STEPS)]
    tag = f"stream{len(list(kernels.folder.iterdir()))}"
    (outputs,) = run_sanitized(kernels, [compiled], [samples], tag, stream=True)
    assert outputs == reference(model, samples)
    assert len({output[0] for output in outputs}) > 1
    return compiled.files["model.c"].decode()


def test_a_variable_starts_at_its_zero_point_or_where_call_once_sets_it(kernels: Kernels) -> None:
    assert "memset(arena + 0, 3, 4);" in check(kernels, counter())
    assert "memset(arena + 0, 7, 4);" in check(kernels, counter([7, 7, 7, 7]))
    assert "memcpy(arena + 0, state_0, 4);" in check(kernels, counter([1, -2, 3, -128]))


def test_the_sum_is_written_where_it_is_kept(kernels: Kernels) -> None:
    m = Variables()
    total = m.handle("sum")
    old = m.read(total)
    double = m.add(old, old)
    m.assign(total, m.add(double, m.x))
    text = check(kernels, m.build(double))
    assert "memcpy" not in text  # the read is the state itself, and the second ADD writes it


def test_what_an_operator_reads_it_does_not_overwrite(kernels: Kernels) -> None:
    assert check(kernels, counter()).count("memcpy(") == 1  # ADD reads the old sum while it makes the new one


def test_two_variables_that_change_places(kernels: Kernels) -> None:
    m = Variables()
    m.init = {"a": np.array([[1, 2, 3, 4]], np.int8), "b": np.array([[9, 8, 7, 6]], np.int8)}
    m.call_once()
    a, b = m.handle("a"), m.handle("b")
    was_a, was_b = m.read(a), m.read(b)
    m.assign(a, was_b)
    m.assign(b, m.add(was_a, m.x))
    check(kernels, m.build(m.relu(m.add(was_a, was_b))))


def test_a_read_after_an_assignment_sees_it_and_one_before_does_not(kernels: Kernels) -> None:
    m = Variables()
    v = m.handle("v")
    before = m.read(v)
    m.assign(v, m.x)
    after = m.read(v)
    m.assign(v, m.add(after, before))
    last = m.read(v)
    check(kernels, m.build(m.relu(m.add(m.add(before, after), last))))


def test_a_value_read_before_may_be_used_after_the_assignment(kernels: Kernels) -> None:
    m = Variables()
    v = m.handle("v")
    before = m.read(v)
    m.assign(v, m.relu(m.x))
    text = check(kernels, m.build(m.add(before, m.x)))
    assert text.count("memcpy(") == 1  # the old value has to be put aside


def test_an_activation_after_the_assignment_joins_what_read_the_value_before(kernels: Kernels) -> None:
    m = Variables()
    v = m.handle("v")
    total = m.add(m.read(v), m.x)
    m.assign(v, m.relu(m.x))
    text = check(kernels, m.build(m.relu(total)))
    assert "memcpy(" not in text  # the sum is clamped where it was made, before the assignment
    assert text.count("flota_nn_lookup_s8(") == 1


def test_what_computes_a_next_value_stays_behind_the_reads_of_the_one_before(kernels: Kernels) -> None:
    m = Variables()
    v, w = m.handle("v"), m.handle("w")
    kept, total = m.read(w), m.add(m.read(v), m.x)
    m.assign(v, m.relu(m.x))
    result = m.add(kept, m.x)
    m.assign(w, m.relu(total))
    check(kernels, m.build(result))


def test_a_variable_that_is_an_output(kernels: Kernels) -> None:
    m = Variables()
    v = m.handle("v")
    before = m.read(v)
    m.assign(v, m.add(before, m.x))
    check(kernels, m.build(before))
    m = Variables()
    v = m.handle("v")
    result = m.add(m.read(v), m.x)
    m.assign(v, result)
    check(kernels, m.build(result))


def test_an_assigned_input_and_a_variable_assigned_to_itself(kernels: Kernels) -> None:
    m = Variables()
    v, w = m.handle("v"), m.handle("w")
    last, kept = m.read(v), m.read(w)
    m.assign(v, m.x)
    m.assign(w, kept)
    check(kernels, m.build(m.add(last, kept)))


def test_the_same_name_is_the_same_variable(kernels: Kernels) -> None:
    m = Variables()
    v = m.handle("v")
    m.assign(v, m.add(m.read(v), m.x))
    check(kernels, m.build(m.relu(m.read(m.handle("v")))))


def program(seed: int) -> bytes:
    """Reads, assignments and sums of up to three variables in any order; some values are outputs, too."""
    rng, m = random.Random(seed), Variables()
    names = ["u", "v", "w"][: rng.randint(1, 3)]
    m.init = {name: np.full(SHAPE, rng.randint(-9, 9), np.int8) for name in names}
    m.call_once()
    handles, values = [m.handle(name) for name in names], [m.x]
    for _ in range(rng.randint(3, 14)):
        kind = rng.choice(("read", "read", "assign", "assign", "add", "relu"))
        if kind == "read":
            values.append(m.read(rng.choice(handles)))
        elif kind == "assign":
            m.assign(rng.choice(handles), rng.choice(values))
        elif kind == "add":
            values.append(m.add(rng.choice(values), rng.choice(values)))
        else:
            values.append(m.relu(rng.choice(values)))
    last = m.add(values[-1], m.read(rng.choice(handles)))
    computed = values[1:] if rng.random() < 0.5 else []
    return m.build(last, *rng.sample(computed, min(len(computed), 2)))


def test_random_programs(kernels: Kernels) -> None:
    models = [program(seed) for seed in range(60)]
    compiled = [compile_tflite(model, name="program") for model in models]
    rng = np.random.default_rng(1)
    samples: list[list[Array]] = [[rng.integers(-20, 21, SHAPE).astype(np.int8)] for _ in range(STEPS)]
    outputs = run_sanitized(kernels, compiled, [samples] * len(models), "programs", stream=True)
    for seed, (model, actual) in enumerate(zip(models, outputs, strict=True)):
        assert actual == reference(model, samples), seed


def test_a_variable_that_is_never_assigned_is_a_constant() -> None:
    m = Variables()
    m.init = {"v": np.array([[1, 2, 3, 4]], np.int8)}
    m.call_once()
    model = m.build(m.add(m.read(m.handle("v")), m.x))
    compiled = compile_tflite(model, name="m")
    assert compiled.state_bytes == 0
    assert b".reset = NULL" in compiled.files["model.c"]


def test_a_variable_that_no_output_needs_costs_nothing() -> None:
    m = Variables()
    v = m.handle("v")
    m.assign(v, m.add(m.read(v), m.x))
    compiled = compile_tflite(m.build(m.relu(m.x)), name="m")
    assert (compiled.state_bytes, compiled.operators) == (0, ("RELU",))


def window(*, keep: int, fresh: int, initial: list[int] | None = None, output: bool = False) -> bytes:
    """``keep`` rows remembered, joined to the input repeated to ``fresh`` rows; a pool over the whole window."""
    m = Variables()
    if initial is not None:
        m.init["w"] = np.array(initial, np.int8).reshape(1, keep, 4)
        m.call_once()
    w = m.handle("w")
    rows = m.b.op("RESHAPE", [m.x, m.b.constant([1, 1, 4])], m.tensor((1, 1, 4)), options("ReshapeOptions"))
    table = options("ConcatenationOptions", axis=1)
    whole = m.b.op("CONCATENATION", [m.read(w, (1, keep, 4)), *[rows] * fresh], m.tensor((1, keep + fresh, 4)), table)
    begin, size = m.b.constant([0, fresh, 0]), m.b.constant([1, keep, 4])
    m.assign(w, m.b.op("SLICE", [whole, begin, size], m.tensor((1, keep, 4)), options("SliceOptions")))
    mean = m.b.op("MEAN", [whole, m.b.constant([1])], m.tensor(), options("ReducerOptions"))
    return m.build(m.relu(mean), *([whole] if output else []))


def test_a_window_is_shifted_where_it_is_kept(kernels: Kernels) -> None:
    text = check(kernels, window(keep=5, fresh=1))
    assert "memset(arena + 0, 3, 24);" in text
    assert "memmove((int8_t *)(arena + 0), (int8_t *)(arena + 0) + 4, 20);" in text
    assert "SLICE" not in text
    assert "memmove" in check(kernels, window(keep=3, fresh=2, initial=list(range(12))))
    assert "memmove" in check(kernels, window(keep=2, fresh=5))  # it fills all of the window anew


def test_a_window_that_is_an_output_is_joined_and_cut(kernels: Kernels) -> None:
    assert "memmove" not in check(kernels, window(keep=5, fresh=1, output=True))


def test_reset_begins_a_new_stream_and_checks_the_arena(tmp_path: Path) -> None:
    library = load(build_host_library(compile_tflite(counter(), name="m"), tmp_path))
    one = [np.full(SHAPE, 9, np.int8)]
    assert run_stream(library, [one, one])[1] != run(library, one)
    assert run(library, one) == run(library, one)
    assert library.reset(None) == -1
    assert library.reset(1) == -1


def refused(model: bytes, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        compile_tflite(model, name="m")
    assert caught.value.hint  # type: ignore[attr-defined]


def test_variables_that_make_no_sense_are_refused() -> None:
    m = Variables()
    refused(m.build(m.add(m.read(m.handle("v")), m.x)), InvalidModel, r"READ_VARIABLE\): nothing ever assigns 'v'")

    m = Variables()
    v = m.handle("v")
    m.assign(v, m.x)
    refused(m.build(m.read(v, (1, 5))), InvalidModel, "5 bytes of int8 from a variable of 4 bytes")

    m = Variables()
    refused(m.build(m.read(m.x)), InvalidModel, "is not the handle of a variable")

    m = Variables()
    v = m.handle("v")
    m.assign(v, m.x)
    m.assign(v, m.tensor((1, 5)))
    refused(m.build(m.read(v)), InvalidModel, "5 bytes of int8 for a variable of 4 bytes")


def test_an_initialisation_that_computes_or_comes_late_is_refused() -> None:
    m = Variables()
    m.init = {"v": np.zeros(SHAPE, np.int8)}
    v = m.handle("v")
    m.assign(v, m.x)
    m.call_once()
    refused(m.build(m.read(v)), UnsupportedOperator, r"operator 2 \(CALL_ONCE\): it comes after operator 1")

    opened = s.ModelT.InitFromObj(s.Model.GetRootAs(counter([1, 2, 3, 4]), 0))
    opened.buffers[opened.subgraphs[1].tensors[0].buffer].data = None
    refused(pack(opened), UnsupportedOperator, r"subgraph 1, operator 1 \(ASSIGN_VARIABLE\): its value is not a const")


@pytest.mark.parametrize("subgraph", [0, 2, -1])
def test_a_subgraph_that_cannot_initialise_is_refused(subgraph: int) -> None:
    m = Variables()
    m.init = {"v": np.zeros(SHAPE, np.int8)}
    m.call_once(subgraph)
    v = m.handle("v")
    m.assign(v, m.x)
    refused(m.build(m.read(v)), InvalidModel, rf"CALL_ONCE\): subgraph {subgraph} of 2")


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("IF", options("IfOptions", thenSubgraphIndex=1, elseSubgraphIndex=1)),
        ("WHILE", options("WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=1)),
    ],
)
def test_control_flow_is_refused_by_operator_and_way_out(name: str, table: Any) -> None:
    m = Variables()
    m.init = {"v": np.zeros(SHAPE, np.int8)}
    result = m.b.op(name, [m.x], m.tensor(), table)
    with pytest.raises(UnsupportedOperator, match=rf"operator 0 \({name}\): .*subgraph") as caught:
        compile_tflite(m.build(result), name="m")
    assert {"IF": "branch", "WHILE": "unroll"}[name] in caught.value.hint


def test_flipped_bits_never_escape() -> None:
    rng, model = random.Random(5), counter([1, 2, 3, 4])
    for _ in range(600):
        data = bytearray(model)
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        refusal = None
        try:
            compile_tflite(bytes(data), name="fuzz")
        except (InvalidModel, UnsupportedOperator) as error:
            refusal = error
        assert refusal is None or refusal.hint
