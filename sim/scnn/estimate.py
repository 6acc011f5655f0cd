"""Estimate the cycles of convolutions on SCNN, from vectors of operands that are known.

What takes few cycles is compiled and counted: there, beginnings and ends of passes are most of it,
and what the compiler puts into one run.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import Job
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.areas import area_layers
from zeroskip.compiler.scnn.cost import count_runs, input_densities, row_steps
from zeroskip.compiler.scnn.estimate import drained
from zeroskip.compiler.scnn.fuse import fused_windows, pooling_behind
from zeroskip.compiler.scnn.geometry import Region, cut, kernel_pieces, phase_taps
from zeroskip.compiler.scnn.layer import LayerPlan, input_channels, output_slices
from zeroskip.compiler.scnn.mapping import Mapping as Placed
from zeroskip.compiler.scnn.mapping import Room
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.strides import choose_strides
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.energy.activity import LayerActivity
from zeroskip.sim.estimate import Counted, LayerEstimate, Lever, NonZeros
from zeroskip.sim.machine import machine
from zeroskip.sim.products import useful_macs
from zeroskip.sim.scnn.estimate_counts import PassShape, estimated_activity, pass_counts

__all__ = ["ESTIMATOR"]

_CAUSES = "useful", "fragmentation", "imbalance", "drain", "setup"
_MOST_PASSES = 48
"""Passes of a layer that are looked at; others are taken to last as long as these on average."""

_COUNTED = 4_000_000
"""PE-cycles of all inputs together up to which layers are compiled and counted, in about a second.
"""
_CAUSE_OF = {
    StallClass.USEFUL: "useful",
    StallClass.FRAGMENTATION: "fragmentation",
    StallClass.HALO: "drain",
    StallClass.DRAIN: "drain",
    StallClass.SETUP: "setup",
}
"""What counted cycles are told as. Others are imbalance: PEs wait for operands, or each other."""

_RUN_CYCLES = 55
"""Cycles of a pass in which nothing is multiplied: descriptor, wiping, pipelines that fill and
empty."""
_BUS_CYCLES = 15
"""Cycles more of a run over the position bus, until its first words are there and its last out."""

Counts = NDArray[np.int64]


class _Estimator:
    error = 0.45
    energy_error = 0.40

    def layers(
        self,
        graph: QuantGraph[QuantConv],
        params: ScnnParams,
        job: Job,
        nonzeros: NonZeros,
        *,
        energy: bool = True,
    ) -> Sequence[LayerEstimate]:
        faster = choose_strides(graph, params, job.densities, job.progress)
        known = input_densities(faster, job.densities)
        found: list[LayerEstimate] = []
        made = dict[int, LayerEstimate]()
        for number, layer in enumerate(faster.layers):
            job.progress("estimate", number, len(faster.layers))
            if number in made:
                found.append(made[number])
                continue
            read = _Read(
                np.concatenate([nonzeros[name] for name in layer.inputs], axis=1),
                known[layer.name],
                _density_of(nonzeros, layer.name),
            )
            areas = _planned(layer, params, read.density)
            found.append(_layer(layer, areas, params, read, (1, 1), energy=energy))
            pool = pooling_behind(faster, number)
            windows = None if pool is None else fused_windows(faster.layers[pool], params)
            if pool is None or windows is None:
                continue
            behind = faster.layers[pool]
            made_of_pool = _density_of(nonzeros, behind.name)
            pooled = read._replace(made=made_of_pool)
            along = _layer(layer, areas, params, pooled, windows, energy=energy)
            before = _Read(nonzeros[layer.name], known[behind.name], made_of_pool)
            of_pool = _planned(behind, params, before.density)
            apart = _layer(behind, of_pool, params, before, (1, 1), energy=energy)
            if along.cycles <= found[-1].cycles + apart.cycles:
                found[-1], made[pool] = along, _nothing(behind)
            else:
                made[pool] = apart
        cycles = sum(layer.cycles for layer in found) * params.num_pes
        inputs = max(len(values) for values in nonzeros.values())
        if cycles * inputs > _COUNTED:
            return found
        counted = Counted("scnn", machine("scnn")).layers(
            graph, params, job, nonzeros, energy=energy
        )
        return [_as_counted(layer, by) for layer, by in zip(found, counted, strict=True)]

    def levers(self, params: ScnnParams, options: Mapping[str, Any]) -> Sequence[Lever]:
        del options
        limits = params.ranges
        return [
            Lever("run_bits", min(params.run_bits + 1, limits["run_bits"][1]), "fragmentation"),
            Lever("run_bits", max(params.run_bits - 1, limits["run_bits"][0]), "bits"),
            Lever("mult_i", max(1, params.mult_i // 2), "fragmentation"),
            Lever("mult_f", max(1, params.mult_f // 2), "fragmentation"),
            Lever("bank_entries", min(2 * params.bank_entries, limits["bank_entries"][1]), "drain"),
            Lever(
                "weight_depth", min(2 * params.weight_depth, limits["weight_depth"][1]), "imbalance"
            ),
        ]


ESTIMATOR = _Estimator()


def _as_counted(estimate: LayerEstimate, counted: LayerEstimate) -> LayerEstimate:
    """Put counted cycles in the place of those that were estimated."""
    spent: dict[str, float] = dict.fromkeys(_CAUSES, 0.0)
    for name, cycles in counted.spent.items():
        spent[_CAUSE_OF.get(StallClass[name.upper()], "imbalance")] += cycles
    return replace(
        estimate,
        cycles=counted.cycles,
        spent=spent,
        activity=counted.activity,
        counted=True,
    )


def _nothing(pool: QuantConv) -> LayerEstimate:
    """Return the estimate of a fused pooling, which has no pass."""
    return LayerEstimate(
        name=pool.name,
        cycles=0.0,
        spent=dict.fromkeys(_CAUSES, 0.0),
        runs=0,
        stored_bits=0,
        memories={},
        activity=LayerActivity(pool.name, 0.0, 0.0, []),
    )


def _density_of(nonzeros: NonZeros, tensor: str) -> float:
    """Return the share of a tensor that is not 0; 1 if nobody has seen it."""
    values = nonzeros.get(tensor)
    return 1.0 if values is None else float(values.mean())


class _Read(NamedTuple):
    """Which of a layer's inputs are not 0, (n, C, H, W) bool, their density, and its results'."""

    values: NDArray[np.bool_]
    density: float
    made: float = 1.0


def _in_windows(plan: LayerPlan, windows: tuple[int, int], params: ScnnParams) -> LayerPlan | None:
    """Return a plan whose tiles are whole pooling windows; None if accumulators are too few."""
    mapping = plan.mapping
    ho, wo = (
        -(-size // window) * window
        for size, window in zip((mapping.ho, mapping.wo), windows, strict=True)
    )
    if (ho, wo) == (mapping.ho, mapping.wo):
        return plan
    y_stride = mapping.y_stride + wo - mapping.wo
    k_stride = mapping.k_stride + (ho - mapping.ho) * y_stride + ho * (wo - mapping.wo)
    kc = min(mapping.kc, params.accs // k_stride)
    larger = replace(mapping, ho=ho, wo=wo, kc=kc, k_stride=k_stride, y_stride=y_stride)
    return replace(plan, mapping=larger) if kc else None


_Areas = Sequence[tuple[Region, QuantConv, LayerPlan]]
"""Areas of a layer, each as a layer of its own, and how that is laid on the array."""


def _planned(layer: QuantConv, params: ScnnParams, act_density: float) -> _Areas:
    """Plan the areas of a layer, which are the same with a fused pooling and without."""
    return [
        (region, area, plan_layer(area, params, act_density)) for region, area in area_layers(layer)
    ]


def _layer(
    layer: QuantConv,
    areas: _Areas,
    params: ScnnParams,
    read: _Read,
    windows: tuple[int, int],
    *,
    energy: bool,
) -> LayerEstimate:
    """Estimate the cycles of a layer with a fused pooling; windows of 1 x 1 are of none.

    Its cycles are infinite if the accumulators have no room for one.
    """
    spent: dict[str, float] = dict.fromkeys(_CAUSES, 0.0)
    runs = stored = 0
    counts = Counter[str]()
    for region, area, planned in areas:
        plan = _in_windows(planned, windows, params)
        if plan is None:
            spent["drain"] = math.inf
            continue
        rows = slice(region.in_y0, region.in_y0 + region.in_height)
        columns = slice(region.in_x0, region.in_x0 + region.in_width)
        for sample in read.values[:, :, rows, columns]:
            one = _Read(sample, read.density, read.made)
            taken, done = _area(area, plan, params, one, windows, energy=energy)
            for name, cycles in taken.items():
                spent[name] += cycles / len(read.values)
            counts.update(done)
        runs += count_runs(area, plan, params)
        stored += int(np.count_nonzero(area.weight))
    spent["setup"] = float(runs * (_RUN_CYCLES + _BUS_CYCLES * (params.act_fifo_words > 0)))
    cycles = sum(spent.values())
    useful = float(useful_macs(layer, read.values).mean())
    spent["useful"] = min(useful / (params.num_pes * params.mults), spent["fragmentation"])
    spent["fragmentation"] -= spent["useful"]
    width = params.field_bits if layer.codebook is None else params.code_bits
    return LayerEstimate(
        name=layer.name,
        cycles=cycles,
        spent=spent,
        runs=runs,
        stored_bits=stored * (width + params.run_bits),
        memories={},
        activity=estimated_activity(
            layer.name,
            cycles,
            useful,
            {name: count / len(read.values) for name, count in counts.items()},
            params,
        )
        if energy
        else None,
    )


def _area(
    conv: QuantConv,
    plan: LayerPlan,
    params: ScnnParams,
    read: _Read,
    windows: tuple[int, int],
    *,
    energy: bool,
) -> tuple[dict[str, float], dict[str, float]]:
    """Estimate the cycles of all passes of a layer on (C, H, W), and what they read and write."""
    found = dict.fromkeys(("fragmentation", "imbalance", "drain"), 0.0)
    counts, packing = Counter[str](), _packing(params)
    pieces = [piece for _, piece in kernel_pieces(conv, plan.kernel_step)]
    every = [
        (piece, region, outputs, piece is pieces[-1])
        for piece in pieces
        for region in _regions(piece, plan)
        for outputs in output_slices(conv, plan.k_step)
    ]
    chosen = every[:: -(-len(every) // _MOST_PASSES)]
    for piece, region, outputs, final in chosen:
        acts, act_counts = _act_vectors(read.values, region, piece, plan.mapping, params)
        steps = _drain_steps(piece, region, plan.mapping, params, windows[1])
        channels = input_channels(piece, outputs)
        weights, weight_counts, kc = _weight_vectors(piece, region, outputs, plan.mapping, params)
        for chunk in _chunks(channels, plan.c_step):
            here = slice(chunk.start - channels.start, chunk.stop - channels.start)
            w = weights[:, :, here].reshape(*weights.shape[:2], -1)
            taken = slice(chunk.start, chunk.stop)
            a = acts[taken].reshape(-1, acts.shape[2])
            drains = kc * steps if final and chunk.stop == channels.stop else 0
            undrained = float(drained(a, w, params, 0)[-1])
            whole = float(drained(a, w, params, drains)[-1]) if drains else undrained
            # Of the mean PE, those that have nothing to do included.
            busy = float((w.sum(axis=(0, 1)) @ a).sum()) / params.num_pes
            found["fragmentation"] += min(busy, undrained)
            found["imbalance"] += undrained - min(busy, undrained)
            found["drain"] += whole - undrained
            if not energy:
                continue
            done = pass_counts(
                PassShape(
                    piece, region, plan.mapping,
                    outputs=-(-len(outputs) // weights.shape[1]),
                    nonzeros=int(weight_counts[here].sum()),
                    products=int((weight_counts[here] * act_counts[taken]).sum()),
                    first=piece is pieces[0] and chunk.start == channels.start,
                    final=drains > 0,
                    windows=windows,
                    density=read.made,
                ),
                a, w, params, packing,
            )  # fmt: skip
            for name, count in done.items():
                counts[name] += count
    share = len(every) / len(chosen)
    return (
        {name: cycles * share for name, cycles in found.items()},
        {name: count * share for name, count in counts.items()},
    )


@lru_cache(maxsize=1)
def _packing(params: ScnnParams) -> Packing:
    return Packing.of(params)


def _regions(conv: QuantConv, plan: LayerPlan) -> Iterator[Region]:
    _, rows, columns = conv.out_shape
    for y, x in product(range(0, rows, plan.region_h), range(0, columns, plan.region_w)):
        height, width = min(plan.region_h, rows - y), min(plan.region_w, columns - x)
        yield cut(conv, y, x, height, width)


def _chunks(channels: range, step: int) -> Iterator[range]:
    count = max(1, -(-len(channels) // step))
    each = -(-len(channels) // count)
    for start in range(channels.start, channels.stop, max(1, each)):
        yield range(start, min(start + each, channels.stop))


def _act_vectors(
    values: NDArray[np.bool_],
    region: Region,
    conv: QuantConv,
    mapping: Placed,
    params: ScnnParams,
) -> tuple[Counts, Counts]:
    """Count what each PE holds of each channel and phase.

    Returns
    -------
    Vectors, (C, phases, PEs), and activations that are not 0 of all PEs, (C, phases).
    """
    (sy, sx), down, across = conv.stride, mapping.height(params), mapping.width(params)
    tile_h, tile_w = mapping.ho * sy, mapping.wo * sx
    whole = np.zeros((len(values), down * tile_h, across * tile_w), np.int64)
    plane = values[
        :,
        region.in_y0 : region.in_y0 + region.in_height,
        region.in_x0 : region.in_x0 + region.in_width,
    ][:, : whole.shape[1], : whole.shape[2]]
    whole[:, : plane.shape[1], : plane.shape[2]] = plane
    tiles = whole.reshape(-1, down, mapping.ho, sy, across, mapping.wo, sx).sum(axis=(2, 5))
    counts = tiles.transpose(0, 2, 4, 1, 3).reshape(len(values), sy * sx, down * across)
    vectors = -(-_with_zeros(counts, mapping.ho * mapping.wo, params) // params.mult_i)
    return vectors, counts.sum(axis=2)


def _weight_vectors(
    conv: QuantConv, region: Region, outputs: range, mapping: Placed, params: ScnnParams
) -> tuple[Counts, Counts, int]:
    """Count what streams have of each channel and phase.

    Returns
    -------
    Vectors, (groups, streams, channels, phases); weights that are not 0 of all streams, (channels,
    phases); and a group's outputs.
    """
    phases = phase_taps(conv.weight.shape[2:], conv.stride, region.padding)
    nonzero = conv.weight[outputs.start : outputs.stop] != 0
    counts = np.zeros((*nonzero.shape[:2], len(phases)), np.int64)
    for number, taps in enumerate(phases):
        for tap in taps:
            counts[:, :, number] += nonzero[:, :, tap.r, tap.s]
    channels = input_channels(conv, outputs)
    fan, of_group = conv.weight.shape[1], conv.out_shape[0] // conv.groups
    streams = len(mapping.streams(params))
    each = -(-len(outputs) // streams)
    groups = -(-each // mapping.kc)
    found = np.zeros((groups, streams, len(channels), len(phases)), np.int64)
    for number, output in enumerate(outputs):
        first = output // of_group * fan - channels.start
        stream, place = divmod(number, each)
        found[place // mapping.kc, stream, first : first + fan] += counts[number]
    sizes = np.array([len(taps) for taps in phases]) * min(mapping.kc, each)
    vectors = -(-_with_zeros(found, sizes, params) // params.mult_f)
    return vectors, found.sum(axis=(0, 1)), min(mapping.kc, each)


def _with_zeros(counts: Counts, places: Any, params: ScnnParams) -> Counts:
    """Add the zeros that are stored where runs are too long, as if all were evenly spread."""
    density = np.minimum(counts / np.maximum(places, 1), 1.0)
    longer = (1 - density) ** (params.max_run + 1)
    return np.rint(np.where(counts > 0, counts / np.maximum(1 - longer, 1e-9), 0)).astype(np.int64)


def _drain_steps(
    conv: QuantConv, region: Region, mapping: Placed, params: ScnnParams, pool_x: int
) -> int:
    """Count the cycles in which the drain walks one output channel of a tile.

    ``pool_x`` are the columns of windows of which the maximum is written, else 1.
    """
    room = Room.of(conv, region.padding)
    down, across = mapping.height(params) > 1, mapping.width(params) > 1
    halos = (room.left, room.right) if across else (0, 0)
    beyond = room.top + room.bottom if down else 0
    width = params.drain_width(1, pool_x, halos=any((*halos, beyond)))
    return (mapping.ho + beyond) * row_steps(width, mapping.wo, halos)
