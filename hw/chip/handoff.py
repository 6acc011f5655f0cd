"""Hand-over: moves outputs of SCNN into the source activation files of EIE, on the chip."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.chip.formats import handoff_layout
from zeroskip.hw.common.params import address_bits
from zeroskip.hw.eie import formats as eie
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.plane_read import PlaneRead

__all__ = ["Handoff"]


class Handoff(wiring.Component):
    """Copies SCNN's outputs into EIE's activation file 0, one position a cycle.

    Position ``n`` of the order in which :class:`.PlaneRead` gives them goes to row
    ``n // num_pes`` of EIE's PE ``n % num_pes``. Zeros are written, too, and fill the last row:
    nothing of an input before is left in any row that EIE reads.

    It is a host of both engines, and works while neither runs.

    Members
    -------
    go : In, begin; only while ``busy`` is low.
    config : In, where the outputs are; stable until ``busy`` is low.
    busy : Out, at work.
    scnn_cmd, scnn_rsp, eie_cmd : the engines' host ports.
    """

    go: Signal
    config: data.View
    busy: Signal
    scnn_cmd: stream.Interface
    scnn_rsp: stream.Interface
    eie_cmd: stream.Interface

    def __init__(self, scnn_params: ScnnParams, eie_params: EieParams) -> None:
        self._s, self._e = scnn_params, eie_params
        super().__init__({
            "go": In(1),
            "config": In(handoff_layout(scnn_params)),
            "busy": Out(1),
            "scnn_cmd": Out(stream.Signature(scnn.command_layout(scnn_params))),
            "scnn_rsp": In(stream.Signature(scnn.host_bits(scnn_params))),
            "eie_cmd": Out(stream.Signature(eie.command_layout(eie_params))),
        })

    def _plane(self) -> dict[str, Any]:
        """Return where the outputs are, in phases of one."""
        fields = {name: self.config[name] for name in handoff_layout(self._s).members}
        return {**fields, "sx": 1, "sy": 1}

    def elaborate(self, platform: object) -> Module:
        e = self._e
        m = Module()
        m.submodules.plane_read = reader = PlaneRead(self._s, 1)
        connect(m, reader.cmd, flipped(self.scnn_cmd))
        connect(m, flipped(self.scnn_rsp), reader.rsp)
        to_pe = Signal(address_bits(e.num_pes))
        to_row = Signal(e.act_addr_bits)
        was_reading = Signal()
        filling = Signal()  # the rest of the last row
        row_end = to_pe == e.num_pes - 1
        write = self.eie_cmd.payload
        m.d.comb += [
            reader.go.eq(self.go),
            *(getattr(reader.plane, name).eq(value) for name, value in self._plane().items()),
            reader.spread.eq(~0),
            reader.o.ready.eq(self.eie_cmd.ready & ~filling),
            self.busy.eq(reader.busy | was_reading | filling),
            self.eie_cmd.valid.eq(reader.o.valid | filling),
            write.pe.eq(to_pe),
            write.command.space.eq(Space.ACT),
            write.command.write.eq(1),
            write.command.addr.eq(to_row),
            write.command.data.eq(Mux(filling, 0, reader.o.payload.values[0])),
        ]
        m.d.sync += was_reading.eq(reader.busy)
        with m.If(self.eie_cmd.valid & self.eie_cmd.ready):
            m.d.sync += to_pe.eq(Mux(row_end, 0, to_pe + 1))
            with m.If(row_end):
                m.d.sync += [to_row.eq(to_row + 1), filling.eq(0)]
        with m.If(was_reading & ~reader.busy & (to_pe != 0)):
            m.d.sync += filling.eq(1)
        with m.If(self.go):
            m.d.sync += [to_pe.eq(0), to_row.eq(0)]
        return m
