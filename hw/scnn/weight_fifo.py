"""Weight FIFO: the weights of a block stay until all activations of the channel have seen them."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.memory import NamedMemory
from zeroskip.hw.common.queue import Queue
from zeroskip.hw.scnn.formats import item_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["WeightFifo", "header_layout", "place_layout", "vector_number_bits"]


def vector_number_bits(p: ScnnParams) -> int:
    """Return the width of a weight vector's number, counted from the last flush, that wraps.

    The oldest vector that is needed may lie a full FIFO before the one that comes next, or (a
    block was dropped while its vectors were still arriving) up to a block behind it.
    """
    return p.weight_depth.bit_length() + 1


def place_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out where a block of weights stands in the FIFO.

    Fields
    ------
    number, row : number of the block's first vector, and the FIFO's row that has it.
    count : weight vectors; 0: the group ends here without weights.
    last : the group ends with this block.
    """
    return data.StructLayout({
        "number": unsigned(vector_number_bits(p)),
        "row": unsigned(max(1, (p.weight_depth - 1).bit_length())),
        "count": unsigned(p.weight_count_bits),
        "last": unsigned(1),
    })


def header_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a block of weights that is in the FIFO, or still coming in."""
    return data.StructLayout({
        "channel": unsigned(p.header_channel_bits),
        "place": place_layout(p),
    })


class WeightFifo(wiring.Component):
    """Keep vectors of weights, and the headers of their blocks, in the order of the broadcast.

    A circular buffer of ``weight_depth`` vectors that can be read at any row, and a queue of
    ``block_depth`` headers. Vectors before number ``needed`` give their rows up; those among
    them that have not come yet will take a row, but count as gone.

    Members
    -------
    i : ``In(stream(item_layout))``, from the broadcast; ready while both have room.
    header : ``Out(stream(header_layout))``, the oldest block that has not been looked at.
    needed : In, number of the oldest vector that is still needed.
    coming : Out, number of the next vector to come.
    next_block : Out, number of the first vector of the block in ``header``, or of the next to
        come.
    row, weights : In, Out, the vector in a row, in the same cycle.
    """

    i: stream.Interface
    header: stream.Interface
    needed: Signal
    coming: Signal
    next_block: Signal
    row: Signal
    weights: data.View

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        number, place = vector_number_bits(params), place_layout(params)
        super().__init__({
            "i": In(stream.Signature(item_layout(params))),
            "header": Out(stream.Signature(header_layout(params))),
            "needed": In(number),
            "coming": Out(number),
            "next_block": Out(number),
            "row": In(place["row"].shape),
            "weights": Out(item_layout(params)["weights"].shape),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        item = self.i.payload
        queued = data.StructLayout({
            "channel": unsigned(p.header_channel_bits),
            "count": unsigned(p.weight_count_bits),
            "last": unsigned(1),
        })
        m.submodules.headers = headers = Queue(queued, p.block_depth)
        # Flip-flops: a vector is read in the cycle that issues it.
        m.submodules.vectors = vectors = NamedMemory(
            item_layout(p)["weights"].shape, p.weight_depth, "vectors"
        )
        read, write = vectors.read_port(domain="comb"), vectors.write_port()

        taken = Signal()
        stored = Signal()
        kept = Signal(vector_number_bits(p))  # negative while vectors of a dropped block come
        tail = Signal.like(self.row)
        block_row = Signal.like(self.row)
        m.d.comb += [
            kept.eq(self.coming - self.needed),
            self.i.ready.eq(headers.i.ready & (kept[-1] | (kept < p.weight_depth))),
            taken.eq(self.i.valid & self.i.ready),
            stored.eq(taken & ~item.empty),
            headers.i.valid.eq(taken & item.first),
            headers.i.payload.channel.eq(item.channel),
            headers.i.payload.count.eq(Mux(item.empty, 0, item.count)),
            headers.i.payload.last.eq(item.last),
            # Nobody reads a vector of a block that was dropped: its row keeps what it has.
            write.en.eq(stored & ~kept[-1]),
            write.addr.eq(tail),
            write.data.eq(item.weights),
            read.addr.eq(self.row),
            self.weights.eq(read.data),
        ]

        block, place = headers.o.payload, self.header.payload.place
        m.d.comb += [
            self.header.valid.eq(headers.o.valid),
            headers.o.ready.eq(self.header.ready),
            self.header.payload.channel.eq(block.channel),
            place.number.eq(self.next_block),
            place.row.eq(block_row),
            place.count.eq(block.count),
            place.last.eq(block.last),
        ]
        with m.If(stored):
            m.d.sync += [
                self.coming.eq(self.coming + 1),
                tail.eq(Mux(tail == p.weight_depth - 1, 0, tail + 1)),
            ]
        with m.If(self.header.valid & self.header.ready):
            after = block_row + block.count
            m.d.sync += [
                self.next_block.eq(self.next_block + block.count),
                block_row.eq(Mux(after >= p.weight_depth, after - p.weight_depth, after)),
            ]
        return m
