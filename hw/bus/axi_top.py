"""AXI top: a chip whose ports are called as tools and integrators expect of AXI."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect

from zeroskip.hw.bus.clocked import place_chip
from zeroskip.hw.bus.stream_port import StreamPort
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import REGISTER_BITS

__all__ = ["AXI_CONTROL", "AXI_INPUT", "AXI_MEMORY", "AXI_OUTPUT", "AxiStreamTop", "AxiTop"]

AXI_CONTROL = "s_axi_control"
AXI_MEMORY = "m_axi_gmem"
AXI_INPUT = "s_axis_input"
AXI_OUTPUT = "m_axis_output"

_INCR = 1
_CACHE = 0b0011  # normal memory, not cached, which may be buffered


class AxiTop(wiring.Component):
    """A chip with a clock, a reset that is active low, two AXI ports and an interrupt.

    Parameters
    ----------
    params : of the port to memory.
    chip : with ``read``, ``write``, ``registers`` and ``interrupt`` of :class:`.SystemChip`.

    Members
    -------
    aclk, aresetn : In, clock, and reset, active low, synchronous.
    s_axi_control_* : AXI4-Lite slave, the registers; what ``prot`` says is not looked at.
    m_axi_gmem_* : AXI4 master, the memory; identifiers are 0.
    interrupt : Out, high until what ISR is read as is written back to it.
    """

    aclk: Signal
    aresetn: Signal
    interrupt: Signal

    own_clock = True
    streams = False

    def __init__(self, params: SystemParams, chip: partial[wiring.Component]) -> None:
        self._p, self._chip = params, chip
        super().__init__({
            "aclk": In(1),
            "aresetn": In(1),
            **_ports(AXI_CONTROL, _lite_channels()),
            **_ports(AXI_MEMORY, _channels(params)),
            **(_stream_ports(params) if self.streams else {}),
            "interrupt": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        made = place_chip(m, self._chip(), self.aclk, ~self.aresetn)
        m.d.comb += self.interrupt.eq(made.interrupt)
        self._join(m, AXI_CONTROL, made.registers, ("aw", "w", "ar"), ("b", "r"))
        read, write = made.read, made.write
        if self.streams:
            m.submodules.stream_port = port = StreamPort(self._p)
            connect(m, made.read, port.read)
            connect(m, made.write, port.write)
            read, write = port.memory_read, port.memory_write
            self._join_stream(m, AXI_INPUT, port.i, into=True)
            self._join_stream(m, AXI_OUTPUT, port.o, into=False)
        self._join(m, AXI_MEMORY, write, ("b",), ("aw", "w"))
        self._join(m, AXI_MEMORY, read, ("r",), ("ar",))
        constants = {
            "size": self._p.beat_shift, "burst": _INCR, "cache": _CACHE,
            "id": 0, "lock": 0, "prot": 0, "qos": 0,
        }  # fmt: skip
        for channel in ("aw", "ar"):
            m.d.comb += [
                self._port(AXI_MEMORY, f"{channel}{name}").eq(value)
                for name, value in constants.items()
            ]
        return m

    def _join_stream(self, m: Module, prefix: str, port: Any, *, into: bool) -> None:
        """Connect a stream of the chip to signals: one that comes in, or one that goes out."""
        for name, value in [("valid", port.valid), *_fields("", port.payload).items()]:
            signal = self._port(prefix, f"t{name}")
            m.d.comb += value.eq(signal) if into else signal.eq(value)
        ready = self._port(prefix, "tready")
        m.d.comb += ready.eq(port.ready) if into else port.ready.eq(ready)

    def _port(self, prefix: str, name: str) -> Any:
        return getattr(self, f"{prefix}_{name}")

    def _join(
        self, m: Module, prefix: str, inner: Any, into: tuple[str, ...], out: tuple[str, ...]
    ) -> None:
        """Connect streams of the chip to signals: those that come in, and those that go out."""
        for channel in (*into, *out):
            stream = getattr(inner, channel)
            pairs = [("valid", stream.valid), *_fields(channel, stream.payload).items()]
            ready = self._port(prefix, f"{channel}ready")
            for name, value in pairs:
                signal = self._port(prefix, f"{channel}{name}")
                m.d.comb += value.eq(signal) if channel in into else signal.eq(value)
            m.d.comb += ready.eq(stream.ready) if channel in into else stream.ready.eq(ready)


class AxiStreamTop(AxiTop):
    """An :class:`AxiTop` whose upper half of addresses are streams, see :class:`.StreamPort`.

    Members
    -------
    s_axis_input_*, m_axis_output_* : AXI4-Stream; the others are those of :class:`AxiTop`.
    """

    streams = True


def _stream_ports(p: SystemParams) -> dict[str, wiring.Member]:
    fields = {"data": p.data_bits, "keep": p.beat_bytes, "last": 1, "valid": 1}
    found: dict[str, wiring.Member] = {}
    for prefix, flow, back in ((AXI_INPUT, In, Out), (AXI_OUTPUT, Out, In)):
        found |= {f"{prefix}_t{name}": flow(width) for name, width in fields.items()}
        found[f"{prefix}_tready"] = back(1)
    return found


def _fields(channel: str, payload: Any) -> dict[str, Any]:
    """Name the fields of a payload as AXI does."""
    if isinstance(payload, data.View):
        view: Any = payload
        return {name: view[name] for name, _ in view.shape()}
    return {"resp" if channel == "b" else "addr": payload}


_Channels = Mapping[str, tuple[Any, Mapping[str, int]]]
"""Direction, and widths of fields, by channel."""


def _lite_channels() -> _Channels:
    address = {"addr": REGISTER_BITS, "prot": 3}
    return {
        "aw": (In, address),
        "w": (In, {"data": 32, "strb": 4}),
        "b": (Out, {"resp": 2}),
        "ar": (In, address),
        "r": (Out, {"data": 32, "resp": 2}),
    }


def _channels(p: SystemParams) -> _Channels:
    address = {
        "id": 1, "addr": p.addr_bits, "len": 8, "size": 3, "burst": 2, "lock": 1, "cache": 4,
        "prot": 3, "qos": 4,
    }  # fmt: skip
    return {
        "aw": (Out, address),
        "w": (Out, {"data": p.data_bits, "strb": p.beat_bytes, "last": 1}),
        "b": (In, {"id": 1, "resp": 2}),
        "ar": (Out, address),
        "r": (In, {"id": 1, "data": p.data_bits, "resp": 2, "last": 1}),
    }


def _ports(prefix: str, channels: _Channels) -> dict[str, wiring.Member]:
    """List the signals of a port."""
    found: dict[str, wiring.Member] = {}
    for channel, (flow, fields) in channels.items():
        found |= {f"{prefix}_{channel}{name}": flow(width) for name, width in fields.items()}
        found[f"{prefix}_{channel}valid"] = flow(1)
        found[f"{prefix}_{channel}ready"] = (In if flow is Out else Out)(1)
    return found
