"""Ways to lay a layer on a given array, drawn: most are bad, all are right."""

from dataclasses import replace

import numpy as np

from tests.support.graphs import layer_regions
from tests.support.tiles import least_tile
from zeroskip.base.errors import CompileError
from zeroskip.compiler.image.runs import only_changes
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.areas import area_layers, move_runs
from zeroskip.compiler.scnn.clear import keeps_clear
from zeroskip.compiler.scnn.layer import LayerPlan, input_channels, layer_runs
from zeroskip.compiler.scnn.mapping import Mapping, Room
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["draw_plan", "draw_runs"]

_ATTEMPTS = 200


def draw_runs(
    rng: np.random.Generator, conv: QuantConv, p: ScnnParams
) -> tuple[ScnnRun, ...] | None:
    """Draw a plan that fits the array and compile the layer; None if none was found.

    Areas of an average have plans of their own.
    """
    if conv.areas:
        found: list[ScnnRun] = []
        for region, area in area_layers(conv):
            runs = draw_runs(rng, area, p)
            if runs is None:
                return None
            found += move_runs(runs, region)
        return tuple(only_changes(found))
    for _ in range(_ATTEMPTS):
        plan = draw_plan(rng, conv, p)
        if plan is None:
            continue
        try:
            return tuple(layer_runs(conv, plan, p))
        except CompileError:  # not even the weights of one channel fit
            continue
    return None


def draw_plan(rng: np.random.Generator, conv: QuantConv, p: ScnnParams) -> LayerPlan | None:
    """Draw a plan; None if it does not fit the array, even if all activations are stored."""
    (rows, columns), stride = conv.out_shape[1:], conv.stride
    most = [int(v).bit_length() for v in (p.pes_x - 1, p.pes_y - 1)]
    block_x, block_y = (int(rng.integers(0, bits + 1)) for bits in most)
    mapping = Mapping(block_x=block_x, block_y=block_y, wo=1, ho=1, kc=1, k_stride=1, y_stride=1)
    if mapping.blocks(p) > p.num_streams:
        return None
    # Often the whole plane.
    region_h = rows if rng.random() < 0.6 else int(rng.integers(1, rows + 1))
    region_w = columns if rng.random() < 0.6 else int(rng.integers(1, columns + 1))
    regions = layer_regions(conv, region_h, region_w)
    ho, wo = least_tile(conv, regions, (mapping.height(p), mapping.width(p)))
    ho, wo = ho + int(rng.integers(0, 2)), wo + int(rng.integers(0, 2))
    rooms = [Room.of(conv, region.padding) for region in regions]
    width = max(wo + room.left + room.right for room in rooms)
    height = max(ho + room.top + room.bottom for room in rooms)
    if width > wo + p.max_run:
        return None
    y_stride = int(rng.integers(width, min(width + 3, wo + p.max_run) + 1))
    k_stride = (height - 1) * y_stride + width + int(rng.integers(0, 4))
    mapping = replace(mapping, wo=wo, ho=ho, k_stride=k_stride, y_stride=y_stride)
    if y_stride >= p.accs or any(mapping.accumulators(room) > p.accs for room in rooms):
        return None
    depth = conv.out_shape[0]
    fitting = [
        kc
        for kc in range(1, min(depth, p.accs) + 1)
        if all(replace(mapping, kc=kc).accumulators(room) <= p.accs for room in rooms)
    ]
    mapping = replace(mapping, kc=int(rng.choice(fitting)))
    streams = len(mapping.streams(p))
    words = -(-ho * wo // p.mult_i)
    there = min(p.act_words // words, p.num_channels)
    if there < 2:
        return None
    outputs = there // 2 if rng.random() < 0.5 else int(rng.integers(1, there))
    slots = min(outputs, p.num_biases)
    channels = (there - outputs) // (stride[0] * stride[1])
    if not channels:
        return None
    k_step = min(depth, slots * streams)
    if rng.random() < 0.3:
        k_step = int(rng.integers(1, k_step + 1))
    while k_step > 1 and len(_widest(conv, k_step)) > channels:
        if mapping.kc * streams >= k_step and rng.random() < 0.5:
            break
        k_step -= 1
    c_step = min(conv.in_shape[0], channels)
    if c_step < len(_widest(conv, k_step)) or rng.random() < 0.2:
        k_step = min(k_step, mapping.kc * streams)
        c_step = int(rng.integers(1, c_step + 1))
    plan = LayerPlan(
        mapping=mapping, region_h=region_h, region_w=region_w, k_step=k_step, c_step=c_step
    )
    return plan if keeps_clear(conv, plan, p) else None


def _widest(conv: QuantConv, k_step: int) -> range:
    """Find the most input channels that a part of the output channels needs."""
    depth = conv.out_shape[0]
    parts = (range(k, min(k + k_step, depth)) for k in range(0, depth, k_step))
    return max((input_channels(conv, part) for part in parts), key=len)
