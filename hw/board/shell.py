"""Shell: the clock, reset and pins around a board's top in a bitstream."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer

from zeroskip.base.errors import ParameterError
from zeroskip.hw.board.boards import Board
from zeroskip.hw.board.pll import ecp5_pll, ice40_pll
from zeroskip.hw.board.top import BOARD_MODULE

__all__ = ["TOP_INSTANCE", "Shell", "real_clock"]

TOP_INSTANCE = "board"
"""Name of the board's top in the bitstream's hierarchy."""

# Block memories of iCE40 give zeros for some microseconds after the configuration.
_RESET_SECONDS = 20e-6


def real_clock(board: Board, platform: Any, wanted_hz: float) -> float:
    """Return the clock that the board really makes for ``wanted_hz``.

    Raises
    ------
    ParameterError
        If it can make none within 1 %.
    """
    source = platform.default_clk_frequency
    if wanted_hz == source:
        return wanted_hz
    if board.family == "ice40":
        return ice40_pll(source, wanted_hz).hz
    if board.family == "ecp5":
        return ecp5_pll(source, wanted_hz).hz
    raise ParameterError(
        "clock_mhz", wanted_hz / 1e6, f"{source / 1e6:g} on {board.name}, which has no PLL here"
    )


class Shell(Elaboratable):
    """The board's top, whose Verilog stands in files of its own, on a board.

    Parameters
    ----------
    board : the board.
    hz : the clock, as :func:`real_clock` gives it.
    """

    def __init__(self, board: Board, hz: float) -> None:
        self._board = board
        self._hz = hz

    def elaborate(self, platform: Any) -> Module:
        board = self._board
        m = Module()
        m.domains.sync = ClockDomain(reset_less=True)
        locked, pressed, steady = Signal(), Signal(), Signal()
        self._add_clock(m, platform, locked)
        if board.button is not None:
            m.submodules.button_pin = pin = io.Buffer(
                io.Direction.Input, platform.request(*board.button, dir="-")
            )
            m.submodules.button = FFSynchronizer(pin.i, pressed)
        # Out of reset when the clock is steady and the memories can be read.
        most = int(self._hz * _RESET_SECONDS) + 1
        cycles = Signal(range(most + 1))
        m.submodules.locked = FFSynchronizer(locked, steady)
        with m.If(~steady | pressed):
            m.d.sync += cycles.eq(0)
        with m.Elif(cycles != most):
            m.d.sync += cycles.eq(cycles + 1)
        reset = Signal(init=1)
        m.d.sync += reset.eq(cycles != most)

        if board.uart is not None:
            connector, to_board, from_board = board.uart
            platform.add_resources([_uart_at(connector, to_board, from_board)])
        uart = platform.request("uart", 0, dir="-")
        led, *inside = board.led
        port = platform.request(led, 0, dir="-")
        for name in inside:
            port = getattr(port, name)
        m.submodules.rx = rx = io.Buffer(io.Direction.Input, uart.rx)
        m.submodules.tx = tx = io.Buffer(io.Direction.Output, uart.tx)
        m.submodules.lamp = lamp = io.Buffer(io.Direction.Output, port)
        m.submodules[TOP_INSTANCE] = Instance(
            BOARD_MODULE,
            i_clk=ClockSignal(),
            i_rst=reset,
            i_rx=rx.i,
            o_tx=tx.o,
            o_running=lamp.o,
        )
        return m

    def _add_clock(self, m: Module, platform: Any, locked: Signal) -> None:
        """Drive the clock of domain sync; ``locked`` when it is steady."""
        source = platform.default_clk_frequency
        clock = ClockSignal()
        pad = platform.request(platform.default_clk, 0, dir="-")
        if self._hz == source:
            m.submodules.clock_pin = pin = io.Buffer(io.Direction.Input, pad)
            m.d.comb += [clock.eq(pin.i), locked.eq(1)]
        elif self._board.family == "ice40":
            settings = ice40_pll(source, self._hz)
            # The board's clock comes in at the pad of the loop.
            m.submodules.pll = Instance(
                "SB_PLL40_PAD",
                p_FEEDBACK_PATH="SIMPLE",
                p_DIVR=settings.divr,
                p_DIVF=settings.divf,
                p_DIVQ=settings.divq,
                p_FILTER_RANGE=settings.filter_range,
                i_PACKAGEPIN=pad.io,
                i_RESETB=1,
                i_BYPASS=0,
                o_PLLOUTGLOBAL=clock,
                o_LOCK=locked,
            )
        else:
            settings = ecp5_pll(source, self._hz)
            feedback = clock
            second: dict[str, Any] = {}
            if settings.clkos_div is not None:
                feedback = Signal()
                second = {
                    "p_CLKOS_DIV": settings.clkos_div,
                    "p_CLKOS_CPHASE": settings.clkos_div - 1,
                    "p_CLKOS_ENABLE": "ENABLED",
                    "o_CLKOS": clock,
                }
            m.submodules.clock_pin = pin = io.Buffer(io.Direction.Input, pad)
            m.submodules.pll = Instance(
                "EHXPLLL",
                # The loop's filter, as Project Trellis' ecppll has it: nextpnr takes 0 for what
                # is not said, and such a loop has no current.
                a_ICP_CURRENT="12",
                a_LPF_RESISTOR="8",
                a_MFG_ENABLE_FILTEROPAMP="1",
                a_MFG_GMCREF_SEL="2",
                p_CLKI_DIV=settings.clki_div,
                p_CLKFB_DIV=settings.clkfb_div,
                p_CLKOP_DIV=settings.clkop_div,
                p_CLKOP_CPHASE=settings.clkop_div - 1,
                p_CLKOP_ENABLE="ENABLED",
                p_FEEDBK_PATH="CLKOP",
                i_CLKI=pin.i,
                i_CLKFB=feedback,
                i_RST=0,
                i_STDBY=0,
                o_CLKOP=feedback,
                o_LOCK=locked,
                **second,
            )


def _uart_at(connector: str, to_board: str, from_board: str) -> Any:
    """Put a serial line on pins of a connector."""
    from amaranth.build import Attrs
    from amaranth_boards.resources import UARTResource

    return UARTResource(
        0,
        rx=to_board,
        tx=from_board,
        conn=(connector, 0),
        # Nothing may be at the pins: the line is then idle.
        attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP"),
    )
