"""The modelled cycles of a bench: of the same image and the same number of instructions, or none."""

from __future__ import annotations

import pytest
from small_bundles import BOARD, CASES, write_bundles

from flota.image import ImageError
from hil.bare import Inference, image_engine, measure_bare
from hil.bench.cycles import model_cycles
from hil.bench.subjects import McuSubject, mcu_subject
from hil.errors import BenchFailed


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> McuSubject:
    workspace = tmp_path_factory.mktemp("small")
    write_bundles(workspace)
    return mcu_subject(workspace / "bundles" / "small-1.0.0-cortex-m4f-aot.flota", BOARD)


@pytest.mark.emulated
def test_an_image_runs_bare_in_either_slot(subject: McuSubject) -> None:
    inferences = [Inference(case.inputs) for case in subject.cases]
    first, second = (measure_bare(image_engine(subject.images[slot]), inferences).runs for slot in ("A", "B"))
    assert [run.output for run in first] == [case.expected for case in subject.cases]
    assert [(run.output, run.instructions) for run in first] == [(run.output, run.instructions) for run in second]


@pytest.mark.emulated
def test_another_number_of_instructions_is_refused(subject: McuSubject) -> None:
    runs = measure_bare(image_engine(subject.images["A"]), [Inference(case.inputs) for case in subject.cases]).runs
    counted = [float(run.instructions or 0) for run in runs]
    figure = model_cycles(BOARD, subject, counted)
    assert figure is not None
    assert (figure.unit, figure.readings, figure.source.kind) == ("cycles", CASES, "modelled")
    with pytest.raises(BenchFailed, match=r"case 1 took \d+ instructions on the board and \d+ bare"):
        model_cycles(BOARD, subject, [counted[0], counted[1] + 1])


def test_a_processor_without_a_timing_table_has_no_cycles(subject: McuSubject) -> None:
    assert model_cycles("qemu-mps3-an547", subject, [1.0]) is None


def test_an_image_that_is_cut_short_is_refused(subject: McuSubject) -> None:
    with pytest.raises(ImageError):
        image_engine(subject.images["A"][:-1])
