"""Fill an image's SRAMs into the block memories of a configuration, without routing again."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError, ToolError
from zeroskip.flow.board.array import BoardArray
from zeroskip.flow.board.build import LAYOUT, PLACES
from zeroskip.flow.board.contents import BLOCK_BITS, read_blocks, write_blocks
from zeroskip.flow.flow import flow

__all__ = [
    "Contents",
    "check_params",
    "check_words",
    "fill",
    "loaded_by_host",
    "read_layout",
    "read_words",
]

Contents = Mapping[str, NDArray[np.uint64]]
"""Words of SRAMs by name, (rows, limbs) of 64 bits, lowest first; rows that lack are 0."""


def read_layout(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.int32]]]:
    """Read where SRAMs are in the configurations of a folder.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        layout = json.loads((folder / LAYOUT).read_text())
        if layout["zeroskip_bitstream"] != 2:
            raise InputError(f"{folder / LAYOUT} is of another version: make the bitstream anew")
        with np.load(folder / PLACES, allow_pickle=False) as arrays:
            return layout, dict(arrays)
    except FileNotFoundError as error:
        raise InputError(
            f"{error.filename} is missing: it must be beside the bitstream, as 'zeroskip "
            "bitstream' wrote it"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / LAYOUT} or {PLACES} is damaged: {error}") from error


def loaded_by_host(layout: Mapping[str, Any], part: Any) -> list[str]:
    """Return the SRAMs of an image whose contents a bitstream cannot have."""
    return [name for name in part.loads[0] if name not in layout["memories"]]


def array_of_layout(layout: Mapping[str, Any]) -> BoardArray[Any]:
    """Return the array that a bitstream has."""
    found = flow(layout["engine"])
    return found.board_array(found.board_params(layout["params"]))


def fill(
    text: str,
    layout: Mapping[str, Any],
    places: Mapping[str, NDArray[np.int32]],
    contents: Contents,
) -> str:
    """Return a configuration whose blocks hold ``contents``, and 0 elsewhere."""
    family = layout["family"]
    blocks: dict[str, NDArray[np.bool_]] = {}
    for name, memory in layout["memories"].items():
        depth, width = memory["depth"], memory["width"]
        bits = _to_bits(contents.get(name), name, depth, width)
        whole = np.zeros(len(memory["blocks"]) * BLOCK_BITS[family], np.bool_)
        whole[places[f"{depth}_{width}"]] = bits
        for block, part in zip(
            memory["blocks"], whole.reshape(-1, BLOCK_BITS[family]), strict=True
        ):
            blocks[block] = part
    return write_blocks(family, text, blocks)


def read_words(
    text: str, layout: Mapping[str, Any], places: Mapping[str, NDArray[np.int32]]
) -> dict[str, NDArray[np.uint64]]:
    """Return what the blocks of a configuration hold, all rows of each SRAM."""
    family = layout["family"]
    blocks = read_blocks(family, text)
    words: dict[str, NDArray[np.uint64]] = {}
    for name, memory in layout["memories"].items():
        depth, width = memory["depth"], memory["width"]
        whole = np.concatenate([blocks[block] for block in memory["blocks"]])
        bits = whole[places[f"{depth}_{width}"]]
        padded = np.zeros((depth, -(-width // 64) * 64), np.bool_)
        padded[:, :width] = bits
        words[name] = np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)
    return words


def check_words(
    text: str,
    layout: Mapping[str, Any],
    places: Mapping[str, NDArray[np.int32]],
    contents: Contents,
) -> None:
    """Check that a configuration's blocks hold ``contents``, and 0 in the rows after them.

    Raises
    ------
    ToolError
        Naming the first row that differs.
    """
    for name, words in read_words(text, layout, places).items():
        wanted = np.zeros_like(words)
        given = contents.get(name, wanted[:0])
        wanted[: len(given)] = given
        if (wrong := np.flatnonzero((words != wanted).any(axis=1))).size:
            raise ToolError(
                f"the finished bitstream has another word than the image in row {wrong[0]} of "
                f"{name}: this is an error of the tools or of Zeroskip"
            )


def _to_bits(
    words: NDArray[np.uint64] | None, name: str, depth: int, width: int
) -> NDArray[np.bool_]:
    bits = np.zeros((depth, width), np.bool_)
    if words is None:
        return bits
    if len(words) > depth or words.shape[1] != -(-width // 64):
        raise InputError(f"{name} must have at most {depth} rows of {width} bits")
    data = np.ascontiguousarray(words, "<u8").view(np.uint8)
    bits[: len(words)] = np.unpackbits(data, axis=1, bitorder="little")[:, :width]
    return bits


def check_params(layout: Mapping[str, Any], part: Any) -> None:
    """Check that a bitstream has the array that an image is for.

    Raises
    ------
    InputError
        Naming the parameter that differs.
    """
    if layout["engine"] != part.engine:
        raise InputError(
            f"the bitstream has an array of {layout['engine']}, and the image is for "
            f"{part.engine}: make a bitstream for it"
        )
    there = dict(_leaves(layout["params"]))
    for name, value in _leaves(dataclasses.asdict(part.params)):
        if there.get(name) != value:
            raise InputError(
                f"the bitstream's array has {name} {there.get(name)}, and the image is for "
                f"{name} {value}: compile the network with the bitstream's parameters"
            )


def _leaves(params: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Give parameters with their names, those of a chip's arrays behind the array's name."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
