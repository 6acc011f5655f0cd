"""A chip that executes commands one after the other."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from tests.unit.hw import eie_model
from tests.unit.hw.host_bench import Told
from tests.unit.hw.scnn import scnn_model
from zeroskip.hw.chip.formats import (
    HANDOFF_WORDS,
    Engine,
    Go,
    Register,
    handoff_layout,
    register_layout,
)
from zeroskip.hw.common.control import Command, StatusBit
from zeroskip.hw.eie import formats as eie
from zeroskip.hw.eie.host import Space
from zeroskip.hw.scnn import formats as scnn

E, S = eie_model.P, scnn_model.P
# Where a network of one channel leaves its outputs, in tiles of 2 x 2.
HANDOFF: dict[int | str, Any] = {
    "base": S.num_channels - 1, "channels": 1, "wo": 2, "ho": 2, "y_stride": 2,
    "full_x": 1, "rem_x": 1, "full_y": 1, "rem_y": 0, "block_x": 1, "block_y": 0,
}  # fmt: skip


def of(engine: str, commands: list[Told]) -> list[Told]:
    return [replace(one, engine=engine) for one in commands]


def chip(register: int, data: int | None = None) -> Told:
    return Told(None, register, 0, data, "chip")


def go(what: int) -> list[Told]:
    return [chip(Register.COMMAND, what)]


def configure() -> list[Told]:
    word = handoff_layout(S).const(HANDOFF).as_bits()
    return [
        chip(Register.HANDOFF + at, word >> 64 * at & (1 << 64) - 1) for at in range(HANDOFF_WORDS)
    ]


def encode(one: Told) -> dict[str, Any]:
    if one.engine == "chip":
        fields: dict[int | str, Any] = {
            "data": one.data or 0, "addr": one.addr, "write": one.data is not None
        }  # fmt: skip
        return {"engine": Engine.CHIP, "command": register_layout().const(fields).as_bits()}
    layout = eie.command_layout(E) if one.engine == "eie" else scnn.command_layout(S)
    named: dict[int | str, Any] = {**one.fields}
    return {"engine": Engine[one.engine.upper()], "command": layout.const(named).as_bits()}


_READ_AHEAD = 64
"""Cycles in which EIE has read its first descriptor and codebook, and more."""


@dataclass
class ChipModel:
    """Both engines, and what goes on between them."""

    scnn: scnn_model.ScnnModel
    eie: eie_model.EieModel
    seen: Counter[str]
    bad_read: bool = False

    def check(self, one: Told) -> None:
        """Execute a command; compare the answer."""
        if one.engine != "chip":
            (self.scnn if one.engine == "scnn" else self.eie).check(one)
        elif one.data is None:
            self._read(one)
        elif one.addr == Register.COMMAND:
            self._go(Go(one.data & 7), one.cycle)
        elif one.addr == Register.STATUS:
            self.bad_read &= not one.data & StatusBit.BAD_READ

    def _read(self, one: Told) -> None:
        assert one.answer is not None
        if one.addr != Register.STATUS:
            self.bad_read = True
            assert one.answer == 0
            self.seen["bad"] += 1
            return
        status = StatusBit(one.answer)
        assert bool(status & StatusBit.RUNNING) == one.busy
        assert bool(status & StatusBit.BAD_READ) == self.bad_read
        if not one.busy:
            assert not status & StatusBit.SEQUENCE
            assert bool(status & StatusBit.LOST) == self.scnn.lost
        # Answered during a sequence, not after it.
        self.seen["in a sequence"] += bool(status & StatusBit.SEQUENCE) and one.still
        self.seen["at rest"] += not one.busy

    def _go(self, what: Go, cycle: int) -> None:
        if what & Go.SCNN:
            self.scnn.command(Command.START)
        if self.scnn.lost and what & (Go.SCNN | Go.HANDOFF):
            return
        if what & Go.HANDOFF:
            self._hand_over()
        if what & Go.EIE:
            # When in the sequence EIE begins is not known here, only that it is not before `cycle`:
            # so neither is how long it waits for what it reads ahead, unless that is long there.
            asked = self.eie.asked
            if asked is not None:
                self.eie.asked = asked if asked < cycle - _READ_AHEAD else None
            self.eie.now = cycle
            self.eie.command(Command.START)
            self.eie.asked = None

    def _hand_over(self) -> None:
        x = self.scnn.plane(self.scnn.networks[0], S.num_channels - 1)
        # PE by PE, row by row of a tile.
        values = None if x is None else [*x[0, :, :2].flat, *x[0, :, 2:].flat]
        for position in range(6):
            row, pe = divmod(position, E.num_pes)
            word = None if values is None else int(values[position]) & 0xFFFFFFFF
            self.eie.memory[Space.ACT, pe, row] = word
