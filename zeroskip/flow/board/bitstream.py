"""An image on a board: its bitstream, what patches need beside it, and a report."""

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from zeroskip.base.cache import cache_dir
from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress, silent
from zeroskip.base.staging import replaced_path, staged_directory
from zeroskip.base.tables import Table
from zeroskip.compiler.image.image import Image
from zeroskip.flow.board.build import LAYOUT, PLACES, Base, build_base, skeleton_digest
from zeroskip.flow.board.fill import array_of_layout, check_words, fill, loaded_by_host, read_layout
from zeroskip.flow.board.longest_path import longest_path
from zeroskip.flow.board.route import CONFIGURATION, TIMING, pack, unpack
from zeroskip.flow.flow import flow_on_board
from zeroskip.hw.board.boards import FAMILIES, Board

__all__ = [
    "bitstream_tables",
    "make_bitstream",
    "name_image_in_report",
    "name_some",
    "try_seeds",
]

_MORE_SEEDS = 3
"""Placements to try where those that were tried did not meet the clock."""

_REPORT, _TEXT = "report.json", "report.txt"


def make_bitstream(
    path: Path,
    image: Image,
    board: Board,
    output: Path,
    *,
    clock_mhz: float | None,
    baud: int,
    seed: int = 1,
    seeds: int = 1,
    again: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write a folder with a bitstream of an image's array, its contents in block memories.

    Parameters
    ----------
    path, image : the compiled network, and its folder, for the report.
    board : see :data:`.BOARDS`.
    output : folder to write; one that was written before is replaced.
    clock_mhz : None for the board's own.
    baud : of the serial line.
    seed : of the places that nextpnr begins from; Fmax varies with it by a few per cent.
    seeds : how many to try, from ``seed`` on, until one meets the clock; the fastest is kept.
    again : place and route even if that was done before.
    progress : see :data:`.Progress`.

    Returns
    -------
    The report, which is in the folder, too. ``clock_met`` says whether the clock is met.

    Raises
    ------
    InputError
        If the array does not fit the board, or the folder cannot be written.
    ToolError
        If a tool is missing or fails.
    """
    target, step = output.resolve(), progress or silent
    _check_target(output, target)
    made = flow_on_board(image)
    part = made.board_part(image)
    array = made.board_array(part.params)
    build = partial(
        build_base,
        board,
        array,
        cache_dir(),
        clock_mhz=clock_mhz or array.clock_mhz(board),
        baud=baud,
        again=again,
        progress=step,
    )
    base, tried = try_seeds(lambda number: build(seed=number), range(seed, seed + seeds))
    name = f"{board.name}{FAMILIES[board.family].suffix}"
    step("pack", 0, 1)
    try:
        with staged_directory(target) as stage:
            logs = stage / "logs"
            logs.mkdir()
            for log in base.folder.glob("*.log"):
                shutil.copy(log, logs)
            seconds = _write(board, base, part, stage, name)
            for log in stage.glob("*.log"):
                log.rename(logs / log.name)
            report = _report(path, image, base.layout, output / name)
            report |= {
                "bytes": (stage / name).stat().st_size,
                "routed_before": base.cached,
                "seeds": tried,
                "longest_path": _longest_path(base),
                "loaded_by_host": loaded_by_host(base.layout, part),
            }
            report["seconds"] |= seconds
            _write_report(report, stage)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror or error}") from error
    step("pack", 1, 1)
    return report


def try_seeds(build: Callable[[int], Base], seeds: Sequence[int]) -> tuple[Base, dict[str, float]]:
    """Build one seed after the other until the clock is met.

    Returns
    -------
    The fastest configuration, and what each seed that was tried reached, in MHz.
    """
    bases: list[Base] = []
    for seed in seeds:
        bases.append(build(seed))
        if bases[-1].layout["fmax_mhz"] >= bases[-1].layout["clock_hz"] / 1e6:
            break
    reached = {str(base.layout["seed"]): base.layout["fmax_mhz"] for base in bases}
    return max(bases, key=lambda base: base.layout["fmax_mhz"]), reached


def _write(board: Board, base: Base, part: Any, stage: Path, name: str) -> dict[str, float]:
    """Write the bitstream and what patches need; return the seconds of each step.

    The finished bitstream is unpacked, and every word of it compared with the image.
    """
    begin = time.monotonic()
    layout = dict(base.layout)
    _, places = read_layout(base.folder)
    configuration = CONFIGURATION[board.family]
    text = (base.folder / configuration).read_text()
    words = {key: sram.words for key, sram in part.loads[0].items()}
    (stage / configuration).write_text(fill(text, layout, places, words))
    filled = time.monotonic() - begin
    packed = pack(board, stage, name)
    begin = time.monotonic()
    text = unpack(board, stage, name)
    check_words(text, layout, places, words)
    layout["unpacked"] = skeleton_digest(board.family, text)
    (stage / configuration).unlink()
    shutil.copy(base.folder / PLACES, stage)
    (stage / LAYOUT).write_text(json.dumps(layout, indent=1) + "\n")
    checked = time.monotonic() - begin
    return {"fill": round(filled, 1), "pack": round(packed, 1), "unpack": round(checked, 1)}


def _longest_path(base: Base) -> dict[str, Any] | None:
    """Say which path bounds Fmax; None if there is none between registers."""
    path = longest_path(json.loads((base.folder / TIMING).read_text()))
    return asdict(path) if path else None


def _check_target(output: Path, target: Path) -> None:
    """Refuse to replace a folder that is not ours."""
    if target.is_file():
        raise InputError(f"{output} is a file: name a folder to write")
    if target.exists() and any(target.iterdir()) and not (target / _REPORT).is_file():
        raise InputError(f"{output} is not a folder that this command wrote: name another")


def _report(path: Path, image: Image, layout: dict[str, Any], file: Path) -> dict[str, Any]:
    mhz = layout["clock_hz"] / 1e6
    return {
        "board": layout["board"],
        "image": str(path),
        "name": image.name,
        "num_pes": array_of_layout(layout).hosted.num_pes,
        "params": layout["params"],
        "bitstream": str(file),
        "clock_mhz": mhz,
        "fmax_mhz": layout["fmax_mhz"],
        "clock_met": layout["fmax_mhz"] >= mhz,
        "baud": layout["baud"],
        "seed": layout["seed"],
        "resources": {
            name: {"used": used, "available": there}
            for name, (used, there) in layout["resources"].items()
        },
        "seconds": dict(layout["seconds"]),
        "cpu_seconds": dict(layout["cpu_seconds"]),
    }


def _write_report(report: dict[str, Any], folder: Path) -> None:
    with replaced_path(folder / _REPORT) as draft:
        draft.write_text(json.dumps(report, indent=1) + "\n")
    with replaced_path(folder / _TEXT) as draft:
        draft.write_text("\n".join(_lines(report)) + "\n")


def name_image_in_report(path: Path, image: Image, bitstream: Path) -> None:
    """Say in the report beside a bitstream, if it is that one's, which image it now has."""
    try:
        report = json.loads((bitstream.parent / _REPORT).read_text())
        is_its = Path(report["bitstream"]).name == bitstream.name
    except (OSError, ValueError, KeyError, TypeError):
        return  # it may be gone, or somebody else's
    if is_its:
        _write_report(report | {"image": str(path), "name": image.name}, bitstream.parent)


def _lines(report: dict[str, Any]) -> list[str]:
    """Put a report in words, but for its tables."""
    met = "met" if report["clock_met"] else "NOT met"
    what = f"image {report['name']!r}, {report['num_pes']} PEs, on {report['board']}"
    clock = f"clock {report['clock_mhz']:g} MHz, {met}: Fmax {report['fmax_mhz']:g} MHz"
    cpu = report["cpu_seconds"]
    seconds = [
        f"{step} {taken:g}" + (f" ({cpu[step]:g} of CPU)" if step in cpu else "")
        for step, taken in report["seconds"].items()
    ]
    lines = [
        f"{what}: {report['bitstream']}, {report['bytes']} bytes",
        f"{clock} (nextpnr's estimate, {_name_seeds(report)})",
        *(
            f"{name}: {counts['used']} of {counts['available']}"
            for name, counts in report["resources"].items()
        ),
        f"seconds: {', '.join(seconds)}"
        + (" (placed and routed before)" if report["routed_before"] else ""),
    ]
    lines += _timing_lines(report)
    if report["loaded_by_host"]:
        lines.append(
            "not in the bitstream, to be loaded by 'zeroskip host load': "
            f"{name_some(report['loaded_by_host'])}"
        )
    return lines


def _timing_lines(report: dict[str, Any]) -> list[str]:
    """Name the path that bounds Fmax, and if the clock is not met, what can be done."""
    lines: list[str] = []
    if path := report["longest_path"]:
        lines.append(
            f"longest path: {path['ns']:g} ns from {path['begin']} to {path['end']}; wires take "
            f"{path['wires_ns']:g} of them, one wire {path['longest_wire_ns']:g}"
        )
    if not report["clock_met"]:
        more, clock = len(report["seeds"]) + _MORE_SEEDS, max(1, math.floor(report["fmax_mhz"]))
        lines.append(
            f"the clock is not met: '--seeds {more}' tries other placements, worth some per cent; "
            f"'--clock {clock}' asks for what was reached; smaller arrays have shorter wires"
        )
    return lines


def _name_seeds(report: dict[str, Any]) -> str:
    """Name the seed, and if others were tried, what each reached."""
    tried = report.get("seeds", {})
    if len(tried) < 2:
        return f"seed {report['seed']}"
    reached = ", ".join(f"{seed}: {fmax:g}" for seed, fmax in tried.items())
    return f"seed {report['seed']}, the fastest of {reached}"


def name_some(names: Sequence[str]) -> str:
    """Name at most four."""
    more = len(names) - 4
    return ", ".join(names[:4]) + (f" and {more} more" if more > 0 else "")


def bitstream_tables(report: dict[str, Any]) -> Iterator[Table | str]:
    """Give a report in words, and its resources as a table."""
    first, clock, *_ = lines = _lines(report)
    yield first
    yield clock
    resources = report["resources"]
    yield Table(
        "Resources",
        ["resource", "used", "there", "share"],
        [
            [name, counts["used"], counts["available"],
             f"{100 * counts['used'] / max(1, counts['available']):.0f} %"]
            for name, counts in resources.items()
        ],
    )  # fmt: skip
    yield from lines[2 + len(resources) :]
