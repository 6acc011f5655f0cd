"""Commands on networks with convolutions, from start to end."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.e2e.waves import check_waves
from zeroskip.compiler.image.image import load
from zeroskip.hw.common import run_control
from zeroskip.hw.scnn.control import Phase
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import PRESETS

Cli = Callable[..., Any]

_SAMPLES = 3
_PES, _MULTIPLIERS = 2, 16


def test_compile_says_what_runs_where(cli: Cli, cnn: Any, tmp_path: Path) -> None:
    result = cli(*cnn.compile(tmp_path / "image", "--json", "--name", "mine"))
    document = result.document
    assert (document["image"], document["name"]) == (str(tmp_path / "image"), "mine")
    image = load(tmp_path / "image")
    assert image.report == document["report"]
    layers = document["report"]["quantization"]["layers"]
    assert [(layer["name"], layer["kind"]) for layer in layers] == [
        ("conv1", "conv"), ("pool1", "max"), ("conv2", "conv"), ("pool2", "max"),
        ("fc1", "linear"), ("fc2", "linear"),
    ]  # fmt: skip
    for layer in layers:
        # EIE's weights are clustered to 15 values.
        assert layer["error"]["snr_db"] > (25 if layer["clustered"] else 40)
    text = cli(*cnn.compile(tmp_path / "image"))
    assert text.out.splitlines()[-1] == (
        f"image 'cnn' for SCNN: 2 x 2 PEs of 2 x 2 multipliers; EIE: 2 PEs in {tmp_path / 'image'}"
    )
    # An image of other parts is replaced, and nothing of it is left.
    assert cli(*cnn.compile_alone(tmp_path / "image")).code == 0
    assert [part.engine for part in load(tmp_path / "image").parts] == ["scnn"]
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


def test_what_is_set_reaches_the_array(cli: Cli, cnn: Any, tmp_path: Path) -> None:
    given = ["--set", "scnn.banks=16", "--set", "act_words=129", "--set", "scnn.counters=no"]
    result = cli(*cnn.compile_alone(tmp_path / "image", *given))
    assert result.code == 0, result.err
    image = load(tmp_path / "image")
    expected = dataclasses.replace(
        PRESETS["tiny"], num_streams=4, banks=16, act_words=129, counters=False
    )
    assert image.part("scnn").params == expected


def test_info_is_of_both_engines(cli: Cli, cnn: Any) -> None:
    document = cli("info", cnn.image, "--json").document
    scnn, eie = document["parts"]
    assert (scnn["engine"], eie["engine"]) == ("scnn", "eie")
    layers = scnn["layers"]
    assert [layer["name"] for layer in layers] == ["conv1", "pool1", "conv2", "pool2"]
    assert [layer["groups"] for layer in layers] == [1, 6, 2, 8]
    assert layers[2]["nnz"] == int(torch.count_nonzero(cnn.module.conv2.weight))
    assert layers[2]["dense_macs"] == 8 * 4 * 4 * 3 * 9
    assert layers[3]["out_shape"] == [8, 2, 2]
    assert all(
        0 < one["used"]["max"] <= one["size"] for part in (scnn, eie) for one in part["memories"]
    )
    assert [layer["name"] for layer in eie["layers"]] == ["fc1", "fc2"]
    text = cli("info", cnn.image)
    assert text.code == 0
    for part in (
        "activations go from SCNN to EIE through memory, without a host",
        "Memory of 'cnn'",
        "Layers on the SCNN array",
        "Spmat SRAMs",
    ):
        assert part in text.out
    alone = cli("info", cnn.image_alone, "--json").document
    assert [part["engine"] for part in alone["parts"]] == ["scnn"]
    assert "EIE" not in cli("info", cnn.image_alone).out


def test_golden_computes_the_network(cli: Cli, cnn: Any, tmp_path: Path) -> None:
    output = tmp_path / "y.npy"
    result = cli("run", cnn.image, "--input", cnn.inputs, "-o", output, "--json")
    assert result.code == 0, result.err
    assert result.document["cycles"] is None
    for part in result.document["parts"]:
        assert (part["cycles"], part["run_cycles"], part["stalls"]) == (None, None, None)
    # Six saturation counts, of each layer.
    assert len(result.document["saturated"]) == 6
    with torch.no_grad():
        expected = cnn.module(torch.from_numpy(np.load(cnn.inputs))).numpy()
    assert np.load(output).shape == expected.shape
    # The Linear layers are clustered to 15 values, so this is no close match.
    assert np.abs(np.load(output) - expected).max() < 0.2 * np.abs(expected).max()
    text = cli("run", cnn.image, "--input", cnn.inputs)
    assert "saturated outputs: 0" in text.out


def test_feature_maps_leave_as_they_are(cli: Cli, cnn: Any) -> None:
    document = cli("run", cnn.image_alone, "--input", cnn.inputs, "--json").document
    assert document["shape"] == [_SAMPLES, 5, 2, 2]
    assert np.array(document["outputs"]).shape == (_SAMPLES, 5, 2, 2)


@pytest.mark.parametrize("name", ["image", "image_alone"])
def test_the_cycle_model_accounts_for_every_multiplier(name: str, cli: Cli, cnn: Any) -> None:
    given = (getattr(cnn, name), "--input", cnn.inputs)
    document = cli("run", *given, "--on", "cycles", "--json").document
    scnn, *others = document["parts"]
    assert [part["engine"] for part in others] == ["eie"] * (name == "image")
    for eie in others:
        per_layer = [sum(one.values()) for one in eie["stalls"].values()]
        assert sum(per_layer) == _PES * sum(eie["cycles"])
    by_engine = [np.array(part["cycles"]) for part in document["parts"]]
    assert document["cycles"] == np.sum(by_engine, axis=0).tolist()
    assert [sum(runs) for runs in scnn["run_cycles"]] == scnn["cycles"]
    classes = [stall.name.lower() for stall in StallClass]
    assert all(list(of_layer) == classes for of_layer in scnn["stalls"].values())
    spent = sum(sum(of_layer.values()) for of_layer in scnn["stalls"].values())
    assert spent == _MULTIPLIERS * sum(scnn["cycles"])
    golden = cli("run", *given, "--json").document
    assert golden["outputs"] == document["outputs"]


@pytest.mark.cosim
@pytest.mark.parametrize("name", ["image", "image_alone"])
def test_rtl_does_what_the_models_say(name: str, cli: Cli, cnn: Any, tmp_path: Path) -> None:
    given = (getattr(cnn, name), "--input", cnn.inputs)
    model = cli("run", *given, "--on", "cycles", "--json").document
    result = cli("run", *given, "--on", "rtl", "--json", "-o", tmp_path / "y.npy")
    assert result.code == 0, result.err
    document = result.document
    assert np.load(tmp_path / "y.npy").tolist() == model["outputs"]
    for key in ("cycles", "parts"):
        assert document[key] == model[key]
    assert [path.name for path in tmp_path.iterdir()] == ["y.npy"]


@pytest.mark.cosim
def test_verify_compares_every_word(cli: Cli, cnn: Any) -> None:
    result = cli("verify", cnn.image, "--input", cnn.inputs)
    assert result.code == 0, result.err
    document = cli("verify", cnn.image, "--input", cnn.inputs, "--json").document
    words = document["words"]
    assert result.out.splitlines()[-1] == f"bit-exact: {words} words compared, 0 differ"
    # At least the output of each layer that writes one, so not of convolutions whose poolings are
    # made along; beside them are words of RAMs and what the host reads.
    assert words > _SAMPLES * (6 * 16 + 8 * 4 + 12 + 5)
    assert (document["exact"], document["differ"], document["cycles_differ"]) == (True, 0, 0)
    assert document["clipped_inputs"]["numbers"] == _SAMPLES * 2 * 64
    assert [part["engine"] for part in document["parts"]] == ["scnn", "eie"]
    assert document["words"] == sum(part["words"] for part in document["parts"])
    assert document["problems"] == []
    cycles = [part["cycles"] for part in document["parts"]]
    for part in cycles:
        assert sum(part["per_layer"].values()) == part["total"] == sum(part["per_input"])
    assert document["cycles"]["total"] == sum(part["total"] for part in cycles)
    for part in document["metrics"]["parts"]:
        for layer in (*part["layers"], part["total"]):
            # A pooling that is made along with the layer before has no cycles of its own.
            if layer["name"] not in ("pool1", "pool2"):
                assert sum(layer["stalls"].values()) == pytest.approx(1)


@pytest.mark.cosim
def test_verify_without_linear_layers(cli: Cli, cnn: Any) -> None:
    document = cli("verify", cnn.image_alone, "--input", cnn.inputs, "--json").document
    assert [part["engine"] for part in document["parts"]] == ["scnn"]
    assert document["exact"]
    assert document["words"] > _SAMPLES * (5 * 16 + 5 * 4)


@pytest.mark.cosim
def test_verify_single_layers(cli: Cli, cnn: Any) -> None:
    image = load(cnn.image_alone)
    first = image.graph.layers[0].name
    given = ("verify", cnn.image_alone, "--input", cnn.inputs, "--layer", first)
    document = cli(*given, "--json").document
    assert document["exact"] is True
    (part,), (metrics,) = document["parts"], document["metrics"]["parts"]
    assert first in part["cycles"]["per_layer"]
    assert [layer["name"] for layer in metrics["layers"]] == [*part["cycles"]["per_layer"]]
    text = cli(*given)
    assert text.code == 0, text.err
    assert text.out.splitlines()[-1] == f"bit-exact: {document['words']} words compared, 0 differ"


def test_layers_that_are_not_there_are_named(cli: Cli, cnn: Any, files: Any) -> None:
    result = cli("verify", cnn.image, "--input", cnn.inputs, "--layer", "conv3")
    assert result.code == 2
    assert "no layer 'conv3'; there are conv1, pool1, conv2, pool2, fc1, fc2" in result.err
    result = cli("verify", files.image, "--input", files.inputs, "--layer", "conv1")
    assert result.code == 2
    assert "no layer 'conv1'; there are fc1, fc2, fc3" in result.err


@pytest.mark.long("builds a simulator that records waves")
@pytest.mark.cosim
def test_waves_are_recorded(cli: Cli, cnn: Any, tmp_path: Path) -> None:
    one, image = tmp_path / "one.npy", tmp_path / "image"
    np.save(one, np.load(cnn.inputs)[:1])
    # A single PE: with waves, larger arrays take long to build.
    assert (
        cli(
            *cnn.compile_alone(
                image,
                *(t for name in ("pes_x", "pes_y", "num_streams") for t in ("--set", f"{name}=1")),
            )
        ).code
        == 0
    )
    recorded = tmp_path / "waves.vcd"
    given = ("--input", one, "--on", "rtl", "--waves", recorded)
    result = cli("run", image, *given, "--json")
    assert result.code == 0, result.err
    waves = Path(result.document["waves"])
    assert waves == recorded
    states = vars(run_control)["_State"]
    named = {
        "scnn_array.sequencer.run_control.state": states,
        "scnn_array.control__phase": Phase,
        "scnn_array.pe_0.stall_class": StallClass,
    }
    check_waves(waves, result.err, named)
    # The image is still one.
    assert cli("info", image).code == 0


def test_a_run_is_traced(cli: Cli, cnn: Any, tmp_path: Path) -> None:
    for image, processes in ((cnn.image, 3), (cnn.image_alone, 1)):
        trace = tmp_path / f"{image.name}.json"
        command = ("run", image, "--input", cnn.inputs, "--on", "cycles", "--trace", trace)
        document = cli(*command, "--json").document
        assert document["trace"] == str(trace)
        events = json.loads(trace.read_text())["traceEvents"]
        ends = [event["ts"] + event.get("dur", 0) for event in events if "ts" in event]
        assert max(ends) == document["cycles"][0]
        assert len({event["pid"] for event in events}) == processes
        assert f"trace of input 0 written to {trace}" in cli(*command).out


def test_heat_of_both_engines(cli: Cli, cnn: Any, tmp_path: Path) -> None:
    picture = tmp_path / "heat.svg"
    result = cli("plot", "heat", cnn.image, "--input", cnn.inputs, "-o", picture, "--json")
    assert result.document == {"figure": "heat", "picture": str(picture)}
    drawn = picture.read_text()
    for part in ("conv1 on SCNN: ", "pool2 on SCNN: ", "fc2 on EIE: ", "fragmentation", "blocked"):
        assert part in drawn
    alone = cli("plot", "heat", cnn.image_alone, "--input", cnn.inputs, "-o", tmp_path / "a.png")
    assert alone.code == 0, alone.err
