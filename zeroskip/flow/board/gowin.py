"""Contents of block memories in a bitstream of Gowin's GW1N-9C, which is text: a frame a line.

Frames of logic come first, then those of the block memories' contents. Each has a checksum of its
own, so contents can be replaced in a finished bitstream. Where bits are was found by Project
Apicula; ``tests/unit/board/test_place_map.py`` holds it against what its packer writes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError

__all__ = ["BLOCK_BITS", "check_frames", "place_of_bel", "read_blocks", "skeleton", "write_blocks"]

BLOCK_BITS = 18432
"""Bits of a block's contents: 1024 words of 18, of which the bits 8 and 17 are parity's."""

# The line before the frames says how many there are.
_HEADER = re.compile(f"{0x3B80:016b}[01]{{16}}")

# A frame is padding, a bit for each column of the chip from right to left, a checksum, and ones.
_PADDING, _COLUMNS, _CHECKSUM, _ONES = 4, 2836, 16, 48
_DATA = _PADDING + _COLUMNS
_FRAME = _DATA + _CHECKSUM + _ONES

# Blocks stand in two rows of tiles, each three tiles wide; such a row has its frames.
_TILES = {9: (4, 7, 10, 13, 16, 19, 22, 31, 34, 37, 40), 27: tuple(range(1, 46, 3))}
_FIRST_TILE, _TILE = 68, 60
_LOGIC_FRAMES, _ROW_FRAMES = 712, 256
_MORE_FRAMES = _ROW_FRAMES * len(_TILES)

# The column, in a block, of each bit of a word: in the first quarter of the words, the second, ...
_BIT_COLUMNS = np.array([
    [21, 22, 27, 28], [30, 31, 35, 37], [38, 39, 44, 45], [47, 48, 53, 54], [56, 57, 61, 62],
    [64, 65, 70, 71], [72, 73, 79, 80], [82, 83, 87, 89], [90, 91, 96, 97], [98, 99, 105, 106],
    [107, 109, 113, 114], [116, 117, 122, 123], [124, 125, 131, 132], [133, 134, 139, 140],
    [142, 143, 148, 149], [150, 151, 156, 157], [159, 160, 165, 166], [168, 169, 173, 175],
])  # fmt: skip

# The frame of a word in its quarter: by its two lowest bits, and the others. Frames of a row are
# from the last to the first.
_WORD = np.arange(BLOCK_BITS) // 18
_IN_FRAME = np.array([0, 128, 64, 192])[_WORD % 4] + _WORD // 4 % 64
_FRAME_OF_BIT = _ROW_FRAMES - 1 - _IN_FRAME
_COLUMN_OF_BIT = _BIT_COLUMNS[np.arange(BLOCK_BITS) % 18, _WORD // 256]


@dataclass(frozen=True, eq=False)
class _Bitstream:
    """A bitstream taken apart.

    Parameters
    ----------
    before, after : lines before the frames and after them.
    frames : (frames, ``_FRAME``) uint8, the letters.
    """

    before: list[str]
    frames: NDArray[np.uint8]
    after: list[str]

    @classmethod
    def of(cls, text: str) -> "_Bitstream":
        """Take ``text`` apart.

        Raises
        ------
        InputError
            If it is no bitstream of a GW1N-9C.
        """
        lines = text.split("\n")
        header = next((n for n, line in enumerate(lines) if _HEADER.fullmatch(line)), None)
        count = int(lines[header][16:], 2) if header is not None else 0
        if header is None or count not in (_LOGIC_FRAMES, _LOGIC_FRAMES + _MORE_FRAMES):
            raise InputError("it does not have the frames of a GW1N-9C")
        first = header + 1
        frames = lines[first : first + count]
        if len(frames) != count or any(len(line) != _FRAME for line in frames):
            raise InputError("its frames are not those of a GW1N-9C, or it is cut off")
        letters = np.frombuffer("".join(frames).encode("ascii", "replace"), np.uint8)
        if not np.isin(letters, (ord("0"), ord("1"))).all():
            raise InputError("its frames have other letters than 0 and 1")
        return cls(lines[:first], letters.reshape(count, _FRAME).copy(), lines[first + count :])

    @property
    def contents(self) -> NDArray[np.uint8]:
        """Frames of contents; none, if it has no contents."""
        return self.frames[_LOGIC_FRAMES:]

    def text(self, frames: int | None = None) -> str:
        """Return the bitstream as text, with so many of its frames."""
        letters = self.frames[:frames].tobytes().decode()
        lines = (letters[start : start + _FRAME] for start in range(0, len(letters), _FRAME))
        return "\n".join([*self.before, *lines, *self.after])


def check_frames(text: str) -> None:
    """Check that ``text`` is a bitstream of a GW1N-9C, with the checksums of frames right.

    Raises
    ------
    InputError
        If it is not.
    """
    bitstream = _Bitstream.of(text)
    # The first has in its checksum what is before the frames.
    wrong = (
        bitstream.frames[1:, _DATA : _DATA + _CHECKSUM] != _checksums(bitstream.frames[1:])
    ).any(axis=1)
    if wrong.any():
        raise InputError(f"the checksum of frame {1 + int(wrong.argmax())} is wrong")


def place_of_bel(bel: str) -> str:
    """Return the name of the block that nextpnr put a cell at, such as ``X4Y9``."""
    return bel.removesuffix("/BSRAM")


def read_blocks(text: str) -> dict[str, NDArray[np.bool_]]:
    """Return the contents of all blocks in a bitstream, by name; see ``BLOCK_BITS``."""
    letters = _columns(_Bitstream.of(text).contents)
    return {name: letters[place] == ord("1") for name, place in _places().items() if len(letters)}


def write_blocks(text: str, blocks: Mapping[str, NDArray[np.bool_]]) -> str:
    """Return a bitstream with other contents in some of its blocks.

    Raises
    ------
    InputError
        If it has no such block.
    """
    bitstream, places = _Bitstream.of(text), _places()
    if wrong := sorted(set(blocks) - set(places if len(bitstream.contents) else ())):
        raise InputError(f"the configuration has no memory block {wrong[0]}")
    for name, bits in blocks.items():
        _columns(bitstream.contents)[places[name]] = bits + np.uint8(ord("0"))
    bitstream.contents[:, _DATA : _DATA + _CHECKSUM] = _checksums(bitstream.contents)
    return bitstream.text()


def skeleton(text: str) -> str:
    """Return a bitstream without the contents of its blocks."""
    return _Bitstream.of(text).text(_LOGIC_FRAMES)


def _columns(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the part of frames that is for columns of the chip, the leftmost first."""
    return frames[:, _PADDING:_DATA][:, ::-1]


def _places() -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return, for each block, the frames of contents and the columns that its bits are in."""
    return {
        f"X{x}Y{y}": (
            _FRAME_OF_BIT + _ROW_FRAMES * row,
            _COLUMN_OF_BIT + _FIRST_TILE + _TILE * (x - 1),
        )
        for row, (y, xs) in enumerate(_TILES.items())
        for x in xs
    }


def _checksums(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the checksums of frames as they have them: CRC-16/ARC, the lower byte first.

    It covers the ones that end the frame before.
    """
    data = np.packbits(frames[:, :_DATA] == ord("1"), axis=1)
    before = np.full((len(frames), _ONES // 8), 255, np.uint8)
    crc = np.zeros(len(frames), np.uint16)
    for byte in np.concatenate([before, data], axis=1).T:
        crc = _CRC[(crc ^ byte) & 255] ^ crc >> 8
    return np.unpackbits(crc.astype("<u2").view(np.uint8).reshape(-1, 2), axis=1) + np.uint8(
        ord("0")
    )


def _table() -> NDArray[np.uint16]:
    table = np.arange(256)
    for _ in range(8):
        table = table >> 1 ^ np.where(table & 1, 0xA001, 0)
    return table.astype(np.uint16)


_CRC = _table()
