"""Make a board's configuration without contents: once for an array, used for every image."""

import fcntl
import hashlib
import json
import re
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import ToolError
from zeroskip.base.staging import staged_directory
from zeroskip.flow.board.array import BoardArray, Need
from zeroskip.flow.board.contents import place_of_cell, skeleton
from zeroskip.flow.board.fit import check_fit, is_single
from zeroskip.flow.board.floorplan import plan_floor
from zeroskip.flow.board.place_map import BlockMap, map_memories, settings_of
from zeroskip.flow.board.route import CONFIGURATION, route
from zeroskip.flow.board.sources import board_verilog
from zeroskip.flow.board.synthesize import TOP, netlist_commands, synthesize
from zeroskip.flow.board.tools import check_package
from zeroskip.flow.synth.yosys import check_yosys
from zeroskip.hw.board.boards import FAMILIES, Board
from zeroskip.hw.board.pll import divisor_of
from zeroskip.hw.board.shell import TOP_INSTANCE, Shell, real_clock

__all__ = ["LAYOUT", "PLACES", "Base", "Progress", "build_base", "check_tools", "shell_files"]

Progress = Callable[[str, int, int], None]

LAYOUT, PLACES = "layout.json", "places.npz"
"""Files that say where an image's SRAMs are in the configuration: blocks, and bits in them."""


@dataclass(frozen=True, eq=False)
class Base:
    """A configuration without contents.

    Parameters
    ----------
    folder : with the configuration, ``LAYOUT`` and ``PLACES``, and the tools' logs.
    layout : what ``LAYOUT`` has.
    cached : it was made before.
    """

    folder: Path
    layout: dict[str, Any]
    cached: bool


def build_base(
    board: Board,
    array: BoardArray[Any],
    cache: Path,
    *,
    clock_mhz: float,
    baud: int,
    seed: int,
    again: bool = False,
    progress: Progress,
) -> Base:
    """Synthesize, place and route an array on a board, unless that was done before.

    Parameters
    ----------
    cache : folder for what is kept.
    clock_mhz : the clock to make and to route for.
    baud : of the serial line.
    seed : of the places that nextpnr begins from.
    again : do it anew.
    progress : called with a step's name, how much is done, and of how much.

    Raises
    ------
    InputError
        If the array does not fit, or clock or line cannot be made.
    ToolError
        If a tool is missing or fails.
    """
    check_fit(board, array)
    check_tools(board)
    family = FAMILIES[board.family]
    platform = board.load_platform()
    hz = real_clock(board, platform, clock_mhz * 1e6)
    sources = board_verilog(array, divisor=divisor_of(hz, baud), clock_hz=round(hz))
    files = shell_files(board, platform, hz) | sources
    files |= {path.name: path.read_text() for path in family.files}
    commands = netlist_commands(board, array, sorted(sources))
    digest = hashlib.sha256(
        repr((hz, seed, family.package, family.packer, commands, _digest_of_flow())).encode()
    )
    for name, text in sorted(files.items()):
        digest.update(name.encode() + (text if isinstance(text, bytes) else text.encode()))
    folder = cache / f"fpga_{board.name}_{array.engine}_{digest.hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    # Whoever wants the same at the same time waits for it.
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / LAYOUT).exists() and not again:
            return Base(folder, json.loads((folder / LAYOUT).read_text()), cached=True)
        layout = _build(
            board, array, platform, hz, baud, seed, files, sorted(sources), folder, progress
        )
    return Base(folder, layout, cached=False)


def shell_files(board: Board, platform: Any, hz: float) -> dict[str, Any]:
    """Return what is around the array on a board, by file name: the same in every checkout."""
    files = dict(platform.prepare(Shell(board, hz), TOP).files)
    rtlil = f"{TOP}.il"
    # The attribute src names the file of this checkout in which a signal was made.
    files[rtlil] = re.sub(r'^ *attribute \\src ".*"\n', "", files[rtlil], flags=re.MULTILINE)
    return files


def check_tools(board: Board) -> None:
    """Check that the tools for a board are there.

    Raises
    ------
    ToolError
        If one is not; the message says how to get it.
    """
    family = FAMILIES[board.family]
    check_yosys()
    check_package(family.package)
    if family.packer:
        check_package(family.packer)


def _build(
    board: Board,
    array: BoardArray[Any],
    platform: Any,
    hz: float,
    baud: int,
    seed: int,
    files: dict[str, Any],
    sources: list[str],
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Make ``folder`` of ``files``, whole or not at all; return the layout."""
    with staged_directory(folder) as stage:
        for name, text in files.items():
            (stage / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        try:
            layout, places = _make(board, array, platform, hz, baud, seed, sources, stage, progress)
        except ToolError as error:
            # What the tools said is wanted now.
            failed = folder.with_name(f"{folder.name}.failed")
            shutil.rmtree(failed, ignore_errors=True)
            shutil.copytree(stage, failed)
            raise ToolError(str(error).replace(str(stage), str(failed))) from error
        np.savez_compressed(stage / PLACES, allow_pickle=False, **places)
        (stage / LAYOUT).write_text(json.dumps(layout, indent=1) + "\n")
    return layout


def _make(
    board: Board,
    array: BoardArray[Any],
    platform: Any,
    hz: float,
    baud: int,
    seed: int,
    sources: list[str],
    folder: Path,
    progress: Progress,
) -> tuple[dict[str, Any], dict[str, NDArray[np.int32]]]:
    """Run the tools in ``folder``; return the layout, and the places of bits by shape."""
    progress("synthesize", 0, 1)
    at_first = _cpu_seconds()
    netlist, synthesis = synthesize(board, array, sources, folder)
    plan_floor(board, array, folder)
    synthesized = _cpu_seconds()
    progress("synthesize", 1, 1)
    needs = [need for need in array.needs if need.content and not is_single(board, need)]
    progress("map memories", 0, 1)
    shapes = sorted({(need.depth, need.width) for need in needs})
    maps = map_memories(FAMILIES[board.family], shapes, folder / "memories")
    for need in needs:
        _check_blocks(need, maps[need.depth, need.width], netlist["cells"])
    shutil.rmtree(folder / "memories")
    progress("map memories", 1, 1)
    before = _cpu_seconds()
    routed = route(board, platform, hz, folder, seed=seed, progress=progress)
    after = _cpu_seconds()
    blocks: dict[str, Any] = {}
    for need in needs:
        names = [_block_name(need, end) for end in maps[need.depth, need.width].blocks]
        blocks[need.name] = {
            "depth": need.depth,
            "width": need.width,
            "blocks": [
                place_of_cell(board.family, _routed_cell(routed.cells, name)) for name in names
            ],
        }
    text = (folder / CONFIGURATION[board.family]).read_text()
    layout = {
        "zeroskip_bitstream": 2,
        "board": board.name,
        "family": board.family,
        "engine": array.engine,
        "params": asdict(array.params),
        "clock_hz": round(hz),
        "baud": baud,
        "seed": seed,
        "fmax_mhz": round(routed.fmax_mhz, 2),
        "resources": {name: list(counts) for name, counts in routed.used.items()},
        "seconds": {
            "synthesize": round(synthesis, 1),
            "place and route": round(routed.seconds, 1),
        },
        "cpu_seconds": {
            "synthesize": round(synthesized - at_first, 1),
            "place and route": round(after - before, 1),
        },
        "made": time.strftime("%Y-%m-%d %H:%M:%S"),
        "skeleton": skeleton_digest(board.family, text),
        "memories": blocks,
    }
    return layout, {f"{d}_{w}": blocks.places for (d, w), blocks in maps.items()}


def _cpu_seconds() -> float:
    """Return the CPU time of tools that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def skeleton_digest(family: str, text: str) -> str:
    """Return a digest of a configuration without contents, comments and order of its parts."""
    parts = sorted(part.strip() for part in skeleton(family, text).split("\n\n"))
    return hashlib.sha256("\n\n".join(part for part in parts if part).encode()).hexdigest()


def _block_name(need: Need, end: str) -> str:
    return f"{TOP_INSTANCE}.{need.path}.rows{end}"


def _check_blocks(need: Need, found: BlockMap, cells: Any) -> None:
    """Check that a memory of the design was mapped as the one that was mapped for its map."""
    for end, settings in zip(found.blocks, found.settings, strict=True):
        name = _block_name(need, end)
        if name not in cells or settings_of(cells[name]) != settings:
            raise ToolError(
                f"Yosys mapped {need.name}, {need.depth} rows of {need.width} bits, in another way "
                f"than such a memory by itself: {name} is missing or set otherwise"
            )


def _routed_cell(cells: Any, name: str) -> Any:
    """Return what nextpnr made of a block; on iCE40 it has a new name."""
    for cell in (name, f"{name}_RAM"):
        if cell in cells:
            return cells[cell]
    raise ToolError(f"nextpnr has dropped the memory block {name}")


def _digest_of_flow() -> str:
    """Digest of the code that makes a configuration of a netlist."""
    here = Path(__file__).parent
    names = ("build", "place_map", "floorplan", "route", "gowin")
    return hashlib.sha256(b"".join((here / f"{n}.py").read_bytes() for n in names)).hexdigest()
