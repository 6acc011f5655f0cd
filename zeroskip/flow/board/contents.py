"""Contents of block memories in the text forms of configurations."""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.flow.board import gowin

__all__ = ["BLOCK_BITS", "place_of_cell", "read_blocks", "skeleton", "write_blocks"]

BLOCK_BITS = {"ice40": 4096, "ecp5": 20480, "gowin": gowin.BLOCK_BITS}
"""Bits of a block's contents as its INIT parameters have them."""

# ECP5: a parameter is 16 words of 20 bits, of which 18 are used; in a configuration a block is
# 2048 words of 9 bits.
_WORDS, _WORD_BITS, _USED_BITS = 1024, 20, 18
_NINES = 2048

_ICE40 = re.compile(r"^\.ram_data (\d+) (\d+)\n((?:[0-9a-f]{64}\n){16})", re.MULTILINE)
_ECP5 = re.compile(r"^\.bram_init (\d+)\n((?:[0-9a-f ]+\n)+)", re.MULTILINE)
_PATTERNS = {"ice40": _ICE40, "ecp5": _ECP5}


def place_of_cell(family: str, cell: Mapping[str, Mapping[str, str]]) -> str:
    """Return the name, in a configuration, of the block that nextpnr put a cell at."""
    if family == "ice40":
        found = re.fullmatch(r"X(\d+)/Y(\d+)/ram", cell["attributes"]["NEXTPNR_BEL"])
        assert found is not None
        return f"{found[1]} {found[2]}"
    if family == "gowin":
        return gowin.place_of_bel(cell["attributes"]["NEXTPNR_BEL"])
    return str(int(cell["attributes"]["WID"], 2))


def read_blocks(family: str, text: str) -> dict[str, NDArray[np.bool_]]:
    """Return the contents of all blocks in a configuration, by the blocks' names.

    The bits are in the order of the INIT parameters of the cells that the blocks are.
    """
    if family == "gowin":
        return gowin.read_blocks(text)
    blocks: dict[str, NDArray[np.bool_]] = {}
    if family == "ice40":
        for x, y, lines in _ICE40.findall(text):
            data = np.frombuffer(bytes.fromhex(lines.replace("\n", "")), np.uint8).reshape(16, 32)
            # A line has its lowest bit last.
            blocks[f"{x} {y}"] = np.unpackbits(data[:, ::-1], axis=1, bitorder="little").ravel() > 0
        return blocks
    for wid, lines in _ECP5.findall(text):
        nines = np.array([int(word, 16) for word in lines.split()], np.uint16)
        if len(nines) != _NINES:
            raise InputError(f"block {wid} of the configuration has {len(nines)} words, not 2048")
        bits = (nines[:, None] >> np.arange(9)) & 1
        words = np.zeros((_WORDS, _WORD_BITS), np.bool_)
        words[:, :_USED_BITS] = bits.reshape(_WORDS, _USED_BITS) > 0
        blocks[wid] = words.ravel()
    return blocks


def write_blocks(family: str, text: str, blocks: Mapping[str, NDArray[np.bool_]]) -> str:
    """Return a configuration with other contents in some of its blocks."""
    if family == "gowin":
        return gowin.write_blocks(text, blocks)
    left = set(blocks)

    def replace(match: re.Match[str]) -> str:
        name = f"{match[1]} {match[2]}" if family == "ice40" else match[1]
        if name not in blocks:
            return match[0]
        left.discard(name)
        return _ice40(name, blocks[name]) if family == "ice40" else _ecp5(name, blocks[name])

    made = _PATTERNS[family].sub(replace, text)
    if left:
        raise InputError(f"the configuration has no memory block {sorted(left)[0]}")
    return made


def skeleton(family: str, text: str) -> str:
    """Return a configuration without the contents of its blocks."""
    if family == "gowin":
        return gowin.skeleton(text)
    return _PATTERNS[family].sub("", text)


def _ice40(name: str, bits: NDArray[np.bool_]) -> str:
    data = np.packbits(bits.reshape(16, 256), axis=1, bitorder="little")[:, ::-1]
    return f".ram_data {name}\n" + "".join(f"{row.tobytes().hex()}\n" for row in data)


def _ecp5(name: str, bits: NDArray[np.bool_]) -> str:
    used = bits.reshape(_WORDS, _WORD_BITS)[:, :_USED_BITS].reshape(_NINES, 9)
    nines = used @ (1 << np.arange(9))
    lines = (" ".join(f"{word:03x}" for word in row) for row in nines.reshape(-1, 8))
    return f".bram_init {name}\n" + "".join(f"{line}\n" for line in lines)
