"""Top of a board's bitstream, also simulated as it is: serial line, bridge, array."""

import dataclasses
import struct

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from zeroskip.hw.board.bridge import Bridge
from zeroskip.hw.board.deframe import Deframe
from zeroskip.hw.board.frame import Frame
from zeroskip.hw.board.protocol import ENGINE_EIE, FRAME_BYTES, IDENTITY, MAGIC, params_digest
from zeroskip.hw.board.uart import UartRx, UartTx
from zeroskip.hw.eie.array import EieArray
from zeroskip.hw.eie.formats import VERSION, command_layout, host_bits
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams

__all__ = ["BOARD_MODULE", "BoardTop", "identity"]

BOARD_MODULE = "zeroskip_board"

_READABLE = (Space.CONTROL, Space.ACT, Space.COUNTER)


def identity(params: EieParams, clock_hz: int) -> bytes:
    """Return what the board answers to IDENTIFY."""
    return struct.pack(
        IDENTITY,
        MAGIC,
        ENGINE_EIE,
        VERSION,
        params.num_pes,
        host_bits(params) // 8,
        FRAME_BYTES,
        clock_hz,
        params_digest(dataclasses.asdict(params)),
    )


class BoardTop(wiring.Component):
    """The EIE array behind a serial line.

    Parameters
    ----------
    params : of the array.
    divisor : clock cycles per bit of the line.
    clock_hz : of the clock, to be told to the host.
    timeout : cycles after which a frame that stopped is given up; a tenth of a second if None.

    Members
    -------
    rx, tx : In and Out, the line, as the board sees it.
    running : Out, a run is under way; for a LED.
    """

    rx: Signal
    tx: Signal
    running: Signal

    def __init__(
        self, params: EieParams, *, divisor: int, clock_hz: int, timeout: int | None = None
    ) -> None:
        self._p = params
        self._divisor, self._clock_hz = divisor, clock_hz
        self._timeout = timeout or max(2, clock_hz // 10)
        super().__init__({"rx": In(1), "tx": Out(1), "running": Out(1)})

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        spaces = [space.value for space in Space if space != Space.COUNTER]
        readable = [s.value for s in _READABLE if p.counters or s != Space.COUNTER]
        m.submodules.uart_rx = uart_rx = UartRx(self._divisor)
        m.submodules.uart_tx = uart_tx = UartTx(self._divisor)
        m.submodules.deframe = deframe = Deframe(self._timeout)
        m.submodules.frame = frame = Frame()
        m.submodules.array = array = EieArray(p)
        m.submodules.bridge = bridge = Bridge(
            command_layout(p),
            host_bits(p),
            identity(p, self._clock_hz),
            p.num_pes,
            spaces,
            readable,
        )
        m.d.comb += [
            uart_rx.rx.eq(self.rx),
            self.tx.eq(uart_tx.tx),
            self.running.eq(array.running),
            deframe.valid.eq(uart_rx.valid),
            deframe.byte.eq(uart_rx.byte),
            deframe.broken.eq(uart_rx.broken),
            bridge.frame.eq(deframe.frame),
            bridge.length.eq(deframe.length),
            bridge.read_byte.eq(deframe.read_byte),
            bridge.error.eq(deframe.error),
            bridge.running.eq(array.running),
            deframe.read_at.eq(bridge.read_at),
            deframe.release.eq(bridge.release),
            deframe.acknowledge.eq(bridge.acknowledge),
        ]
        connect(m, bridge.o, frame.i)
        connect(m, frame.o, uart_tx.i)
        connect(m, bridge.cmd, array.cmd)
        connect(m, array.rsp, bridge.rsp)
        return m
