from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flota.boardlink import BoardRefused, SlotState
from flota.image import sign_image
from flota.toolchain import FirmwareBuild
from hil.bench.mcu import McuBench, bench_mcu
from hil.bench.subjects import McuSubject, mcu_subject
from hil.boards.strategy import BoardState, McuStrategy
from hil.errors import BoardFailed

pytestmark = pytest.mark.emulated
BOARD = "qemu-mps2-an386"


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> McuSubject:
    from small_bundles import write_bundles

    workspace = tmp_path_factory.mktemp("strategy")
    write_bundles(workspace)
    return mcu_subject(workspace / "bundles" / "small-1.0.0-cortex-m4f-aot.flota", BOARD)


@pytest.fixture
def bench(firmware: FirmwareBuild) -> Iterator[McuBench]:
    with McuBench(BOARD, firmware) as started:
        yield started


def test_serving_twice_uses_both_slots(bench: McuBench, subject: McuSubject) -> None:
    for slot in ("A", "B", "A"):
        bench.serve(subject.images)
        info = bench.strategy.link.info()
        assert info.running == slot
        assert info.slots[slot].state is SlotState.CONFIRMED
        assert bench.measure(subject.cases[0].inputs).output == subject.cases[0].expected


def test_off_forgets_the_link_and_the_model_comes_back(bench: McuBench, subject: McuSubject) -> None:
    bench.serve(subject.images)
    bench.strategy.transition(BoardState.OFF)
    assert not bench.board.running
    with pytest.raises(BoardFailed, match="is off"):
        bench.measure(b"")
    bench.strategy.transition(BoardState.READY)
    assert bench.strategy.link.info().running == "A"


def test_undefined_ways_fail_loudly(bench: McuBench, subject: McuSubject) -> None:
    with pytest.raises(BoardFailed, match="no model"):
        bench.strategy.transition(BoardState.SERVING)
    assert bench.strategy.state is BoardState.READY
    bench.serve(subject.images)
    with pytest.raises(BoardFailed, match="no way from serving to ready"):
        bench.strategy.transition(BoardState.READY)


def test_an_image_for_one_slot_only_serves_once(bench: McuBench, subject: McuSubject) -> None:
    only_a = {"A": subject.images["A"]}
    bench.serve(only_a)
    with pytest.raises(BoardFailed, match="no image for slot B"):
        bench.serve(only_a)


def test_the_board_refuses_another_publishers_image(bench: McuBench, subject: McuSubject) -> None:
    stranger = McuStrategy(bench.board, Ed25519PrivateKey.generate())
    bench.strategy.link.close()
    stranger.transition(BoardState.READY)
    with pytest.raises(BoardRefused) as caught:
        stranger.serve(subject.images)
    assert caught.value.code == "image.bad-signature"
    stranger.link.close()


def test_a_model_that_fails_its_self_test_is_not_served(bench: McuBench, subject: McuSubject) -> None:
    image = bytearray(subject.images["A"])
    image[-16 - len(subject.cases[0].expected) :] = bytes(16 + len(subject.cases[0].expected))
    assert sign_image(bytes(image), Ed25519PrivateKey.generate())
    with pytest.raises(BoardFailed, match="gave slot A up at boot: selftest"):
        bench.serve({"A": bytes(image)})


def test_warm_up_and_inferences_are_what_was_asked_for(bench: McuBench, subject: McuSubject) -> None:
    for warmup, inferences in itertools.product((0, 2), (1, 7)):
        report = bench_mcu(bench, subject, inferences=inferences, warmup=warmup)
        assert (report.warmup, report.inferences, report.outputs.checked) == (warmup, inferences, warmup + inferences)
