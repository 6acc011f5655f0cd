"""``zeroskip bitstream``: an image to a board's bitstream and a report."""

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zeroskip.base.cache import cache_dir
from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.staging import replaced_path, staged_directory
from zeroskip.cli.options import ImageArgument, JsonOption, number, whole_number
from zeroskip.cli.output import Steps, print_json, print_line, print_table
from zeroskip.compiler import Image
from zeroskip.flow.host.line import BAUD
from zeroskip.hw.board.boards import BOARDS, FAMILIES, Board, board_of

if TYPE_CHECKING:
    from zeroskip.flow.board.build import Base

__all__ = ["CLOCK_MISSED", "EXAMPLES", "make_bitstream", "name_some"]

EXAMPLES = """Examples:

zeroskip bitstream out/digits_icebreaker --board icebreaker -o out/icebreaker

zeroskip bitstream out/digits16 --board ulx3s-85f -o out/ulx3s --clock 60 --json
"""

CLOCK_MISSED = 3
"""Exit code: the bitstream is there, but the clock is too fast for it."""

_REPORT, _TEXT = "report.json", "report.txt"


def make_bitstream(
    image: ImageArgument,
    board: Annotated[
        str, typer.Option("--board", metavar="BOARD", help=f"One of {', '.join(BOARDS)}.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder to write; ours is replaced."),
    ],
    clock_mhz: Annotated[
        float | None,
        typer.Option("--clock", metavar="MHZ", parser=number, help="The board's own unless given."),
    ] = None,
    baud: Annotated[
        int, typer.Option(metavar="N", parser=whole_number, help="Of the serial line.")
    ] = BAUD,
    again: Annotated[
        bool, typer.Option("--again", help="Place and route even if that was done before.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Make a bitstream with the image's array, and its contents in block memories.

    Placing and routing takes minutes, and is done once per board and array: another image for
    the same array takes seconds. Exits with 3 if the clock is not met; the bitstream is kept.
    """
    # A board that is not known is told before an image that is not there.
    target_board = board_of(board)
    compiled = Image.load_eie(image)
    target = output.resolve()
    _check_target(output, target)
    from zeroskip.flow.board.build import build_base
    from zeroskip.flow.board.fill import loaded_by_host

    if clock_mhz is not None and not 1 <= clock_mhz <= 1000:
        raise ParameterError("clock_mhz", clock_mhz, "from 1 to 1000 MHz")
    with Steps() as steps:
        base = build_base(
            target_board,
            compiled.params,
            cache_dir(),
            clock_mhz=clock_mhz or target_board.clock_mhz,
            baud=baud,
            again=again,
            progress=steps,
        )
        family = FAMILIES[target_board.family]
        name = f"{target_board.name}{family.suffix}"
        steps("pack", 0, 1)
        try:
            with staged_directory(target) as stage:
                logs = stage / "logs"
                logs.mkdir()
                for log in base.folder.glob("*.log"):
                    shutil.copy(log, logs)
                seconds = _write(target_board, base, compiled, stage, name)
                for log in stage.glob("*.log"):
                    log.rename(logs / log.name)
                report = _report(image, compiled, base.layout, output / name)
                report |= {
                    "bytes": (stage / name).stat().st_size,
                    "routed_before": base.cached,
                    "loaded_by_host": loaded_by_host(base.layout),
                }
                report["seconds"] |= seconds
                _write_report(report, stage)
        except OSError as error:
            raise InputError(f"{output} cannot be written: {error.strerror or error}") from error
        steps("pack", 1, 1)
    if as_json:
        print_json(report)
    else:
        _print(report)
    return 0 if report["clock_met"] else CLOCK_MISSED


def _write(board: Board, base: "Base", image: Image, stage: Path, name: str) -> dict[str, float]:
    """Write the bitstream and what patches need; return the seconds of each step.

    The finished bitstream is unpacked, and every word of it compared with the image.
    """
    from zeroskip.flow.board.build import LAYOUT, PLACES, skeleton_digest
    from zeroskip.flow.board.fill import check_words, fill, read_layout
    from zeroskip.flow.board.route import CONFIGURATION, pack, unpack

    begin = time.monotonic()
    layout = dict(base.layout)
    _, places = read_layout(base.folder)
    configuration = CONFIGURATION[board.family]
    text = (base.folder / configuration).read_text()
    words = {key: sram.words for key, sram in image.srams.items()}
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
        "num_pes": image.params.num_pes,
        "params": layout["params"],
        "bitstream": str(file),
        "clock_mhz": mhz,
        "fmax_mhz": layout["fmax_mhz"],
        "clock_met": layout["fmax_mhz"] >= mhz,
        "baud": layout["baud"],
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
        f"{clock} (nextpnr's estimate)",
        *(
            f"{name}: {counts['used']} of {counts['available']}"
            for name, counts in report["resources"].items()
        ),
        f"seconds: {', '.join(seconds)}"
        + (" (placed and routed before)" if report["routed_before"] else ""),
    ]
    if report["loaded_by_host"]:
        lines.append(
            "not in the bitstream, to be loaded by 'zeroskip host load': "
            f"{name_some(report['loaded_by_host'])}"
        )
    return lines


def name_some(names: Sequence[str]) -> str:
    """Name at most four."""
    more = len(names) - 4
    return ", ".join(names[:4]) + (f" and {more} more" if more > 0 else "")


def _print(report: dict[str, Any]) -> None:
    first, clock, *_ = lines = _lines(report)
    print_line(first)
    print_line(clock)
    resources = report["resources"]
    print_table(
        "Resources",
        ["resource", "used", "there", "share"],
        [
            [name, counts["used"], counts["available"],
             f"{100 * counts['used'] / max(1, counts['available']):.0f} %"]
            for name, counts in resources.items()
        ],
    )  # fmt: skip
    for line in lines[2 + len(resources) :]:
        print_line(line)
