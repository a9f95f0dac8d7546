"""The passes, in the order they run. Each is one file and one function ``Graph -> Graph``."""

from __future__ import annotations

from collections.abc import Callable

from optimize.compiler.cores import CORTEX_M4, CORTEX_M55, Core
from optimize.compiler.ir import Graph
from optimize.compiler.passes.alias_reshapes import alias_reshapes
from optimize.compiler.passes.bound_constants import bound_constants
from optimize.compiler.passes.drop_unused import drop_unused
from optimize.compiler.passes.elide_copies import elide_copies
from optimize.compiler.passes.fold_lookups import fold_lookups
from optimize.compiler.passes.fuse_pad import fuse_pad
from optimize.compiler.passes.keep_delay_lines import keep_delay_lines
from optimize.compiler.passes.linearize_sums import linearize_sums
from optimize.compiler.passes.lower import lower
from optimize.compiler.passes.refuse_unsupported import refuse_unsupported
from optimize.compiler.passes.schedule import schedule
from optimize.compiler.passes.select_dsp import select_dsp
from optimize.compiler.passes.select_helium import select_helium
from optimize.compiler.passes.tabulate_floats import tabulate_floats
from optimize.compiler.verify import verify

PASSES: tuple[Callable[[Graph], Graph], ...] = (
    tabulate_floats,
    drop_unused,
    refuse_unsupported,
    alias_reshapes,
    bound_constants,
    fuse_pad,
    elide_copies,
    lower,
    fold_lookups,
    keep_delay_lines,
)


SELECTIONS: dict[str, tuple[Callable[[Graph], Graph], ...]] = {
    CORTEX_M4.name: (select_dsp,),
    CORTEX_M55.name: (select_helium, select_dsp),
}
"""What runs after ``PASSES`` on a core with kernels of its own: each replaces portable calls by faster ones."""


LAST: tuple[Callable[[Graph], Graph], ...] = (linearize_sums, schedule)
"""What runs when every kernel is chosen."""


def run_passes(graph: Graph, core: Core) -> Graph:
    """Verify ``graph``, then run every pass for ``core`` and verify what it made."""
    verify(graph)
    for step in (*PASSES, *SELECTIONS.get(core.name, ()), *LAST):
        graph = verify(step(graph))
    return graph
