"""Our compiler takes no more for a known model than it did: instructions, RAM and flash on the bare Cortex-M4F."""

from __future__ import annotations

import pytest

from benchmarks.inference.known import growth, known_model, known_names, load_known, measure_known
from flota.programs import look_for
from flota.toolchain import Compiler

UPDATE = "if that is wanted: python benchmarks/mcu_inference.py --update-known"
BEFORE = {"instructions": 1000, "cycles_modelled": 1500, "ram_bytes": 400, "flash_bytes": 2000}


@pytest.mark.emulated
@pytest.mark.parametrize("name", known_names())
def test_no_figure_of_a_known_model_grows(name: str) -> None:
    missing = [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if look_for(tool) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    known = load_known()
    if known.compiler != Compiler().version():
        pytest.skip(f"the figures were taken with {known.compiler}, here is {Compiler().version()}")
    model = known_model(name)
    if model is None:
        pytest.skip(f"{name}_int8.tflite is missing; set FLOTA_MLPERF_TINY to the folder of the MLPerf Tiny models")
    grown = growth(known.models[name], measure_known(model))
    assert not grown, f"{name} grew: {'; '.join(grown)}; {UPDATE}"


def test_every_known_model_has_figures() -> None:
    assert tuple(load_known().models) == known_names(), UPDATE


@pytest.mark.parametrize(
    ("figure", "now", "grown"),
    [
        ("instructions", 1010, False),
        ("instructions", 1011, True),
        ("ram_bytes", 405, True),
        ("flash_bytes", 2021, True),
        ("flash_bytes", 1000, False),
        ("cycles_modelled", 9999, False),
    ],
)
def test_more_than_a_hundredth_is_growth(figure: str, now: int, grown: bool) -> None:
    found = growth(BEFORE, {**BEFORE, figure: now})
    assert [line.split()[0] for line in found] == ([figure] if grown else [])


def test_growth_says_from_what_to_what() -> None:
    assert growth(BEFORE, {**BEFORE, "instructions": 1500}) == ["instructions 1,000 -> 1,500 (+50.0%)"]
