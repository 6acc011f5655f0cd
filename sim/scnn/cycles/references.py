"""References to the memories of the SCNN array."""

from dataclasses import asdict, astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import ScnnDescriptor, reads_pairs
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.scnn.cycles.bus import BusWork, hops_of_bus, words_of_bus
from zeroskip.sim.scnn.cycles.machine import PassWork
from zeroskip.sim.scnn.cycles.passes import pe_streams

__all__ = ["References", "Writes", "pass_references", "pass_writes"]


@dataclass(frozen=True)
class References:
    """How often memories are read or written, all PEs or all streams together.

    Parameters
    ----------
    weight_sram : vectors of F weights that streams read.
    weight_fifo_writes, weight_fifo_reads : vectors of F weights, of the PEs' FIFOs; a read for
        every pair of vectors.
    directory : entries of the source directory that are looked up; of blocks without weights, that
        end a group, there is none.
    act_ram : words of I activations that are read.
    act_fifo : words that come over the position bus into PEs' FIFOs, each a write and a read.
    accumulators : products that are added, each a read and a write.
    drained : accumulators that the drain reads, each a read and a write.
    """

    weight_sram: int = 0
    weight_fifo_writes: int = 0
    weight_fifo_reads: int = 0
    directory: int = 0
    act_ram: int = 0
    act_fifo: int = 0
    accumulators: int = 0
    drained: int = 0

    @property
    def total(self) -> int:
        """All together; what is read and written counts once."""
        return sum(astuple(self))

    def __add__(self, other: "References") -> "References":
        """Add up, memory by memory."""
        counts = asdict(other)
        return References(**{name: count + counts[name] for name, count in asdict(self).items()})


@dataclass(frozen=True)
class Writes:
    """What a pass does beside :class:`References`, all PEs or all streams together.

    Parameters
    ----------
    beats : of packed weights that streams keep on their way, each a write and a read.
    lookups : weights that are not 0: each is looked up, with its tap.
    wiped : accumulators that are set to their initial value before the pass.
    biases : that are read.
    pairs : of sums, of which the greater is made an output.
    outputs : that are made of sums.
    compared : outputs of which the maximum of a window is taken.
    words, entries : words of activations, and directory entries, that outputs become.
    bus_hops : words that queues of the position bus take: of senders, rows and columns.
    """

    beats: int = 0
    lookups: int = 0
    wiped: int = 0
    biases: int = 0
    pairs: int = 0
    outputs: int = 0
    compared: int = 0
    words: int = 0
    entries: int = 0
    bus_hops: int = 0

    def __add__(self, other: "Writes") -> "Writes":
        """Add up."""
        counts = asdict(other)
        return Writes(**{name: count + counts[name] for name, count in asdict(self).items()})


def pass_writes(
    params: ScnnParams,
    descriptor: ScnnDescriptor,
    work: PassWork,
    bus: BusWork | None,
    beats: int,
    counts: NDArray[np.int64],
) -> Writes:
    """Count what a pass does beside its references.

    Parameters
    ----------
    params, descriptor, work, bus : as for :func:`pass_references`.
    beats : see :class:`.StreamWork`.
    counts : (num_pes, entries) stored activations of the directory entries that it writes.
    """
    d = descriptor
    channels = ((d.groups - 1) * d.kc + d.kc_last) * d.drain
    pairs = reads_pairs(d)
    outputs = d.wo * d.ho * channels * params.num_pes // (1 + pairs)
    return Writes(
        beats=beats,
        lookups=int(work.weight_used.sum()),
        wiped=2 * params.accs * params.num_pes * d.wipe,
        biases=channels * (len(work.begin) - 1),
        pairs=outputs * pairs,
        outputs=outputs,
        compared=outputs * (d.pool_x * d.pool_y > 1),
        words=int((-(-counts // params.mult_i)).sum()),
        entries=counts.size,
        bus_hops=d.groups * hops_of_bus(params, bus) if bus else 0,
    )


def pass_references(
    params: ScnnParams,
    descriptor: ScnnDescriptor,
    work: PassWork,
    bus: BusWork | None,
    counters: NDArray[np.int64],
) -> References:
    """Count the references of a pass.

    Parameters
    ----------
    params, descriptor : array and pass.
    work, bus : as the cycle model has them.
    counters : (num_pes, stall classes) that it counted.
    """
    listeners = np.bincount(pe_streams(params, descriptor), minlength=len(work.begin) - 1)
    blocks = np.diff(work.begin)
    stream_of_block = np.repeat(np.arange(len(blocks)), blocks)
    brought = np.bincount(stream_of_block, weights=work.vectors, minlength=len(blocks)).astype(
        np.int64
    )
    filled = np.bincount(stream_of_block[work.vectors > 0], minlength=len(blocks))
    issued = counters[:, StallClass.USEFUL] + counters[:, StallClass.FRAGMENTATION]
    directory, words, received = int((filled * listeners).sum()), 0, 0
    if bus is not None:
        directory = descriptor.groups * bus.counts.size
        words = descriptor.groups * int((-(-bus.counts // params.mult_i)).sum())
        received = descriptor.groups * words_of_bus(bus)
    for pe, stream in enumerate([] if bus else pe_streams(params, descriptor).tolist()):
        here = slice(work.begin[stream], work.begin[stream + 1])
        counts = work.act_count[pe, work.channel[here][work.vectors[here] > 0]]
        words += int((-(-counts // params.mult_i)).sum())
    channels = (descriptor.groups - 1) * descriptor.kc + descriptor.kc_last
    # Every sum is read once, whatever step reads it.
    d = descriptor
    sums = (d.wo + d.halo_left + d.halo_right) * (d.ho + d.halo_top + d.halo_bottom)
    return References(
        weight_sram=int(brought.sum()),
        weight_fifo_writes=int((brought * listeners).sum()),
        weight_fifo_reads=int(issued.sum()) // params.mults,
        directory=directory,
        act_ram=words,
        act_fifo=received,
        accumulators=int(counters[:, StallClass.USEFUL].sum()),
        drained=sums * channels * d.drain * params.num_pes,
    )
