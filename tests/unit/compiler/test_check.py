import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csc_array

from zeroskip.base.errors import CompileError
from zeroskip.compiler.eie.place import Strategy, place
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.eie.params import EieParams

DrawNetwork = Callable[..., QuantGraph[QuantLinear]]


def build_placed(
    network: QuantGraph[QuantLinear], params: EieParams, strategy: Strategy = "interleave"
) -> None:
    build(network, place(network, params, strategy), params)


REFUSALS: list[tuple[EieParams, list[int], str]] = [
    (
        EieParams(num_pes=4, num_pointers=4),
        [6, 4],
        (
            "an array of 4 PEs needs 5 column pointers at least, but num_pointers is 4: "
            "compile with num_pointers=6 or num_pes=3"
        ),
    ),
    (
        # One row in one column per PE: 7 entries, or 4 words of 2.
        EieParams(num_pes=7, word_bits=16, spmat_words=3),
        [14, 7],
        (
            "layer 'fc1' needs 4 words of Spmat SRAM in PE 0 for one row of 7 columns, but "
            "spmat_words is 3: compile with spmat_words=4 or num_pes=6"
        ),
    ),
]


@pytest.mark.parametrize(("params", "sizes", "message"), REFUSALS)
def test_what_is_impossible_is_told_what_would_fit(
    draw_network: DrawNetwork, params: EieParams, sizes: list[int], message: str
) -> None:
    network = draw_network(sizes, density=1.0)
    with pytest.raises(CompileError) as caught:
        build_placed(network, params)
    assert str(caught.value) == message
    for name, value in re.findall(r"(\w+)=(\d+)", message):
        build_placed(network, dataclasses.replace(params, **{name: int(value)}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"codebook": np.array([0, 8, *[1] * 14])},
            r"^weights of layer 'fc1' must be from -8 to 7 \(weight_bits = 4\), not 0 to 8$",
        ),
        (
            {"bias": np.array([0, -(1 << 19) - 1])},
            (
                r"^biases of layer 'fc1' must be from -524288 to 524287 \(acc_bits = 20\), "
                r"not -524289 to 0$"
            ),
        ),
        (
            {"codebook": np.ones(16, np.int64)},
            (
                r"^the codebook of layer 'fc1' must be 16 weights \(code_bits = 4\), the first 0, "
                r"not 16 weights, the first 1$"
            ),
        ),
        (
            {"codebook": np.zeros(8, np.int64)},
            (
                r"^the codebook of layer 'fc1' must be 16 weights \(code_bits = 4\), the first 0, "
                r"not 8 weights, the first 0$"
            ),
        ),
        (
            {"codes": csc_array(np.full((2, 2), 16, np.uint8))},
            r"^layer 'fc1' has weights that its codebook has not$",
        ),
        (
            {"weight_frac": -1},
            (
                r"^the shift of layer 'fc1' \(in_frac \+ weight_frac - out_frac\) must be "
                r"from 0 to 63, not -1$"
            ),
        ),
        ({"weight_frac": 64}, r"must be from 0 to 63, not 64$"),
    ],
)
def test_numbers_without_enough_bits_are_refused(
    draw_network: DrawNetwork, changes: dict[str, Any], message: str
) -> None:
    network = draw_network([2, 2], weight_bits=4, bias_bits=8)
    layer = dataclasses.replace(network.layers[0], **changes)
    with pytest.raises(CompileError, match=message):
        build_placed(
            dataclasses.replace(network, layers=(layer,)), EieParams(weight_bits=4, acc_bits=20)
        )
