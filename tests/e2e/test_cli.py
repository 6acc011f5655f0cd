"""The command line from a model file to compared words."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer

from tests.e2e.waves import check_waves
from tests.support.arrays import EIE
from zeroskip import EieParams, load
from zeroskip.cli.app import app
from zeroskip.cli.arrays import show_value
from zeroskip.hw.common import run_control
from zeroskip.hw.eie.control import Phase
from zeroskip.hw.eie.host import stall_classes

COMMANDS = ("compress", "compile", "run", "verify", "info")


def test_info_tells_what_the_image_holds(cli: Callable[..., Any], files: Any) -> None:
    result = cli("info", files.image, "--json")
    document = result.document
    assert result.code == 0
    (part,) = document["parts"]
    assert part["engine"] == "eie"
    assert [layer["name"] for layer in part["layers"]] == ["fc1", "fc2", "fc3"]
    assert [(layer["out_shape"], layer["in_shape"]) for layer in part["layers"]] == [
        ([30, 1, 1], [24, 1, 1]), ([20, 1, 1], [30, 1, 1]), ([6, 1, 1], [20, 1, 1]),
    ]  # fmt: skip
    for layer, module in zip(part["layers"], [files.module[i] for i in (0, 2, 4)], strict=True):
        assert layer["nnz"] == int(torch.count_nonzero(module.weight))
        assert layer["entries"] == layer["nnz"] + layer["padding"]
        per_pe = layer["entries_per_pe"]
        assert per_pe["mean"] * 2 == layer["entries"]
        assert layer["balance"] == pytest.approx(per_pe["mean"] / per_pe["max"])
    memories = {one["name"]: one for one in part["memories"]}
    assert memories["num_descriptors"]["used"]["max"] == 3
    assert memories["num_accs"]["used"]["max"] == 15
    assert all(one["used"]["max"] <= one["size"] for one in memories.values())
    text = cli("info", files.image)
    assert text.code == 0
    assert "stored bits per non-zero weight" in text.out


def test_golden_computes_the_network(cli: Callable[..., Any], files: Any, tmp_path: Path) -> None:
    output = tmp_path / "y.npy"
    assert cli("run", files.image, "--input", files.inputs, "-o", output).code == 0
    with torch.no_grad():
        expected = files.module(torch.from_numpy(np.load(files.inputs))).numpy()
    assert np.abs(np.load(output) - expected).max() < 0.01


def test_clipped_inputs_are_told(cli: Callable[..., Any], files: Any, tmp_path: Path) -> None:
    inputs, image = tmp_path / "x.npy", tmp_path / "image"
    np.save(inputs, 1000 * np.load(files.inputs))
    document = cli("run", files.image, "--input", inputs, "--json").document["clipped_inputs"]
    assert document["share"] > 0.9
    assert document["warning"].endswith("compile again with calibration data like this")
    text = cli("run", files.image, "--input", inputs).out
    assert f"clipped inputs: {document['clipped']} of {5 * 24} (" in text
    assert f"warning: {document['warning']}\n" in text
    text = cli("run", files.image, "--input", files.inputs).out
    assert f"of {5 * 24} (" in text
    assert "warning" not in text
    np.save(inputs, np.zeros((2, 24), np.float32))
    command = [*files.compile(image), "--data", str(inputs)]
    for text in (cli(*command).out, cli("info", image).out):
        assert "warning: all numbers of the calibration data are 0, which says nothing" in text
        assert "inputs: -1 to 0.999969 are not clipped; calibration data are 0 to 0" in text


@pytest.mark.cosim
def test_rtl_writes_what_golden_does(cli: Callable[..., Any], files: Any, tmp_path: Path) -> None:
    golden, rtl = tmp_path / "golden.npy", tmp_path / "rtl.npy"
    rtl.write_text("there before")
    assert (
        cli("run", files.image, "--input", files.inputs, "--on", "golden", "-o", golden).code == 0
    )
    result = cli("run", files.image, "--input", files.inputs, "--on", "rtl", "-o", rtl, "--json")
    assert result.code == 0, result.err
    assert np.array_equal(np.load(golden), np.load(rtl))
    document = result.document
    assert len(document["cycles"]) == 5
    (part,) = document["parts"]
    assert part["cycles"] == document["cycles"]
    per_layer = [sum(one.values()) for one in part["stalls"].values()]
    assert sum(per_layer) == 2 * sum(document["cycles"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["golden.npy", "rtl.npy"]


@pytest.mark.cosim
def test_verify_compares_every_word(cli: Callable[..., Any], files: Any) -> None:
    result = cli("verify", files.image, "--input", files.inputs)
    assert result.code == 0, result.err
    # Every layer's rows, and the last layer's as the host reads them, for 5 inputs.
    words = 5 * (30 + 20 + 6 + 6)
    assert result.out.splitlines()[-1] == f"bit-exact: {words} words compared, 0 differ"
    document = cli("verify", files.image, "--input", files.inputs, "--json").document
    assert document["exact"] is True
    (part,) = document["parts"]
    assert (document["words"], document["differ"], part["differences"]) == (words, 0, [])
    assert document["clipped_inputs"]["numbers"] == 5 * 24
    assert document["problems"] == []
    cycles = part["cycles"]
    assert cycles["total"] == sum(cycles["per_input"]) == sum(cycles["per_layer"].values())
    assert document["cycles"]["per_input"] == cycles["per_input"]
    (metrics,) = document["metrics"]["parts"]
    for layer in (*metrics["layers"], metrics["total"]):
        assert sum(layer["stalls"].values()) == pytest.approx(1)
        assert layer["utilisation"] == pytest.approx(layer["stalls"]["useful"])
        assert layer["speedup"] == pytest.approx(layer["dense_macs"] / 2 / layer["cycles"])


@pytest.mark.long("builds a simulator that records waves")
@pytest.mark.cosim
def test_waves_are_recorded(cli: Callable[..., Any], files: Any) -> None:
    recorded = files.image.with_name("waves.vcd")
    given = ("--input", files.inputs, "--on", "rtl", "--waves", recorded)
    result = cli("run", files.image, *given, "--json")
    assert result.code == 0, result.err
    assert "waves are of 1 of 5 inputs, see --first N" in result.err
    waves = Path(result.document["waves"])
    assert waves == recorded
    stalls = {f"eie_array.pe_{pe}.stall_class": stall_classes(EIE) for pe in range(2)}
    states = vars(run_control)["_State"]
    named = {"eie_array.ccu.run_control.state": states, "eie_array.control__phase": Phase}
    check_waves(waves, result.err, named | stalls)
    # The image is still one.
    assert cli("info", files.image).code == 0


def test_json_of_compile_reports_formats_and_errors(
    cli: Callable[..., Any], files: Any, tmp_path: Path
) -> None:
    result = cli(*files.compile(tmp_path / "image", "--json", "--name", "mine"))
    document = result.document
    assert (document["image"], document["name"]) == (str(tmp_path / "image"), "mine")
    quantization = document["report"]["quantization"]
    assert quantization["samples"] == 64
    for layer in quantization["layers"]:
        assert layer["acc_bits_needed"] <= 32
        assert layer["rounded_to_zero"] == 0
        assert 0 < layer["error"]["max_abs"] < 0.01
        assert layer["error"]["snr_db"] > 50
    assert load(tmp_path / "image").report == document["report"]


def test_what_is_set_reaches_the_image(cli: Callable[..., Any], files: Any, tmp_path: Path) -> None:
    values = {"num_pes": 3, "run_bits": 3, "act_bits": 14, "skip_padding": False}
    given = [t for name, v in values.items() for t in ("--set", f"{name}={show_value(v)}")]
    result = cli(*files.compile(tmp_path / "image", *given))
    assert result.code == 0, result.err
    before = dataclasses.asdict(load(files.image).part("eie").params)
    assert dataclasses.asdict(load(tmp_path / "image").part("eie").params) == {**before, **values}


def test_engines_are_listed(cli: Callable[..., Any]) -> None:
    text = cli("engines").out
    for part in ("eie: Linear", "scnn: convolutions", "--preset best", "--preset icebreaker"):
        assert part in text
    text = cli("engines", "eie", "--preset", "best").out
    for name in [field.name for field in dataclasses.fields(EieParams)] + ["placement"]:
        assert re.search(rf"^  {name} .*\w", text, re.MULTILINE)
    (eie,) = cli("engines", "eie", "--preset", "best", "--json").document["engines"]
    values = {one["name"]: (one["value"], one["choices"]) for one in eie["fields"]}
    assert values["num_pes"] == (64, [1, 256])
    assert values["placement"] == ("schedule", ["interleave", "balance", "schedule"])
    assert values["skip_padding"] == (True, [False, True])


def _commands(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield names
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*names, name))


@pytest.mark.parametrize("names", [*_commands(typer.main.get_command(app))], ids=" ".join)
def test_help_fits_two_screens(names: tuple[str, ...], cli: Callable[..., Any]) -> None:
    text = cli(*names, "--help").out
    assert 10 < len(text.splitlines()) < 100
    assert "Example" in text or not names


def test_help_shows_the_preset_in_force(cli: Callable[..., Any]) -> None:
    text = " ".join(cli("compile", "--preset", "best", "--help").out.split())
    assert "eie, preset best: num_pes=64 queue_depth=16" in text
    assert "scnn, preset tile: pes_x=1" in text
    text = " ".join(cli("verilog", "--help", "--engine=scnn", "--preset=paper").out.split())
    assert "scnn, preset paper: pes_x=8" in text
    assert "eie, preset" not in text


def test_energy_is_told_by_layer_and_unit(
    cli: Callable[..., Any], files: Any, tmp_path: Path
) -> None:
    picture, mine = tmp_path / "energy.svg", tmp_path / "mine.toml"
    options = "--input", files.inputs, "--json"
    result = cli("energy", files.image, *options, "--plot", picture)
    assert result.code == 0, result.err
    document = result.document
    assert document["inputs"] == 5
    layers, dram = sum(layer["pj"] for layer in document["layers"]), document["units_pj"]["dram"]
    assert min(layers, dram, document["dram_bytes"]) > 0
    assert layers + dram == pytest.approx(document["uj"] * 1e6)
    assert set(document["machines"]) == {"dense", "weights", "activations"}
    assert picture.read_text().startswith("<?xml")
    # Without an input, one is drawn.
    drawn = cli("energy", files.image, "--json").document
    assert (drawn["inputs"], drawn["uj"] > 0) == (0, True)
    mine.write_text("name = 3")
    for wrong, sentence in (
        (["--tech", mine], "name: "),
        (["--tech", tmp_path / "none.toml"], "does not exist; name a TOML file"),
        (["--plot", tmp_path / "energy.pdf"], "must end in .png or .svg"),
    ):
        result = cli("energy", files.image, *wrong)
        assert (result.code, result.out) == (2, "")
        assert sentence in result.err


def test_image_is_replaced_by_an_image(cli: Callable[..., Any], files: Any, tmp_path: Path) -> None:
    for placement in ("interleave", "balance"):
        assert cli(*files.compile(tmp_path / "image", "--set", f"placement={placement}")).code == 0
        assert load(tmp_path / "image").report["placement"] == placement
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str, cli: Callable[..., Any]) -> None:
    result = cli(command, "--help")
    assert result.code == 0
    assert "Examples:" in result.out
    assert re.search(rf"zeroskip {command} \S", result.out)
    assert "--json" in result.out


def test_version(cli: Callable[..., Any]) -> None:
    assert re.fullmatch(r"zeroskip \S+\n", cli("--version").out)


def test_compress_prunes_and_shares(cli: Callable[..., Any], files: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    labels = tmp_path / "labels.npy"
    np.save(labels, rng.integers(0, 6, 64))
    small = tmp_path / "smaller.pt2"
    command = ["compress", "--model", files.model, "--data", files.calibration, "-o", small]
    result = cli(
        *command, "--labels", labels, "--density", "0.2,0.2,0.3", "--codes", 7, "--epochs", 1,
        "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    layers = result.document["sizes"]["layers"]
    kept = [layer["kept"] / layer["weights"] for layer in layers]
    assert kept == pytest.approx([0.2, 0.2, 0.3], abs=0.01)
    assert all(layer["values"] <= 7 for layer in layers)
    image = tmp_path / "image"
    given = ["--data", files.calibration, "-o", image]
    assert cli("compile", small, *given).code == 0
    without = cli(*command, "--epochs", 1)
    assert without.code == 0
    assert f"x smaller: {small}" in without.out


def _interrupt_at(step: str, arguments: list[str], cache: Path, wait: float = 0) -> list[str]:
    """Run a command until it prints ``step``, wait, press Ctrl-C, return what it then says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zeroskip", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ZEROSKIP_CACHE": str(cache)},
        start_new_session=True,
    )
    with process:
        try:
            assert process.stderr is not None
            while step not in (line := process.stderr.readline()):
                assert line
            time.sleep(wait)
            # As the terminal does: to the command and all it has started.
            os.killpg(process.pid, signal.SIGINT)
            _, err = process.communicate()
        finally:
            process.kill()
    assert process.returncode == 130
    return [line for line in err.splitlines() if not line.startswith("[")]


@pytest.mark.parametrize(
    "wait",
    [0.0, *(pytest.param(s, marks=pytest.mark.long("the same, later")) for s in (0.3, 2.0))],
)
def test_interrupted_build(wait: float, files: Any, tmp_path: Path) -> None:
    command = ["verify", str(files.image), "--input", str(files.inputs)]
    assert _interrupt_at("build simulator", command, tmp_path, wait) == ["zeroskip: interrupted"]


@pytest.mark.cosim
def test_interrupted_simulation_is_cleared_away(files: Any, tmp_path: Path) -> None:
    many, cache = tmp_path / "many.npy", tmp_path / "cache"
    np.save(many, np.zeros((2000, 24), np.float32))
    # A cache of its own, in which the built simulators are links, tells whose runs are left.
    cache.mkdir()
    for built in Path(os.environ["ZEROSKIP_CACHE"]).glob("eie_*"):
        (cache / built.name).symlink_to(built)
    command = ["verify", str(files.image), "--input", str(many)]
    assert _interrupt_at("simulate", command, cache) == ["zeroskip: interrupted"]
    assert list((cache / "runs").iterdir()) == []
