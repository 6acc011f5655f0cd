"""A run of the array: its passes, and what the sequencer spends between them."""

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import (
    Channels,
    PassOutput,
    ScnnDescriptor,
    ScnnRun,
    TileLayout,
    written_tile,
)
from zeroskip.hw.common.formats import Activation
from zeroskip.hw.scnn.act_read import ACT_QUEUE_DEPTH
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, StallClass
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.scnn.cycles.acts import ActStorage
from zeroskip.sim.scnn.cycles.bus import BusWork, bus_work, tile_steps, words_of_channels
from zeroskip.sim.scnn.cycles.feed import Feed, begin_run, end_run, make_feed, settle
from zeroskip.sim.scnn.cycles.machine import PassWork, run_pass
from zeroskip.sim.scnn.cycles.passes import PassTrace, drain_exchanges, pe_streams, ppu_cycles
from zeroskip.sim.scnn.cycles.references import (
    References,
    Writes,
    pass_references,
    pass_writes,
)
from zeroskip.sim.scnn.cycles.weights import StreamWork, stream_work
from zeroskip.sim.scnn.loads import block_count, loaded_planes
from zeroskip.sim.system.units import ChipStates

__all__ = ["RunCount", "ScnnCycles"]

# Cycles of SETUP: from START until descriptor 0 is there, which then always is; to take a
# descriptor over, and to begin the pass.
_START, _TAKE_OVER, _BEGIN = DESCRIPTOR_WORDS + 2, 1, 1
# Cycles of the RUN phase until a stream has its first item.
_STREAM_LATENCY = 5


@dataclass(frozen=True, eq=False)
class RunCount:
    """Cycles and counters of a run.

    Parameters
    ----------
    cycles : from start to end of the program.
    counters : (passes, num_pes, stall classes) int64 multiplier-cycles.
    references : of each pass.
    bus_words : that the bus of the position with the most of them sends, of each pass added up.
    writes : of each pass, if they are counted.
    """

    cycles: int
    counters: NDArray[np.int64]
    references: tuple[References, ...]
    bus_words: int
    writes: tuple[Writes, ...] = ()


class ScnnCycles:
    """Counts the cycles of runs one after the other, as the host starts them.

    Parameters
    ----------
    params : of the array.
    runs : all runs of a program, in order; weights are read off their SRAMs once.
    streamed : weights come through the port, a beat a cycle, from before the start of each run on,
        as far as there is room for them; else all are there.
    writes : also count what passes write, which takes longer: all outputs are encoded.

    Raises
    ------
    ValueError
        If a stream has too few groups or vectors.
    """

    def __init__(
        self,
        params: ScnnParams,
        runs: Sequence[ScnnRun],
        *,
        streamed: bool = True,
        writes: bool = False,
    ) -> None:
        self._p = params
        self._writes = writes
        self._runs = tuple(runs)
        self._streamed = streamed
        self._streams: list[list[StreamWork]] = []
        self._weights: list[NDArray[np.uint64] | None] = []
        contents: dict[str, NDArray[np.uint64]] = {}
        for run in runs:
            contents |= {name: sram.words for name, sram in run.srams.items()}
            self._streams.append(stream_work(params, run.program, contents))
            self._weights.append(contents.get("weights"))
        self._read = _read_later(params, runs, self._streams)
        self._acts = ActStorage(params)

    def count(
        self,
        number: int,
        tensors: Mapping[str, NDArray[np.int64]],
        trace: list[PassTrace] | None = None,
        arrives: NDArray[np.int64] | None = None,
        *,
        feed: Feed | None = None,
        chip: ChipStates | None = None,
    ) -> RunCount:
        """Count the cycles of a run; those before it must have been counted.

        Parameters
        ----------
        number : of the run.
        tensors : (C, H, W) by name, all that the run loads, and all that it makes for passes that
            read it from the RAMs.
        trace : gets a trace of each pass; without it, none is recorded.
        arrives : cycles, counted from the run's first, from which beats of weights are offered;
            unless given, see ``streamed``.
        feed, chip : weights that are on their way, and the chip that brings them, instead.
        """
        p, run = self._p, self._runs[number]
        if run.loads:
            self._acts.clear()
        for load in run.loads:
            blocks = block_count(p, load.layout)
            rows = slice(load.layout.y0, load.layout.y0 + load.layout.height)
            columns = slice(load.layout.x0, load.layout.x0 + load.layout.width)
            every = range(blocks if load.dealt else 1)
            regions = [loaded_planes(load, tensors, at, blocks)[:, rows, columns] for at in every]
            regions *= blocks // len(regions)
            self._acts.put(load.layout, load.base, regions, load.each(blocks))
        counters = np.zeros((len(run.program), p.num_pes, len(StallClass)), np.int64)
        references: list[References] = []
        writes: list[Writes] = []
        cycles = bus_words = 0
        if feed is not None:
            begin_run(feed, chip)
        elif self._streamed:
            feed = make_feed(p, self._weights[number], arrives)
        for index, (descriptor, output) in enumerate(zip(run.program, run.outputs, strict=True)):
            setup = _TAKE_OVER + (p.bank_entries if descriptor.wipe else 0) + _BEGIN
            setup += 0 if index else _START
            counters[index, :, StallClass.SETUP] = setup * p.mults
            work, bus = self._work(descriptor, self._streams[number][index])
            if feed is not None:
                settle(feed, setup, chip)
            traced = trace is not None
            spent, log = self._pass(
                descriptor, work, bus, counters[index], feed, chip, traced=traced
            )
            if trace is not None:
                begin = cycles + setup
                issued, drained = (np.where(times < 0, -1, begin + times) for times in log)
                pairs = _pairs(work, issued[0] >= 0)
                end = begin + spent
                trace.append(PassTrace(cycles, begin, end, work.channel, pairs, issued, drained))
            cycles += setup + spent
            if bus is not None:
                bus_words += descriptor.groups * int(np.diff(bus.word_begin).max(initial=0))
            references.append(pass_references(p, descriptor, work, bus, counters[index]))
            if self._writes:
                counts = self._written(descriptor, output, tensors)
                beats = self._streams[number][index].beats
                writes.append(pass_writes(p, descriptor, work, bus, beats, counts))
            if output is not None and self._read[number][index]:
                sent = any(later.bus for later in run.program[index + 1 :])
                _store(p, self._acts, descriptor, output, tensors, whole=sent)
        if feed is not None:
            end_run(feed, self._weights[number], p)
        return RunCount(cycles, counters, tuple(references), bus_words, tuple(writes))

    def again(self) -> "ScnnCycles":
        """Return a model that stands where this one does, and goes on by itself."""
        model = copy(self)
        model._acts = deepcopy(self._acts)
        return model

    def _written(
        self,
        descriptor: ScnnDescriptor,
        output: PassOutput | None,
        tensors: Mapping[str, NDArray[np.int64]],
    ) -> NDArray[np.int64]:
        """Count the stored activations of what a pass writes: (num_pes, entries)."""
        d = descriptor
        channels = ((d.groups - 1) * d.kc + d.kc_last) * d.drain
        entries = channels * d.out_sy * d.out_sx
        ram = ActStorage(self._p)
        if output is not None:
            _store(self._p, ram, d, output, tensors, whole=True)
        return ram.count[:, d.dst_base : d.dst_base + entries]

    def _work(
        self, descriptor: ScnnDescriptor, streams: StreamWork
    ) -> tuple[PassWork, BusWork | None]:
        d, source = descriptor, self._acts
        banks = source.banks(keep_zeros=d.keep_zeros)
        channel, count, bus = streams.channel + d.src_base, source.count, None
        if d.bus:
            bus = bus_work(self._p, d, source.start, source.count, len(banks))
            # As headers number them, and of all tiles of their owners.
            channel, count = streams.channel, words_of_channels(bus) * self._p.mult_i
            moved = [
                np.where(banks < 0, banks, banks + step & self._p.banks - 1)
                for step in tile_steps(self._p, d)
            ]
            banks = np.concatenate(moved).astype(np.int32)
        return PassWork(
            begin=streams.begin,
            channel=channel,
            vectors=streams.count,
            last=streams.last,
            first=streams.first,
            weight_banks=streams.banks,
            weight_used=streams.used,
            act_start=source.start,
            act_count=count,
            act_banks=banks,
            act_used=(banks >= 0).sum(axis=1),
            act_apart=_apart(banks),
            item_begin=streams.items,
            needs=streams.needs,
            leaves=streams.leaves,
        ), bus

    def _pass(
        self,
        descriptor: ScnnDescriptor,
        work: PassWork,
        bus: BusWork | None,
        counters: NDArray[np.int64],
        feed: Feed | None,
        chip: ChipStates | None,
        *,
        traced: bool,
    ) -> tuple[int, tuple[NDArray[np.int64], ...]]:
        """Return the cycles of the RUN phase, and if ``traced`` when pairs and steps were."""
        p = self._p
        # Of no elements, and not None, for which all would be compiled again.
        times = 2 if traced else 0
        issued_at = np.full((times, p.num_pes, len(work.channel)), -1)
        drained_at = np.full((times, descriptor.groups), -1)
        spent = run_pass(
            work,
            pe_streams(p, descriptor),
            drain_exchanges(p, descriptor),
            (descriptor.groups, descriptor.kc, descriptor.kc_last),
            bool(descriptor.drain),  # not 1, for which all would be compiled again
            (p.banks, p.scatter_depth, p.weight_depth, p.block_depth, ACT_QUEUE_DEPTH),
            ppu_cycles(descriptor),
            _STREAM_LATENCY,
            counters,
            bus,
            feed,
            chip,
            issued_at,
            drained_at,
        )
        return spent, (issued_at, drained_at)


def _read_later(
    params: ScnnParams, runs: Sequence[ScnnRun], streams: Sequence[Sequence[StreamWork]]
) -> list[list[bool]]:
    """Find the passes whose outputs a later pass of the program reads.

    Returns
    -------
    For each run, for each of its passes, whether one does.
    """
    found: list[list[bool]] = []
    read: set[int] = set()  # directory entries, by what is behind
    for run, works in zip(reversed(runs), reversed(streams), strict=True):
        later = []
        for step, work in zip(reversed(run.program), reversed(works), strict=True):
            channels = ((step.groups - 1) * step.kc + step.kc_last) * step.drain
            stop = step.dst_base + channels * step.out_sy * step.out_sx
            written = set(range(step.dst_base, min(stop, params.num_channels)))
            later.append(not read.isdisjoint(written))
            read -= written
            named = np.unique(work.channel[work.count > 0])
            # Owners send all entries, and those that nobody wants take time.
            sent = range(step.src_entries) if step.bus else named
            read.update(step.src_base + entry for entry in sent)
        found.append(later[::-1])
        if run.loads:
            read = set()
    return found[::-1]


def _apart(banks: NDArray[np.int32]) -> NDArray[np.int64]:
    """Tell vectors of activations, (vectors, I), that are all for different banks."""
    ordered = np.sort(banks, axis=1)
    same = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    return (~same.any(axis=1)).astype(np.int64)


def _pairs(work: PassWork, issued: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the pairs of vectors, (pes, blocks), of blocks that PEs have issued."""
    words = -(-work.act_count[:, work.channel] // work.act_banks.shape[1])
    return np.where(issued, words * work.vectors, 0)


def _region(
    tensors: Mapping[str, NDArray[np.int64]], channels: Sequence[Channels], layout: TileLayout
) -> NDArray[np.int64]:
    rows = slice(layout.y0, layout.y0 + layout.height)
    columns = slice(layout.x0, layout.x0 + layout.width)
    return np.concatenate([
        tensors[span.tensor][span.start : span.stop, rows, columns] for span in channels
    ])


def _store(
    params: ScnnParams,
    ram: ActStorage,
    descriptor: ScnnDescriptor,
    output: PassOutput,
    tensors: Mapping[str, NDArray[np.int64]],
    *,
    whole: bool,
) -> None:
    """Put the outputs of a pass into the activation RAMs.

    Parameters
    ----------
    ram : of all PEs.
    descriptor, output : of the pass, and which outputs of its layer it makes.
    tensors : (C, H, W) each, by name.
    whole : the zeros of directory entries beyond the layer's channels, too, as owners send them.
    """
    d = descriptor
    tile_h, tile_w = written_tile(d)
    layout = TileLayout(
        block_x=d.block_x,
        block_y=d.block_y,
        tile_h=tile_h,
        tile_w=tile_w,
        sy=d.out_sy,
        sx=d.out_sx,
        y_stride=d.out_y_stride,
        y0=output.y0,
        x0=output.x0,
        height=output.height,
        width=output.width,
        dense=d.out_dense,
    )
    # Channels that a block computes beyond its own have no weights, and a bias of 0. Only the bus
    # carries them, and what it does with them takes time.
    empty = params.min_act if d.init_min and d.activation == Activation.IDENTITY else 0
    slots = (d.groups - 1) * d.kc + d.kc_last
    blocks: list[NDArray[np.int64] | None] = []
    for block in output.blocks:
        channels = block.stop - block.start
        region = _region(tensors, [block], layout) if channels else None
        if whole and channels < slots:
            rest = np.full((slots - channels, layout.height, layout.width), empty)
            region = rest if region is None else np.concatenate([region, rest])
        blocks.append(region)
    ram.put(layout, d.dst_base, blocks)
