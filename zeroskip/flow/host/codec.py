"""Frames of the serial protocol: bytes in, bytes out; see docs/protocol.md."""

import zlib
from dataclasses import dataclass

from zeroskip.hw.board.protocol import CRC_BYTES, FRAME_BYTES, HEADER_BYTES, VERSION, Byte

__all__ = ["Answer", "Frames", "answer", "frame", "request"]

_ESCAPES: dict[int, bytes] = {
    Byte.END: bytes([Byte.ESC, Byte.ESC_END]),
    Byte.ESC: bytes([Byte.ESC, Byte.ESC_ESC]),
}
_PLAIN: dict[int, int] = {Byte.ESC_END: Byte.END, Byte.ESC_ESC: Byte.ESC}


@dataclass(frozen=True)
class Answer:
    """Answer of a board to a request.

    Parameters
    ----------
    sequence : of the request; 0 if the board could not read one.
    opcode : of the request.
    status : see :class:`.Status`.
    payload : what comes after.
    """

    sequence: int
    opcode: int
    status: int
    payload: bytes


def frame(body: bytes) -> bytes:
    """Return ``body`` with its checksum, escaped, between END bytes."""
    whole = body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")
    end = bytes([Byte.END])
    return end + b"".join(_ESCAPES.get(byte) or bytes([byte]) for byte in whole) + end


def request(sequence: int, opcode: int, arguments: bytes = b"") -> bytes:
    """Return a request as it goes over the line.

    Raises
    ------
    ValueError
        If it is longer than a board takes, or the sequence number is not from 1 to 255.
    """
    if not 1 <= sequence <= 255:
        raise ValueError(f"sequence must be from 1 to 255, not {sequence}")
    body = bytes([VERSION, sequence, opcode]) + arguments
    if (size := len(body) + CRC_BYTES) > FRAME_BYTES:
        raise ValueError(f"a frame must have at most {FRAME_BYTES} bytes, not {size}")
    return frame(body)


def answer(body: bytes) -> Answer | None:
    """Take an answer apart: the bytes of a frame without escapes. None if it is none."""
    data, crc = body[:-CRC_BYTES], body[-CRC_BYTES:]
    if len(data) <= HEADER_BYTES or zlib.crc32(data).to_bytes(CRC_BYTES, "little") != crc:
        return None
    version, sequence, opcode, status = data[: HEADER_BYTES + 1]
    if version != VERSION or not opcode & 0x80:
        return None
    return Answer(sequence, opcode & 0x7F, status, data[HEADER_BYTES + 1 :])


class Frames:
    """Take a stream of bytes apart, however it is cut into pieces."""

    def __init__(self) -> None:
        self._body = bytearray()
        self._escaped = self._bad = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies, with checksums, of the frames that ``data`` ends; bad ones are b""."""
        bodies: list[bytes] = []
        for byte in data:
            if byte == Byte.END:
                if self._body or self._bad or self._escaped:
                    bodies.append(b"" if self._bad or self._escaped else bytes(self._body))
                self._body.clear()
                self._escaped = self._bad = False
            elif self._escaped:
                self._escaped = False
                self._bad |= byte not in _PLAIN
                self._body.append(_PLAIN.get(byte, byte))
            elif byte == Byte.ESC:
                self._escaped = True
            else:
                self._body.append(byte)
        return bodies
