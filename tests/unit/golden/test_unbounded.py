"""Golden of whole networks against unbounded integers that wrap only where the hardware does."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.tiers import examples
from tests.unit.compiler.drawn_graphs import chains, networks_with_tails
from tests.unit.golden.unbounded import run_chain, run_cnn
from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.fixed import concatenate, layer_results
from zeroskip.compiler.ir.graph import FloatCnn, QuantCnn
from zeroskip.compiler.ir.network import FloatNetwork
from zeroskip.compiler.passes.fixed_point import quantize_input
from zeroskip.compiler.passes.quantize import quantize as quantize_chain
from zeroskip.compiler.scnn.quantize import quantize
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.eie.golden import run_network


@examples(120)
@given(
    drawn=networks_with_tails(),
    act_bits=st.integers(4, 16),
    lost=st.integers(0, 14),
    loud=st.sampled_from([1.0, 30.0]),
)
def test_networks_of_both_engines(
    drawn: tuple[FloatCnn, np.ndarray], act_bits: int, lost: int, loud: float
) -> None:
    """Also where sums wrap, on accumulators of ``lost`` bits less than was proven to do."""
    network, x = drawn
    params, tail_params = ScnnParams(act_bits=act_bits), EieParams(act_bits=act_bits)
    try:
        cnn, report = quantize(network, x, params, tail_params)
    except CompileError:
        assume(False)
        raise
    acc_bits = 32 - lost
    fixed = quantize_input(x[:2] * loud, report.input_frac, act_bits)
    _compare(cnn, fixed, act_bits, acc_bits)


def _compare(cnn: QuantCnn, fixed: np.ndarray, act_bits: int, acc_bits: int) -> None:
    assert cnn.tail is not None
    wanted = [run_cnn(cnn, one, act_bits, acc_bits, acc_bits) for one in fixed]
    tensors = {"input": fixed}
    for result in layer_results(cnn.graph, fixed, acc_bits, act_bits):
        name = result.layer.name
        tensors[name] = result.output
        assert result.output.reshape(len(fixed), -1).tolist() == [w[name].outputs for w in wanted]
        assert result.saturated.tolist() == [one[name].saturated for one in wanted]
    x = concatenate(tensors, cnn.graph.outputs).reshape(len(fixed), -1).T
    rest = run_network(cnn.tail.layers, x, act_bits=act_bits, acc_bits=acc_bits)
    for layer, y, saturated in zip(cnn.tail.layers, rest.outputs, rest.saturated, strict=True):
        assert y.T.tolist() == [one[layer.name].outputs for one in wanted]
        assert saturated.tolist() == [one[layer.name].saturated for one in wanted]


@examples(100)
@given(
    data=st.data(),
    inputs=st.integers(1, 8),
    act_bits=st.integers(2, 32),
    acc_bits=st.integers(32, 64),
    lost=st.integers(0, 24),
)
def test_chains(data: st.DataObject, inputs: int, act_bits: int, acc_bits: int, lost: int) -> None:
    network = FloatNetwork((inputs,), data.draw(chains(inputs)))
    params = EieParams(act_bits=act_bits, acc_bits=acc_bits)
    x = np.random.default_rng(1).normal(size=(5, inputs))
    try:
        rounded, report = quantize_chain(network, x, params)
    except CompileError:
        assume(False)
        raise
    narrow = max(act_bits, acc_bits - lost)
    fixed = quantize_input(3 * x, report.input_frac, act_bits)
    result = run_network(rounded.layers, fixed.T, act_bits=act_bits, acc_bits=narrow)
    for at, one in enumerate(fixed.tolist()):
        made = run_chain(rounded.layers, one, act_bits, narrow)
        assert [y[:, at].tolist() for y in result.outputs] == [layer.outputs for layer in made]
        assert [int(s[at]) for s in result.saturated] == [layer.saturated for layer in made]
