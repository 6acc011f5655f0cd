"""Top of a board's bitstream, also simulated as it is: serial line, bridge, array."""

import dataclasses
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect

from zeroskip.hw.board.bridge import Bridge
from zeroskip.hw.board.deframe import Deframe
from zeroskip.hw.board.frame import BODY, Frame
from zeroskip.hw.board.protocol import FRAME_BYTES, IDENTITY, MAGIC, params_digest
from zeroskip.hw.board.uart import UartRx, UartTx
from zeroskip.hw.common.queue import Queue

__all__ = ["BOARD_MODULE", "BoardTop", "Hosted", "identity"]

BOARD_MODULE = "zeroskip_board"


@dataclass(frozen=True)
class Hosted:
    """An array with a host port of streams ``cmd`` and ``rsp``.

    Parameters
    ----------
    kind, version : numbers of the kind of array, and of its host interface.
    params : sizes of the array, a dataclass.
    num_pes : processing elements that a command can name.
    make : the component, which says with ``running`` that a run is under way.
    command : layout of a command.
    word_bits : most bits of a word.
    spaces, readable : numbers of address spaces that requests may name, and may read.
    """

    kind: int
    version: int
    params: Any
    num_pes: int
    make: partial[wiring.Component]
    command: data.StructLayout
    word_bits: int
    spaces: Sequence[int]
    readable: Sequence[int]


def identity(hosted: Hosted, clock_hz: int) -> bytes:
    """Return what the board answers to IDENTIFY."""
    return struct.pack(
        IDENTITY,
        MAGIC,
        hosted.kind,
        hosted.version,
        hosted.num_pes,
        hosted.word_bits // 8,
        FRAME_BYTES,
        clock_hz,
        params_digest(dataclasses.asdict(hosted.params)),
    )


class BoardTop(wiring.Component):
    """An array behind a serial line.

    Parameters
    ----------
    hosted : the array.
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
        self, hosted: Hosted, *, divisor: int, clock_hz: int, timeout: int | None = None
    ) -> None:
        self._hosted = hosted
        self._divisor, self._clock_hz = divisor, clock_hz
        self._timeout = timeout or max(2, clock_hz // 10)
        super().__init__({"rx": In(1), "tx": Out(1), "running": Out(1)})

    def elaborate(self, platform: object) -> Module:
        hosted = self._hosted
        m = Module()
        m.submodules.uart_rx = uart_rx = UartRx(self._divisor)
        m.submodules.uart_tx = uart_tx = UartTx(self._divisor)
        m.submodules.deframe = deframe = Deframe(self._timeout)
        m.submodules.frame = frame = Frame()
        array: Any = hosted.make()
        m.submodules.array = array
        m.submodules.bridge = bridge = Bridge(
            hosted.command,
            hosted.word_bits,
            identity(hosted, self._clock_hz),
            hosted.num_pes,
            hosted.spaces,
            hosted.readable,
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
        # The line is slow, and whether it takes a byte depends on which one it is.
        m.submodules.sent = sent = Queue(BODY, 1)
        connect(m, bridge.o, sent.i)
        connect(m, sent.o, frame.i)
        connect(m, frame.o, uart_tx.i)
        connect(m, bridge.cmd, array.cmd)
        connect(m, array.rsp, bridge.rsp)
        return m
