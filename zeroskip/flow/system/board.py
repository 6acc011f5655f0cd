"""Images on boards whose chip runs command lists: the chip's memories, and the image in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from amaranth.lib import wiring

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.system.build import SystemImage, build_system, chip_arrays
from zeroskip.flow.board.array import BoardArray, Need
from zeroskip.flow.bus.files import design_srams
from zeroskip.flow.flow import flow
from zeroskip.hw.board.boards import Board
from zeroskip.hw.board.system import (
    BOARD_KIND,
    BOARD_PORT,
    SystemBoardParams,
    SystemHost,
    SystemSpace,
    host_layout,
)
from zeroskip.hw.board.top import Hosted
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.common.sram import Ports
from zeroskip.hw.system.chip import system_module
from zeroskip.hw.system.register_map import SYSTEM_VERSION

__all__ = ["BoardSystem", "SystemBoardArray"]

_HOST = "host"

_CLOCK_MHZ = 50.0
"""Clock of a chip of preset ``board``: routed for 52.7 MHz on the slowest ECP5."""

_WIRE_PS = 900
"""Delay of a wire in ps that Yosys maps to LUTs with, instead of its own 300: four fifths of the
longest paths of a routed chip are wires."""

_LEAST = 1 << 16
"""Bytes of the smallest memory, so that small networks share a bitstream."""


@dataclass(frozen=True, eq=False)
class BoardSystem:
    """An image in the memory of a board's chip.

    Parameters
    ----------
    image : the network.
    system : how it lies in memory.
    params : of the chip that it is for, with the least memory.
    """

    image: Image
    system: SystemImage
    params: SystemBoardParams

    @classmethod
    def of(cls, image: Image) -> "BoardSystem":
        """Lay an image out for a board.

        Raises
        ------
        InputError, CompileError
            If no command list can run it.
        """
        system = build_system(image, BOARD_PORT)
        size = max(_LEAST, 1 << (system.map.bytes - 1).bit_length())
        params = SystemBoardParams(arrays=chip_arrays(image), memory_bytes=size)
        return cls(image, system, params)

    @property
    def engine(self) -> str:
        """Name of the chip's design."""
        return system_module(self.params.arrays)

    @property
    def loads(self) -> Sequence[Mapping[str, SramData]]:
        """What the memory holds at first, by the name of the memory of each byte of a beat."""
        beat = self.params.port.beat_bytes
        words = np.zeros(-(-len(self.system.memory) // beat) * beat, np.uint64)
        words[: len(self.system.memory)] = np.frombuffer(self.system.memory, np.uint8)
        columns = words.reshape(-1, beat).T
        return [{_lane(n): SramData(column[:, None], 8) for n, column in enumerate(columns)}]

    @property
    def srams(self) -> Mapping[str, SramData]:
        """What the memory holds at first."""
        return self.loads[0]


class SystemBoardArray(BoardArray[SystemBoardParams]):
    """See :class:`.BoardArray`: a chip and its memory."""

    wire_ps = _WIRE_PS

    def __init__(self, params: SystemBoardParams) -> None:
        super().__init__(params)
        self.engine = system_module(params.arrays)

    @property
    def short_paths(self) -> bool:
        """Always: it fits FPGAs only that have LUTs to spare."""
        return True

    @property
    def advice(self) -> str:
        return f"{super().advice}; '--preset board' fits boards with an ECP5"

    def clock_mhz(self, board: Board) -> float:
        return min(board.clock_mhz, _CLOCK_MHZ)

    @property
    def hosted(self) -> Hosted:
        """The chip with its host port."""
        p = self.params
        units = {name: flow(name).unit(array, p.port) for name, array in p.arrays.items()}
        spaces = tuple(space.value for space in SystemSpace)
        return Hosted(
            kind=BOARD_KIND,
            version=SYSTEM_VERSION,
            params=p,
            num_pes=sum(flow(name).num_pes(array) for name, array in p.arrays.items()),
            make=partial(SystemHost, p, units),
            command=host_layout(p.port),
            word_bits=p.port.data_bits,
            spaces=spaces,
            readable=spaces,
        )

    @property
    def inside(self) -> Mapping[str, partial[wiring.Component]]:
        """The arrays, and what is inside them."""
        found: dict[str, partial[wiring.Component]] = {}
        for name, array in self.params.arrays.items():
            found |= flow(name).modules(array)
        return found

    @property
    def memories(self) -> Sequence[Need]:
        """The chip's SRAMs as its Verilog has them; the memory is one for each byte of a beat."""
        return self._srams

    @cached_property
    def _srams(self) -> list[Need]:
        modules = {**self.inside, _HOST: self.hosted.make}
        text = "".join(emit_verilog(make(), name) for name, make in modules.items())
        lanes = {f"memory.byte_{n}": _lane(n) for n in range(self.params.port.beat_bytes)}
        found: list[Need] = []
        for places, module, size in design_srams(text, _HOST):
            path, shared = ".".join(places), module == Ports.SHARED
            name = lanes.get(path, path)
            depth, width = size["DEPTH"], size["WIDTH"]
            content = path in lanes
            found.append(Need(name, f"array.{path}", depth, width, content, shared))
        return found


def _lane(number: int) -> str:
    return f"memory/byte_{number}"
