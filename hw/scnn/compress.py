"""Compression of outputs into the activation RAM, with a directory entry for every channel."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.formats import act_entry_layout, act_word_layout, directory_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Compress"]


class Compress(wiring.Component):
    """Write outputs as runs of zeros and values (Parashar et al., section IV, "PPU").

    Takes up to ``lanes`` outputs of a row a cycle. Two cycles later it writes a word of I entries
    when it is full, and a channel's directory entry with its last outputs. What is left of a
    channel is a word, too; where a full one leaves in the same cycle, it waits for the next cycle
    in which none does. ``docs/scnn.md`` says which zeros are stored.

    Parameters
    ----------
    lanes : at most I.

    Members
    -------
    start : In, a pass begins with the next cycle, with the fields below.
    append : In, write behind what the pass before wrote, else from row ``word`` on.
    word : In, see ``append``.
    limit : In, first row that is not written; constant during a pass.
    base : In, number of the first channel.
    y_stride : In, row stride of positions; at most ``max_run`` more than a row has outputs;
        constant during a pass.
    dense : In, store zeros inside the plane, too; constant during a pass.
    there : In, lanes that have an output, from lane 0 up.
    values, inside : In, the outputs, and whether they are inside the plane.
    row_end, channel_end : In, the last of them ends a row, and a channel.
    act_write, act_addr, act_data : Out, write a word of activations.
    dir_write, dir_addr, dir_data : Out, write a directory entry.
    end : Out, row behind what has been written.
    busy : Out, an output may not have been written yet: three cycles for each.
    overflow : Out, what should be written in this cycle finds no room before ``limit``, or is
        of a channel that the directory has no entry for, and is lost.
    """

    start: Signal
    append: Signal
    word: Signal
    limit: Signal
    base: Signal
    y_stride: Signal
    dense: Signal
    there: Signal
    values: data.View
    inside: Signal
    row_end: Signal
    channel_end: Signal
    act_write: Signal
    act_addr: Signal
    act_data: data.View
    dir_write: Signal
    dir_addr: Signal
    dir_data: data.View
    end: Signal
    busy: Signal
    overflow: Signal

    def __init__(self, params: ScnnParams, lanes: int) -> None:
        self._p = params
        self._lanes = lanes
        super().__init__({
            "start": In(1),
            "append": In(1),
            "word": In(params.act_addr_bits + 1),
            "limit": In(params.act_addr_bits + 1),
            "base": In(params.channel_bits),
            "y_stride": In(params.acc_addr_bits),
            "dense": In(1),
            "there": In(lanes),
            "values": In(data.ArrayLayout(signed(params.act_bits), lanes)),
            "inside": In(lanes),
            "row_end": In(1),
            "channel_end": In(1),
            "act_write": Out(1),
            "act_addr": Out(params.act_addr_bits),
            "act_data": Out(act_word_layout(params)),
            "dir_write": Out(1),
            "dir_addr": Out(params.channel_bits),
            "dir_data": Out(directory_layout(params)),
            "end": Out(params.act_addr_bits + 1),
            "busy": Out(1),
            "overflow": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p, lanes = self._p, self._lanes
        m = Module()
        # c: the outputs that came in the cycle before. e: those that become entries.
        c_there = Signal(lanes)
        c_values = Signal.like(self.values, reset_less=True)
        c_keep = Signal(lanes, reset_less=True)
        c_row_end = Signal(reset_less=True)
        c_channel_end = Signal(reset_less=True)
        c_gap = Signal(p.run_bits, reset_less=True)
        e_valid = Signal()
        e_ends = Signal(reset_less=True)
        e_store = Signal(lanes)
        e_entries = Signal(data.ArrayLayout(act_entry_layout(p), lanes), reset_less=True)
        last = Signal()
        not_zero = Cat(value != 0 for value in self.values)
        # Positions from the last output of a row to the next row's first are at most `max_run`,
        # so that their lowest bits do.
        row_left = Signal(p.run_bits)
        gap = Signal(p.run_bits)
        m.d.comb += gap.eq(row_left - sum(self.there, start=Value.cast(0)))
        with m.If(self.there[0]):
            m.d.sync += row_left.eq(Mux(self.row_end, self.y_stride, gap))
        m.d.sync += [
            c_there.eq(self.there),
            c_values.eq(self.values),
            c_keep.eq(not_zero | (self.dense.replicate(lanes) & self.inside)),
            c_row_end.eq(self.row_end),
            c_channel_end.eq(self.channel_end),
            c_gap.eq(gap),
            e_valid.eq(c_there[0]),
            e_ends.eq(c_channel_end),
            last.eq(e_valid),
        ]
        m.d.comb += self.busy.eq(c_there[0] | e_valid | last)

        # Zeros since the last output that is kept, modulo the longest run and one: where they are
        # the longest run, the zero is stored, and the run begins anew.
        run = Signal(p.run_bits)
        runs: list[Value] = []
        for lane in range(lanes):
            zeros: Value = (run + lane)[: p.run_bits]
            for before in range(lane):
                zeros = Mux(c_keep[before], (lane - 1 - before) & p.max_run, zeros)
            runs.append(zeros)
            m.d.sync += [e_entries[lane].run.eq(zeros), e_entries[lane].value.eq(c_values[lane])]
        # At a row's end, a zero is stored where the next entry could not carry the run.
        until_next = Signal(p.run_bits + 1)
        last_run, last_keep = runs[0], c_keep[0]
        for lane in range(1, lanes):
            last_run = Mux(c_there[lane], runs[lane], last_run)
            last_keep = Mux(c_there[lane], c_keep[lane], last_keep)
        over = until_next[p.run_bits]
        m.d.comb += until_next.eq(last_run + 1 + Mux(c_row_end, c_gap, 0))
        for lane, zeros in enumerate(runs):
            is_last = ~c_there[lane + 1] if lane + 1 < lanes else 1
            store = c_keep[lane] | (zeros == p.max_run) | (is_last & over)
            m.d.sync += e_store[lane].eq(c_there[lane] & store)
        with m.If(c_there[0]):
            m.d.sync += run.eq(Mux(last_keep | over, Mux(c_row_end, c_gap, 0), until_next))
            with m.If(c_channel_end):
                m.d.sync += run.eq(0)
        with m.If(self.start):
            m.d.sync += [row_left.eq(self.y_stride), run.eq(0)]
        self._write(m, e_valid, e_ends, e_store, e_entries)
        return m

    def _write(
        self, m: Module, valid: Signal, ends: Signal, store: Signal, entries: data.View
    ) -> None:
        """Gather entries to words, and write these and the channel's directory entry.

        A channel of n cycles has at most n words. So where its last cycle makes two, one before
        made none, and the word that waits is written before another has to.

        Parameters
        ----------
        m : of the unit.
        valid, ends : there are outputs in this cycle, and the last is its channel's last.
        store, entries : lanes that become entries, and these.
        """
        p = self._p
        held, word, gathered, total = self._gather(m, store, entries)
        low, high = gathered[: len(gathered) // 2], gathered[len(gathered) // 2 :]
        waits = Signal()
        waiting = Signal.like(word, reset_less=True)
        full, first, second = Signal(), Signal(), Signal()
        m.d.comb += [
            full.eq(total >= p.mult_i),
            first.eq(valid & (full | (ends & (total != 0)))),
            second.eq(valid & ends & (total > p.mult_i)),
        ]
        with m.If(valid):
            m.d.sync += [
                held.eq(Mux(ends, 0, Mux(full, total - p.mult_i, total))),
                word.as_value().eq(Mux(ends, 0, Mux(full, high, low))),
            ]
        waits_next = Mux(waits, first, second)
        m.d.sync += [
            waits.eq(waits_next),
            waiting.as_value().eq(Mux(waits, low, high)),
        ]

        row = Signal(p.act_addr_bits + 1)
        begin = Signal(p.act_addr_bits + 1)
        count = Signal(p.act_count_bits)
        stored = Signal(p.act_count_bits)
        write = Signal()
        room = row < self.limit
        m.d.comb += [
            write.eq(waits | first),
            stored.eq(count + sum(store, start=Value.cast(0))),
            self.act_write.eq(write & room),
            self.act_addr.eq(row),
            self.end.eq(row),
            self.act_data.eq(Mux(waits, waiting.as_value(), low)),
        ]
        row_next = row + (write & room)
        m.d.sync += row.eq(row_next)
        with m.If(valid):
            m.d.sync += count.eq(Mux(ends, 0, stored))
            with m.If(ends):
                m.d.sync += begin.eq(row_next + waits_next)

        channel = Signal(p.channel_bits + 1)
        known = channel < p.num_channels
        m.d.comb += [
            self.dir_write.eq(valid & ends & known),
            self.dir_addr.eq(channel),
            self.dir_data.start.eq(begin),
            self.dir_data.count.eq(stored),
            self.overflow.eq((write & ~room) | (valid & ends & ~known)),
        ]
        with m.If(valid & ends):
            m.d.sync += channel.eq(channel + known)
        with m.If(self.start):
            m.d.sync += [held.eq(0), word.eq(0), count.eq(0), channel.eq(self.base)]
            with m.If(~self.append):
                m.d.sync += [row.eq(self.word), begin.eq(self.word)]

    def _gather(
        self, m: Module, store: Signal, entries: data.View
    ) -> tuple[Signal, data.View, Signal, Signal]:
        """Put entries behind those of the word at hand; parameters are those of :meth:`_write`.

        Returns
        -------
        Entries of the word at hand, and this word, which both are to be set; up to two words, of
        it and what came; and the number of their entries.
        """
        p, lanes = self._p, self._lanes
        word = Signal(act_word_layout(p))
        held = Signal(range(p.mult_i + 1))
        places = [held + sum(store[:lane], start=Value.cast(0)) for lane in range(lanes + 1)]
        width = Shape.cast(act_entry_layout(p)).width
        gathered = Signal(width * 2 * p.mult_i)
        for at in range(p.mult_i + lanes - 1):
            parts = [
                Mux(store[lane] & (places[lane] == at), entries[lane].as_value(), 0)
                for lane in range(lanes)
                if at < p.mult_i + lane
            ]
            if at < p.mult_i:
                parts.append(word[at].as_value())
            m.d.comb += gathered.word_select(at, width).eq(reduce(or_, parts))
        total = Signal(range(2 * p.mult_i + 1))
        m.d.comb += total.eq(places[lanes])
        return held, word, gathered, total
