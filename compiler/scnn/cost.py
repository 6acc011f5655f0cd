"""Estimate the cycles of a plan: roughly at first, by the cycle model for the last choice."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.estimate import RUN_CYCLES, Work, estimate_pass, stored_zeros
from zeroskip.compiler.scnn.geometry import cut_axis, phase_taps, reach
from zeroskip.compiler.scnn.layer import LayerPlan, channel_parts, channels_read
from zeroskip.compiler.scnn.mapping import Mapping as LayerMapping
from zeroskip.compiler.scnn.run import TileLayout
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams

__all__ = [
    "LOAD_WORDS",
    "Expected",
    "axis_kinds",
    "bus_words",
    "count_runs",
    "estimate",
    "input_densities",
    "load_cycles",
    "plane_cycles",
    "rough",
    "row_steps",
    "weight_cycles",
    "word_cycles",
]

LOAD_WORDS = 64
"""Words of activations a cycle that a host is taken to load, the same to all blocks of PEs."""


@dataclass(frozen=True)
class Expected:
    """Shares of inputs and of weights that are not 0."""

    acts: float
    weights: float

    @classmethod
    def of(cls, conv: QuantConv, act_density: float) -> "Expected":
        """Take the weights' density from the weights."""
        size = max(conv.weight.size, 1)
        return cls(act_density, float(np.count_nonzero(conv.weight)) / size)


def input_densities(graph: QuantGraph, densities: Mapping[str, float] | None) -> dict[str, float]:
    """Return by layer the share of its inputs that are expected not to be 0.

    Parameters
    ----------
    graph : layers in fixed point.
    densities : by tensor, the share of its elements that are expected not to be 0; where it is not
        known, the network's input is taken to be dense, and half of all else not 0.
    """
    shapes = graph.given | {layer.name: layer.out_shape for layer in graph.layers}
    known = {name: 1.0 if name == INPUT else 0.5 for name in shapes} | dict(densities or {})
    return {
        # Tensors that are read together have planes of one size.
        layer.name: sum(known[name] * shapes[name][0] for name in layer.inputs) / layer.in_shape[0]
        for layer in graph.layers
    }


def estimate(
    conv: QuantConv,
    plan: LayerPlan,
    params: ScnnParams,
    expected: Expected,
    out_stride: int = 1,
    pool_x: int = 1,
) -> float:
    """Estimate the cycles of a layer; see :func:`.estimate_pass`.

    Parameters
    ----------
    conv, plan, params, expected : the layer, how it is computed, and on what.
    out_stride : across, of the layer that reads it from the array.
    pool_x : columns of windows whose maximum is written instead.
    """
    return sum(
        count * (RUN_CYCLES + estimate_pass(work, params))
        for work, count in _works(conv, plan, params, expected, out_stride, pool_x)
    )


def rough(conv: QuantConv, plan: LayerPlan, params: ScnnParams, expected: Expected) -> float:
    """Estimate the cycles of a layer as if all PEs were always abreast."""
    total = 0.0
    for work, count in _works(conv, plan, params, expected):
        acts = _mean_vectors(max(work.rows) * max(work.columns), expected.acts, params.mult_i)
        channel = max(1.0, acts) * sum(
            _block_vectors(taps, work.outputs, work.gap, expected.weights, params)
            for taps in work.taps
        )
        group = max(work.channels * channel, work.steps)
        total += count * (RUN_CYCLES + work.groups * group + work.steps)
    return total


def count_runs(conv: QuantConv, plan: LayerPlan, params: ScnnParams) -> int:
    """Estimate the runs that a layer is cut into."""
    expected = Expected.of(conv, 1.0)
    return sum(count for _, count in _works(conv, plan, params, expected))


def load_cycles(conv: QuantConv, plan: LayerPlan, params: ScnnParams) -> float:
    """Estimate what the host needs to load activations, were it as fast as a wide DMA.

    The array does not wait for that where runs are counted, but it keeps a plan from gaining a
    percent of cycles by loading everything dozens of times.
    """
    mapping = plan.mapping
    words = -(-mapping.wo * mapping.ho // params.mult_i) * conv.stride[0] * conv.stride[1]
    pes = mapping.width(params) * mapping.height(params)
    slices = _slices(conv.out_shape[0], conv.groups, conv.weight.shape[1], plan.k_step)
    _, rows, columns = conv.out_shape
    regions = -(-rows // plan.region_h) * -(-columns // plan.region_w)
    # Channels that are all there at once serve all output channels one after the other.
    stays = regions == 1 and conv.groups == 1 and plan.c_step >= conv.in_shape[0]
    every = sum(channels * alike for (_, channels), alike in slices.items())
    loaded = conv.in_shape[0] if stays else regions * every
    for taps, step in zip(conv.weight.shape[2:], plan.kernel_step, strict=True):
        loaded *= -(-taps // step)
    return loaded * words * pes / LOAD_WORDS


def _mean_vectors(places: int, density: float, lanes: int) -> float:
    """Estimate the mean of ``ceil(n / lanes)`` of binomial n.

    The remainder of n is about evenly spread, except that nothing makes no vector.
    """
    mean = places * density
    none = (1 - density) ** places if density < 1 else float(not places)
    return (
        mean / lanes + (1 - none) * (lanes - 1) / (2 * lanes)
        if density < 1
        else float(-(-places // lanes))
    )


def _block_vectors(taps: int, outputs: int, gap: int, density: float, params: ScnnParams) -> float:
    """Estimate the mean of the vectors of weights of a channel (phase) in a group."""
    # All parameters as a key would take longer to hash than this to compute.
    return _weight_vectors(taps, outputs, gap, density, params.max_run, params.mult_f)


@lru_cache(maxsize=1 << 12)
def _weight_vectors(
    taps: int, outputs: int, gap: int, density: float, max_run: int, lanes: int
) -> float:
    zeros = (taps - 1) * stored_zeros(density, gap, max_run)
    return _mean_vectors(taps * outputs, density, lanes) + zeros / lanes


def _works(
    conv: QuantConv,
    plan: LayerPlan,
    params: ScnnParams,
    expected: Expected,
    out_stride: int = 1,
    pool_x: int = 1,
) -> Iterator[tuple[Work, int]]:
    """Give each kind of pass, and how many there are."""
    mapping = plan.mapping
    streams = mapping.num_streams(params)
    of_group, per_group = conv.out_shape[0] // conv.groups, conv.weight.shape[1]
    slices = _slices(conv.out_shape[0], conv.groups, per_group, plan.k_step)
    down, across = mapping.height(params), mapping.width(params)
    for (y, x), alike in _places(conv, plan).items():
        taps = tuple(rows * columns for rows in y.taps for columns in x.taps if rows * columns)
        halos_y, halos_x = (
            axis.around if pes > 1 else (0, 0) for axis, pes in ((y, down), (x, across))
        )
        # In the drain, the phases across of a row of the tile follow each other as shorter rows.
        rows = mapping.ho + sum(halos_y)
        width = params.drain_width(out_stride, pool_x, halos=any((*halos_x, *halos_y)))
        steps = rows * row_steps(width, mapping.wo, halos_x, out_stride)
        for (outputs, channels), count in slices.items():
            each = -(-outputs // streams)
            groups = -(-each // mapping.kc)
            kc = -(-each // groups)
            chunks = -(-channels // plan.c_step)
            gap = (1 << mapping.log_kc) - min(kc, of_group)
            # The last group may be smaller.
            sizes = (min(kc, of_group), min(each - (groups - 1) * kc, of_group))
            of_kc, of_last = (
                sum(_block_vectors(n, size, gap, expected.weights, params) for n in taps)
                for size in sizes
            )
            last = of_last / of_kc if of_kc else 1.0
            work = Work(
                channels=min(-(-kc // of_group) * per_group, -(-channels // chunks)),
                outputs=min(kc, of_group),
                groups=groups - 1 + last,
                taps=taps,
                rows=_held(y.inputs, conv.stride[0], mapping.ho, down),
                columns=_held(x.inputs, conv.stride[1], mapping.wo, across),
                streams=min(streams, outputs),
                steps=kc * steps,
                act_density=expected.acts,
                weight_density=expected.weights,
                gap=gap,
            )
            yield work, count * alike
            if chunks > 1:
                # Sums stay in the accumulators.
                yield replace(work, steps=0), count * (chunks - 1) * alike


@lru_cache(maxsize=1 << 12)
def _slices(depth: int, groups: int, fan: int, k_step: int) -> Counter[tuple[int, int]]:
    """Count the parts of a layer's output channels by these and the input channels they read."""
    of_group = depth // groups
    return Counter(
        (len(part), len(channels_read(part, of_group, fan)))
        for part in channel_parts(depth, of_group, k_step)
    )


@lru_cache(maxsize=1 << 12)
def row_steps(width: int, wo: int, halos: tuple[int, int], out_sx: int = 1) -> int:
    """Count the steps in which the drain walks one row of a tile, of all phases across.

    Parameters
    ----------
    width : columns that a step goes on by, see :meth:`.ScnnParams.drain_width`.
    wo : columns of the tile.
    halos : outputs that belong to the neighbours on the left, and on the right, as well.
    out_sx : phases across.
    """
    left, right = halos
    steps = 0
    for phase in range(out_sx):
        for first in range(phase, wo, width):
            last = min(first + width, wo + phase) - out_sx
            steps += 1 + (first < right) + (last >= wo - left)
    return steps


@lru_cache(maxsize=1 << 12)
def _held(inputs: int, stride: int, tile: int, pes: int) -> tuple[int, ...]:
    """Count the inputs of a phase that each PE holds in one direction."""
    every = -(-inputs // stride)
    if pes == 1:
        return (every,)
    shares = [min(tile, max(0, every - pe * tile)) for pe in range(pes)]
    # What is left over is the last one's.
    return (*shares[:-1], every - sum(shares[:-1]))


@dataclass(frozen=True)
class _Axis:
    """Extent of a region and of a part of the kernel in one direction.

    Parameters
    ----------
    inputs : of the region.
    around : outputs before and after a PE's tile that its inputs reach.
    taps : of each phase.
    """

    inputs: int
    around: tuple[int, int]
    taps: tuple[int, ...]


def _places(conv: QuantConv, plan: LayerPlan) -> dict[tuple[_Axis, _Axis], int]:
    """Count the regions, times the parts of the kernel, that look the same to a pass."""
    return _place_kinds(
        conv.weight.shape[2:],
        plan.kernel_step,
        conv.stride,
        conv.padding,
        conv.in_shape[1:],
        conv.out_shape[1:],
        (plan.region_h, plan.region_w),
    )


@lru_cache(maxsize=1 << 12)
def _place_kinds(
    kernel: tuple[int, ...],
    kernel_step: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    inputs: tuple[int, ...],
    outputs: tuple[int, ...],
    region: tuple[int, int],
) -> dict[tuple[_Axis, _Axis], int]:
    """Count as :func:`_places` does; many plans have the same regions."""
    rows, columns = (
        axis_kinds(
            kernel[axis],
            kernel_step[axis],
            stride=stride[axis],
            padding=padding[axis],
            inputs=inputs[axis],
            outputs=outputs[axis],
            region=region[axis],
        )
        for axis in (0, 1)
    )
    return {(y, x): count * other for y, count in rows.items() for x, other in columns.items()}


@lru_cache(maxsize=1 << 12)
def axis_kinds(
    kernel: int, step: int, *, stride: int, padding: int, inputs: int, outputs: int, region: int
) -> Counter[_Axis]:
    """Count regions and parts of the kernel that are alike in one direction."""
    whole, rest = divmod(outputs, region)
    kinds = [(region, min(whole - 1, 1) * region, whole)] if whole else []
    kinds += [(rest, whole * region, 1)] if rest else []
    found: Counter[_Axis] = Counter()
    for first in range(0, kernel, step):
        taps = min(step, kernel - first)
        for size, start, count in kinds:
            _, there, pad = cut_axis(start, size, taps, stride, padding - first, inputs)
            phases = Counter((r - pad) % stride for r in range(taps))
            every = tuple(phases[a] for a in range(stride))
            found[_Axis(there, reach(taps, stride, pad), every)] += count
    return found


PORT_BITS = 128
"""Bits of weights that arrive in a cycle."""


def weight_cycles(conv: QuantConv, plan: LayerPlan, params: ScnnParams) -> float:
    """Estimate the cycles in which a layer's weights arrive, packed.

    Each block has a header, so small groups of output channels take longer.
    """
    packing = _packing(params)
    size = max(conv.weight.size, 1)
    density = float(np.count_nonzero(conv.weight)) / size
    kc = min(plan.mapping.kc, conv.out_shape[0] // conv.groups)
    gap = (1 << plan.mapping.log_kc) - kc
    zeros = stored_zeros(density, gap, params.max_run)
    taps = np.array(_taps(conv.weight.shape[2:], conv.stride, conv.padding))
    places = taps * kc
    some = 1 - (1 - density) ** places
    entries = density * places + some * (taps - 1) * zeros
    bits = packing.plain if conv.codebook is None else packing.shared
    blocks = conv.weight.shape[0] * conv.weight.shape[1] / kc
    of_block = float((some * packing.header + entries * bits).sum())
    return blocks * of_block * (1 + 1 / packing.slots) / PORT_BITS


_packing = lru_cache(maxsize=1 << 4)(Packing.of)


@lru_cache(maxsize=1 << 12)
def _taps(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[int, ...]:
    return tuple(len(taps) for taps in phase_taps(kernel, stride, padding) if taps)


def plane_cycles(
    layout: TileLayout, channels: int, params: ScnnParams, act_density: float, *, out: bool
) -> float:
    """Estimate the cycles in which channels go to one block of PEs, or come from it.

    Each row of a tile takes beats of its own, one a cycle; of a beat, a unit moves at most a word
    of values in a cycle. Where nothing is, they are walked through all the same on their way in.

    Parameters
    ----------
    layout : of the tiles.
    channels : of all PEs.
    params : of the array.
    act_density : share of values that are not 0.
    out : they come from the block.
    """
    columns, rows = layout.tile_w // layout.sx, layout.tile_h * layout.sx
    pes = min(1 << layout.block_y, params.pes_y) * min(1 << layout.block_x, params.pes_x)
    if not out:
        return channels * pes * rows * _row_cycles(columns, params)
    tiles = -(-layout.height // layout.tile_h) * -(-layout.width // layout.tile_w)
    words = act_density * layout.height * layout.width / params.mult_i
    # A word often ends inside a row.
    inside = words * _INSIDE / params.plane_units
    return channels * (tiles * rows * _row_cycles(columns, params) + inside + pes)


def word_cycles(mapping: LayerMapping, params: ScnnParams) -> float:
    """Estimate the cycles in which a word of a tile goes to a PE, see :func:`plane_cycles`."""
    words = mapping.words(params)
    return mapping.ho * _row_cycles(mapping.wo, params) / words


_INSIDE = 0.75
"""Share of the words at whose end a row of a tile goes on."""


def _row_cycles(columns: int, params: ScnnParams) -> float:
    """Count the cycles that a row of a tile takes between port and PE.

    Parameters
    ----------
    columns : values of the row.
    params : of the array.
    """
    lanes = PORT_BITS >> (params.act_bits - 1).bit_length()
    whole, rest = divmod(columns, lanes)
    groups = whole * -(-lanes // params.mult_i) + -(-rest // params.mult_i)
    return max(-(-columns // lanes), groups / params.plane_units)


def bus_words(
    conv: QuantConv,
    plan: LayerPlan,
    params: ScnnParams,
    act_density: float,
    tile: tuple[int, int],
    parts: tuple[int, int],
) -> float:
    """Estimate the words that owners send to the busiest position, one a cycle.

    For each group, all channels are sent once more.

    Parameters
    ----------
    conv, plan, params, act_density : of the layer that reads them.
    tile : rows and columns of the plane that an owner has.
    parts : tiles of owners, down and across, that go to one position.
    """
    (sy, sx), owners = conv.stride, len(plan.mapping.streams(params))
    rows, columns = (
        min(size, length) for size, length in zip(tile, conv.in_shape[1:], strict=True)
    )
    of_phase = _mean_vectors(-(-rows // sy) * -(-columns // sx), act_density, params.mult_i)
    words = conv.in_shape[0] * sy * sx * parts[0] * parts[1] * of_phase
    groups = -(-plan.k_step // (owners * plan.mapping.kc))
    return groups * (words + owners)
