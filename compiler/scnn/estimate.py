"""Estimate the cycles of a pass from the densities of its operands."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["RUN_CYCLES", "Work", "drained", "estimate_pass", "stored_zeros"]

RUN_CYCLES = 60
"""Cycles of a run in which nothing is multiplied: descriptor, wiping, pipelines that fill."""

_GROUPS = 3
_MAX_CHANNELS = 512


@dataclass(frozen=True, kw_only=True)
class Work:
    """Work of a pass: its stored weights and activations.

    Parameters
    ----------
    channels : input channels of which an output-channel group has weights.
    outputs : output channels of a group that a channel has weights for.
    groups : output-channel groups; of a last one that is smaller, its share of a whole one.
    taps : of each phase; phases without taps may be left out.
    rows, columns : of a phase's inputs that each row, and each column, of the block's PEs holds.
    streams : weight streams at work.
    steps : cycles of draining a group.
    act_density, weight_density : share of operands that are not 0.
    gap : places in a block of weights between the last output of a tap and the first of the next.
    """

    channels: int
    outputs: int
    groups: float
    taps: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    streams: int
    steps: int
    act_density: float
    weight_density: float
    gap: int = 0


def stored_zeros(density: float, gap: int, max_run: int) -> float:
    """Estimate the zeros that are stored since the run from one tap to the next is too long.

    Parameters
    ----------
    density : share of weights that are not 0.
    gap : places in a block of weights between the last output of a tap and the first of the next.
    max_run : longest run.
    """
    ends = range(max_run + 1 - gap, 4 * (max_run + 1), max_run + 1)
    return sum((1 - density) ** max(end, 0) for end in ends)


def estimate_pass(work: Work, params: ScnnParams) -> float:
    """Estimate the cycles of a pass.

    The first groups of a pass with uniformly random operands go through a model that knows vectors,
    the FIFOs between the streams and the PEs, and the drain, but neither pipelines nor bank
    conflicts; the others are taken to last as long as these on average.
    """
    taps = np.array([count for count in work.taps if count], np.int64)
    channels = min(work.channels, _MAX_CHANNELS)
    groups = min(math.ceil(work.groups), _GROUPS)
    rng = np.random.default_rng(0)
    shape = groups, work.streams, channels, len(taps)
    weights = _vectors(
        rng,
        np.broadcast_to(work.outputs * taps, shape),
        work.weight_density,
        params.mult_f,
        params,
        (taps - 1) * stored_zeros(work.weight_density, work.gap, params.max_run),
    )
    tiles = np.multiply.outer(np.array(work.rows, np.int64), np.array(work.columns, np.int64))
    shape = channels, len(taps), tiles.size
    acts = _vectors(
        rng, np.broadcast_to(tiles.ravel(), shape), work.act_density, params.mult_i, params
    )
    ends = _simulate(
        acts.reshape(-1, tiles.size),
        weights.reshape(groups, work.streams, -1),
        params.weight_depth,
        params.block_depth,
        work.channels / channels,
        work.steps,
    )
    steady = (ends[-1] - ends[0]) / (groups - 1) if groups > 1 else 0.0
    return float(ends[-1] + (work.groups - groups) * steady)


def drained(
    acts: NDArray[np.int64], weights: NDArray[np.int64], params: ScnnParams, steps: int
) -> NDArray[np.float64]:
    """Estimate when each group of a pass has been drained, of operands that are known.

    Parameters
    ----------
    acts : (channels * phases, PEs of a block) vectors of activations that a PE holds.
    weights : (groups, streams, channels * phases) vectors of weights that go to all of them.
    params : of the array.
    steps : cycles of draining a group.
    """
    return _simulate(acts, weights, params.weight_depth, params.block_depth, 1.0, steps)


def _vectors(
    rng: np.random.Generator,
    places: NDArray[np.int64],
    density: float,
    lanes: int,
    params: ScnnParams,
    more: NDArray[Any] | float = 0.0,
) -> NDArray[np.int64]:
    """Draw the vectors that the non-zeros of so many places, and some zeros more, make."""
    # Zeros that are stored since a run has ended come on top.
    long = (1 - density) ** (params.max_run + 1)
    stored = density / (1 - long) if 0 < density < 1 else density
    drawn = rng.binomial(places, min(stored, 1.0))
    return -(-np.where(drawn, np.rint(drawn + more).astype(np.int64), 0) // lanes)


@njit(cache=True)
def _simulate(
    acts: NDArray[np.int64],
    weights: NDArray[np.int64],
    weight_depth: int,
    block_depth: int,
    scale: float,
    steps: int,
) -> NDArray[np.float64]:
    """Let blocks of weights go through the PEs; return when each group has been drained."""
    groups, streams, blocks = weights.shape
    pes = acts.shape[1]
    finish = np.zeros((streams, pes))
    sent = np.zeros(streams)
    past = np.zeros((streams, block_depth + 1))
    sizes = np.zeros((streams, block_depth + 1), np.int64)
    number = np.zeros(streams, np.int64)
    ends = np.zeros(groups)
    latest_done = 0.0
    for group in range(groups):
        free = ends[group - 2] if group > 1 else 0.0
        done, begin = 0.0, latest_done
        for stream in range(streams):
            for pe in range(pes):
                finish[stream, pe] = max(finish[stream, pe], free)
            for block in range(blocks):
                size = weights[group, stream, block]
                if size == 0:
                    continue
                # The FIFO holds this block and as many before it as there is room for; the one
                # before those must have been finished by all PEs.
                room, back = weight_depth - size, 1
                while back < block_depth and back <= number[stream]:
                    before = sizes[stream, (number[stream] - back) % (block_depth + 1)]
                    if before > room:
                        break
                    room -= before
                    back += 1
                wait = 0.0
                if back <= number[stream]:
                    wait = past[stream, (number[stream] - back) % (block_depth + 1)]
                sent[stream] = max(sent[stream] + size, wait + 1)
                latest = 0.0
                for pe in range(pes):
                    count = acts[block, pe]
                    finish[stream, pe] = max(finish[stream, pe] + count * size, sent[stream])
                    latest = max(latest, finish[stream, pe])
                slot = number[stream] % (block_depth + 1)
                past[stream, slot], sizes[stream, slot] = latest, size
                number[stream] += 1
            for pe in range(pes):
                done = max(done, finish[stream, pe])
        if scale > 1:
            # Channels that were not drawn take as long as those that were.
            extra = (done - begin) * (scale - 1)
            finish += extra
            sent += extra
            past += extra
            done += extra
        latest_done = done
        last = ends[group - 1] if group else 0.0
        ends[group] = max(done, last) + steps
    return ends
