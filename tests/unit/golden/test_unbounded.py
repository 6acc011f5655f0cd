"""Whole networks against unbounded integers that wrap only where the hardware does."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.tiers import examples
from tests.unit.compiler.drawn_graphs import chains, networks
from tests.unit.golden.unbounded import run_graph
from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.fixed import layer_results
from zeroskip.compiler.ir.graph import FloatGraph, QuantGraph
from zeroskip.compiler.passes.fixed_point import quantize_input
from zeroskip.compiler.passes.partition import arithmetics
from zeroskip.compiler.passes.quantize import quantize
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams


def compare(graph: QuantGraph, x: np.ndarray, act_bits: int, acc_bits: dict[str, int]) -> None:
    wanted = [run_graph(graph, sample, act_bits, acc_bits) for sample in x]
    for result in layer_results(graph, x, acc_bits, act_bits):
        name = result.layer.name
        assert result.output.reshape(len(x), -1).tolist() == [w[name].outputs for w in wanted]
        assert result.saturated.tolist() == [one[name].saturated for one in wanted]


@examples(150)
@given(
    drawn=networks(linear=True),
    act_bits=st.integers(4, 16),
    lost=st.integers(0, 14),
    more=st.integers(0, 8),
    loud=st.sampled_from([1.0, 30.0]),
)
def test_networks_of_both_engines(
    drawn: tuple[FloatGraph, np.ndarray], act_bits: int, lost: int, more: int, loud: float
) -> None:
    """Also where sums wrap, on accumulators of ``lost`` bits less than was proven to do."""
    network, x = drawn
    eie, scnn = EieParams(act_bits=act_bits, acc_bits=32 + more), ScnnParams(act_bits=act_bits)
    widths = arithmetics(network, eie, scnn)
    try:
        graph, report = quantize(network, x, widths)
    except CompileError:
        assume(False)
        raise
    fixed = quantize_input(x[:2] * loud, report.input_frac, act_bits)
    acc_bits = {layer.name: widths[layer.node].acc_bits - lost for layer in report.layers}
    compare(graph, fixed, act_bits, acc_bits)


@examples(100)
@given(
    data=st.data(),
    inputs=st.integers(1, 8),
    act_bits=st.integers(2, 32),
    acc_bits=st.integers(32, 64),
    lost=st.integers(0, 24),
)
def test_chains(data: st.DataObject, inputs: int, act_bits: int, acc_bits: int, lost: int) -> None:
    network = data.draw(chains(inputs))
    params = EieParams(act_bits=act_bits, acc_bits=acc_bits)
    x = np.random.default_rng(1).normal(size=(5, inputs, 1, 1))
    try:
        graph, report = quantize(network, x, arithmetics(network, params))
    except CompileError:
        assume(False)
        raise
    narrow = max(act_bits, acc_bits - lost)
    fixed = quantize_input(3 * x, report.input_frac, act_bits)
    compare(graph, fixed, act_bits, {layer.name: narrow for layer in graph.layers})
