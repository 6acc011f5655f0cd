"""Networks, placements and arrays that the co-simulations draw from."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csc_array

from tests.support.arrays import EIE
from tests.support.images import eie_image
from zeroskip.compiler.eie.place import Placement, Strategy, place
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, QuantGraph, QuantLinear, linear_chain
from zeroskip.hw.eie.params import EieParams

_SMALL: dict[str, Any] = {
    "spmat_words": 2048,
    "num_pointers": 1024,
    "num_acts": 64,
    "num_accs": 64,
    "num_biases": 128,
    "num_descriptors": 16,
}

# Each is a build of its own (some 15 s); together they have every parameter at its edges.
ARRAYS = {
    "small": EIE,
    "paper": EieParams(num_pes=4, **_SMALL),
    "least": EieParams(num_pes=1, queue_depth=1, run_bits=1, code_bits=1, **_SMALL),
    "best": EieParams(
        num_pes=3, queue_depth=16, run_bits=5, pointers_first=True, skip_padding=True, **_SMALL
    ),
    "narrow": EieParams(
        num_pes=8,
        queue_depth=2,
        run_bits=2,
        word_bits=24,
        act_bits=8,
        weight_bits=8,
        acc_bits=20,
        skip_padding=True,
        **_SMALL,
    ),
    "wide": EieParams(
        num_pes=5,
        queue_depth=1,
        word_bits=128,
        code_bits=8,
        acc_bits=48,
        pointers_first=True,
        **_SMALL,
    ),
    "passes": EieParams(
        num_pes=6,
        queue_depth=3,
        run_bits=3,
        word_bits=16,
        act_files=3,
        skip_padding=True,
        pointers_first=True,
        **dict[str, Any](_SMALL, num_accs=3),
    ),
    # Nothing fits at once: the host reloads SRAMs, and loads and stores vectors by parts. Numbers
    # of rows and passes are of one bit.
    "segments": EieParams(
        num_pes=2,
        queue_depth=4,
        spmat_words=16,
        num_pointers=16,
        num_acts=2,
        num_accs=2,
        num_biases=8,
        num_descriptors=2,
    ),
}


@dataclass(frozen=True, eq=False)
class Trial:
    """An image, and (n, columns) float64 inputs that the hardware holds exactly."""

    image: Image
    inputs: NDArray[np.float64]

    def __repr__(self) -> str:
        return " ".join(layer.name for layer in self.image.graph.layers)


def _draw_layer(draw: st.DrawFn, rows: int, cols: int, p: EieParams, *, relu: bool) -> QuantLinear:
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    dense = rng.integers(1, p.num_codes, (rows, cols), endpoint=False) if p.code_bits > 1 else 1
    density = draw(st.sampled_from([0.0, 0.03, 0.1, 0.3, 0.6, 1.0]))
    mask = rng.random((rows, cols)) < density
    # What broke other designs: runs of empty columns, empty rows, a last row that stands alone.
    if draw(st.booleans()):
        mask[:, rng.random(cols) < 0.5] = False
    if draw(st.booleans()):
        mask[rng.random(rows) < 0.7] = False
    if draw(st.booleans()):
        mask[-1] = True
    codebook = rng.integers(-(1 << p.weight_bits - 1), 1 << p.weight_bits - 1, p.num_codes)
    codebook[0] = 0
    if draw(st.booleans()):
        codebook[-1] = 0  # a weight of value 0 that is no padding
    most = min(p.acc_bits - 1, p.weight_bits + 4)
    weight_frac, bias_bits = draw(st.integers(0, most)), min(p.acc_bits, 30) - 1
    # Where all outputs are 0 or saturated, a wrong weight is not seen.
    if draw(st.sampled_from([True, True, True, False])):
        weight_frac = draw(st.integers(min(most, p.weight_bits), most))
        bias_bits = min(p.acc_bits, p.act_bits + weight_frac) - 2
    return QuantLinear(
        name=f"{rows}x{cols}",
        inputs=(INPUT,),
        in_shape=(cols, 1, 1),
        codes=csc_array(np.where(mask, dense, 0).astype(np.uint8)),
        codebook=codebook,
        bias=rng.integers(-(1 << bias_bits - 1), 1 << bias_bits - 1, rows),
        relu=relu,
        in_frac=0,
        weight_frac=weight_frac,
        out_frac=0,
    )


def _draw_placement(draw: st.DrawFn, network: QuantGraph[QuantLinear], p: EieParams) -> Placement:
    strategy = draw(st.sampled_from([*get_args(Strategy), None]))
    if strategy is not None:
        return place(network, p, strategy)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    sizes = [network.layers[0].shape[1], *(layer.shape[0] for layer in network.layers)]
    return tuple(rng.permutation(-(-size // p.num_pes) * p.num_pes)[:size] for size in sizes)


@st.composite
def _trials(draw: st.DrawFn, params: EieParams) -> Trial:
    most = max(40, min(70, 8 * params.num_pes))
    sizes = draw(st.lists(st.integers(1, most), min_size=2, max_size=4))
    layers = [
        _draw_layer(draw, rows, cols, params, relu=draw(st.booleans()))
        for cols, rows in itertools.pairwise(sizes)
    ]
    network = linear_chain(layers)
    placement = _draw_placement(draw, network, params)
    image = eie_image("drawn", network, params, placement)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    inputs = rng.integers(params.min_act, params.max_act, (3, sizes[0]), endpoint=True)
    inputs[0] *= rng.random(sizes[0]) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    inputs[1] = -np.abs(inputs[1]) * (np.arange(sizes[0]) == rng.integers(sizes[0]))
    return Trial(image, inputs.astype(np.float64))


_LONG = pytest.mark.long("builds another simulator")


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if params is EIE else (_LONG,))
        for name, params in ARRAYS.items()
    ]
)
def array(request: pytest.FixtureRequest) -> EieParams:
    """Give the parameters of each array."""
    return ARRAYS[request.param]


@pytest.fixture
def trials() -> Callable[[EieParams], st.SearchStrategy[Trial]]:
    """Give a strategy of images and inputs for an array."""
    return _trials
