"""Sweeps, pictures and traces through the command line."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
AXES = ("--set", "num_pes=1,2,4,8,16,32", "--layers", "NT-LSTM", "--jobs", "1")


def test_a_sweep_of_an_image_and_its_picture(
    cli: Callable[..., Any], files: Any, tmp_path: Path
) -> None:
    table, picture = tmp_path / "t.parquet", tmp_path / "fig13.png"
    command = (
        "sweep", "--image", files.image, "--input", files.inputs, "--set", "num_pes=2,4,256",
        "--set", "placement=interleave,balance", "--jobs", "1", "-o", table,
    )  # fmt: skip
    result = cli(*command, "--json")
    assert result.code == 0, result.err
    document = result.document
    assert (document["points"], document["impossible"], document["resumed"]) == (6, 2, 0)
    assert {row["layer"] for row in document["rows"]} == {"fc1", "fc2", "fc3"}
    again = cli(*command)
    assert again.code == 0
    assert "6 points, 6 of them from before" in again.out
    assert cli("plot", "fig13", table, "-o", picture).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


# Kills itself once two points are kept.
KILLED = """
import os, signal
from zeroskip.__main__ import main
from zeroskip.sim.sweep.journal import Journal
add = Journal.add
def add_and_die(self, number, rows):
    add(self, number, rows)
    if len(self.done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
Journal.add = add_and_die
main()
"""


def test_a_killed_sweep_goes_on(cli: Callable[..., Any], tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    arguments = ["sweep", *AXES, "-o", str(table)]
    journal = tmp_path / "t.csv.partial"
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not table.exists()
    result = cli("sweep", *AXES, "-o", table, "--json")
    assert result.code == 0, result.err
    resumed = result.document
    assert resumed["resumed"] == 2
    whole = cli("sweep", *AXES, "-o", tmp_path / "whole.csv", "--json").document
    for rows in (resumed["rows"], whole["rows"]):
        for row in rows:
            del row["model_seconds"]
    assert resumed["rows"] == whole["rows"]
    assert not journal.exists()


def test_a_run_is_traced(cli: Callable[..., Any], files: Any, tmp_path: Path) -> None:
    trace = tmp_path / "t.json"
    command = ("run", files.image, "--input", files.inputs, "--on", "cycles", "--trace", trace)
    document = cli(*command, "--json").document
    assert document["trace"] == str(trace)
    events = json.loads(trace.read_text())["traceEvents"]
    ends = [event["ts"] + event.get("dur", 0) for event in events if "ts" in event]
    assert max(ends) == document["cycles"][0]


def test_heat_of_an_image(cli: Callable[..., Any], files: Any, tmp_path: Path) -> None:
    picture = tmp_path / "heat.svg"
    result = cli("plot", "heat", files.image, "--input", files.inputs, "-o", picture, "--json")
    assert result.document == {"figure": "heat", "picture": str(picture)}
    assert "fc3" in picture.read_text()


def test_info_compares_placements(cli: Callable[..., Any], files: Any) -> None:
    for layer in cli("info", files.image, "--json").document["parts"][0]["layers"]:
        assert 0 < layer["balance_interleaved"] <= 1
        assert layer["entries_per_pe_bound"] == -(-layer["nnz"] // 2)
        assert layer["entries_per_pe_bound"] <= layer["entries_per_pe"]["max"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--layers", "NT-Wx"], "--layers must be one of Alex-6, "),
        (
            ["--set", "num_pes=1,two"],
            "--set num_pes must be a whole number from",
        ),
        (["--set", "num_pes=1,,2"], "--set num_pes must be a whole number from 1 to 256, not ''"),
        (["--set", "num_pes=0"], "num_pes must be a whole number from 1 to 256, not 0"),
        (["--set", "placement=best"], "--set placement must be one of interleave, balance, sched"),
        (["--set", "skip_padding=maybe"], "--set skip_padding must be yes or no, not 'maybe'"),
        (["--set", "num_accs=8,16"], "there is no axis 'num_accs'; there are num_pes, "),
        (["--preset", "huge"], "--preset must be one of small, paper, best"),
        (["--jobs", "0"], "jobs must be at least 1, or -1 for one per core, not 0"),
        (["--input", "x.npy"], "--image and --input go together"),
        (["--scheduler", "tcp://127.0.0.1:1"], "no Dask scheduler at tcp://127.0.0.1:1"),
        (["--colour", "1"], "No such option: --colour"),
    ],
)
def test_bad_sweeps_are_refused_in_one_sentence(
    cli: Callable[..., Any], tmp_path: Path, options: list[str], sentence: str
) -> None:
    result = cli("sweep", "-o", tmp_path / "t.csv", *options)
    assert result.code == 2
    (error,) = result.errors
    assert sentence in error
    assert not [*tmp_path.iterdir()]


def test_bad_pictures_are_refused_in_one_sentence(
    cli: Callable[..., Any], files: Any, tmp_path: Path
) -> None:
    table, foreign = tmp_path / "t.csv", tmp_path / "mine.csv"
    foreign.write_text("a,b\n1,2\n")
    axes = ("--layers", "NT-We", "--jobs", "1")
    assert cli("sweep", *axes, "-o", table).code == 0
    cases = [
        (("fig8", table, "-o", tmp_path / "f.png"), "fig8 needs a table with several values"),
        (("fig8", foreign, "-o", tmp_path / "f.png"), "is no table of a sweep"),
        (("fig8", tmp_path / "no.csv", "-o", tmp_path / "f.png"), "does not exist"),
        (("fig8", table, "-o", tmp_path / "f.jpg"), "must end in .png or .svg, not 'f.jpg'"),
        (("heat", files.image, "--input", foreign, "-o", tmp_path / "f.png"), "no .npy file"),
    ]
    for arguments, sentence in cases:
        result = cli("plot", *arguments)
        assert result.code == 2
        assert sentence in result.errors[0]
    result = cli("sweep", *axes, "-o", foreign)
    assert result.code == 2
    assert "exists and is no table of a sweep" in result.errors[0]
    traced = cli("run", files.image, "--input", files.inputs, "--trace", tmp_path / "t.json")
    assert traced.code == 2
    assert "a trace is recorded with --on cycles only" in traced.errors[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv", "t.csv"]
