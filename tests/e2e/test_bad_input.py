"""Everything a user can get wrong: one sentence, exit 2, nothing half-written."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.tiers import cases
from zeroskip import load
from zeroskip.base.environment import source_root
from zeroskip.compiler.compress.module import export

Cli = Callable[..., Any]
Refused = Callable[..., None]


def _save(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


def _linear(value: float | None = None) -> nn.Sequential:
    """Return a module whose weights are all 0.5 but for one of ``value``."""
    linear = nn.Linear(24, 6)
    with torch.no_grad():
        linear.weight.fill_(0.5)
        if value is not None:
            linear.weight[0, 0] = value
    return nn.Sequential(linear)


# Model files: what makes a bad one of a good one's path, and what the sentence says.


def _missing(good: Path, bad: Path) -> None:
    pass


def _folder(good: Path, bad: Path) -> None:
    bad.mkdir()


def _text(good: Path, bad: Path) -> None:
    bad.write_text("a model\n")


def _empty(good: Path, bad: Path) -> None:
    bad.write_bytes(b"")


def _truncated(good: Path, bad: Path) -> None:
    data = good.read_bytes()
    bad.write_bytes(data[: len(data) // 2])


def _saved_module(good: Path, bad: Path) -> None:
    torch.save(_linear(), bad)


def _nan(good: Path, bad: Path) -> None:
    export(_linear(float("nan")), torch.zeros(2, 24), bad)


def _infinite(good: Path, bad: Path) -> None:
    export(_linear(float("inf")), torch.zeros(2, 24), bad)


def _unsupported(good: Path, bad: Path) -> None:
    export(nn.Sequential(nn.Linear(24, 6), nn.Sigmoid(), nn.Linear(6, 6)), torch.zeros(2, 24), bad)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_missing, ["bad.pt2 does not exist"]),
        (_folder, ["bad.pt2 is a folder"]),
        (_text, ["bad.pt2 is not a .pt2 file", "torch.export.save"]),
        (_empty, ["bad.pt2 is not a .pt2 file", "torch.export.save"]),
        (_truncated, ["bad.pt2 is truncated"]),
        (
            _saved_module,
            ["bad.pt2 was written by torch.save", "zeroskip import reads a state dict"],
        ),
        (_nan, ["layer '0'", "NaN"]),
        (_infinite, ["layer '0'", "infinite"]),
        (_unsupported, ["sigmoid", "Linear"]),
    ],
)
def test_bad_models(
    spoil: Callable[[Path, Path], None],
    says: list[str],
    cli: Cli,
    refused: Refused,
    files: Any,
    tmp_path: Path,
) -> None:
    bad = tmp_path / "bad.pt2"
    spoil(files.model, bad)
    before = sorted(tmp_path.iterdir())
    command = files.compile(tmp_path / "image")
    command[1] = str(bad)
    refused(cli(*command), *says)
    assert sorted(tmp_path.iterdir()) == before


# Data files: `tests/unit/cli/test_files.py` and those of `check_input` have all that can be wrong.


@pytest.mark.parametrize("command", ["compile", "run", "verify", "compress", "sweep"])
def test_bad_data(command: str, cli: Cli, refused: Refused, files: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "nan.npy", np.full((4, 24), np.nan, np.float32))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "nan.npy").read_bytes()[:-1])
    before = sorted(tmp_path.iterdir())
    for name, says in (
        ("nan.npy", "NaN or infinite, the first in sample 0"),
        ("cut.npy", "is truncated"),
    ):
        bad = tmp_path / name
        if command == "compile":
            result = cli(*files.compile(tmp_path / "image"), "--data", bad)
        elif command == "compress":
            model = ["--model", files.model]
            result = cli("compress", *model, "--data", bad, "-o", tmp_path / "small.pt2")
        elif command == "sweep":
            given = ["--image", files.image, "--input", bad]
            result = cli("sweep", *given, "-o", tmp_path / "t.csv")
        else:
            result = cli(command, files.image, "--input", bad)
        refused(result, says)
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set", "placement=random"], ["--set eie.placement must be one of interleave, balance"]),
        (["--set", "num_pes=0"], ["--set eie.num_pes must be a whole number from 1 to 256, not 0"]),
        (["--set", "num_pes=many"], ["--set eie.num_pes must be a whole number", "not 'many'"]),
        (["--set", "eie.num_pes=2.5"], ["--set eie.num_pes", "not '2.5'"]),
        (["--set", "num_pes=-1"], ["--set eie.num_pes must be a whole number", "not -1"]),
        (["--set", "num_pointers=127"], ["--set eie.num_pointers must be even (two banks)", "127"]),
        (["--set", "run_bits=9"], ["--set eie.run_bits", "9"]),
        (["--set", "eie.acc_bits=15"], ["--set eie.acc_bits must be at least act_bits = 16"]),
        (["--set", "skip_padding=maybe"], ["--set eie.skip_padding must be yes or no"]),
        (["--set", "pes=4"], ["did you mean 'num_pes'?", "zeroskip engines eie"]),
        (["--set", "num_pes"], ["--set must be [ENGINE.]FIELD=VALUE, not 'num_pes'"]),
        (["--set", "iee.num_pes=4"], ["one of eie, scnn, not 'iee': did you mean 'eie'?"]),
        (["--preset", "pest"], ["--preset must be one of small, paper, best", "mean 'best'?"]),
        (
            ["--preset", "scnn=best"],
            ["--preset must be one of tile, paper, tiny, board, not 'best'"],
        ),
        (["--delta", "0.1"], ["the network has no recurrent layers: leave it out"]),
        (["--delta", "-1"], ["delta, a threshold of changes, must be 0 or more, not -1"]),
        (["--calibratoin", "1"], ["--calibratoin"]),
        (["--nmae", "x"], ["--nmae", "--name"]),
        (["surplus"], ["surplus"]),
        (["--name"], ["--name"]),
    ],
)
def test_bad_options(
    options: list[str], says: list[str], cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    refused(cli(*files.compile(tmp_path / "image"), *options), *says)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [["compile"], ["run"], ["verify"], ["info"], ["compress"], ["nothing"]]
)
def test_missing_arguments(command: list[str], cli: Cli, refused: Refused) -> None:
    whose = "zeroskip" if command == ["nothing"] else f"zeroskip {command[0]}"
    refused(cli(*command), f"see {whose} --help")


@pytest.mark.parametrize(
    ("field", "small", "what"),
    [
        ("spmat_words", 8, "words of Spmat SRAM"),
        ("num_acts", 8, "rows of the activation files"),
        ("num_pointers", 16, "column pointers"),
        ("num_biases", 8, "biases per PE"),
        ("num_descriptors", 2, "descriptors"),
    ],
)
def test_refusal_of_a_large_layer_names_what_fits(
    field: str, small: int, what: str, cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    command = files.compile(tmp_path / "image", "--set", f"{field}={small}")
    result = cli(*command)
    if result.code == 0:
        # Networks too large for a memory may run in several parts.
        assert load(tmp_path / "image").name == "small"
        return
    refused(result, what, f"{field} is {small}", "layer 'fc")
    needs = re.search(r"needs (\d+)", result.errors[0])
    assert needs is not None
    assert int(needs[1]) > small
    remedy = re.search(r"compile with ([a-z_]+=\d+)", result.errors[0])
    assert remedy is not None
    assert list(tmp_path.iterdir()) == []
    assert cli(*command, "--set", remedy[1]).code == 0


def test_too_many_weights_are_clustered_on_request(
    cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    model = tmp_path / "dense.pt2"
    export(nn.Sequential(nn.Linear(24, 12)), torch.zeros(2, 24), model)
    command = files.compile(tmp_path / "image")
    command[1] = str(model)
    refused(cli(*command), "288 distinct", "15", "(share)", "zeroskip compress")
    result = cli(*command, "--share", "--json")
    assert result.code == 0
    assert result.document["report"]["quantization"]["layers"][0]["clustered"] is True


def test_codes_become_wider_unless_their_width_is_given(
    cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    """144 values are compiled without loss, or both ways to have them are named."""
    model, image = tmp_path / "dense.pt2", tmp_path / "image"
    export(nn.Sequential(nn.Linear(24, 6)), torch.zeros(2, 24), model)
    command = files.compile(image)
    command[1] = str(model)
    result = cli(*command)
    assert "chosen: code_bits = 8: codes for the 144 values of layer '0', the most" in result.out
    assert "chosen: run_bits = 4: about" in result.out
    document = cli("info", image, "--json").document
    assert document["parts"][0]["params"]["code_bits"] == 8
    assert document["parts"][0]["run_choices"][0]["run_bits"] == 4
    for given in (["--set", "code_bits=4"], ["--preset", "small"]):
        refused(cli(*command, *given), "144 distinct", "give code_bits = 8, which holds all of")
    result = cli(*command, "--share")
    assert "warning: the 144 values of layer '0' were clustered to 15" in result.out
    widths = ["--set", "code_bits=8", "--set", "run_bits=4"]
    assert cli(*command, *widths).out.count("chosen:") == 0


def test_output_folder_that_is_not_ours(
    cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    refused(cli(*files.compile(folder)), f"{folder} exists and is not a zeroskip image")
    refused(cli(*files.compile(folder / "thesis.txt")), "exists and is a file")
    refused(cli(*files.compile(folder / "thesis.txt" / "image")), "is a file")
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    assert (folder / "thesis.txt").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_image_with_a_file_of_the_user_is_kept(
    cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    image = tmp_path / "image"
    shutil.copytree(files.image, image)
    (image / "notes.txt").write_text("mine")
    refused(cli(*files.compile(image)), "notes.txt")
    refused(cli("info", image), "notes.txt")
    assert (image / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("command", ["run", "verify", "info"])
def test_what_is_no_image(
    command: str, cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    given = [] if command == "info" else ["--input", files.inputs]
    refused(cli(command, tmp_path / "none", *given), "none is no image")
    refused(cli(command, tmp_path, *given), "manifest.json")
    refused(cli(command, files.model, *given), "is no image")


@pytest.mark.parametrize("command", ["run", "verify", "info"])
def test_image_of_another_version(
    command: str, cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    image = tmp_path / "image"
    shutil.copytree(files.image, image)
    manifest = image / "manifest.json"
    fields = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**fields, "schema": 99, "zeroskip": "9.9"}))
    given = [] if command == "info" else ["--input", files.inputs]
    refused(cli(command, image, *given), "schema 99", "zeroskip 9.9", "compile the model again")


def test_output_file_of_run(cli: Cli, refused: Refused, files: Any, tmp_path: Path) -> None:
    command = ["run", files.image, "--input", files.inputs, "-o"]
    refused(cli(*command, tmp_path), "is a folder")
    refused(cli(*command, tmp_path / "none" / "y.npy"), "there is no folder")
    assert list(tmp_path.iterdir()) == []


def test_lengths_of_what_is_no_sequence(cli: Cli, refused: Refused, files: Any) -> None:
    given = ["--input", files.inputs, "--lengths", files.inputs]
    refused(cli("run", files.image, *given), "takes no sequences: give it no lengths")
    refused(cli("verify", files.image, *given), "takes no sequences: give it no lengths")
    refused(cli("system", files.image, "--steps", "2"), "takes no sequences")


def test_waves_need_rtl(cli: Cli, refused: Refused, files: Any) -> None:
    refused(cli("run", files.image, "--input", files.inputs, "--waves", "w.vcd"), "--on rtl")
    refused(cli("run", files.image, "--input", files.inputs, "--on", "chip"), "--on", "chip")


@pytest.mark.parametrize("tool", ["g++", "make", "perl"])
@pytest.mark.parametrize("command", cases(["run", "verify"], ["run"], "converts an array again"))
def test_missing_tools(
    command: str,
    tool: str,
    cli: Cli,
    refused: Refused,
    files: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for other in {"g++", "make", "perl"} - {tool}:
        found = shutil.which(other)
        assert found is not None
        (tools / other).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("ZEROSKIP_CACHE", str(tmp_path / "cache"))
    on = ["--on", "rtl"] if command == "run" else []
    result = cli(command, files.image, "--input", files.inputs, *on)
    refused(result, f"{tool} is not on PATH", "install it")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--density", "0"], ["density", "0"]),
        (["--density", "1.5"], ["density", "1.5"]),
        (["--density", "half"], ["--density", "half"]),
        (["--density", "0.1,0.2"], ["prune.layers has 2 values, but there are 3 layers"]),
        (["--codes", "0"], ["codes", "0"]),
        (["--codes", "x"], ["--codes", "x"]),
        (["--learning-rate", "x"], ["--learning-rate", "x"]),
        (["--epochs", "-1"], ["epochs", "-1"]),
        (["--model", "none.pt2"], ["none.pt2 does not exist"]),
        (["-o", "small.txt"], [".pt2", "small.txt"]),
        (["-o", "nowhere/small.pt2"], ["there is no folder"]),
        (["--labels", "none.npy"], ["labels file none.npy does not exist"]),
    ],
)
def test_bad_options_of_compress(
    options: list[str],
    says: list[str],
    cli: Cli,
    refused: Refused,
    files: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["compress", "--model", files.model, "--data", files.calibration, "-o", "small.pt2"]
    refused(cli(*command, *options), *says)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.zeros(64), "whole numbers"),
        (np.zeros(63, np.int64), "(64,)"),
        (np.full(64, 6), "from 0 to 5"),
    ],
)
def test_bad_labels(
    labels: Any, says: str, cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    given = ["--labels", _save(tmp_path / "labels.npy", labels), "-o", tmp_path / "small.pt2"]
    model = ["--model", files.model, "--data", files.calibration]
    refused(cli("compress", *model, *given), says)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.npy"]


def test_errors_are_json_too(cli: Cli, files: Any, tmp_path: Path) -> None:
    result = cli("info", tmp_path / "none", "--json")
    assert result.code == 2
    assert result.document == {"error": result.errors[0].removeprefix("zeroskip: "), "exit_code": 2}


def test_a_process_exits_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "zeroskip", "info", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"zeroskip: {tmp_path / 'none'} is no image: there is no such directory\n"


@pytest.mark.long("starts a process")
def test_the_home_of_another_python(tmp_path: Path) -> None:
    """It has a standard library that begins to work, but not what of it is compiled for ours."""
    library = Path(sysconfig.get_path("stdlib"))
    theirs = tmp_path / sys.platlibdir / library.name
    theirs.mkdir(parents=True)
    for path in library.iterdir():
        if path.name != "lib-dynload":
            (theirs / path.name).symlink_to(path)
    done = subprocess.run(
        [sys.executable, "-m", "zeroskip", "info", str(tmp_path / "x")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHOME": str(tmp_path)},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"zeroskip: {tmp_path / 'x'} is no image: there is no such directory\n"


@pytest.mark.parametrize("command", cases(["compile", "run"], ["run"], "starts a process"))
def test_files_that_may_not_grow(command: str, files: Any, tmp_path: Path) -> None:
    output = tmp_path / "output.npy"
    run = ["run", files.image, "--input", files.inputs, "-o", output]
    arguments = files.compile(output) if command == "compile" else run
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200));"
        "sys.argv[0] = 'zeroskip'; from zeroskip.__main__ import main; main()"
    )
    # What measures coverage could not write its own files either.
    measured = "COVERAGE_PROCESS_START"
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=source_root(),
        env={name: value for name, value in os.environ.items() if name != measured},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("[")]
    assert said == [f"zeroskip: {output} cannot be written: File too large"]
    assert list(tmp_path.iterdir()) == []


def test_errors_are_data(cli: Cli, files: Any, tmp_path: Path) -> None:
    result = cli(*files.compile(tmp_path / "image", "--set", "num_pes=0", "--json"))
    assert result.document == {
        "error": "--set eie.num_pes must be a whole number from 1 to 256, not 0",
        "parameter": "--set eie.num_pes",
        "value": "0",
        "rule": "a whole number from 1 to 256",
        "exit_code": 2,
    }


def test_words_of_the_user_stay(cli: Cli) -> None:
    """Parameters become options in what we say, not in what the user said."""
    assert "num_pes = 4 is no image" in cli("info", "num_pes = 4").err
    assert "not 'my acc_bits'" in cli("bench", "--layers", "my acc_bits").err


def test_bench_of_no_engine(cli: Cli, refused: Refused) -> None:
    refused(cli("bench", "eei"), "'eei' is not one of cycles, energy, lstm, eie, scnn")
    refused(cli("bench", "eie", "--engine", "scnn"), "name two engines; leave one out")


def test_options_of_another_bench(cli: Cli, refused: Refused, tmp_path: Path) -> None:
    refused(cli("bench", "--task", "vowels"), "--task, --data and --output are of bench lstm")
    refused(cli("bench", "lstm", "-o", str(tmp_path / "run")), "--output go with --task")
    none = str(tmp_path / "none")
    refused(cli("bench", "lstm", "--task", "vowels", "--data", none), "none", "cannot be read")
