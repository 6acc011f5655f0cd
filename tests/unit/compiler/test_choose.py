"""Widths that a network chooses where the user has not, and what is said about them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import examples
from zeroskip import EieParams
from zeroskip.base.errors import CompileError
from zeroskip.compiler.api import compile_any
from zeroskip.compiler.eie.choose import FreeParams, choose_params
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, FloatGraph, FloatLinear
from zeroskip.sim.eie.info import describe_part
from zeroskip.sim.eie.storage import layer_storage, stored_bits


def network(
    values: int, shape: tuple[int, int] = (32, 24), density: float = 1.0, seed: int = 0
) -> FloatGraph:
    """Return a layer that has ``values`` values."""
    rng = np.random.default_rng(seed)
    weight = np.resize(np.linspace(0.1, 1.0, values), shape) * (rng.random(shape) < density)
    layer = FloatLinear("fc", (INPUT,), weight, np.zeros(shape[0]), relu=False)
    return FloatGraph((shape[1], 1, 1), (layer,), "fc", (shape[1],))


def build(net: FloatGraph, params: Any = (), **words: Any) -> Image:
    x = np.random.default_rng(1).normal(size=(20, *(net.sample_shape or ())))
    return compile_any(net, x, params, name="net", **words)


@pytest.mark.parametrize(("values", "bits"), [(3, 4), (15, 4), (16, 5), (31, 5), (32, 6), (255, 8)])
def test_codes_become_as_wide_as_needed(values: int, bits: int) -> None:
    image = build(network(values))
    assert image.part("eie").params.code_bits == bits
    layer = image.report["quantization"]["layers"][0]
    assert (layer["values"], layer["clustered"]) == (values, False)
    assert layer["error"]["snr_db"] > 70
    assert image.report["quantization"]["warnings"] == []
    why = image.report["chosen"][0]
    assert (
        why == f"code_bits = {bits}: codes for the {values} values of layer 'fc', the most of all"
    )


def test_no_codes_hold_more() -> None:
    with pytest.raises(
        CompileError, match="256 distinct non-zero weights, but a codebook holds 15"
    ):
        build(network(256))
    assert build(network(256), share=True).part("eie").params.code_bits == 4


def test_what_is_given_is_obeyed() -> None:
    """Explicit parameters stay; the message names both ways out, and what each costs."""
    given = EieParams(num_pes=4)
    with pytest.raises(CompileError) as caught:
        build(network(31), given)
    message = str(caught.value)
    assert "give code_bits = 5, which holds all of them without error, or cluster" in message
    assert "(share), which leaves weights 3" in message
    assert " dB above their error, or with zeroskip compress" in message
    clustered = build(network(31), given, share=True)
    assert clustered.part("eie").params == given
    assert "chosen" not in clustered.report
    (warning,) = clustered.report["quantization"]["warnings"]
    assert "the 31 values of layer 'fc' were clustered to 15, which leaves weights 3" in warning
    assert "code_bits = 5 would hold all of them without error" in warning
    free = FreeParams(given, frozenset({"run_bits"}))
    with pytest.raises(CompileError, match="give code_bits = 5"):
        build(network(31), free)


@pytest.mark.parametrize(("density", "wider"), [(0.3, False), (0.2, False), (0.015, True)])
def test_runs_become_wider_where_weights_are_few(density: float, wider: bool) -> None:
    net = network(15, (2048, 64), density)
    image, plain = build(net), build(net, EieParams())
    run_bits = image.part("eie").params.run_bits
    assert (run_bits > 4) is wider
    storage = [layer_storage(one.part("eie"))[0] for one in (image, plain)]
    if wider:
        assert storage[1].padding.sum() > 0.4 * storage[1].entries.sum()
        assert storage[0].padding.sum() < 0.25 * storage[0].entries.sum()
        assert (
            stored_bits(image.part("eie"))["entries"]
            < 0.8 * stored_bits(plain.part("eie"))["entries"]
        )
        assert "; 4 would take" in image.report["chosen"][1]
    assert image.report["chosen"][1].startswith(
        f"run_bits = {image.part('eie').params.run_bits}: about "
    )


def test_no_linear_layers_choose_nothing() -> None:
    assert choose_params(FreeParams(EieParams()), (), share=False) == (EieParams(), ())


@examples(40)
@given(
    seed=st.integers(0, 1000),
    rows=st.integers(1, 300),
    density=st.floats(0, 0.3),
    num_pes=st.integers(1, 5),
    run_bits=st.integers(1, 4),
    num_accs=st.sampled_from([7, 64, 256]),
)
def test_counts_are_those_of_the_image(
    seed: int, rows: int, density: float, num_pes: int, run_bits: int, num_accs: int
) -> None:
    """What ``info`` says of the image's own width is what its SRAMs hold; and of wider ones."""
    net = network(5, (rows, 9), density, seed)
    document: list[Any] = []
    for width in range(run_bits, 9):
        params = EieParams(num_pes=num_pes, run_bits=width, num_accs=num_accs)
        image = build(net, params, options={"placement": "balance"})
        storage = layer_storage(image.part("eie"))[0]
        own = describe_part(image.part("eie")).document["run_choices"]
        document = document or own
        assert own[0]["entries"] == storage.entries.sum()
        assert own[0]["padding"] == storage.padding.sum()
        assert own[0]["bits"] == stored_bits(image.part("eie"))["entries"]
        at = width - run_bits
        assert at >= len(document) or document[at] == own[0]
        if not own[0]["padding"]:
            break
