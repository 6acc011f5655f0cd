"""Layers compiled for drawn arrays and mappings compute what direct convolution does."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.graphs import layer_regions
from tests.support.tiers import simulated
from tests.support.tiles import least_tile
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.geometry import kernel_pieces
from zeroskip.compiler.scnn.layer import LayerPlan, layer_runs
from zeroskip.compiler.scnn.mapping import Mapping, Room
from zeroskip.hw.scnn.params import PRESETS, ScnnParams

Convolve = Callable[[QuantConv, NDArray[np.int64], ScnnParams], NDArray[np.int64]]


@st.composite
def arrays(draw: st.DrawFn) -> ScnnParams:
    pes_x, pes_y = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    return replace(
        PRESETS["tiny"],
        pes_x=pes_x,
        pes_y=pes_y,
        num_streams=pes_x * pes_y,
        mult_f=draw(st.integers(1, 4)),
        mult_i=draw(st.integers(1, 4)),
        banks=draw(st.sampled_from([1, 4, 16])),
        run_bits=draw(st.integers(2, 4)),
        weight_depth=draw(st.sampled_from([2, 4, 16])),
        act_words=1 << 13,
        num_channels=512,
    )


@st.composite
def layers(draw: st.DrawFn, params: ScnnParams) -> QuantConv:
    pool = draw(st.sampled_from(["conv", "conv", "conv", "max"]))
    depthwise = pool == "max" or draw(st.integers(0, 4)) == 0
    conv_groups = draw(st.integers(1, 3)) if not depthwise else draw(st.integers(1, 5))
    per_group = 1 if depthwise else draw(st.integers(1, 4))
    of_group = 1 if pool == "max" else draw(st.integers(1, 5))
    kernel = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    size, out_size, padding = [], [], []
    for axis in (0, 1):
        pad = draw(st.integers(0, (kernel[axis] - 1) // 2 if pool == "max" else kernel[axis]))
        least = max(1, kernel[axis] - 2 * pad)
        length = draw(st.integers(least, least + draw(st.sampled_from([3, 9]))))
        # Padding below may be less or more than above, as ceil_mode makes it.
        outputs = (length + 2 * pad - kernel[axis]) // stride[axis] + 1
        extra = draw(st.integers(0, 1))
        if extra and outputs * stride[axis] - pad < length:
            outputs += 1
        size.append(length)
        out_size.append(outputs)
        padding.append(pad)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    k_count = conv_groups * of_group
    shape = k_count, per_group, *kernel
    book = None if pool == "max" or draw(st.booleans()) else np.array([0, 5, -7, 1, 100])
    if pool == "max":
        weight = np.ones(shape, np.int64)
    else:
        weight = rng.integers(-9, 9, shape) if book is None else rng.choice(book, shape)
        weight[rng.random(shape) >= draw(st.sampled_from([0.0, 0.1, 0.4, 1.0]))] = 0
    return QuantConv(
        name="layer",
        kind="max" if pool == "max" else "conv",
        inputs=("input",),
        in_shape=(conv_groups * per_group, *size),
        out_shape=(k_count, *out_size),
        weight=weight,
        codebook=book,
        bias=np.zeros(k_count, np.int64) if pool == "max" else rng.integers(-50, 50, k_count),
        stride=stride,
        padding=(padding[0], padding[1]),
        groups=conv_groups,
        relu=draw(st.booleans()),
        op="max" if pool == "max" else "add",
        signed_input=pool != "max",
        in_frac=0,
        weight_frac=0 if pool == "max" else draw(st.integers(0, 5)),
        out_frac=0,
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[QuantConv, LayerPlan, ScnnParams, NDArray[np.int64]]:
    params = draw(arrays())
    conv = draw(layers(params))
    blocks = st.sampled_from([0, 1, 2, 2])
    block_x, block_y = draw(blocks), draw(blocks)
    mapping = Mapping(block_x=block_x, block_y=block_y, wo=1, ho=1, kc=1, k_stride=1, y_stride=1)
    region_h = draw(st.integers(1, conv.out_shape[1]))
    region_w = draw(st.integers(1, conv.out_shape[2]))
    kernel = conv.weight.shape[2:]
    split = draw(st.booleans())
    kernel_step = (
        draw(st.integers(1, kernel[0])) if split else kernel[0],
        draw(st.integers(1, kernel[1])) if split else kernel[1],
    )
    regions = [
        (piece, region)
        for _, piece in kernel_pieces(conv, kernel_step)
        for region in layer_regions(piece, region_h, region_w)
    ]
    block = mapping.height(params), mapping.width(params)
    least = [least_tile(piece, [region], block) for piece, region in regions]
    more = st.sampled_from([0, 0, 1, 2])
    ho, wo = (max(sizes) + draw(more) for sizes in zip(*least, strict=True))
    rooms = [Room.of(piece, region.padding) for piece, region in regions]
    room = Room(**{
        field.name: max(getattr(one, field.name) for one in rooms) for field in fields(Room)
    })
    columns, rows = wo + room.left + room.right, ho + room.top + room.bottom
    params = replace(params, run_bits=max(params.run_bits, (columns - wo).bit_length()))
    y_stride = draw(st.integers(columns, wo + params.max_run))
    k_stride = (rows - 1) * y_stride + columns + draw(st.integers(0, 5))
    channels = conv.out_shape[0]
    kc = draw(st.integers(1, channels))
    mapping = replace(mapping, wo=wo, ho=ho, kc=kc, k_stride=k_stride, y_stride=y_stride)
    # A row stride as large as all accumulators has no bits.
    most = max(y_stride + 1, mapping.accumulators(room))
    entries = 1 << max(1, (-(-most // params.banks) - 1).bit_length())
    params = replace(params, bank_entries=entries)
    # Sums can only stay from run to run where the outputs of a run are one group.
    at_once = kc * len(mapping.streams(params))
    k_step = draw(st.integers(1, min(channels, at_once) if split else channels))
    c_step = draw(st.integers(1, conv.in_shape[0])) if split else conv.in_shape[0]
    plan = LayerPlan(
        mapping=mapping,
        region_h=region_h,
        region_w=region_w,
        k_step=k_step,
        c_step=c_step,
        kernel_step=kernel_step,
    )
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    low = params.min_act if conv.signed_input else 0
    values = rng.integers(low, params.max_act, conv.in_shape)
    values[rng.random(conv.in_shape) >= draw(st.sampled_from([0.0, 0.2, 0.6, 1.0]))] = 0
    values[rng.random(conv.in_shape[0]) >= draw(st.sampled_from([0.5, 1.0]))] = 0
    return conv, plan, params, values


@simulated(25)
@given(case=cases())
def test_computes_the_convolution(
    case: tuple[QuantConv, LayerPlan, ScnnParams, NDArray[np.int64]],
    machine: Any,
    convolve: Convolve,
) -> None:
    conv, plan, params, values = case
    tensors = {"input": values, "layer": np.full(conv.out_shape, 12345)}
    array = machine(params)
    for run in layer_runs(conv, plan, params):
        array.run(run, tensors)
    np.testing.assert_array_equal(tensors["layer"], convolve(conv, values, params))
