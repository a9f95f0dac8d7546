"""The wake-word models of ``pymicro-wakeword`` give the interpreter's bytes over a stream of 200 steps."""

from __future__ import annotations

import shutil
from importlib import util
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s
from host_models import Array, build_kernels, compile_tflite, reference, run_sanitized

from flota.image import SLOTS, Slot
from flota.toolchain import build_firmware, link_image
from hil.bench.mcu import McuBench
from optimize.compiler import CompiledModel

BOARDS = {"qemu-mps2-an386": "cortex-m4", "qemu-mps3-an547": "cortex-m55"}
"""Emulated board -> the core whose kernels run on it."""
NAMES = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
STEPS = 200
EMULATED_STEPS = 60
ARENA_BYTES = {
    "alexa": (3432, 3560),
    "hey_jarvis": (3232, 3352),
    "hey_mycroft": (4072, 4200),
    "okay_nabu": (3848, 4808),
}
"""(state, all of the arena) of each model; a plan that grows is a regression."""


def wake_word_model(name: str) -> bytes:
    package = util.find_spec("pymicro_wakeword")
    if package is None or package.origin is None:
        pytest.skip("pymicro-wakeword is missing; pip install 'flota[dev]'")
    return (Path(package.origin).parent / "models" / f"{name}.tflite").read_bytes()


def with_inner_outputs(model: bytes) -> bytes:
    """The same model with two more outputs: the last features and the logit, which differ where the score is 0."""
    opened = s.ModelT.InitFromObj(s.Model.GetRootAs(model, 0))
    main = opened.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in opened.operatorCodes]
    dense = next(op for op in main.operators if codes[op.opcodeIndex] == s.BuiltinOperator.FULLY_CONNECTED)
    main.outputs = [*main.outputs, dense.inputs[0], dense.outputs[0]]
    packer = flatbuffers.Builder(len(model))
    packer.Finish(opened.Pack(packer), b"TFL3")
    return bytes(packer.Output())


def stream(compiled: CompiledModel, seed: int) -> list[list[Array]]:
    """Features that change slowly, as a spectrogram's do, with bursts of the extremes between."""
    rng = np.random.default_rng(seed)
    (spec,) = compiled.inputs
    level = np.cumsum(rng.normal(0, 9, (STEPS, *spec.shape)), axis=0) - 40
    level[50:53], level[53:56] = 127, -128
    return [[np.clip(step, -128, 127).astype(np.int8)] for step in level]


def test_every_step_gives_the_interpreters_bytes(tmp_path: Path) -> None:
    models = [with_inner_outputs(wake_word_model(name)) for name in NAMES]
    compiled = [compile_tflite(model, name=name) for model, name in zip(models, NAMES, strict=True)]
    streams = [stream(model, seed) for seed, model in enumerate(compiled)]
    actual = run_sanitized(build_kernels(tmp_path), compiled, streams, "stream", stream=True)
    for name, model, samples, outputs in zip(NAMES, models, streams, actual, strict=True):
        assert outputs == reference(model, samples), name
        assert len({logit for _, _, logit in outputs}) > 5, name


@pytest.mark.parametrize("name", NAMES)
def test_the_windows_are_the_state_and_the_arena_stays_small(name: str) -> None:
    compiled = compile_tflite(wake_word_model(name), name=name)
    assert compiled.state_bytes == ARENA_BYTES[name][0]
    assert all(spec.arena_offset >= compiled.state_bytes for spec in (*compiled.inputs, *compiled.outputs))
    assert compiled.arena_bytes <= ARENA_BYTES[name][1]
    assert [spec.dtype for spec in compiled.outputs] == ["uint8"]


@pytest.mark.emulated
@pytest.mark.parametrize("board", BOARDS)
def test_a_stream_on_an_emulated_board_gives_the_same_bytes(board: str) -> None:
    """The image's golden case and every step; a fresh run in between starts the stream over."""
    model = with_inner_outputs(wake_word_model("okay_nabu"))
    compiled = compile_tflite(model, name="okay_nabu", core=BOARDS[board])
    steps = [step[0].tobytes() for step in stream(compiled, seed=3)[:EMULATED_STEPS]]
    expected = [b"".join(outputs) for outputs in reference(model, stream(compiled, seed=3)[:EMULATED_STEPS])]
    with mcu_bench(board) as bench:
        bench.serve({slot: linked(compiled, board, slot, (steps[0], expected[0])) for slot in SLOTS})
        link = bench.strategy.link
        assert [link.infer(step).output for step in steps] == expected
        assert [link.infer(steps[0], fresh=True).output, link.infer(steps[1]).output] == expected[:2]
        assert link.infer(steps[0], fresh=True).output == expected[0]
        assert link.selftest() == 1
        assert [link.infer(step).output for step in steps[:3]] == expected[:3]


def linked(compiled: CompiledModel, board: str, slot: Slot, golden: tuple[bytes, bytes]) -> bytes:
    """An unsigned image that tests itself with one golden case."""
    image = link_image(
        board,
        slot,
        compiled.files,
        compiled.kernel_sources,
        model="okay_nabu",
        version="1.0.0",
        security_counter=0,
        golden=[golden],
        arena_bytes=compiled.arena_bytes,
    )
    return image.data


def mcu_bench(board: str) -> McuBench:
    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing; make setup")
    return McuBench(board, build_firmware(board, Path(__file__).parents[3] / "build" / "firmware" / board))
