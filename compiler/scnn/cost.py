"""What a plan costs: roughly, for a first choice, and by a model, for the last one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from compiler.graph import QuantConv
from compiler.scnn.estimate import RUN_CYCLES, Work, estimate_pass
from compiler.scnn.geometry import Region, cut, kernel_pieces, phase_taps
from compiler.scnn.layer import LayerPlan, input_channels, output_slices
from compiler.scnn.mapping import Room
from hw.scnn.params import ScnnParams

__all__ = ["LOAD_WORDS", "Expected", "estimate", "load_cycles", "rough"]

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


def estimate(conv: QuantConv, plan: LayerPlan, params: ScnnParams, expected: Expected) -> float:
    """Estimate the cycles of a layer; see :func:`compiler.scnn.estimate.estimate_pass`."""
    return sum(
        count * (RUN_CYCLES * runs + estimate_pass(work, params))
        for work, count, runs in _works(conv, plan, params, expected)
    )


def rough(conv: QuantConv, plan: LayerPlan, params: ScnnParams, expected: Expected) -> float:
    """Estimate the cycles of a layer as if all PEs were always abreast."""
    total = 0.0
    for work, count, runs in _works(conv, plan, params, expected):
        held = max(work.rows) * max(work.columns)
        acts = _mean_vectors(held, expected.acts, params.mult_i)
        one = 0.0
        zeros = work.stored_zeros(params.max_run)
        for taps in work.taps:
            weights = _mean_vectors(taps * work.outputs, expected.weights, params.mult_f)
            weights += (taps - 1) * zeros / params.mult_f
            one += weights * max(1.0, acts)
        group = max(work.channels * one, work.steps)
        total += count * (RUN_CYCLES * runs + work.groups * group + work.steps)
    return total


def load_cycles(conv: QuantConv, plan: LayerPlan, params: ScnnParams) -> float:
    """Estimate what the host needs to load activations, were it as fast as a wide DMA.

    The array does not wait for that where runs are counted, but it keeps a plan from gaining a
    percent of cycles by loading everything dozens of times.
    """
    mapping = plan.mapping
    words = -(-mapping.wo * mapping.ho // params.mult_i) * conv.stride[0] * conv.stride[1]
    pes = mapping.width(params) * mapping.height(params)
    slices = [len(input_channels(conv, one)) for one in output_slices(conv, plan.k_step)]
    _, rows, columns = conv.out_shape
    regions = -(-rows // plan.region_h) * -(-columns // plan.region_w)
    # Channels that are all there at once serve all output channels one after the other.
    stays = regions == 1 and conv.groups == 1 and plan.c_step >= conv.in_shape[0]
    loaded = slices[0] if stays else regions * sum(slices)
    loaded *= len(kernel_pieces(conv, plan.kernel_step))
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


def _works(
    conv: QuantConv, plan: LayerPlan, params: ScnnParams, expected: Expected
) -> Iterator[tuple[Work, int, int]]:
    """Give each kind of pass, how many there are, and into how many runs weights split each."""
    for _, piece in kernel_pieces(conv, plan.kernel_step):
        yield from _piece_works(piece, plan, params, expected)


def _piece_works(
    conv: QuantConv, plan: LayerPlan, params: ScnnParams, expected: Expected
) -> Iterator[tuple[Work, int, int]]:
    mapping = plan.mapping
    streams = len(mapping.streams(params))
    of_group, per_group = conv.out_shape[0] // conv.groups, conv.weight.shape[1]
    slices = Counter(
        (len(outputs), len(input_channels(conv, outputs)))
        for outputs in output_slices(conv, plan.k_step)
    )
    for region, regions in _kinds(conv, plan):
        room = Room.of(conv, region.padding)
        taps = tuple(
            len(one)
            for one in phase_taps(conv.weight.shape[2:], conv.stride, region.padding)
            if one
        )
        down, across = mapping.height(params), mapping.width(params)
        steps = _along(mapping.ho, room.top, room.bottom, down) * _along(
            mapping.wo, room.left, room.right, across
        )
        for (outputs, channels), count in slices.items():
            each = -(-outputs // streams)
            groups = -(-each // mapping.kc)
            kc = -(-each // groups)
            chunks = -(-channels // plan.c_step)
            work = Work(
                channels=min(-(-kc // of_group) * per_group, -(-channels // chunks)),
                outputs=min(kc, of_group),
                groups=groups,
                taps=taps,
                rows=_held(region.in_height, conv.stride[0], mapping.ho, down),
                columns=_held(region.in_width, conv.stride[1], mapping.wo, across),
                streams=min(streams, outputs),
                steps=kc * steps,
                act_density=expected.acts,
                weight_density=expected.weights,
                gap=(1 << mapping.log_kc) - min(kc, of_group),
            )
            vectors = (
                groups
                * work.channels
                * sum(
                    _mean_vectors(one * work.outputs, expected.weights, params.mult_f)
                    for one in taps
                )
            )
            runs = max(1, -(-int(vectors) // params.weight_words))
            yield work, count * regions, runs
            if chunks > 1:
                # Sums stay in the accumulators.
                yield replace(work, steps=0), count * (chunks - 1) * regions, runs


def _along(tile: int, before: int, after: int, pes: int) -> int:
    return tile + (before + after if pes > 1 else 0)


def _held(inputs: int, stride: int, tile: int, pes: int) -> tuple[int, ...]:
    """Count the inputs of a phase that each PE holds in one direction."""
    every = -(-inputs // stride)
    return tuple(min(tile, max(0, every - pe * tile)) for pe in range(pes))


def _kinds(conv: QuantConv, plan: LayerPlan) -> list[tuple[Region, int]]:
    """Give a region of each size, and how many have it."""
    kinds: list[list[tuple[int, int, int]]] = []
    for count, step in zip(conv.out_shape[1:], (plan.region_h, plan.region_w), strict=True):
        whole, rest = divmod(count, step)
        inner = [(step, min(whole - 1, 1) * step, whole)] if whole else []
        kinds.append(inner + ([(rest, whole * step, 1)] if rest else []))
    return [
        (cut(conv, y, x, height, width), rows * columns)
        for height, y, rows in kinds[0]
        for width, x, columns in kinds[1]
    ]
