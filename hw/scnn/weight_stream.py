"""Weight stream: reads blocks of weights, decodes them, and sends a vector a cycle to PEs."""

from amaranth.hdl import Module, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.sram import Ports, sram
from zeroskip.hw.scnn.decode import Decode
from zeroskip.hw.scnn.formats import (
    Space,
    block_layout,
    descriptor_layout,
    host_layout,
    item_layout,
    weight_word_layout,
)
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["WeightStream"]


class WeightStream(wiring.Component):
    """Send the weights of a pass, and then wait for the next; keep biases, too.

    The first item comes six cycles after ``start``; then one a cycle, over the borders of blocks,
    too.

    Members
    -------
    descriptor : In, of the pass at work, stable from the cycle of ``start`` until the next.
    restart : In, go back to the first block, and be at the end of a pass.
    start : In, the pass begins with the next cycle; not in the cycle of ``restart`` or the next.
    o : ``Out(stream(item_layout))``.
    busy : Out, items of the pass that were begun have not all been taken yet.
    bias_read, bias_row, bias_data : In, In, Out, read a bias; it comes in the next cycle and
        stays until the next read.
    host, host_en : In, a host command for this stream; writes to its memories are done. Only
        while no run is under way.
    """

    descriptor: data.View
    restart: Signal
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
            "descriptor": In(descriptor_layout(params)),
            "restart": In(1),
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
        m.submodules.decode = decode = Decode(p)
        reads = []
        for name, space, layout, depth in (
            ("block", Space.BLOCK, block_layout(p), p.num_blocks),
            ("weight", Space.WEIGHT, weight_word_layout(p), p.weight_words),
            ("bias", Space.BIAS, signed(p.acc_bits), p.num_biases),
        ):
            m.submodules[name] = rows = sram(Shape.cast(layout), depth, name, Ports.SHARED)
            load = rows.write_port()
            m.d.comb += [
                load.en.eq(self.host_en & self.host.write & (self.host.space == space)),
                load.addr.eq(self.host.addr),
                load.data.eq(self.host.data),
            ]
            reads.append(rows.read_port())
        block, weight, bias = reads
        m.d.comb += [
            bias.en.eq(self.bias_read),
            bias.addr.eq(self.bias_row),
            self.bias_data.eq(bias.data),
        ]

        # The header after the one at work has been read ahead, if the pass has one.
        ahead = data.View(block_layout(p), block.data)
        groups = Signal(12)
        working = Signal()
        first = Signal()
        now = Signal(block_layout(p))
        left = Signal(p.weight_count_bits)
        issue = Signal()
        take = Signal()
        final = Signal()
        m.d.comb += [
            decode.advance.eq(~self.o.valid | self.o.ready),
            issue.eq(working & decode.advance),
            self.busy.eq(working | decode.busy),
            take.eq((groups != 0) & (~working | (issue & (left <= 1)))),
            final.eq((groups == 1) & ahead.last),
        ]
        with m.If(issue):
            m.d.sync += [left.eq(left - 1), first.eq(0), working.eq(left > 1)]
        with m.If(take):
            m.d.sync += [now.eq(ahead), left.eq(ahead.count), first.eq(1), working.eq(1)]
            m.d.sync += groups.eq(groups - ahead.last)
        with m.If(self.start):
            m.d.sync += groups.eq(self.descriptor.groups)
        with m.If(self.restart):
            m.d.sync += [groups.eq(0), working.eq(0)]
        for read, goes_on in (
            (block, self.start | (take & ~final)),
            (weight, (take & (ahead.count != 0)) | (issue & (left > 1))),
        ):
            row = Signal(len(read.addr), name="next_row")
            m.d.comb += [read.en.eq(goes_on), read.addr.eq(row)]
            with m.If(read.en):
                m.d.sync += row.eq(row + 1)
            with m.If(self.restart):
                m.d.sync += row.eq(0)

        m.d.comb += [
            decode.descriptor.eq(self.descriptor),
            decode.valid.eq(working),
            decode.entries.eq(weight.data),
            decode.header.eq(now),
            decode.first.eq(first),
            decode.host.eq(self.host),
            decode.host_en.eq(self.host_en),
            self.o.valid.eq(decode.item_valid),
            self.o.payload.eq(decode.item),
        ]
        return m
