"""How far outputs of the Helium kernels may grow over their inputs: the declared leads against a replay, byte by byte.

The leads of the convolutions are ``streaming_lead``, which test_kernel_leads.py replays.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from test_kernel_leads import Step, check, pixels, window_pixels, windows

from optimize.compiler.kernels import Image, Window
from optimize.compiler.kernels_helium import (
    GROUP,
    HeliumElementwiseCall,
    HeliumFullyConnectedCall,
    HeliumGemm,
    HeliumLinearCall,
    HeliumPoolCall,
    HeliumRequantize,
)

ZEROS = ((0, 0),) * 3
ANY = HeliumRequantize((0,) * GROUP, (1 << 30,) * GROUP, (-1,) * GROUP, 0, (-128, 127))


def runs(total: int, size: int) -> list[range]:
    return [range(start, min(start + size, total)) for start in range(0, total, size)]


@given(case=windows(), channels=st.integers(1, 19))
def test_pool(case: tuple[Image, Image, Window], channels: int) -> None:
    image, one, window = case
    image, target = replace(image, channels=channels), replace(one, channels=channels)
    steps: list[Step] = []
    for number, place in enumerate(pixels(target)):
        seen = list(window_pixels(image, window, *place))
        steps += [
            ([p * channels + c for p in seen for c in group], [number * channels + c for c in group])
            for group in runs(channels, GROUP)
        ]
    call = HeliumPoolCall("max", image, target, window, (-128, 127))
    check(steps, call.lead(0), image.elements, target.elements)


@given(count=st.integers(1, 40))
def test_elementwise(count: int) -> None:
    product = HeliumElementwiseCall("mul", (count,), ((1,), (1,)), *ZEROS, 1 << 30, -1, 0, (-128, 127))
    linear = HeliumLinearCall(count, (1, 1), 0, 1, (-128, 127))
    for call, size in ((product, GROUP), (linear, 4)):
        for operand in (0, 1):
            check([(run, run) for run in runs(count, size)], call.lead(operand), count, count)


@given(batches=st.integers(1, 4), inputs=st.integers(1, 20), outputs=st.integers(1, 20))
def test_fully_connected(batches: int, inputs: int, outputs: int) -> None:
    steps: list[Step] = [
        (range(b * inputs, (b + 1) * inputs), range(b * outputs, (b + 1) * outputs)) for b in range(batches)
    ]
    call = HeliumFullyConnectedCall(batches, inputs, HeliumGemm(outputs, 2, b"", ANY))
    check(steps, call.lead(0), batches * inputs, batches * outputs)
