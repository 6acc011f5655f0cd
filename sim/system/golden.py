"""Run command lists on the bytes of a memory, as the chip does, in no time.

Commands, words and rows are read here by the layouts alone: nothing is shared with what wrote them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hw.system.formats import (
    COMMAND_BYTES,
    PACKED,
    ROW_BITS,
    Base,
    Error,
    Op,
    command_layout,
    row_bytes,
    word_bytes,
)
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.golden.words import LIMB_BITS, signed, unpack
from zeroskip.sim.system.state import ArrayState

__all__ = ["Attempt", "GoldenSystem", "ListError", "Performed"]

_LIMB_BYTES = LIMB_BITS // 8
_ADDRESS_BITS = 40


class ListError(Exception):
    """An inference is abandoned.

    Parameters
    ----------
    error : why.
    number : of the command in its list.
    """

    def __init__(self, error: Error, number: int) -> None:
        self.error, self.number = error, number
        super().__init__(f"{error.name} in command {number}")


@dataclass(frozen=True, eq=False)
class Performed:
    """A command that was carried out.

    Parameters
    ----------
    op : what it did.
    fields : as they stand in the list.
    run : of CONTROL, what the array ran; of INPUT, OUTPUT and WEIGHTS, what it says of them.
    lost : of CONTROL and INPUT, there was no room.
    """

    op: Op
    fields: Mapping[str, int]
    run: Any = None
    lost: bool = False


@dataclass(frozen=True, eq=False)
class Attempt:
    """A list that an inference was begun with.

    Parameters
    ----------
    address, size : of the list, in bytes; of the other list of an ELSE, all of its commands.
    performed : its commands up to END; of those behind one for which there was no room, WEIGHTS
        have their ``run``, as the array gets their beats ahead.
    other : what an ELSE says, address and bytes.
    """

    address: int
    size: int
    performed: Sequence[Performed]
    other: tuple[int, int] | None

    @property
    def lost(self) -> int | None:
        """The number of the command for which there was no room."""
        return next((at for at, one in enumerate(self.performed) if one.lost), None)


@dataclass(eq=False)
class GoldenSystem:
    """A chip and its memory.

    Parameters
    ----------
    arrays : see :class:`.ArrayState`; by the number that commands have for them.
    port : of the chip to the memory.
    memory : bytes, from address ``base`` up; changed by what is written.
    base : see above; the memory is the window of the DMA, too.
    """

    arrays: Sequence[ArrayState]
    port: SystemParams
    memory: NDArray[np.uint8]
    base: int = 0

    def start(self, address: int, size: int, bases: tuple[int, int] = (0, 0)) -> list[Attempt]:
        """Carry out a command list; ``bases`` are what registers INPUT and OUTPUT are.

        Returns
        -------
        The list, and behind it the one that came in its place, if there was no room.

        Raises
        ------
        ListError
            If a command cannot be carried out; those before it have been.
        """
        attempts = [self._attempt(address, size, bases)]
        while (number := attempts[-1].lost) is not None:
            # An other list has no ELSE that counts.
            if len(attempts) > 1 or (other := attempts[-1].other) is None:
                raise ListError(Error.LOST, number)
            for array in self.arrays:
                array.clear()
            attempts.append(self._attempt(*other, bases))
        return attempts

    def _attempt(self, address: int, size: int, bases: tuple[int, int]) -> Attempt:
        """Carry out a list, up to a command for which there is no room."""
        done: list[Performed] = []
        other: tuple[int, int] | None = None
        lost = False
        if address % self.port.beat_bytes:
            raise ListError(Error.MISALIGNED, 0)
        if not self._inside(address, size):
            raise ListError(Error.WINDOW, 0)
        for number in range(size // COMMAND_BYTES):
            raw = self._bytes(address + number * COMMAND_BYTES, COMMAND_BYTES)
            fields = unpack(int.from_bytes(raw.tobytes(), "little"), command_layout())
            known = {op.value: op for op in Op}
            if fields["base"] in (Base.INPUT, Base.OUTPUT):
                fields["addr"] += bases[fields["base"] - Base.INPUT]
                fields["base"] = fields["addr"] >> _ADDRESS_BITS
            there = fields["engine"] < len(self.arrays)
            if fields["op"] not in known or not there or fields["base"] or fields["zero"]:
                raise ListError(Error.UNKNOWN, number)
            op = known[fields["op"]]
            if lost and op != Op.WEIGHTS:
                done.append(Performed(op, fields))
            else:
                error, run = self._perform(op, fields)
                if error != Error.NONE:
                    raise ListError(error, number)
                spoils = op in (Op.CONTROL, Op.INPUT) and self.arrays[fields["engine"]].lost
                done.append(Performed(op, fields, run, spoils))
                lost = lost or spoils
            if op == Op.ELSE:
                other = fields["addr"], fields["count"] * COMMAND_BYTES
            if op == Op.END:
                return Attempt(address, size, done, other)
        raise ListError(Error.CUT, size // COMMAND_BYTES)

    def _inside(self, address: int, size: int) -> bool:
        return self.base <= address and address + size <= self.base + len(self.memory)

    def _bytes(self, address: int, size: int) -> NDArray[np.uint8]:
        return self.memory[address - self.base : address - self.base + size]

    def _perform(self, op: Op, fields: Mapping[str, int]) -> tuple[Error, Any]:
        """Carry out a command; return why it cannot be, and what was run."""
        array = self.arrays[fields["engine"]]
        if op == Op.END:
            return Error.NONE, None
        if op == Op.CONTROL:
            return Error.NONE, array.control(fields["row"])
        row, count, addr = fields["row"] & 0x7FFFFFFF, fields["count"], fields["addr"]
        load, weights = op == Op.LOAD, op == Op.WEIGHTS
        width, packed = array.lanes * array.lane_bits, op == Op.INPUT and fields["space"] == PACKED
        item = row_bytes(width, self.port, packed=packed)
        if load or weights:
            width = array.word_bits(fields["space"]) if load else array.stream_bits
            item = word_bytes(width)
        size = count * item
        beat = self.port.beat_bytes
        if op == Op.ELSE:
            size = count * COMMAND_BYTES
        if addr % beat:
            return Error.MISALIGNED, None
        if op not in (Op.OUTPUT, Op.WEIGHTS, Op.ELSE) and fields["row"] != row:
            return Error.RANGE, None
        if load:
            there = width and array.has_words(fields["space"], fields["pe"], row, count)
        elif weights:
            there = bool(width)
        elif op == Op.ELSE:
            there = count < 1 << ROW_BITS - 1
        else:
            there = row + count <= array.num_rows
            there = there and (op != Op.INPUT or fields["space"] in (0, PACKED))
        if not there or not count:
            return Error.RANGE, None
        if not self._inside(addr, -(-size // beat) * beat):
            return Error.WINDOW, None
        if op == Op.ELSE:
            return Error.NONE, None
        place = self._bytes(addr, size).reshape(count, -1)
        if load:
            array.load(fields["space"], fields["pe"], row, _words(place, width))
        elif weights:
            return Error.NONE, array.stream(_words(place, width))
        elif op == Op.INPUT:
            return Error.NONE, array.take_rows(row, _lanes(place, array))
        else:
            destination = bool(fields["row"] >> 31)
            before = _lanes(place, array)
            lanes, moved = array.give_rows(row, before, destination=destination)
            place[:] = _row_bytes(lanes, array, place.shape[1])
            return Error.NONE, moved
        return Error.NONE, None


def _words(place: NDArray[np.uint8], width: int) -> NDArray[np.uint64]:
    """Read words, (n, limbs), of bytes; bits above ``width`` are no part of them."""
    limbs = -(-width // LIMB_BITS)
    padded = np.zeros((len(place), limbs * _LIMB_BYTES), np.uint8)
    kept = min(padded.shape[1], place.shape[1])
    padded[:, :kept] = place[:, :kept]
    words = padded.view("<u8").astype(np.uint64)
    if rest := width % LIMB_BITS:
        words[:, -1] &= np.uint64((1 << rest) - 1)
    return words


def _lanes(place: NDArray[np.uint8], array: ArrayState) -> NDArray[np.int64]:
    """Read rows, (n, lanes), of bytes."""
    bits = np.unpackbits(place, axis=1, bitorder="little")[:, : array.lanes * array.lane_bits]
    cells = bits.reshape(len(place), array.lanes, array.lane_bits).astype(np.uint64)
    return signed(
        (cells << np.arange(array.lane_bits, dtype=np.uint64)).sum(axis=2), array.lane_bits
    )


def _row_bytes(lanes: NDArray[np.int64], array: ArrayState, size: int) -> NDArray[np.uint8]:
    """Write rows as bytes, filled up with 0."""
    places = np.arange(array.lane_bits, dtype=np.int64)
    bits = (lanes[:, :, None] >> places & 1).astype(np.uint8).reshape(len(lanes), -1)
    found = np.zeros((len(lanes), size), np.uint8)
    packed = np.packbits(bits, axis=1, bitorder="little")
    found[:, : packed.shape[1]] = packed
    return found
