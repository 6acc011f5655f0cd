"""Padding, dilation, strides, groups, kernels and cuts, drawn: golden's numbers are torch's.

Weights and inputs are small whole numbers, and outputs are not rounded: golden gives torch's
numbers exactly.
"""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from tests.support.tiers import examples
from zeroskip import compile
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.run import run

small = st.integers(1, 3)


class Drawn(nn.Module):
    """Zeros around a plane, or a cut of it, a convolution, and perhaps a maximum or an average."""

    def __init__(self, line: bool, pads: list[int], words: dict[str, Any], pool: str) -> None:
        super().__init__()
        self.pads, self.pool = pads, pool
        self.layer = (nn.Conv1d if line else nn.Conv2d)(**words)
        self.dims = (2,) if line else (2, 3)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(7)
            for tensor in self.layer.parameters():
                tensor.copy_(torch.randint(-2, 3, tensor.shape, generator=generator))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.pad(self.layer(functional.pad(x, self.pads)), self.pads)
        return y if not self.pool else y.amax(self.dims) if self.pool == "max" else y.sum(self.dims)


@st.composite
def networks(draw: st.DrawFn) -> tuple[Drawn, tuple[int, ...]]:
    line = draw(st.booleans())
    count = 1 if line else 2
    groups = draw(st.sampled_from([1, 1, 2]))
    pads = draw(st.lists(st.integers(-1, 2), min_size=2 * count, max_size=2 * count))
    words: dict[str, Any] = {
        "in_channels": 2,
        "out_channels": 2 * draw(small),
        "kernel_size": tuple(draw(small) for _ in range(count)),
        "dilation": tuple(draw(small) for _ in range(count)),
        "groups": groups,
    }
    if draw(st.booleans()):
        words["padding"] = "same"
    else:
        words["padding"] = tuple(draw(st.integers(0, 2)) for _ in range(count))
        words["stride"] = tuple(draw(st.integers(1, 2)) for _ in range(count))
    # The padded and cut plane holds the kernel, and what is made of it can be cut.
    plane = tuple(draw(st.integers(14, 16)) for _ in range(count))
    return Drawn(line, pads, words, draw(st.sampled_from(["", "max", "sum"]))), (2, *plane)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even:UserWarning")
@examples(25)
@given(networks())
def test_golden_has_the_numbers_of_torch(drawn: tuple[Drawn, tuple[int, ...]]) -> None:
    module, shape = drawn
    x = torch.randint(-3, 4, (2, *shape), generator=torch.Generator().manual_seed(1)).float()
    with torch.no_grad():
        exact = module.eval()(x).numpy()
    # Formats with a fraction of no bit: nothing is rounded.
    image = compile(module, x[:1], x * 32, arrays=PRESETS["tiny"])
    for on in ("golden", "cycles"):
        outputs = run(image, x, on=on).outputs
        np.testing.assert_array_equal(outputs.reshape(exact.shape), exact)
