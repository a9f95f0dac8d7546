"""The bench on an emulated microcontroller: instructions counted on it, every output checked, sizes and stack."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flota.image import parse_image
from flota.toolchain import Compiler, FirmwareBuild
from hil.bench.cycles import model_cycles
from hil.bench.report import BenchReport, BoardFacts, Figure, Source, distribution
from hil.bench.run import Measurement, Progress, Reading, Watch, run_bench, unwatched
from hil.bench.subjects import McuSubject, check_counts
from hil.boards.provision import provision_flash
from hil.boards.qemu import QemuBoard, qemu_version
from hil.boards.strategy import BoardState, McuStrategy
from hil.errors import BenchFailed


class McuBench:
    """An emulated board made for benches: new flash, a throwaway image key, the base firmware; one model at a time.

    A context manager; leaving it switches the board off and deletes its flash.

    Raises:
        UnknownBoard, MissingTool, BoardFailed: As :class:`hil.boards.QemuBoard`.
    """

    def __init__(self, board: str, firmware: FirmwareBuild) -> None:
        self.firmware = firmware
        self._key = Ed25519PrivateKey.generate()
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="flota-bench-")))
        try:
            self.board = QemuBoard(board, flash=folder / "flash.bin", firmware_elf=firmware.elf)
            self._stack.callback(self.board.close)
            provision_flash(self.board, self._key.public_key(), serial="bench")
        except BaseException:
            self._stack.close()
            raise
        self.strategy = McuStrategy(self.board, self._key)

    def serve(self, images: Mapping[str, bytes], progress: Progress | None = None) -> None:
        """Sign the image for the free slot, install it over the board link, activate and confirm it.

        Raises:
            BoardLinkError: The board refused it.
            BoardFailed: The board did not come up with it.
        """
        self.strategy.serve(images, progress)

    def measure(self, case: bytes) -> Reading:
        """Run one case on the board; the cost is instructions. See :class:`hil.bench.run.Probe`."""
        result = self.strategy.link.infer(case, fresh=True)
        return Reading(output=result.output, cost=result.instructions)

    def close(self) -> None:
        """Switch the board off and delete its flash. Calling it again does nothing."""
        if self.strategy.state is not BoardState.OFF:
            self.strategy.transition(BoardState.OFF)
        self._stack.close()

    def __enter__(self) -> McuBench:
        try:
            self.strategy.transition(BoardState.READY)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def bench_mcu(
    bench: McuBench, subject: McuSubject, *, inferences: int, warmup: int, watch: Watch = unwatched
) -> BenchReport:
    """Install ``subject`` on the bench's board and measure it.

    Raises:
        UsageError: The numbers measure nothing.
        BoardLinkError, BoardFailed: The board refused the image or stopped.
        BenchFailed: The board does not count instructions, or a second count says otherwise.
    """
    check_counts(inferences, warmup, subject.cases)
    bench.serve(subject.images, watch("install over the board link"))
    measurement = run_bench(
        bench,
        subject.cases,
        warmup=warmup,
        inferences=inferences,
        reference=subject.reference,
        progress=watch("inferences"),
    )
    if not all(measurement.costs):
        raise BenchFailed("the board does not count instructions", hint="start it with counted instructions (-icount)")
    watch("cycles, modelled")
    cycles = model_cycles(bench.board.resource.name, subject, measurement.costs)
    return _report(bench, subject, measurement, cycles, warmup=warmup)


def _report(
    bench: McuBench, subject: McuSubject, measurement: Measurement, cycles: Figure | None, *, warmup: int
) -> BenchReport:
    resource = bench.board.resource
    version = qemu_version(resource.program)
    return BenchReport(
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        subject=subject.subject,
        board=BoardFacts(
            name=resource.name,
            emulated=True,
            description=f"{resource.cpu}, emulated by QEMU {version} ({resource.machine}, -icount shift=0)",
        ),
        warmup=warmup,
        inferences=len(measurement.costs),
        outputs=measurement.outputs,
        figures=_figures(bench, subject, measurement, cycles),
        tools={**subject.tools, "arm-none-eabi-gcc": Compiler().version(), "qemu": version},
    )


def _figures(
    bench: McuBench, subject: McuSubject, measurement: Measurement, cycles: Figure | None
) -> dict[str, Figure]:
    name = bench.board.resource.name
    stats = bench.strategy.link.stats()
    ticks = bench.strategy.link.info().instructions_per_tick
    image = next(iter(subject.images.values()))
    header = parse_image(image)
    counted = Source(
        kind="counted",
        where=f"{name} (emulated)",
        how=f"timer at {ticks} instructions a tick around invoke(), the measuring taken off; no time is implied",
    )
    stack = Source(kind="measured", where=f"{name} (emulated)", how="painted stack, deepest word written since boot")
    linked = Source(kind="linked", where="firmware.elf", how="sizes of its sections")
    planned = Source(kind="linked", where="model image", how="static memory plan of the compiler, from the header")
    coded = Source(kind="linked", where="model image", how="linked code and constants, without golden vectors")
    sized = Source(
        kind="linked", where="model image", how="all of it: signature, header, code, weights, golden vectors"
    )
    return {
        "instructions": distribution("instructions", measurement.costs, counted),
        **({"cycles": cycles} if cycles is not None else {}),
        "flash_model": Figure(unit="bytes", value=header.golden_inputs_offset, source=coded),
        "flash_image": Figure(unit="bytes", value=len(image), source=sized),
        "flash_firmware": Figure(unit="bytes", value=bench.firmware.flash_bytes, source=linked),
        "ram_static": Figure(unit="bytes", value=bench.firmware.ram_bytes, source=linked),
        "arena": Figure(unit="bytes", value=header.arena_bytes, source=planned),
        "stack": Figure(unit="bytes", value=stats.stack_peak_bytes, source=stack),
        "stack_model": Figure(unit="bytes", value=stats.model_stack_peak_bytes, source=stack),
    }
