import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csc_array

from compiler.eie.place import Strategy, place
from compiler.eie.program import build
from compiler.errors import CompileError
from compiler.network import QuantNetwork
from hw.eie.params import EieParams

DrawNetwork = Callable[..., QuantNetwork]


def build_placed(
    network: QuantNetwork, params: EieParams, strategy: Strategy = "interleave"
) -> None:
    build(network, place(network, params, strategy), params)


REFUSALS: list[tuple[dict[str, Any], list[int], str]] = [
    (
        {"num_acts": 4},
        [40, 8],
        (
            "layer 'fc1' needs 10 rows of the activation files, but num_acts is 4: "
            "compile with num_acts=10 or num_pes=10"
        ),
    ),
    (
        {"num_acts": 4},
        [8, 8, 20],
        (
            "layer 'fc2' needs 5 rows of the activation files, but num_acts is 4: "
            "compile with num_acts=5 or num_pes=5"
        ),
    ),
    (
        {"num_pointers": 8},
        [6, 4],
        (
            "layer 'fc1' needs 9 column pointers, but num_pointers is 8: "
            "compile with num_pointers=10 or num_pes=6"
        ),
    ),
    (
        {"num_pointers": 24, "num_accs": 2},
        [12, 16, 4],
        (
            "layer 'fc1' needs 25 column pointers, but num_pointers is 24: "
            "compile with num_pointers=42"
        ),
    ),
    (
        {"num_pointers": 24, "num_accs": 2},
        [12, 16],
        (
            "layer 'fc1' needs 25 column pointers, but num_pointers is 24: "
            "compile with num_pointers=26 or num_accs=4 or num_pes=8"
        ),
    ),
    (
        {"num_biases": 5},
        [4, 16, 8],
        (
            "layer 'fc2', with the layers before it, needs 6 biases per PE, but num_biases is 5: "
            "compile with num_biases=6 or num_pes=6"
        ),
    ),
    (
        {"num_descriptors": 3, "num_accs": 2},
        [4, 32],
        (
            "layer 'fc1' needs 4 descriptors, but num_descriptors is 3: "
            "compile with num_descriptors=4 or num_accs=8 or num_pes=6"
        ),
    ),
]


@pytest.mark.parametrize(("changes", "sizes", "message"), REFUSALS)
def test_a_network_too_large_is_told_what_would_fit(
    draw_network: DrawNetwork, changes: dict[str, Any], sizes: list[int], message: str
) -> None:
    network, params = draw_network(sizes), EieParams(num_pes=4, **changes)
    with pytest.raises(CompileError) as caught:
        build_placed(network, params)
    assert str(caught.value) == message
    for name, value in re.findall(r"(\w+)=(\d+)", message):
        build_placed(network, dataclasses.replace(params, **{name: int(value)}))


@pytest.mark.parametrize("strategy", ["interleave", "balance"])
def test_too_many_entries_are_told_what_would_fit(
    draw_network: DrawNetwork, strategy: Strategy
) -> None:
    network = draw_network([40, 60, 80], density=0.5, seed=3)
    params = EieParams(num_pes=4, spmat_words=50)
    with pytest.raises(CompileError) as caught:
        build_placed(network, params, strategy)
    message = str(caught.value)
    assert re.fullmatch(
        r"layer 'fc2', with the layers before it, needs \d+ words of Spmat SRAM in PE \d, "
        r"but spmat_words is 50: compile with spmat_words=\d+ or num_pes=\d+",
        message,
    )
    for name, value in re.findall(r"(\w+)=(\d+)", message):
        build_placed(network, dataclasses.replace(params, **{name: int(value)}), strategy)


def test_a_network_beyond_every_array_is_told_so(draw_network: DrawNetwork) -> None:
    with pytest.raises(
        CompileError,
        match=r"^layer 'fc1' needs 65537 rows of the activation files, but num_acts is 2: "
        r"no single parameter can be raised far enough$",
    ):
        build_placed(draw_network([65537, 1], density=0.0), EieParams(num_pes=1, num_acts=2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"codebook": np.array([0, 8, *[1] * 14])},
            r"^weights of layer 'fc1' must be from -8 to 7 \(4 bits\), not 0 to 8$",
        ),
        (
            {"bias": np.array([0, -(1 << 19) - 1])},
            (
                r"^biases of layer 'fc1' must be from -524288 to 524287 \(20 bits\), "
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
            r"^codes of layer 'fc1' must be below 16 \(code_bits = 4\), not 16$",
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
