"""Weight stream: unpacks blocks of weights, decodes them, and sends a vector a cycle to PEs."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.sram import Ports, sram
from zeroskip.hw.common.sram_fifo import SramFifo
from zeroskip.hw.scnn.decode import Decode
from zeroskip.hw.scnn.formats import Space, descriptor_layout, host_layout, item_layout
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.unpack import Unpack, vector_layout

__all__ = ["WeightStream"]


class WeightStream(wiring.Component):
    """Send the weights of a pass, and then wait for the next; keep biases, too.

    The first item comes six cycles after ``start``; then one a cycle, over the borders of blocks,
    too, as long as beats are there.

    Members
    -------
    beats : ``In(stream(beat))``, packed blocks, at any time.
    descriptor : In, of the pass at work, stable from the cycle of ``start`` until the next.
    start : In, the pass begins with the next cycle.
    o : ``Out(stream(item_layout))``.
    busy : Out, items of the pass have not all been taken yet.
    bias_read, bias_row, bias_data : In, In, Out, read a bias; it comes in the next cycle and
        stays until the next read.
    host, host_en : In, a host command for this stream; writes to its memories are done. Only
        while no run is under way.
    """

    beats: stream.Interface
    descriptor: data.View
    start: Signal
    o: stream.Interface
    busy: Signal
    bias_read: Signal
    bias_row: Signal
    bias_data: Signal
    host: data.View
    host_en: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "beats": In(stream.Signature(Packing.of(params).beat)),
            "descriptor": In(descriptor_layout(params)),
            "start": In(1),
            "o": Out(stream.Signature(item_layout(params))),
            "busy": Out(1),
            "bias_read": In(1),
            "bias_row": In(params.bias_addr_bits),
            "bias_data": Out(signed(params.acc_bits)),
            "host": In(host_layout(params)),
            "host_en": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.fifo = fifo = SramFifo(Packing.of(p).beat, p.stream_beats, "beats")
        m.submodules.unpack = unpack = Unpack(p)
        m.submodules.decode = decode = Decode(p)
        connect(m, flipped(self.beats), fifo.i)
        connect(m, fifo.o, unpack.i)
        m.submodules.bias = biases = sram(signed(p.acc_bits), p.num_biases, "bias", Ports.SHARED)
        bias, load = biases.read_port(), biases.write_port()
        m.d.comb += [
            load.en.eq(self.host_en & self.host.write & (self.host.space == Space.BIAS)),
            load.addr.eq(self.host.addr),
            load.data.eq(self.host.data),
            bias.en.eq(self.bias_read),
            bias.addr.eq(self.bias_row),
            self.bias_data.eq(bias.data),
        ]

        groups = Signal(12)
        working = Signal()
        now = Signal(vector_layout(p))
        take = Signal()
        m.d.comb += [
            decode.advance.eq(~self.o.valid | self.o.ready),
            unpack.plain.eq(self.descriptor.plain),
            unpack.closes.eq(groups == 1),
            unpack.o.ready.eq((groups != 0) & (~working | decode.advance)),
            take.eq(unpack.o.valid & unpack.o.ready),
            self.busy.eq((groups != 0) | working | decode.busy),
        ]
        with m.If(decode.advance):
            m.d.sync += working.eq(0)
        with m.If(take):
            m.d.sync += [now.eq(unpack.o.payload), working.eq(1)]
            m.d.sync += groups.eq(groups - unpack.o.payload.ends)
        with m.If(self.start):
            m.d.sync += groups.eq(self.descriptor.groups)

        m.d.comb += [
            decode.descriptor.eq(self.descriptor),
            decode.valid.eq(working),
            decode.entries.eq(now.entries),
            decode.header.eq(now.header),
            decode.first.eq(now.first),
            decode.host.eq(self.host),
            decode.host_en.eq(self.host_en),
            self.o.valid.eq(decode.item_valid),
            self.o.payload.eq(decode.item),
        ]
        return m
