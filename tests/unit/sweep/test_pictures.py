import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from zeroskip.base.errors import InputError
from zeroskip.hw.eie.host import StallClass
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.sweep.columns import EIE_COLUMNS
from zeroskip.sim.eie.sweep.curves import draw_figure
from zeroskip.sim.eie.sweep.figures import FIGURES
from zeroskip.sim.eie.sweep.grid import Point, grid
from zeroskip.sim.eie.sweep.sweep import EieSweep
from zeroskip.sim.eie.sweep.work import PaperWork
from zeroskip.sim.plots.heat import HeatMap, draw_heat
from zeroskip.sim.plots.style import save
from zeroskip.sim.sweep.run import run_sweep
from zeroskip.sim.sweep.table import read_table

SMALL = Point(EieParams(num_pes=64, num_accs=64, num_acts=512), "interleave")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Give a table of a layer of the paper over every axis that a figure has."""
    axes = {"num_pes": [64, 256], "queue_depth": [2, 8], "word_bits": [32, 64]}
    path = tmp_path_factory.mktemp("table") / "t.csv"
    run_sweep(EieSweep([PaperWork("NT-LSTM"), PaperWork("NT-We")], grid(SMALL, axes)), path, jobs=1)
    return read_table(path, EIE_COLUMNS)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_figures_are_drawn(table: pl.DataFrame, tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"{name}{suffix}"
    save(draw_figure(name, table), path)
    assert path.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    before = path.read_bytes()
    save(draw_figure(name, table), path)
    assert path.read_bytes() == before


def _lines(figure: Any, panel: int) -> dict[str, Any]:
    return {str(line.get_label()): line for line in figure.axes[panel].get_lines()}


def test_curves_are_the_table_and_the_paper_stands_beside_them(table: pl.DataFrame) -> None:
    figure = draw_figure("fig13", table.filter(word_bits=64, queue_depth=8))
    assert [one.get_title(loc="left") for one in figure.axes] == ["NT-LSTM", "NT-We"]
    lines = _lines(figure, 1)
    rows = table.filter(layer="NT-We", word_bits=64, queue_depth=8).sort("num_pes")
    assert list(lines["Zeroskip"].get_xdata()) == [64, 256]
    assert lines["Zeroskip"].get_ydata() == pytest.approx(100 * rows["load_balance"].to_numpy())
    assert lines["paper, table IV"].get_ydata() == pytest.approx([65.0])


def test_variants_are_told_apart(table: pl.DataFrame) -> None:
    figure = draw_figure("fig11", table)
    assert {label for label in _lines(figure, 0) if not label.startswith("_")} == {
        f"queue_depth {depth}, word_bits {bits}" for depth in (2, 8) for bits in (32, 64)
    }


def test_tables_without_what_is_shown_are_refused(table: pl.DataFrame) -> None:
    with pytest.raises(InputError, match=r"fig8 needs .* of queue_depth: sweep them first"):
        draw_figure("fig8", table.filter(queue_depth=8))
    many = pl.concat(table.with_columns(run_bits=pl.lit(bits, pl.Int64)) for bits in range(1, 8))
    with pytest.raises(InputError, match="fig8 shows at most 6 variants, but the table has 28"):
        draw_figure("fig8", many)


def test_the_map_shows_shares_of_each_layer(tmp_path: Path) -> None:
    counters = np.zeros((2, 5, len(StallClass)), np.int64)
    counters[:, :, StallClass.USEFUL] = [[30], [8]]
    counters[:, :, StallClass.TAIL] = [[10], [0]]
    classes = [stall.name.lower() for stall in StallClass]
    maps = [HeatMap(name, of_pes, classes) for name, of_pes in zip("ab", counters, strict=True)]
    figure = draw_heat("net", maps)
    (image,) = figure.axes[0].get_images()
    assert np.asarray(image.get_array())[StallClass.USEFUL].tolist() == [75.0] * 5
    assert figure.axes[1].get_title(loc="left") == "b: 8 cycles"
    save(figure, tmp_path / "heat.png")


def test_maps_of_arrays_with_several_multipliers_a_pe() -> None:
    counters = np.array([[24, 8, 0], [16, 0, 16]])
    (_, eie) = maps = [
        HeatMap("conv", counters, ["useful", "fragmentation", "drain"], 4),
        HeatMap("fc", np.array([[3, 1]]), ["useful", "tail"]),
    ]
    figure = draw_heat("net", maps)
    first, second = figure.axes[0], figure.axes[1]
    assert first.get_title(loc="left") == "conv: 8 cycles"
    assert second.get_title(loc="left") == "fc: 4 cycles"
    assert np.asarray(first.get_images()[0].get_array())[0].tolist() == [75.0, 50.0]
    assert [text.get_text() for text in second.get_yticklabels()] == list(eie.classes)
    assert list(second.get_xticks()) == [0]


def test_pictures_have_a_format(tmp_path: Path) -> None:
    figure = draw_heat("net", [HeatMap("a", np.ones((1, 2), np.int64), ["useful", "tail"])])
    with pytest.raises(InputError, match=r"must end in .png or .svg, not 'heat.pdf'"):
        save(figure, tmp_path / "heat.pdf")
    with pytest.raises(InputError, match="there is no folder"):
        save(figure, tmp_path / "none" / "heat.png")


def test_a_sweep_of_one_array_is_a_table_too(tmp_path: Path) -> None:
    best = dataclasses.replace(SMALL, placement="balance")
    result = run_sweep(EieSweep([PaperWork("NT-We")], [best]), tmp_path / "t.parquet", jobs=1)
    assert [row["placement"] for row in result.rows] == ["balance"]
