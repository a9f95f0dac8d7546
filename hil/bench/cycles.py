"""The cycles of a bench, modelled: the image's own bytes once more, on a bare board that charges every instruction.

The firmware counts instructions with a timer, which knows no cycles. The same image with the same inputs, run by
:mod:`hil.bare`, executes the same instructions; that they are the same in number is checked.
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.bare import MACHINES, Inference, image_engine, measure_bare
from hil.bench.report import Figure, Source, distribution
from hil.bench.subjects import McuSubject
from hil.errors import BenchFailed

_MOST_CASES = 10
_BUDGET_INSTRUCTIONS = 200_000_000  # a few seconds of the emulator


def model_cycles(board: str, subject: McuSubject, counted: Sequence[float]) -> Figure | None:
    """Cycles of the subject's first cases; None on a processor that there is no timing table of.

    Args:
        board: The board that was benched.
        subject: What was benched.
        counted: Instructions of its counted inferences, the first being of the first case.

    Raises:
        BenchFailed: Another number of instructions was executed than on the board.
        FlotaError: The image does not run bare.
    """
    machine = MACHINES.get(board)
    if machine is None or not machine.models_cycles:
        return None
    most = max(1, min(_MOST_CASES, int(_BUDGET_INSTRUCTIONS // max(counted[0], 1))))
    cases = subject.cases[: min(most, len(counted))]
    image = next(iter(subject.images.values()))
    runs = measure_bare(image_engine(image), [Inference(case.inputs, fresh=True) for case in cases], board=board).runs
    for case, (run, instructions) in enumerate(zip(runs, counted, strict=False)):
        if run.instructions != instructions:
            raise BenchFailed(
                f"case {case} took {instructions:.0f} instructions on the board and {run.instructions} bare",
                hint="the model does not compute the same each time; report this with the model",
            )
    source = Source(
        kind="modelled",
        where=f"{board} (emulated)",
        how=f"Cortex-M4 TRM timing table, zero wait states, on each executed instruction of {len(runs)} inferences",
    )
    return distribution("cycles", [run.cycles_modelled or 0 for run in runs], source)
