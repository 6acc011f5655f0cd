"""Lay a network out in memory, so that one START makes the chip run it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zeroskip.base.errors import CompileError, InputError
from zeroskip.base.staging import staged_directory
from zeroskip.compiler.engine import engine
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.image.manifest import zeroskip_version
from zeroskip.compiler.system.bytes import SystemCommand, command_bytes, words_bytes
from zeroskip.compiler.system.join import join_parts
from zeroskip.compiler.system.lists import command_list
from zeroskip.compiler.system.map import BlockEntry, ListEntry, MemoryMap, TensorEntry
from zeroskip.compiler.system.moves import Load, Move, Moves, RowsIn, RowsOut, RowTensor, Weights
from zeroskip.hw.system.formats import COMMAND_BYTES, ROW_BITS, Op
from zeroskip.hw.system.params import SystemParams

__all__ = [
    "BUFFERS",
    "SystemImage",
    "build_system",
    "check_folder",
    "chip_arrays",
    "find_system",
]

BUFFERS = 2
"""Inputs and outputs that lie in memory, so that one inference can be queued behind another."""

_ABOUT = {
    "setup": "command list: once after a reset",
    "bounded": "command list: in place of another that finds no room",
}
_ALIGN = 64
_PAGE = 4096


@dataclass(frozen=True, eq=False)
class SystemImage:
    """Memory image of a network: weights, command lists, and buffers of inputs and outputs.

    Parameters
    ----------
    map : addresses and sizes of all blocks.
    memory : bytes from address ``map.base`` up; the memory behind them is 0.
    moves : loads, inputs, runs and outputs that the command lists were made from.
    """

    map: MemoryMap
    memory: bytes
    moves: Moves

    def save(self, path: Path, beside: Mapping[str, bytes] | None = None) -> None:
        """Write ``memory.bin`` and ``map.json`` to a folder, which is replaced, or nothing.

        ``beside``: contents of further files by name.

        Raises
        ------
        InputError
            If something else is there, or writing fails.
        """
        check_folder(path)
        try:
            with staged_directory(path.resolve()) as stage:
                (stage / "memory.bin").write_bytes(self.memory)
                (stage / "map.json").write_text(self.map.model_dump_json(indent=1) + "\n")
                for name, contents in (beside or {}).items():
                    (stage / name).write_bytes(contents)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def check_folder(path: Path) -> None:
    """Check that a memory image can be written to ``path``.

    Raises
    ------
    InputError
        If something else than a memory image is there.
    """
    if path.exists() and not (path / "map.json").is_file() and any_content(path):
        raise InputError(
            f"{path} exists and is no memory image, so it is not replaced; name another folder"
        )


def any_content(path: Path) -> bool:
    """Say whether a path is a file, or a folder that is not empty."""
    return not path.is_dir() or any(path.iterdir())


class _Layout:
    """Blocks one after the other, each on a boundary of 64 bytes."""

    def __init__(self, base: int) -> None:
        self.blocks: dict[str, BlockEntry] = {}
        self.end = base

    def add(self, name: str, size: int, about: str) -> None:
        """Put a block behind those that are there."""
        self.blocks[name] = BlockEntry(name=name, address=self.end, bytes=size, about=about)
        self.end += -(-size // _ALIGN) * _ALIGN


def build_system(image: Image, port: SystemParams, *, base: int = 0) -> SystemImage:
    """Lay out weights, command lists and tensors.

    Parameters
    ----------
    image : of a network.
    port : of the chip to its memory.
    base : address of the memory image, a multiple of 4,096.

    Raises
    ------
    InputError
        If a part of the network cannot run from a command list, or ``base`` is none.
    CompileError
        If addresses or counts do not fit their bits.
    """
    if base % _PAGE or base < 0:
        raise InputError(f"the base address must be a multiple of {_PAGE}, not {base}")
    joined = join_parts(image, port)
    moves, views = joined.moves, joined.views
    sizes = {place: view.row_bytes(port) for place, view in views.items()}
    contents = {
        move.name: words_bytes(move.words, move.width)
        for move in moves
        if isinstance(move, Load | Weights)
    }
    layout = _place(moves, contents, port, base)
    address = {name: block.address for name, block in layout.blocks.items()}
    end = -(-layout.end // _PAGE) * _PAGE
    if end > 1 << port.addr_bits:
        raise CompileError(
            f"the memory of {image.name!r} ends at {end:#x}, and addresses have "
            f"{port.addr_bits} bits; a smaller base address or a wider addr_bits would do"
        )
    first, final = moves.tensors[0].name, moves.tensors[-1].name
    # Within a list, tensors have the addresses of the buffers that it is for.
    packed = {place for place, view in views.items() if view.packed}
    lists: dict[str, list[SystemCommand]] = {}
    for name, group in _groups(moves):
        pair = name.rpartition("_")[2]
        ends = {first: f"input_{pair}", final: f"output_{pair}"}
        here = address | {one: address[block] for one, block in ends.items() if block in address}
        lists[name] = list(command_list(group, here, sizes, packed=packed, in_place=moves.in_place))
        if moves.bounded and name.startswith("infer"):
            other = layout.blocks[f"bounded_{pair}"]
            count = other.bytes // COMMAND_BYTES
            instead = SystemCommand(op=Op.ELSE, addr=other.address, count=count)
            lists[name].insert(0, instead)
    memory = bytearray(max(address[name] + len(data) for name, data in contents.items()) - base)
    for name, commands in lists.items():
        contents[name] = _packed(image.name, commands)
    for name, data in contents.items():
        memory[address[name] - base : address[name] - base + len(data)] = data
    entries = tuple(
        _list_entry(name, group, layout, moves, sizes, port, contents)
        for name, group in _groups(moves)
    )
    memory_map = MemoryMap(
        zeroskip=zeroskip_version(),
        name=image.name,
        engines={name: asdict(params) for name, params in chip_arrays(image).items()},
        port=asdict(port),
        base=base,
        bytes=end - base,
        blocks=tuple(layout.blocks.values()),
        lists=entries[: 1 + BUFFERS],
        bounded=entries[1 + BUFFERS :],
        input=_tensor_entry(_as_given(moves.tensors[0], image), port),
        output=_tensor_entry(_as_taken(moves.tensors[-1], image), port),
        sha256=hashlib.sha256(memory).hexdigest(),
    )
    return SystemImage(memory_map, bytes(memory), moves)


def chip_arrays(image: Image) -> dict[str, Any]:
    """Return the parameters of the arrays by engine, in a chip that runs the image."""
    return {part.engine: engine(part.engine).in_chip(part.params) for part in image.parts}


def find_system(image: Image) -> SystemImage | None:
    """Lay a network out for a port of default sizes; None if no command list can run it."""
    try:
        return build_system(image, SystemParams())
    except InputError:
        return None


def _place(moves: Moves, contents: dict[str, bytes], port: SystemParams, base: int) -> _Layout:
    """Choose an address for everything."""
    layout = _Layout(base)
    for name, group in _groups(moves):
        about = _ABOUT.get(name.partition("_")[0], "command list")
        count = len(group) + 1 + (bool(moves.bounded) and name.startswith("infer"))
        layout.add(name, count * COMMAND_BYTES, about)
    for one in moves:
        if isinstance(one, Load) and one.name not in layout.blocks:
            layout.add(one.name, len(contents[one.name]), f"{one.about}, PE {one.pe}")
        elif isinstance(one, Weights) and one.name not in layout.blocks:
            layout.add(one.name, len(contents[one.name]), one.about)
    first, *scratch, final = moves.tensors
    for kind, one in (("input", first), ("output", final)):
        for pair in range(BUFFERS):
            size = one.rows * one.row_bytes(port)
            layout.add(f"{kind}_{pair}", size, f"{kind} of infer_{pair}")
    for one in scratch:
        layout.add(one.name, one.rows * one.row_bytes(port), "activations between runs")
    return layout


def _groups(moves: Moves) -> list[tuple[str, Sequence[Move]]]:
    """Return the moves of each list by its name."""
    lists: list[tuple[str, Sequence[Move]]] = [("setup", moves.setup)]
    lists += [(f"infer_{n}", moves.inference) for n in range(BUFFERS)]
    if moves.bounded:
        lists += [(f"bounded_{n}", moves.bounded) for n in range(BUFFERS)]
    return lists


def _packed(name: str, commands: Sequence[SystemCommand]) -> bytes:
    try:
        return b"".join(map(command_bytes, commands))
    except ValueError as error:
        raise CompileError(
            f"a command of {name!r} does not fit, counts have {ROW_BITS} bits: {error}"
        ) from error


def _list_entry(
    name: str,
    group: Sequence[Move],
    layout: _Layout,
    moves: Moves,
    sizes: dict[tuple[int, str], int],
    port: SystemParams,
    contents: dict[str, bytes],
) -> ListEntry:
    """Add up what a list moves."""
    pair = name.rpartition("_")[2]
    ends = {moves.tensors[0].name: f"input_{pair}", moves.tensors[-1].name: f"output_{pair}"}
    block = layout.blocks[name]
    beat = port.beat_bytes
    reads = {name: -(-block.bytes // beat) * beat}
    writes: dict[str, int] = {}
    words = 0
    for one in group:
        match one:
            case Load() | Weights():
                size = -(-len(contents[one.name]) // beat) * beat
                reads[one.name] = reads.get(one.name, 0) + size
                words += len(one.words)
            case RowsIn():
                where = ends.get(one.tensor, one.tensor)
                reads[where] = reads.get(where, 0) + _moved(one, sizes, beat)
            case RowsOut():
                where = ends.get(one.tensor, one.tensor)
                writes[where] = writes.get(where, 0) + _moved(one, sizes, beat)
            case _:
                pass
    return ListEntry(
        name=name,
        address=block.address,
        bytes=block.bytes,
        commands=block.bytes // COMMAND_BYTES,
        reads=reads,
        writes=writes,
        words=words,
    )


def _moved(rows: RowsIn | RowsOut, sizes: dict[tuple[int, str], int], beat: int) -> int:
    """Count the bytes that go over the port."""
    if rows.beats is None:
        return -(-rows.rows * sizes[rows.engine, rows.tensor] // beat) * beat
    return rows.beats * beat


def _as_given(tensor: RowTensor, image: Image) -> RowTensor:
    """Return the input with elements in the order in which a sample has them."""
    axes = image.graph.sample_axes
    if axes is None:
        return tensor
    moved = [image.sample_shape[axis] for axis in axes]
    positions = tensor.positions.reshape(moved).transpose(np.argsort(axes))
    return replace(tensor, positions=positions.ravel())


def _as_taken(tensor: RowTensor, image: Image) -> RowTensor:
    """Return the output with elements in the order in which users get them."""
    axes = image.graph.result_axes
    if axes is None:
        return tensor
    shapes = [image.graph.shape(name) for name in image.graph.outputs]
    planes = sum(shape[0] for shape in shapes), *shapes[0][1:]
    return replace(tensor, positions=tensor.positions.reshape(planes).transpose(axes).ravel())


def _tensor_entry(tensor: RowTensor, port: SystemParams) -> TensorEntry:
    positions = tuple(tensor.positions.tolist())
    return TensorEntry(
        name=tensor.name,
        rows=tensor.rows,
        row_bytes=tensor.row_bytes(port),
        lanes=tensor.lanes,
        lane_bits=tensor.bits,
        frac=tensor.frac,
        elements=len(positions),
        positions=None if positions == tuple(range(len(positions))) else positions,
    )
