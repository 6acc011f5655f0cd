"""Sweeps over densities and SCNN arrays."""

from pathlib import Path
from typing import Any

import pytest

from zeroskip.base.errors import CompileError, InputError
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.eie.sweep.columns import EIE_COLUMNS
from zeroskip.sim.plots.style import save
from zeroskip.sim.scnn.benchmark.bench import BENCH_PARAMS, measure_layer
from zeroskip.sim.scnn.benchmark.layers import ConvLayer, scnn_layers
from zeroskip.sim.scnn.benchmark.result import ConvBench
from zeroskip.sim.scnn.sweep.columns import SCNN_COLUMNS
from zeroskip.sim.scnn.sweep.density import PAPER_DENSITY_SPEED, draw_density
from zeroskip.sim.scnn.sweep.points import ScnnSweep, scnn_grid
from zeroskip.sim.sweep.run import journal_path, run_sweep
from zeroskip.sim.sweep.table import read_table

LAYERS = ["googlenet/5b/5x5_reduce", "googlenet/5b/5x5"]
AXES = {"density": [0.2, 1.0], "machine": ["scnn", "weight-only"]}


def test_points_are_the_product_in_the_order_of_the_table() -> None:
    points = scnn_grid({"banks": [16, 64], "act_density": [0.5]})
    assert [(one.act_density, one.weight_density) for one in points] == [(0.5, None)] * 2
    assert [one.params.banks for one in points] == [16, 64]
    assert {one.params.accs for one in points} == {BENCH_PARAMS.accs}
    assert scnn_grid({})[0].params == BENCH_PARAMS
    (both,) = scnn_grid({"density": [0.3]})
    layer = both.of(scnn_layers()[LAYERS[0]])
    assert (layer.act_density, layer.weight_density) == (0.3, 0.3)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"pes": [1]}, "there is no axis 'pes'; there are density, "),
        ({"density": []}, "density must have at least one value"),
        ({"density": [0.5, 0.5]}, "density must have each value once, not 0.5 twice"),
        ({"density": [0.0]}, "density must be above 0 and at most 1, not 0.0"),
        ({"density": [float("nan")]}, "density must be above 0 and at most 1, not nan"),
        ({"density": [1.0], "act_density": [1.0]}, "leave out act_density"),
        ({"machine": ["dense"]}, "machine must be one of scnn, .* not 'dense'"),
        ({"banks": [24]}, "banks must be a power of two, not 24"),
        ({"num_streams": [65]}, "num_streams must be at most the 64 PEs, not 65"),
    ],
)
def test_wrong_axes_are_refused(axes: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        scnn_grid(axes)


def test_a_sweep_is_a_table_and_a_picture_and_goes_on(tmp_path: Path) -> None:
    sweep = ScnnSweep(LAYERS, scnn_grid(AXES))
    table = tmp_path / "t.csv"
    result = run_sweep(sweep, table, jobs=1)
    assert result.resumed == 0
    rows = read_table(table, SCNN_COLUMNS)
    assert rows.to_dicts() == result.rows
    assert [row["layer"] for row in result.rows] == ["5b/5x5_reduce"] * 4 + ["5b/5x5"] * 4
    first = result.rows[0]
    layer = sweep.points[0].of(scnn_layers()[LAYERS[0]])
    assert first["cycles"] == measure_layer(layer).cycles
    assert first["speedup"] == first["dense_cycles"] / first["cycles"]
    # Nothing to skip: all machines are the same.
    assert len({row["cycles"] for row in result.rows[2:4]}) == 1
    assert run_sweep(sweep, table, jobs=1).resumed == 8

    # As if it had been stopped after the first of its points.
    other = tmp_path / "u.parquet"
    whole = ScnnSweep(LAYERS, scnn_grid(AXES))
    journal_path(other).write_text("")
    assert run_sweep(whole, other, jobs=1).rows[5]["cycles"] == result.rows[5]["cycles"]

    figure = draw_density(rows)
    (panel,) = figure.axes
    lines: dict[str, Any] = {str(line.get_label()): line for line in panel.get_lines()}
    assert list(lines["SCNN"].get_xdata()) == [0.2, 1.0]
    dense = sum(row["dense_cycles"] for row in result.rows[2::4])
    assert lines["SCNN"].get_ydata()[1] == pytest.approx(
        dense / sum(row["cycles"] for row in result.rows[2::4])
    )
    assert list(lines["SCNN, the paper"].get_ydata()) == [*PAPER_DENSITY_SPEED.values()]
    for suffix in (".png", ".svg"):
        save(figure, tmp_path / f"d{suffix}")

    with pytest.raises(InputError, match="density needs a table with several densities"):
        draw_density(rows.filter(act_density=1.0))
    with pytest.raises(InputError, match="density needs a table of one array"):
        draw_density(rows.vstack(rows))
    with pytest.raises(InputError, match="is no table of a sweep: it has no column num_pes"):
        read_table(table, EIE_COLUMNS)


def test_impossible_points_have_their_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(layer: ConvLayer, params: ScnnParams) -> ConvBench:
        if params.act_words < 64:
            raise CompileError("the array is too small")
        return measure_layer(layer, params)

    monkeypatch.setattr("zeroskip.sim.scnn.sweep.points.measure_layer", refuse)
    sweep = ScnnSweep(LAYERS[:1], scnn_grid({"act_words": [32, 1024]}))
    rows = run_sweep(sweep, tmp_path / "t.csv", jobs=1).rows
    assert [row["possible"] for row in rows] == [False, True]
    assert rows[0]["reason"] == "the array is too small"
    (first, _) = read_table(tmp_path / "t.csv", SCNN_COLUMNS).to_dicts()
    assert first["cycles"] is None
