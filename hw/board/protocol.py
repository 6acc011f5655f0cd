"""Define the serial protocol between host and board; docs/protocol.md tells it in full.

Plain Python: the host's end needs no hardware description, the board's end takes its constants
from here.
"""

import enum
import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = [
    "ARGUMENT_BYTES",
    "CRC_BYTES",
    "FRAME_BYTES",
    "HEADER_BYTES",
    "IDENTITY",
    "MAGIC",
    "VERSION",
    "Byte",
    "Opcode",
    "Status",
    "params_digest",
]

VERSION = 1
"""Version of the protocol, the first byte of every frame."""

FRAME_BYTES = 512
"""Most bytes of a frame to the board, CRC included, before escaping."""

HEADER_BYTES = 3
"""Version, sequence number, opcode."""

ARGUMENT_BYTES = 7
"""Of READ and WRITE: space, PE, row (3), step, bytes per word."""

CRC_BYTES = 4

MAGIC = b"ZSKP"

IDENTITY = "<4sBBHBHI8s"
"""What IDENTIFY answers, as :mod:`struct` has it: magic, kind of array, version of the array's host
interface, PEs, most bytes per word, FRAME_BYTES, clock in Hz, digest of the parameters."""


class Byte(enum.IntEnum):
    """Bytes with a meaning of their own (SLIP, RFC 1055)."""

    END = 0xC0
    """Between frames."""
    ESC = 0xDB
    """Before one of the next two, which stand for END and ESC in a frame."""
    ESC_END = 0xDC
    ESC_ESC = 0xDD


class Opcode(enum.IntEnum):
    """Operation that a request asks for."""

    IDENTIFY = 1
    WRITE = 2
    READ = 3


class Status(enum.IntEnum):
    """Outcome that an answer reports; with anything but OK, nothing was executed."""

    OK = 0
    BAD_CRC = 1
    """The checksum is wrong."""
    BAD_ESCAPE = 2
    """ESC was followed by neither ESC_END nor ESC_ESC."""
    TOO_LONG = 3
    """The frame had more than FRAME_BYTES bytes."""
    TOO_SHORT = 4
    """The frame had fewer bytes than header and checksum."""
    TIMEOUT = 5
    """A frame was begun and not continued."""
    OVERRUN = 6
    """Bytes came in before the request before them was executed."""
    LINE = 7
    """A byte had no stop bit: wrong baud rate, or a break."""
    BAD_VERSION = 8
    """The frame is of another version of the protocol."""
    BAD_OPCODE = 9
    """There is no such request."""
    BAD_LENGTH = 10
    """The frame has another length than its request has."""
    BAD_ARGUMENT = 11
    """There is no such space, PE or word size, or the space cannot be read."""
    BUSY = 12
    """A run is under way: only the control space can be reached."""


def params_digest(params: Mapping[str, Any]) -> bytes:
    """Return 8 bytes that tell arrays of different parameters apart.

    Parameters
    ----------
    params : fields of the array's class, as :func:`dataclasses.asdict` gives them.
    """
    text = json.dumps(dict(params), sort_keys=True)
    return hashlib.sha256(text.encode()).digest()[:8]
