import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from zeroskip.base.errors import InputError, ToolError
from zeroskip.sim.eie.sweep.columns import EIE_COLUMNS
from zeroskip.sim.eie.sweep.sweep import EieSweep
from zeroskip.sim.sweep import run as run_module
from zeroskip.sim.sweep.journal import Journal
from zeroskip.sim.sweep.run import journal_path, run_sweep
from zeroskip.sim.sweep.table import read_table


def test_both_formats_hold_all_points(sweep: EieSweep, tmp_path: Path) -> None:
    csv, parquet = tmp_path / "t.csv", tmp_path / "t.parquet"
    result = run_sweep(sweep, csv, jobs=1)
    run_sweep(sweep, parquet, jobs=1)
    assert len(result.rows) == 24
    assert sum(not row["possible"] for row in result.rows) == 8
    one, other = (read_table(path, EIE_COLUMNS).drop("model_seconds") for path in (csv, parquet))
    assert one.equals(other)
    assert read_table(csv, EIE_COLUMNS).columns == list(EIE_COLUMNS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.parquet"]


def test_processes_give_the_same_rows(
    sweep: EieSweep, tmp_path: Path, same: Callable[..., bool]
) -> None:
    alone = run_sweep(sweep, tmp_path / "a.csv", jobs=1)
    together = run_sweep(sweep, tmp_path / "b.csv", jobs=2)
    assert same(alone.rows, together.rows)


def test_a_stopped_sweep_goes_on(
    sweep: EieSweep, tmp_path: Path, same: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_sweep(sweep, tmp_path / "whole.csv", jobs=1)
    path = tmp_path / "t.csv"
    real = run_module.on_cores

    def stops(jobs: Any, count: int) -> Any:
        yield next(real(jobs, count))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "on_cores", stops)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(sweep, path, jobs=1)
    assert not path.exists()
    # As if killed in the middle of a line.
    with journal_path(path).open("a") as journal:
        journal.write('{"point": 5, "ro')
    result = run_sweep(sweep, path, jobs=1)
    assert result.resumed == 2
    assert same(result.rows, whole.rows)
    assert not journal_path(path).exists()
    assert run_sweep(sweep, path).resumed == 12


def test_what_is_of_others_is_refused(sweep: EieSweep, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    run_sweep(sweep, path, jobs=1)
    before = path.read_bytes()
    other = EieSweep(sweep.works, sweep.points[1:])
    with pytest.raises(InputError, match="is of another sweep: choose another output"):
        run_sweep(other, path)
    assert path.read_bytes() == before

    path = tmp_path / "u.csv"
    path.write_text("mine\n")
    with pytest.raises(InputError, match="exists and is no table of a sweep"):
        run_sweep(sweep, path)
    assert path.read_text() == "mine\n"

    for content in ("mine", "mine\n", '{"format": "x"}\n'):
        path = tmp_path / "v.csv"
        journal_path(path).write_text(content)
        with pytest.raises(
            InputError, match=r"v.csv.partial is (damaged|of no sweep|of another sweep)"
        ):
            run_sweep(sweep, path)
        assert journal_path(path).read_text() == content
    journal_path(path).write_text(json.dumps({"format": "zeroskip-sweep", "sweep": "x"}) + "\n")
    with pytest.raises(InputError, match="is of another sweep"):
        run_sweep(sweep, path)


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, "a"), pytest.raises(InputError, match="another sweep is writing"):
        Journal(path, "a")
    assert not path.exists()


def test_the_fingerprint_is_of_all_settings(sweep: EieSweep) -> None:
    (work,) = sweep.works
    layer = work.load()[0].layers[0]
    others = [
        EieSweep([dataclasses.replace(work, x=work.load()[1] + 1)], sweep.points),
        EieSweep(
            [
                dataclasses.replace(
                    work,
                    network=dataclasses.replace(
                        work.load()[0],
                        layers=(
                            dataclasses.replace(layer, bias=layer.bias + 1),
                            *work.load()[0].layers[1:],
                        ),
                    ),
                )
            ],
            sweep.points,
        ),
        EieSweep(sweep.works, sweep.points[:-1]),
    ]
    assert len({one.fingerprint for one in [sweep, *others]}) == 4
    assert EieSweep([dataclasses.replace(work)], sweep.points).fingerprint == sweep.fingerprint


@pytest.mark.parametrize(
    ("name", "jobs", "message"),
    [
        ("t.xlsx", 1, "the table must end in .csv or .parquet, not 't.xlsx'"),
        ("t.csv", 0, "jobs must be at least 1, or -1 for one per core, not 0"),
        ("none/t.csv", 1, "there is no folder"),
    ],
)
def test_wrong_settings_are_refused(
    sweep: EieSweep, tmp_path: Path, name: str, jobs: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_sweep(sweep, tmp_path / name, jobs=jobs)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("somewhere", InputError, "must be an address such as tcp://host:8786, not 'somewhere'"),
        ("tcp://127.0.0.1:1", ToolError, "no Dask scheduler at tcp://127.0.0.1:1: none answers"),
    ],
)
def test_no_scheduler_is_told(
    sweep: EieSweep, tmp_path: Path, address: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run_sweep(sweep, tmp_path / "t.csv", scheduler=address)
    assert not [*tmp_path.iterdir()]


def test_tables_that_are_none_are_refused(sweep: EieSweep, tmp_path: Path) -> None:
    for name in ("t.csv", "t.parquet"):
        with pytest.raises(InputError, match="does not exist"):
            read_table(tmp_path / name, EIE_COLUMNS)
        (tmp_path / name).write_bytes(b"\x93\xff\x00nonsense\n\xff")
        with pytest.raises(InputError, match="is no table of a sweep"):
            read_table(tmp_path / name, EIE_COLUMNS)
    run_sweep(sweep, tmp_path / "good.csv", jobs=1)
    table = pl.read_csv(tmp_path / "good.csv")
    table.with_columns(cycles=pl.lit("many")).write_csv(tmp_path / "bad.csv")
    with pytest.raises(InputError, match="is no table of a sweep, or damaged"):
        read_table(tmp_path / "bad.csv", EIE_COLUMNS)
    assert (read_table(tmp_path / "good.csv", EIE_COLUMNS).filter("possible")["cycles"] > 0).all()
