"""Networks for both arrays: parts, and where one leaves what the other takes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.support.images import follow
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph, QuantLinear
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS

_EIE = EieParams(num_pes=3, acc_bits=40)
_SCNN = replace(PRESETS["tile"], pes_x=2, pes_y=2, num_streams=4)
DrawNetwork = Callable[..., QuantGraph[QuantLinear]]
Convolutions = QuantGraph[QuantConv]


def test_columns_stand_as_outputs_lie_in_memory(both_image: Image) -> None:
    """Whatever order EIE would choose for them."""
    options = {"placement": "schedule"}
    arrays = {part.engine: part.params for part in both_image.parts}
    other = compile_quantized(both_image.graph, arrays, options=options, name="net")
    for image in (both_image, other):
        assert np.array_equal(image.part("eie").placement[0], np.arange(75))


def test_parts_are_found_by_their_engine(both_image: Image, conv_image: Image) -> None:
    assert both_image.part("scnn") is both_image.parts[0]
    assert both_image.part("eie") is both_image.parts[1]
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
