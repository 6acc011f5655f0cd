"""Compression of outputs into the destination RAM, with a directory entry for every channel."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.formats import act_word_layout, directory_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Compress"]


class Compress(wiring.Component):
    """Write outputs as runs of zeros and values (Parashar et al., section IV, "PPU").

    Takes an output a cycle and writes in the next: a word of I entries when it is full or when
    its channel ends, and at a channel's end its directory entry. ``docs/scnn.md`` says which
    zeros are stored.

    Members
    -------
    start : In, a pass begins with the next cycle, with the fields below.
    append : In, write behind what the pass before wrote, else from row 0 on.
    base : In, number of the first channel.
    y_stride : In, row stride of positions; constant during a pass.
    dense : In, store zeros inside the plane, too; constant during a pass.
    valid, value, inside, row_end, channel_end : In, an output, whether it is inside the plane, and
        whether it ends a row or a channel.
    act_write, act_addr, act_data : Out, write a word of activations.
    dir_write, dir_addr, dir_data : Out, write a directory entry.
    busy : Out, an output has not been written yet.
    overflow : Out, what should be written in this cycle finds no room and is lost.
    """

    start: Signal
    append: Signal
    base: Signal
    y_stride: Signal
    dense: Signal
    valid: Signal
    value: Signal
    inside: Signal
    row_end: Signal
    channel_end: Signal
    act_write: Signal
    act_addr: Signal
    act_data: data.View
    dir_write: Signal
    dir_addr: Signal
    dir_data: data.View
    busy: Signal
    overflow: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "start": In(1),
            "append": In(1),
            "base": In(params.channel_bits),
            "y_stride": In(params.acc_addr_bits),
            "dense": In(1),
            "valid": In(1),
            "value": In(signed(params.act_bits)),
            "inside": In(1),
            "row_end": In(1),
            "channel_end": In(1),
            "act_write": Out(1),
            "act_addr": Out(params.act_addr_bits),
            "act_data": Out(act_word_layout(params)),
            "dir_write": Out(1),
            "dir_addr": Out(params.channel_bits),
            "dir_data": Out(directory_layout(params)),
            "busy": Out(1),
            "overflow": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        # The output that came in the cycle before.
        c_valid = Signal()
        c_value = Signal(signed(p.act_bits), reset_less=True)
        c_keep = Signal(reset_less=True)
        c_row_end = Signal(reset_less=True)
        c_channel_end = Signal(reset_less=True)
        m.d.sync += [
            c_valid.eq(self.valid),
            c_value.eq(self.value),
            c_keep.eq((self.value != 0) | (self.dense & self.inside)),
            c_row_end.eq(self.row_end),
            c_channel_end.eq(self.channel_end),
        ]
        m.d.comb += self.busy.eq(c_valid)

        # Zeros since the last entry, and positions between this output and the next row's first.
        run = Signal(p.run_bits)
        gap = Signal(p.acc_addr_bits)
        until_next = Signal(p.acc_addr_bits + 2)
        m.d.comb += until_next.eq(run + 1 + Mux(c_row_end, gap, 0))
        # A zero is stored where the next entry could not carry the run.
        store = Signal()
        m.d.comb += store.eq(c_keep | (until_next > p.max_run))
        with m.If(c_valid):
            m.d.sync += [
                gap.eq(Mux(c_row_end, self.y_stride, gap) - 1),
                run.eq(Mux(store, Mux(c_row_end, gap, 0), until_next)),
            ]
            with m.If(c_channel_end):
                m.d.sync += run.eq(0)
        with m.If(self.start):
            m.d.sync += [gap.eq(self.y_stride - 1), run.eq(0)]
        self._write(m, c_valid, c_channel_end, store, c_value, run)
        return m

    def _write(
        self, m: Module, valid: Signal, ends: Signal, store: Signal, value: Signal, run: Signal
    ) -> None:
        """Gather entries to words, and write these and the channel's directory entry.

        Parameters
        ----------
        m : of the unit.
        valid, ends : there is an output in this cycle, and it is its channel's last.
        store, value, run : it becomes an entry, of these.
        """
        p = self._p
        lane = Signal(range(max(2, p.mult_i)))
        word = Signal(act_word_layout(p))
        m.d.comb += self.act_data.eq(word)
        for number in range(p.mult_i):
            with m.If(store & (lane == number)):
                m.d.comb += [self.act_data[number].value.eq(value)]
                m.d.comb += [self.act_data[number].run.eq(run)]
        row = Signal(p.act_addr_bits + 1)
        first = Signal(p.act_addr_bits + 1)
        count = Signal(p.act_count_bits)
        entries = Signal(p.act_count_bits)
        write = Signal()
        full = lane == p.mult_i - 1
        room = row < p.act_words
        m.d.comb += [
            write.eq(valid & Mux(ends, store | (lane != 0), store & full)),
            entries.eq(count + store),
            self.act_write.eq(write & room),
            self.act_addr.eq(row),
        ]
        with m.If(valid):
            m.d.sync += [count.eq(Mux(ends, 0, entries))]
            with m.If(write):
                m.d.sync += [lane.eq(0), word.eq(0), row.eq(row + room)]
            with m.Elif(store):
                m.d.sync += [lane.eq(lane + 1), word.eq(self.act_data)]
            with m.If(ends):
                m.d.sync += first.eq(row + (write & room))

        channel = Signal(p.channel_bits + 1)
        known = channel < p.num_channels
        m.d.comb += [
            self.dir_write.eq(valid & ends & known),
            self.dir_addr.eq(channel),
            self.dir_data.start.eq(first),
            self.dir_data.count.eq(entries),
            self.overflow.eq((write & ~room) | (valid & ends & ~known)),
        ]
        with m.If(valid & ends):
            m.d.sync += channel.eq(channel + known)
        with m.If(self.start):
            m.d.sync += [lane.eq(0), word.eq(0), count.eq(0), channel.eq(self.base)]
            with m.If(~self.append):
                m.d.sync += [row.eq(0), first.eq(0)]
