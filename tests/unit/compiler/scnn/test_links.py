"""Where outputs of SCNN go to EIE without the host, they stand as EIE takes them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.images import follow
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph, QuantLinear
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS

_EIE = EieParams(num_pes=3, acc_bits=40)
_SCNN = replace(PRESETS["tile"], pes_x=2, pes_y=2, num_streams=4)
DrawNetwork = Callable[..., QuantGraph[QuantLinear]]
Convolutions = QuantGraph[QuantConv]


def test_columns_stand_as_outputs_come(both_image: Image, machine: Any) -> None:
    (link,) = both_image.links
    assert link.first == 0
    scnn, eie = both_image.part("scnn"), both_image.part("eie")
    rng = np.random.default_rng(1)
    tensors = {INPUT: rng.integers(0, 99, scnn.graph.input_shape)}
    array = machine(scnn.params)
    tensors["conv2"] = np.zeros(scnn.graph.shape("conv2"), np.int64)
    for run in scnn.runs:
        array.run(run, tensors)
    left = array.hand_off(scnn.runs[-1], link.handed.fields)
    flat = tensors["conv2"].ravel()
    assert flat.any()
    np.testing.assert_array_equal(np.array(left)[eie.placement[0]], flat)
    assert sorted(eie.placement[0]) == list(range(75))


def test_outputs_of_many_blocks_can_be_handed_over(
    convolutions: Convolutions, machine: Any, draw_network: DrawNetwork
) -> None:
    """One layer by itself is spread over blocks; one of them has fewer channels."""
    (first, _), params = convolutions.layers, replace(_SCNN, num_streams=4, pes_x=4, pes_y=1)
    wide = replace(
        first,
        out_shape=(7, 5, 5),
        weight=np.tile(first.weight, (2, 1, 1, 1))[:7],
        bias=np.arange(7),
    )
    graph = QuantGraph((2, 5, 5), (wide,), ("conv1",))
    network = follow(graph, draw_network([175, 4], shift=6))
    image = compile_quantized(network, {"eie": _EIE, "scnn": params}, name="net")
    (link,), (run,) = image.links, image.part("scnn").runs
    assert len(run.stores[0].blocks) > 1
    rng = np.random.default_rng(1)
    tensors = {INPUT: rng.integers(0, 99, (2, 5, 5)), "conv1": np.zeros((7, 5, 5), np.int64)}
    array = machine(params)
    array.run(run, tensors)
    left = np.array(array.hand_off(run, link.handed.fields))
    np.testing.assert_array_equal(left[link.handed.positions], tensors["conv1"].ravel())


def test_a_column_order_of_its_own_stays_with_the_host(both_image: Image) -> None:
    scnn, eie = both_image.part("scnn"), both_image.part("eie")
    other = replace(eie, placement=(np.arange(75), *eie.placement[1:]))
    assert replace(both_image, parts=(scnn, eie)).links
    assert replace(both_image, parts=(scnn, other)).links == ()


def test_parts_are_found_by_their_engine(both_image: Image, conv_image: Image) -> None:
    assert both_image.part("scnn") is both_image.parts[0]
    assert both_image.part("eie") is both_image.parts[1]
    assert conv_image.links == ()
    with pytest.raises(
        InputError,
        match=r"image 'net' has no parts for eie, where one is needed; its parts are for scnn$",
    ):
        conv_image.part("eie")


def test_activations_must_be_of_one_width(
    convolutions: Convolutions, draw_network: DrawNetwork
) -> None:
    network = follow(convolutions, draw_network([75, 4], shift=6))
    with pytest.raises(
        CompileError,
        match=r"EIE must have activations of 16 bits as SCNN has, not 12: give the EIE array",
    ):
        compile_quantized(network, {"eie": replace(_EIE, act_bits=12), "scnn": _SCNN}, name="net")
