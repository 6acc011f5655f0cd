"""Description of the system's registers, which hardware, pages, headers and drivers come from."""

import zlib
from collections.abc import Mapping
from dataclasses import asdict
from enum import IntEnum, IntFlag
from typing import Any

from zeroskip.hw.bus.register_map import WORD_BYTES, Access, Field, RegisterMap
from zeroskip.hw.bus.register_map import Register as Entry
from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.system.formats import ROW_BITS, Error
from zeroskip.hw.system.params import SystemParams

__all__ = [
    "IDENTITY",
    "REGISTER_BITS",
    "SIZES_AT",
    "SYSTEM_VERSION",
    "Event",
    "Register",
    "State",
    "array_id",
    "engine_sizes",
    "system_registers",
]

SYSTEM_VERSION = 3
"""Version of the registers and of the command list."""

IDENTITY = int.from_bytes(b"ZSKP", "big")
"""What register IDENTITY is read as."""

REGISTER_BITS = 9
"""Width of the byte address of a register."""

SIZES_AT = 0x80
"""Address of the first register with a size of an array."""


class Register(IntEnum):
    """Byte addresses of the registers, each of 32 bits. Others are read as 0."""

    CONTROL = 0x00
    GIE = 0x04
    IER = 0x08
    ISR = 0x0C
    LIST = 0x10
    LIST_HIGH = 0x14
    LIST_BYTES = 0x18
    WINDOW = 0x1C
    WINDOW_HIGH = 0x20
    WINDOW_BYTES = 0x24
    WINDOW_BYTES_HIGH = 0x28
    ERROR = 0x2C
    DONE = 0x30
    CYCLES = 0x34
    VERSION = 0x38
    IDENTITY = 0x3C
    ARRAY = 0x40
    SIZES = 0x44
    BUSY_CYCLES = 0x48
    BEATS_READ = 0x4C
    BEATS_WRITTEN = 0x50
    INPUT = 0x54
    INPUT_HIGH = 0x58
    OUTPUT = 0x5C
    OUTPUT_HIGH = 0x60
    RERUNS = 0x64


class State(IntFlag):
    """Bits of ``Register.CONTROL``, the lowest and the highest where Vitis HLS has them."""

    AP_START = 1
    AP_DONE = 2
    AP_IDLE = 4
    AP_READY = 8
    STOP = 16
    REFUSED = 32
    AUTO_RESTART = 128


class Event(IntFlag):
    """What raises the interrupt, the lowest two as Vitis HLS has them."""

    DONE = 1
    """An inference is done."""
    READY = 2
    """A further start would be taken, and would not have been before."""
    ERROR = 4
    """An inference was abandoned."""


_STATES = {
    State.AP_START: (Access.SET, "queue the list, if AP_READY; read: one is queued or under way"),
    State.AP_DONE: (Access.CLEAR_ON_READ, "an inference was done since this was last read"),
    State.AP_IDLE: (Access.READ, "no inference is queued or under way"),
    State.AP_READY: (Access.READ, "a start would be taken"),
    State.STOP: (Access.PULSE, "abandon what is under way and queued; the error is STOPPED"),
    State.REFUSED: (
        Access.CLEAR_ON_READ,
        "since this was last read, a write was thrown away: AP_START without AP_READY, or WINDOW",
    ),
    State.AUTO_RESTART: (
        Access.READ_WRITE,
        "queue LIST again whenever an inference is done, which an abandoned one is not",
    ),
}

_EVENTS = {
    Event.DONE: "an inference is done",
    Event.READY: "a further start would be taken again",
    Event.ERROR: "an inference was abandoned",
}

_ADDRESSES = {
    Register.LIST: "byte address of the image's command list",
    Register.LIST_BYTES: "bytes of the command list",
    Register.INPUT: "byte address that a list's commands for the input are relative to",
    Register.OUTPUT: "byte address that a list's commands for the output are relative to",
    Register.WINDOW: "first byte of the memory that the chip may read and write",
    Register.WINDOW_BYTES: "bytes from WINDOW on; 0: nothing may be read",
}

_COUNTERS = {
    Register.DONE: "inferences that were done, modulo 2^32",
    Register.CYCLES: "cycles of the last inference that was done, from its start to its end",
    Register.BUSY_CYCLES: "cycles in which an inference was queued or under way, modulo 2^32",
    Register.BEATS_READ: "beats that the memory gave, modulo 2^32",
    Register.BEATS_WRITTEN: "beats that the memory took, modulo 2^32",
    Register.RERUNS: "inferences that were begun again, with the list of an ELSE, modulo 2^32",
}


def engine_sizes(engine: str, params: Any) -> dict[str, int]:
    """Name the sizes of an array as registers have them.

    Parameters
    ----------
    engine : its name.
    params : the dataclass of its sizes.
    """
    return {f"{engine}_{name}".upper(): int(value) for name, value in asdict(params).items()}


def array_id(params: SystemParams, sizes: Mapping[str, int]) -> int:
    """Return the number that an array and the image for it have in common.

    Parameters
    ----------
    params : of the port to memory; the width of a beat is what images depend on.
    sizes : of all arrays, see :func:`engine_sizes`.
    """
    text = [f"{name}={value}" for name, value in sorted(sizes.items())]
    return zlib.crc32(";".join([f"data_bits={params.data_bits}", *text]).encode())


def system_registers(params: SystemParams, sizes: Mapping[str, int]) -> RegisterMap:
    """Describe the registers of a system.

    Parameters
    ----------
    params : of the port to memory.
    sizes : of its arrays, see :func:`engine_sizes`; each gets a register from ``SIZES_AT`` up.

    Raises
    ------
    ValueError
        If there are more sizes than addresses.
    """

    def flags(listed: Mapping[Any, tuple[Access, str]]) -> tuple[Field, ...]:
        return tuple(
            Field(flag.name, flag.bit_length() - 1, 1, access, about)
            for flag, (access, about) in listed.items()
        )

    def constant(name: str, low: int, width: int, value: int, about: str) -> Field:
        return Field(name, low, width, Access.CONSTANT, about, value)

    def whole(name: str, access: Access, about: str, *, guarded: bool = False) -> Entry:
        address = Register[name]
        return Entry(name, address, about, (
            Field(name, 0, 8 * WORD_BYTES, access, about, guarded=guarded),
        ))  # fmt: skip

    enabled = {event: (Access.READ_WRITE, f"note: {about}") for event, about in _EVENTS.items()}
    noted = {event: (Access.TOGGLE, about) for event, about in _EVENTS.items()}
    entries = [
        Entry("CONTROL", Register.CONTROL, "start, stop, and state", flags(_STATES)),
        Entry("GIE", Register.GIE, "global interrupt enable", (
            Field("ENABLE", 0, 1, Access.READ_WRITE, "the interrupt may be raised"),
        )),
        Entry("IER", Register.IER, "interrupt enable: events that are noted", flags(enabled)),
        Entry("ISR", Register.ISR, "interrupt status: events that came; any raises the interrupt. "
              "A 1 toggles its bit: write back what was read, a 1 for an event that has not come "
              "sets it", flags(noted)),
        Entry("ERROR", Register.ERROR, "why the last inference was abandoned; 0 after a start", (
            Field("CODE", 0, 4, Access.READ, "reason, see the errors of command lists"),
            Field("COMMAND", 8, ROW_BITS, Access.READ, "number of the command in its list"),
        )),
        Entry("VERSION", Register.VERSION, "of registers and command list, and the port's sizes", (
            constant("NUMBER", 0, 16, SYSTEM_VERSION, "version"),
            constant("BEAT_BYTES", 16, 8, params.beat_bytes, "bytes of a beat of the memory port"),
            constant("QUEUED", 24, 8, params.starts, "inferences that may be queued behind one"),
        )),
        Entry("IDENTITY", Register.IDENTITY, "tells that this is Zeroskip", (
            constant("IDENTITY", 0, 32, IDENTITY, "the letters ZSKP, Z in the highest byte"),
        )),
        Entry("ARRAY", Register.ARRAY, "number that arrays and images for them have in common", (
            constant("ARRAY", 0, 32, array_id(params, sizes), "CRC-32 of all sizes"),
        )),
        Entry("SIZES", Register.SIZES, f"number of sizes from {SIZES_AT:#x} on", (
            constant("SIZES", 0, 32, len(sizes), "registers"),
        )),
        *(
            Entry(name, SIZES_AT + WORD_BYTES * place, "size of the array", (
                constant(name, 0, 32, value, name.partition("_")[2].lower()),
            ))
            for place, (name, value) in enumerate(sizes.items())
        ),
        *(whole(register.name, Access.READ, about) for register, about in _COUNTERS.items()),
    ]  # fmt: skip
    for register, about in _ADDRESSES.items():
        guarded = register.name.startswith("WINDOW")
        for half in ("", "_HIGH"):
            if f"{register.name}{half}" in Register.__members__:
                said = f"{about}, upper half" if half else about
                name = f"{register.name}{half}"
                entries.append(whole(name, Access.READ_WRITE, said, guarded=guarded))
    assert COUNTER_BITS == 8 * WORD_BYTES
    assert max(Error, key=lambda error: error.value).value < 1 << 4
    entries.sort(key=lambda entry: entry.address)
    return RegisterMap("zeroskip", "Zeroskip", REGISTER_BITS, tuple(entries))
