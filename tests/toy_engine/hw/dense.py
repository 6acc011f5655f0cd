"""A dense array: one product in a cycle, whether a factor is 0 or not."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.toy_engine.hw.params import DenseParams, Space, StallClass
from zeroskip.hw.common.formats import ADDR_BITS, COUNTER_BITS
from zeroskip.hw.common.requantize import requantize
from zeroskip.hw.common.sram import sram

__all__ = ["Dense"]


class Dense(wiring.Component):
    """Multiplies a matrix, held row by row, by the activations.

    Parameters
    ----------
    params : sizes.

    Attributes
    ----------
    space, addr, data, write : write ``data`` to a memory, see :class:`.Space`.
    rows, columns, shift, activation : of the layer; steady while ``busy``.
    start, busy : begin, if not busy; outputs are complete when ``busy`` falls.
    result : the output at ``addr`` of the cycle before.
    counts : cycles since the start, by :class:`.StallClass`.
    """

    def __init__(self, params: DenseParams) -> None:
        self._p = p = params
        super().__init__({
            "space": In(2),
            "addr": In(ADDR_BITS),
            "data": In(signed(p.acc_bits)),
            "write": In(1),
            "rows": In(range(p.num_biases + 1)),
            "columns": In(range(p.num_acts + 1)),
            "shift": In(6),
            "activation": In(1),
            "start": In(1),
            "busy": Out(1),
            "result": Out(signed(p.act_bits)),
            "counts": Out(data.ArrayLayout(COUNTER_BITS, len(StallClass))),
        })

    def elaborate(self, platform: Any) -> Module:
        """Build memories, multiplier and control."""
        p = self._p
        ports: Any = self  # attributes that the signature makes
        m = Module()
        memories = {
            Space.WEIGHTS: sram(signed(p.weight_bits), p.num_weights, "weights"),
            Space.BIASES: sram(signed(p.acc_bits), p.num_biases, "biases"),
            Space.ACTS: sram(signed(p.act_bits), p.num_acts, "acts"),
        }
        reads: dict[Space, Any] = {}
        for space, memory in memories.items():
            m.submodules[space.name.lower()] = memory
            reads[space], write = memory.read_port(), memory.write_port()
            chosen = ports.write & (ports.space == space)
            m.d.comb += [
                write.addr.eq(ports.addr), write.data.eq(ports.data), write.en.eq(chosen),
            ]  # fmt: skip
        weight, bias, act = (reads[space] for space in Space)
        m.submodules.outputs = outputs = sram(signed(p.act_bits), p.num_biases, "outputs")
        output, kept = outputs.read_port(), outputs.write_port()

        row, column = Signal(range(p.num_biases)), Signal(range(p.num_acts))
        position = Signal(range(p.num_weights + 1))
        sum_, total = Signal(signed(p.acc_bits)), Signal(signed(p.acc_bits))
        last_column = column == ports.columns - 1
        m.d.comb += [
            weight.addr.eq(position),
            bias.addr.eq(row),
            output.addr.eq(ports.addr),
            ports.result.eq(output.data),
            total.eq(sum_ + bias.data),
            kept.addr.eq(row),
            kept.data.eq(requantize(m, total, ports.shift, ports.activation, p.act_bits)),
        ]

        def count(kind: Any) -> None:
            m.d.sync += ports.counts[kind].eq(ports.counts[kind] + 1)

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [row.eq(0), column.eq(0), position.eq(0), sum_.eq(0)]
                with m.If(ports.start):
                    m.d.sync += [ports.counts[kind].eq(0) for kind in StallClass]
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += ports.busy.eq(1)
                m.d.sync += position.eq(position + 1)
                count(StallClass.OVERHEAD)
                m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                m.d.comb += [ports.busy.eq(1), act.addr.eq(column + 1)]
                m.d.sync += [sum_.eq(sum_ + weight.data * act.data), column.eq(column + 1)]
                with m.If((weight.data != 0) & (act.data != 0)):
                    count(StallClass.USEFUL)
                with m.Else():
                    count(StallClass.ZERO)
                with m.If(last_column):
                    m.next = "WRITE"
                with m.Else():
                    m.d.sync += position.eq(position + 1)
            with m.State("WRITE"):
                # The next row's first weight is read meanwhile.
                m.d.comb += [ports.busy.eq(1), kept.en.eq(1)]
                m.d.sync += [
                    row.eq(row + 1), column.eq(0), position.eq(position + 1), sum_.eq(0),
                ]  # fmt: skip
                count(StallClass.OVERHEAD)
                with m.If(row == ports.rows - 1):
                    m.next = "IDLE"
                with m.Else():
                    m.next = "MULTIPLY"
        return m
