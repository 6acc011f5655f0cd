"""Post-processing unit: sums of the PE and of its neighbours become compressed outputs."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.requantize import requantize
from zeroskip.hw.scnn.compress import Compress
from zeroskip.hw.scnn.formats import (
    act_word_layout,
    descriptor_layout,
    directory_layout,
    step_layout,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.windows import Windows, outputs_layout

__all__ = ["NEIGHBOURS", "Ppu"]

NEIGHBOURS = ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1))
"""(dx, dy) of a PE's neighbours, in the order of ``halo_in``."""


class Ppu(wiring.Component):
    """Make outputs of drained sums (Parashar et al., section IV, "PPU").

    Takes a step a cycle with what it has read, of up to I outputs of a row; they are there two
    cycles after their last step, and written in the second cycle after that: combine; bias;
    requantize; compress. Maxima of windows come two cycles later, see :class:`Windows`. Neighbours
    outside the grid or the block have no part. After a reset, a pass that appends writes from row
    0.

    Members
    -------
    pe_x, pe_y : In, place in the grid, constant.
    descriptor : In, of the pass at work, stable from the cycle of ``start`` until the next.
    start : In, the pass begins with the next cycle; only while not ``busy``.
    step, bias : In, step of the drain, in the cycle in which what it has read is there, and the
        bias of its output channel.
    own : In, the accumulators that the step has read, a lane each.
    greater : In, of a step with ``pairs``, the greater of the two that each lane has read.
    halo_in : In, those of the neighbours, in the order of ``NEIGHBOURS``.
    act_write, act_addr, act_data, dir_write, dir_addr, dir_data : Out, write to the RAM.
    busy : Out, outputs are on their way.
    overflow : Out, see :class:`Compress`.
    output_lanes, output_data : Out, lanes that have an output, and these, 0 outside the plane:
        every output of the walk, or the maximum of every window.
    """

    pe_x: Signal
    pe_y: Signal
    descriptor: data.View
    start: Signal
    step: data.View
    bias: Signal
    own: data.View
    greater: data.View
    halo_in: data.View
    act_write: Signal
    act_addr: Signal
    act_data: data.View
    dir_write: Signal
    dir_addr: Signal
    dir_data: data.View
    busy: Signal
    overflow: Signal
    output_lanes: Signal
    output_data: data.View

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        acc = signed(params.acc_bits)
        sums = data.ArrayLayout(acc, params.mult_i)
        super().__init__({
            "pe_x": In(4),
            "pe_y": In(4),
            "descriptor": In(descriptor_layout(params)),
            "start": In(1),
            "step": In(step_layout(params)),
            "bias": In(acc),
            "own": In(sums),
            "greater": In(sums),
            "halo_in": In(data.ArrayLayout(sums, len(NEIGHBOURS))),
            "act_write": Out(1),
            "act_addr": Out(params.act_addr_bits),
            "act_data": Out(act_word_layout(params)),
            "dir_write": Out(1),
            "dir_addr": Out(params.channel_bits),
            "dir_data": Out(directory_layout(params)),
            "busy": Out(1),
            "overflow": Out(1),
            "output_lanes": Out(params.mult_i),
            "output_data": Out(data.ArrayLayout(signed(params.act_bits), params.mult_i)),
        })

    def elaborate(self, platform: object) -> Module:
        p, d = self._p, self.descriptor
        m = Module()
        acc = signed(p.acc_bits)
        low, high, outputs = [], [], []
        for name, pes, pe, block, full, rem, size in (
            ("x", p.pes_x, self.pe_x, d.block_x, d.full_x, d.rem_x, d.wo),
            ("y", p.pes_y, self.pe_y, d.block_y, d.full_y, d.rem_y, d.ho),
        ):
            mask, place = Signal(4, name=f"mask_{name}"), Signal(4, name=f"place_{name}")
            has_low, has_high = Signal(name=f"has_low_{name}"), Signal(name=f"has_high_{name}")
            inside = Signal(p.acc_addr_bits, name=f"outputs_{name}", reset_less=True)
            m.d.comb += [mask.eq((1 << block) - 1), place.eq(pe & mask)]
            with m.If(self.start):
                m.d.sync += [
                    has_low.eq(place != 0),
                    has_high.eq((place != mask) & (pe != pes - 1)),
                    inside.eq(Mux(place < full, size, Mux(place == full, rem, 0))),
                ]
            low.append(has_low)
            high.append(has_high)
            outputs.append(inside)

        # s: the parts are together. w: the bias is in, too.
        step = self.step
        s_valid = Signal()
        s_there = Signal(p.mult_i)  # Of the outputs at hand, from their first step on.
        s_inside = Signal(p.mult_i, reset_less=True)
        s_ends = Signal(4, reset_less=True)
        s_bias = Signal(acc, reset_less=True)
        w_there = Signal(p.mult_i)
        w_inside = Signal(p.mult_i, reset_less=True)
        w_ends = Signal(4, reset_less=True)
        w_outputs = Signal.like(self.output_data)
        with m.If(step.valid & step.first):
            m.d.sync += s_there.eq(step.lanes)
        m.d.sync += [
            s_valid.eq(step.valid & step.last),
            s_ends.eq(Cat(step.row_end, step.channel_end, step.pool_first, step.pool_last)),
            s_bias.eq(self.bias),
            w_there.eq(Mux(s_valid, s_there, 0)),
            w_inside.eq(s_inside & s_there),
            w_ends.eq(s_ends),
        ]
        m.submodules.compress = compress = Compress(p, p.mult_i)
        neighbours = [(step.dx == dx) & (step.dy == dy) for dx, dy in NEIGHBOURS]
        there = Signal()
        m.d.comb += there.eq(1)
        for (dx, dy), this in zip(NEIGHBOURS, neighbours, strict=True):
            with m.If(this):
                have_x = {-1: low[0], 0: 1, 1: high[0]}[dx]
                have_y = {-1: low[1], 0: 1, 1: high[1]}[dy]
                m.d.comb += there.eq(have_x & have_y)
        # The step's own, without registers for it in every PE.
        spacing = Mux(step.pairs, 2, d.out_sx)
        for lane in range(p.mult_i):
            part = Signal(acc, name=f"part_{lane}")
            total = Signal(acc, name=f"total_{lane}", reset_less=True)
            w_total = Signal(acc, name=f"w_total_{lane}", reset_less=True)
            m.d.comb += part.eq(self.own[lane])
            for number, this in enumerate(neighbours):
                with m.If(this):
                    m.d.comb += part.eq(self.halo_in[number][lane])
            with m.If(step.valid & step.first):
                # All that follows keeps the order of sums: this one becomes the greater output.
                m.d.sync += total.eq(Mux(step.pairs, self.greater[lane], part))
            with m.Elif(step.valid & there & step.lanes[lane]):
                m.d.sync += total.eq(Mux(d.maximum, Mux(part > total, part, total), total + part))
            column = step.x + spacing * lane
            m.d.sync += [
                s_inside[lane].eq((column < outputs[0]) & (step.y < outputs[1])),
                w_total.eq(total + s_bias),
            ]
            output = requantize(m, w_total, d.shift, d.activation, p.act_bits, platform=platform)
            m.d.comb += w_outputs[lane].eq(Mux(w_inside[lane], output, 0))
        m.submodules.windows = windows = Windows(p)
        pooled, pairs = Signal(reset_less=True), Signal(reset_less=True)
        with m.If(self.start):
            m.d.sync += pooled.eq((d.pool_x != 1) | (d.pool_y != 1))
        with m.If(step.valid):
            m.d.sync += pairs.eq(step.pairs)
        made = Signal(outputs_layout(p))
        written = Signal.like(made)
        m.d.comb += [
            made.there.eq(w_there),
            made.values.eq(w_outputs),
            made.inside.eq(w_inside),
            made.row_end.eq(w_ends[0]),
            made.channel_end.eq(w_ends[1]),
            windows.columns.eq(Mux(pairs, d.pool_x >> 1, d.pool_x)),
            windows.i.eq(made),
            windows.i.there.eq(Mux(pooled, w_there, 0)),
            windows.first.eq(w_ends[2]),
            windows.last.eq(w_ends[3]),
            written.eq(Mux(pooled, windows.o.as_value(), made.as_value())),
            self.output_lanes.eq(written.there),
            self.output_data.eq(written.values),
            compress.start.eq(self.start),
            compress.append.eq(d.append),
            compress.word.eq(d.dst_word),
            compress.limit.eq(d.dst_limit),
            compress.base.eq(d.dst_base),
            compress.y_stride.eq(d.out_y_stride),
            compress.dense.eq(d.out_dense),
            compress.there.eq(written.there),
            compress.values.eq(written.values),
            compress.inside.eq(written.inside),
            compress.row_end.eq(written.row_end),
            compress.channel_end.eq(written.channel_end),
            self.act_write.eq(compress.act_write),
            self.act_addr.eq(compress.act_addr),
            self.act_data.eq(compress.act_data),
            self.dir_write.eq(compress.dir_write),
            self.dir_addr.eq(compress.dir_addr),
            self.dir_data.eq(compress.dir_data),
            self.overflow.eq(compress.overflow),
            self.busy.eq(step.valid | s_valid | w_there[0] | windows.busy | compress.busy),
        ]
        return m
