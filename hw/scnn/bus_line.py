"""Line of the position bus: from the owners in a row or column to readers of their positions."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from zeroskip.hw.common.queue import Queue
from zeroskip.hw.scnn.bus_tiles import BusTiles
from zeroskip.hw.scnn.formats import bus_word_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["BusLine", "size_shape"]

_QUEUE_DEPTH = 2


def size_shape(length: int) -> range:
    """Give the values of the log2 of a block's size, in a line of that many PEs; two at least."""
    return range(max(2, (length - 1).bit_length() + 1))


class BusLine(wiring.Component):
    """Send the words of all owners in a line to all readers of their positions.

    The line is cut into blocks of ``2**size`` readers, and blocks of owners as large or, with
    ``pair``, twice as large. The reader at place X of its block gets the words of the owner at
    place X (of the two at 2 X and 2 X + 1, merged) of block 0, then of block 1, and so on, round
    after round. All readers of a position take a word in the same cycle, when each has room for
    it. What ends the round of a block is taken away, but for the last block's.

    Parameters
    ----------
    params : sizes of the array.
    length : of the line.
    second : name of the field that marks words of the second of two owners.

    Members
    -------
    start : In, a pass begins with the next cycle; with the others, stable from then on.
    groups : In, rounds of the pass.
    size, pair : In, log2 of a reader's block, at most that of the whole line, and see above.
    channels : In, added to the channels of each block of owners, once more for each.
    i : ``In(stream(bus_word_layout))``, from each place.
    o : ``Out(stream(bus_word_layout))``, to each place.
    """

    start: Signal
    groups: Signal
    size: Signal
    pair: Signal
    channels: Signal
    i: Any
    o: Any

    def __init__(self, params: ScnnParams, length: int, second: str) -> None:
        self._p = params
        self._length = length
        self._second = second
        words = stream.Signature(bus_word_layout(params))
        super().__init__({
            "start": In(1),
            "groups": In(12),
            "size": In(size_shape(length)),
            "pair": In(1),
            "channels": In(params.header_channel_bits),
            "i": In(words).array(length),
            "o": Out(words).array(length),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        n = self._length
        owners = self._merge(m)
        # Sources are numbered through the blocks of owners, which may stick out behind the line.
        source_bits = max(1, (n - 1).bit_length())
        step = Signal(source_bits + 2)
        m.d.comb += step.eq(Mux(self.pair, 2, 1) << self.size)
        queues = []
        for place in range(n):
            m.submodules[f"queue_{place}"] = queue = Queue(bus_word_layout(self._p), _QUEUE_DEPTH)
            connect(m, queue.o, wiring.flipped(self.o[place]))
            queues.append(queue)
        rooms = [self._room(m, place, queues) for place in range(n)]
        takers: list[list[Value]] = [[] for _ in range(n)]
        for place, queue in enumerate(queues):
            source = Signal(source_bits, name=f"source_{place}")
            begin = Signal(source_bits, name=f"begin_{place}")
            channels = Signal(self._p.header_channel_bits, name=f"channels_{place}")
            rounds = Signal(12, name=f"rounds_{place}")
            word = Signal(bus_word_layout(self._p), name=f"word_{place}")
            valid, final_block = Signal(name=f"valid_{place}"), Signal(name=f"final_{place}")
            m.d.comb += [
                begin.eq((place & (1 << self.size) - 1) << self.pair),
                final_block.eq((source ^ (n - 1)) & ~(step - 1) == 0),
            ]
            with m.Switch(source):
                for number, owner in enumerate(owners):
                    with m.Case(number):
                        m.d.comb += [word.eq(owner.payload), valid.eq(owner.valid)]
                        takers[number].append((source == number) & rooms[place])
                with m.Default():
                    # Behind the end of the line nothing is sent, as often as there are rounds.
                    m.d.comb += [word.last.eq(1), valid.eq(rounds != 0)]
            moves = valid & rooms[place]
            m.d.comb += [
                queue.i.payload.eq(word),
                queue.i.payload.channel.eq(word.channel + channels),
                queue.i.payload.last.eq(word.last & final_block),
                queue.i.valid.eq(moves & (word.lanes.any() | final_block)),
            ]
            with m.If(moves & word.last):
                m.d.sync += [
                    source.eq(Mux(final_block, begin, source + step)),
                    channels.eq(Mux(final_block, 0, channels + self.channels)),
                    rounds.eq(rounds - final_block),
                ]
            with m.If(self.start):
                m.d.sync += [source.eq(begin), channels.eq(0), rounds.eq(self.groups)]
        for owner, ready in zip(owners, takers, strict=True):
            m.d.comb += owner.ready.eq(Cat(ready).any())
        return m

    def _merge(self, m: Module) -> list[Any]:
        """Merge neighbours; return the streams that readers choose from."""
        owners: list[Any] = list(self.i)
        for first in range(0, self._length - 1, 2):
            m.submodules[f"tiles_{first // 2}"] = tiles = BusTiles(self._p, self._second)
            m.d.comb += [tiles.start.eq(self.start), tiles.pair.eq(self.pair)]
            for at in range(2):
                connect(m, wiring.flipped(self.i[first + at]), tiles.i[at])
                owners[first + at] = tiles.o[at]
        return owners

    def _room(self, m: Module, place: int, queues: list[Queue]) -> Signal:
        """Tell whether all readers of the position at ``place`` have room."""
        room = Signal(name=f"room_{place}")
        with m.Switch(self.size):
            for size in range((self._length - 1).bit_length() + 1):
                same = range(place % (1 << size), self._length, 1 << size)
                with m.Case(size):
                    m.d.comb += room.eq(Cat(queues[other].i.ready for other in same).all())
        return room
