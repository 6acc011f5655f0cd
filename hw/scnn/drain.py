"""Drain: walk through the accumulators of all PEs, and exchange what neighbours hold."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.formats import descriptor_layout, step_layout
from zeroskip.hw.scnn.params import MOST_POOL, ScnnParams

__all__ = ["Drain"]


class Drain(wiring.Component):
    """Give all PEs the steps of a group whenever all have finished one; ``docs/scnn.md``.

    A group takes a step a cycle, from the cycle after ``ready`` on. For as many outputs of a row
    as :meth:`.ScnnParams.drain_lanes` says: the PE's own sums, then those of the neighbours that
    hold a part of any, columns inside rows, in the order 0, -1, 1. Outputs go through output
    channels, then phases of the next layer, then rows, then columns; with windows, through rows of
    windows, then columns, then the rows of these windows. See :meth:`.ScnnParams.drain_width` for
    lanes that have two columns of a window. Without ``drain`` a group is free in the cycle after
    ``ready``.

    Members
    -------
    descriptor : In, of the pass at work, stable from the cycle of ``start`` until the next; ``wo``
        and ``ho`` are multiples of ``out_sx`` and ``out_sy``, and of ``pool_x`` and ``pool_y``,
        halos at most ``wo`` and ``ho``.
    start : In, the pass begins with the next cycle.
    ready : In, all PEs have finished a group.
    step : Out, for all PEs.
    drained : Out, with the last step of a group: its set of accumulators is free.
    bias_read, bias_row : Out, read the bias that belongs to the next cycle's step, the first of
        an output channel, and to those after it.
    done : Out, all groups of the pass have been drained.
    """

    descriptor: data.View
    start: Signal
    ready: Signal
    step: data.View
    drained: Signal
    bias_read: Signal
    bias_row: Signal
    done: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "descriptor": In(descriptor_layout(params)),
            "start": In(1),
            "ready": In(1),
            "step": Out(step_layout(params)),
            "drained": Out(1),
            "bias_read": Out(1),
            "bias_row": Out(params.bias_addr_bits),
            "done": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p, d = self._p, self.descriptor
        m = Module()
        bits = p.acc_addr_bits
        groups = Signal(12)
        walking = Signal()
        begin = Signal()
        go = Signal()
        m.d.comb += [
            self.done.eq(groups == 0),
            # The set that has just been drained is still `ready` in the cycle of its last step.
            begin.eq(self.ready & ~walking & ~self.done & ~self.drained),
            go.eq(walking | (begin & d.drain)),
        ]

        # The walk, one cycle ahead of `step`, from the innermost loop outwards.
        dx = Signal(signed(2))
        dy = Signal(signed(2))
        x, y, phase_x, phase_y = (Signal(bits, name=name) for name in ("x", "y", "ax", "ay"))
        pool_row = Signal(3)  # of the windows at hand
        channel = Signal(bits + 1)
        used = Signal(range(p.mult_i + 1))  # lanes
        spacing = Signal(3)  # from a lane to the next
        pairs = Signal()
        across = Signal(bits)
        columns = [(x + spacing * lane)[: bits + 1] for lane in range(p.mult_i)]
        there, at_low, at_high = (
            Signal(p.mult_i, name=name) for name in ("there", "at_low", "at_high")
        )
        m.d.comb += [
            there.eq(Cat((lane < used) & (c < d.wo) for lane, c in enumerate(columns))),
            at_low.eq(there & Cat(c < d.halo_right for c in columns)),
            at_high.eq(there & Cat(c >= d.wo - d.halo_left for c in columns)),
        ]
        next_dx, last_dx = _next_part(dx, at_low.any(), at_high.any())
        next_dy, last_dy = _next_part(dy, y < d.halo_bottom, y >= d.ho - d.halo_top)
        last_pool_row = pool_row + 1 >= d.pool_y
        last_ax, last_ay = phase_x + 1 >= d.out_sx, phase_y + 1 >= d.out_sy
        last_channel = channel + 1 == Mux(groups == 1, d.kc_last, d.kc)
        ends: dict[str, Signal] = {}
        inner: Value | int = last_dx
        for name, last in (
            ("outputs", last_dy),
            ("windows", last_pool_row),
            ("row", x + across >= d.wo),
            ("phase", y + d.out_sy >= d.ho),
            ("channel", last_ax & last_ay),
            ("group", last_channel),
        ):
            ends[name] = Signal(name=f"end_{name}")
            m.d.comb += ends[name].eq(inner & last)
            inner = ends[name]

        # Accumulators before `y` and before `phase_y`; in a step down, from a window's last row up
        # to its first, and in a whole tile.
        above = Signal(bits)
        phase_above = Signal(bits)
        down = Signal(bits)
        back = Signal(bits)
        tile = Signal(bits)
        base = Signal(bits)
        next_ax, next_ay = Mux(last_ax, 0, phase_x + 1), Mux(last_ay, 0, phase_y + 1)
        next_above = Mux(last_ay, 0, phase_above + d.y_stride)
        with m.If(go):
            m.d.sync += [walking.eq(~ends["group"]), dx.eq(next_dx)]
            with m.If(last_dx):
                m.d.sync += dy.eq(next_dy)
            with m.If(ends["outputs"]):
                m.d.sync += [pool_row.eq(pool_row + 1), y.eq(y + 1), above.eq(above + d.y_stride)]
            with m.If(ends["windows"]):
                m.d.sync += [pool_row.eq(0), y.eq(y - pool_row), above.eq(above - back)]
                m.d.sync += x.eq(x + across)
            with m.If(ends["row"]):
                m.d.sync += [x.eq(phase_x), y.eq(y + d.out_sy), above.eq(above + down)]
            with m.If(ends["phase"]):
                m.d.sync += [phase_x.eq(next_ax), x.eq(next_ax)]
                with m.If(last_ax):
                    m.d.sync += [phase_y.eq(next_ay), phase_above.eq(next_above)]
                    m.d.sync += [y.eq(next_ay), above.eq(next_above)]
                with m.Else():
                    m.d.sync += [y.eq(phase_y), above.eq(phase_above)]
            with m.If(ends["channel"]):
                m.d.sync += [channel.eq(channel + 1), base.eq(base + d.k_stride)]
                m.d.sync += self.bias_row.eq(self.bias_row + 1)
            with m.If(ends["group"]):
                m.d.sync += [channel.eq(0), base.eq(d.origin)]

        step = self.step
        m.d.comb += [step.spacing.eq(spacing), step.pairs.eq(pairs)]
        m.d.sync += [
            step.valid.eq(go),
            step.addr.eq(
                base
                + (above - Mux(dy == 0, 0, Mux(dy < 0, -tile, tile)))
                + (x - Mux(dx == 0, 0, Mux(dx < 0, -d.wo, d.wo)))
            ),
            step.lanes.eq(Mux(dx == 0, there, Mux(dx < 0, at_low, at_high))),
            step.dx.eq(dx),
            step.dy.eq(dy),
            step.first.eq((dx == 0) & (dy == 0)),
            step.last.eq(ends["outputs"]),
            step.x.eq(x),
            step.y.eq(y),
            step.pool_first.eq(pool_row == 0),
            step.pool_last.eq(last_pool_row),
            step.row_end.eq(ends["row"]),
            step.channel_end.eq(ends["phase"]),
        ]
        with m.If(self.drained):
            m.d.sync += groups.eq(groups - 1)
        m.d.sync += self.drained.eq((go & ends["group"]) | (begin & ~d.drain))
        new_channel = Signal()
        m.d.comb += self.bias_read.eq(go & new_channel)
        with m.If(go):
            m.d.sync += new_channel.eq(ends["channel"])
        lanes, apart = Signal.like(used), Signal.like(spacing)
        halos = Cat(d.halo_left, d.halo_right, d.halo_top, d.halo_bottom).any()
        in_pairs = ~d.pool_x[0] & ~halos
        m.d.comb += apart.eq(d.out_sx)
        with m.Switch(d.out_sx):
            for stride in range(1, 1 << len(d.out_sx)):
                with m.Case(stride):
                    m.d.comb += lanes.eq(p.drain_lanes(stride))
        with m.Switch(d.pool_x):
            for width in range(2, MOST_POOL + 1):
                with m.Case(width):
                    m.d.comb += lanes.eq(p.drain_lanes(1, width))
        with m.If(in_pairs):
            m.d.comb += apart.eq(2)
            with m.Switch(d.pool_x):
                for width in range(2, MOST_POOL + 1, 2):
                    with m.Case(width):
                        m.d.comb += lanes.eq(p.drain_lanes(2, width // 2))
        with m.If(self.start):
            m.d.sync += [
                groups.eq(d.groups),
                new_channel.eq(1),
                base.eq(d.origin),
                used.eq(lanes),
                spacing.eq(apart),
                pairs.eq(in_pairs),
                across.eq(lanes * apart),
                down.eq(d.out_sy * d.y_stride),
                back.eq((d.pool_y - 1)[: len(d.pool_y)] * d.y_stride),
                tile.eq(d.ho * d.y_stride),
                self.bias_row.eq(d.bias_base),
            ]
        return m


def _next_part(part: Value, low: Value, high: Value) -> tuple[Value, Value]:
    """Give the part after ``part``, and whether there is none, of 0, -1 if ``low``, 1 if ``high``.

    After the last comes 0, of the next output.
    """
    after = Mux((part == 0) & low, -1, Mux((part != 1) & high, 1, 0))
    return after, after == 0
