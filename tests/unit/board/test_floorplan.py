"""Floorplans, and which of several seeds is kept."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from zeroskip.flow.board.bitstream import bitstream_tables, try_seeds
from zeroskip.flow.board.build import Base
from zeroskip.flow.board.floorplan import plan_floor, ring_of_sites
from zeroskip.flow.board.synthesize import NETLIST, TOP
from zeroskip.flow.eie.board import EieBoardArray
from zeroskip.hw.board.boards import BOARDS
from zeroskip.hw.board.shell import TOP_INSTANCE
from zeroskip.hw.eie.boards import DIGITS

MEMORIES = ("act_rw.bias", "ptr_read.ptr_even", "ptr_read.ptr_odd", "spmat_read.spmat")
PARAMS = DIGITS["ulx3s-85f"]


def write_netlist(folder: Path, num_pes: int, memories: tuple[str, ...] = MEMORIES) -> None:
    """Write a netlist of PEs with block memories and a multiplier each, and of a memory beside."""
    cells: dict[str, Any] = {f"{TOP_INSTANCE}.deframe.buffer.rows.0.0": {"type": "DP16KD"}}
    for pe in range(num_pes):
        inside = f"{TOP_INSTANCE}.array.pe_{pe}"
        cells |= {f"{inside}.{name}.rows.0.0": {"type": "DP16KD"} for name in memories}
        cells |= {f"{inside}.arithm.multiply.product": {"type": "MULT18X18D"}}
        cells |= {f"{inside}.lut": {"type": "LUT4"}}
    for cell in cells.values():
        cell["attributes"] = {"keep": "1"}
    (folder / NETLIST).write_text(json.dumps({"modules": {TOP: {"cells": cells}}}))


def read_places(folder: Path) -> dict[str, str]:
    """Return the places of cells that have one, by cell."""
    cells = json.loads((folder / NETLIST).read_text())["modules"][TOP]["cells"]
    assert all(cell["attributes"]["keep"] == "1" for cell in cells.values())
    return {
        name: cell["attributes"]["BEL"]
        for name, cell in cells.items()
        if "BEL" in cell["attributes"]
    }


@pytest.mark.parametrize("count", range(5, 17))
def test_ring(count: int) -> None:
    sites = ring_of_sites(count)
    assert len(set(sites)) == count
    for (column, row), (after, above) in pairwise(sites):
        steps = abs(after - column) // 9, abs(above - row) // 24
        assert max(steps) == 1
    columns = sorted({column for column, _ in sites})
    middle = columns[len(columns) // 2 - 1 : len(columns) // 2 + 1]
    assert not {(column, 46) for column in middle} & set(sites)


@pytest.mark.parametrize("num_pes", [5, 10, 11, 16])
def test_each_pe_has_its_places(num_pes: int, tmp_path: Path) -> None:
    write_netlist(tmp_path, num_pes)
    array = EieBoardArray(replace(PARAMS, num_pes=num_pes))
    assert plan_floor(BOARDS["ulx3s-85f"], array, tmp_path)
    places = read_places(tmp_path)
    assert len(places) == len(set(places.values())) == 5 * num_pes
    for pe, (column, row) in enumerate(ring_of_sites(num_pes)):
        for number, name in enumerate(MEMORIES):
            cell = f"{TOP_INSTANCE}.array.pe_{pe}.{name}.rows.0.0"
            assert places[cell] == f"X{column + 2 * number}/Y{row}/EBR{number}"
        multiplier = places[f"{TOP_INSTANCE}.array.pe_{pe}.arithm.multiply.product"]
        assert column <= int(multiplier[1:].split("/")[0]) < column + 9


@pytest.mark.parametrize(
    ("board", "num_pes", "memories"),
    [
        ("ulx3s-85f", 4, MEMORIES),
        ("ulx3s-85f", 17, MEMORIES),
        ("ulx3s-85f", 8, (*MEMORIES, "counters")),
        ("icebreaker", 8, MEMORIES),
    ],
)
def test_no_plan(board: str, num_pes: int, memories: tuple[str, ...], tmp_path: Path) -> None:
    write_netlist(tmp_path, num_pes, memories)
    before = (tmp_path / NETLIST).read_text()
    array = EieBoardArray(replace(PARAMS, num_pes=num_pes))
    assert not plan_floor(BOARDS[board], array, tmp_path)
    assert (tmp_path / NETLIST).read_text() == before


@pytest.mark.parametrize(
    ("reached", "kept", "tried"),
    [
        ([80.0, 90.0, 70.0], 3, 1),
        ([70.0, 75.0, 90.0], 4, 2),
        ([70.0, 72.0, 71.0], 4, 3),
    ],
)
def test_seeds(reached: list[float], kept: int, tried: int, tmp_path: Path) -> None:
    """The first that meets the clock ends the search; if none does, the fastest is kept."""

    def build(seed: int) -> Base:
        layout = {"seed": seed, "fmax_mhz": reached[seed - 3], "clock_hz": 75_000_000}
        return Base(tmp_path, layout, cached=False)

    base, found = try_seeds(build, range(3, 6))
    assert base.layout["seed"] == kept
    assert found == {str(3 + number): reached[number] for number in range(tried)}


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        ({"1": 70.5}, "estimate, seed 1)"),
        ({"1": 70.5, "2": 69.0}, "estimate, seed 1, the fastest of 1: 70.5, 2: 69)"),
    ],
)
def test_what_is_said_of_seeds(tried: dict[str, float], said: str) -> None:
    report = {
        "name": "n", "num_pes": 1, "board": "b", "bitstream": "f", "bytes": 1,
        "clock_mhz": 75.0, "fmax_mhz": 70.5, "clock_met": False, "seed": 1, "seeds": tried,
        "resources": {}, "seconds": {}, "cpu_seconds": {}, "routed_before": False,
        "loaded_by_host": [], "longest_path": None,
    }  # fmt: skip
    _, clock, *_, advice = bitstream_tables(report)
    assert str(clock).endswith(said)
    assert f"'--seeds {len(tried) + 3}'" in str(advice)
    assert "'--clock 70'" in str(advice)
