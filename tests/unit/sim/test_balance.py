from collections.abc import Callable

import numpy as np
import pytest

from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.balance import layer_balance
from zeroskip.sim.eie.storage import layer_storage


@pytest.mark.parametrize("num_accs", [16, 4])
def test_both_placements_are_compared(
    draw_network: Callable[..., QuantGraph[QuantLinear]], num_accs: int
) -> None:
    network = draw_network((40, 30, 12))
    params = EieParams(
        num_pes=4, spmat_words=128, num_pointers=128, num_acts=16, num_accs=num_accs, num_biases=64
    )
    plain, placed = (
        compile_quantized(
            network, {"eie": params}, options={"placement": placement}, name="net"
        ).part("eie")
        for placement in ("interleave", "balance")
    )
    before, after = layer_storage(plain), layer_storage(placed)
    for even, was, now in zip(layer_balance(placed, after), before, after, strict=True):
        assert (even.before, even.after) == (was.balance, now.balance)
        assert (even.mean, even.largest) == (now.entries.mean(), now.entries.max())
        assert even.bound == np.ceil(now.nnz / 4)
        assert even.bound <= even.largest
    same = layer_balance(plain, before)
    assert [even.before for even in same] == [even.after for even in same]
