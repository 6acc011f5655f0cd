"""List the boards that bitstreams can be made for, and the resources of their FPGAs."""

import copy
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zeroskip.base.errors import ParameterError, ToolError
from zeroskip.hw.board.families import FAMILIES, Family, MemoryKind

__all__ = ["BOARDS", "FAMILIES", "Board", "Family", "MemoryKind", "board_of"]

_SPRAM = MemoryKind("SPRAM", ((16384, 16),))


@dataclass(frozen=True)
class Board:
    """A board.

    Parameters
    ----------
    name : on the command line.
    about : what it is.
    family : of its FPGA, a key of ``FAMILIES``.
    platform : module and class in amaranth-boards.
    clock_mhz : the clock that a bitstream is made for, unless told otherwise.
    blocks : memory blocks of the FPGA.
    logic : cells of logic, and what they are called in ``FAMILIES``.
    single_bits : SRAMs of one port and so many bits go to memories with one port; 0 if there are
        none.
    singles : how many such memories.
    led : resource, and what in it, that shines during a run.
    button : resource and number of the reset button.
    uart : pins (connector, to the board, from the board), where the board has no serial line.
    pins : attributes of resources' pins that amaranth-boards has otherwise.
    """

    name: str
    about: str
    family: Literal["ice40", "ecp5", "gowin"]
    platform: tuple[str, str]
    clock_mhz: float
    blocks: int
    logic: tuple[str, int]
    single_bits: int = 0
    singles: int = 0
    led: tuple[str, ...] = ("led",)
    button: tuple[str, int] | None = None
    uart: tuple[str, str, str] | None = None
    pins: Mapping[tuple[str, int], Mapping[str, str]] = field(default_factory=dict)
    single: MemoryKind = field(default=_SPRAM)

    def load_platform(self) -> Any:
        """Return a new platform.

        Raises
        ------
        ToolError
            If amaranth-boards is not installed.
        """
        module, name = self.platform
        try:
            found = importlib.import_module(f"amaranth_boards.{module}")
        except ModuleNotFoundError as error:
            raise ToolError(
                "amaranth-boards is not installed: install Zeroskip with its extra 'fpga', or run "
                "'pip install amaranth-boards==0.0.21'"
            ) from error
        platform = getattr(found, name)()
        for resource, attributes in self.pins.items():
            # Platforms share their resources.
            changed = copy.deepcopy(platform.resources[resource])
            changed.attrs.update(attributes)
            platform.resources[resource] = changed
        return platform


BOARDS = {
    board.name: board
    for board in (
        Board(
            name="icebreaker",
            about="iCEBreaker, iCE40 UP5K",
            family="ice40",
            platform=("icebreaker", "ICEBreakerPlatform"),
            clock_mhz=24.0,
            blocks=30,
            logic=("logic cells", 5280),
            single_bits=1 << 15,
            singles=4,
            led=("led_g",),
            button=("button", 0),
        ),
        Board(
            name="ulx3s-85f",
            about="ULX3S, ECP5 85F",
            family="ecp5",
            platform=("ulx3s", "ULX3S_85F_Platform"),
            clock_mhz=62.5,
            blocks=208,
            logic=("LUT", 83640),
            button=("button_fire", 0),
        ),
        Board(
            name="orangecrab-85f",
            about="OrangeCrab r0.2, ECP5 85F; serial line at pins 0 (in) and 1 (out)",
            family="ecp5",
            platform=("orangecrab_r0_2", "OrangeCrabR0_2_85FPlatform"),
            clock_mhz=60.0,
            blocks=208,
            logic=("LUT", 83640),
            uart=("io", "0", "1"),
            led=("rgb_led", "g"),
        ),
        Board(
            name="ecpix5-85f",
            about="ECPIX-5, ECP5 85F (5G)",
            family="ecp5",
            platform=("ecpix5", "ECPIX585Platform"),
            clock_mhz=75.0,
            blocks=208,
            logic=("LUT", 83640),
            led=("rgb_led", "g"),
            button=("rst", 0),
        ),
        Board(
            name="tangnano9k",
            about="Tang Nano 9K, GW1NR-9C",
            family="gowin",
            platform=("tang_nano_9k", "TangNano9kPlatform"),
            clock_mhz=27.0,
            blocks=26,
            logic=("LUT", 8640),
            button=("button", 0),
            # Their bank has 1.8 V.
            pins={
                ("led", 0): {"IO_TYPE": "LVCMOS18"},
                ("button", 0): {"IO_TYPE": "LVCMOS18", "PULL_MODE": "UP"},
            },
        ),
    )
}


def board_of(name: str) -> Board:
    """Return a board by its name.

    Raises
    ------
    ParameterError
        If there is none; the message lists what there is.
    """
    if name not in BOARDS:
        raise ParameterError.of_names("board", name, list(BOARDS))
    return BOARDS[name]
