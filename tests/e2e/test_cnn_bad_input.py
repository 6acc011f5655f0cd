"""What a user of networks with convolutions can get wrong: one sentence, nothing half-written."""

import io
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.compiler.compress.module import export

Cli = Callable[..., Any]
Refused = Callable[..., None]


@pytest.mark.parametrize("command", ["compile", "run", "cycles", "verify", "heat"])
def test_bad_data(command: str, cli: Cli, refused: Refused, cnn: Any, tmp_path: Path) -> None:
    x = np.zeros((4, 2, 8, 8), np.float32)
    x[2, 1, 3, 3] = np.inf
    np.save(tmp_path / "infinite.npy", x)
    np.save(tmp_path / "turned.npy", np.moveaxis(x, 1, 3))
    before = sorted(tmp_path.iterdir())
    for name, says in (
        ("infinite.npy", "NaN or infinite, the first in sample 2"),
        ("turned.npy", "(samples, 2, 8, 8), not (4, 8, 8, 2)"),
    ):
        bad = tmp_path / name
        if command == "compile":
            result = cli(*cnn.compile(tmp_path / "image"), "--data", bad)
        elif command == "heat":
            result = cli("plot", "heat", cnn.image, "--input", bad, "-o", tmp_path / "heat.png")
        elif command == "cycles":
            given = ["--on", "cycles", "--trace", tmp_path / "t.json", "-o", tmp_path / "y.npy"]
            result = cli("run", cnn.image, "--input", bad, *given)
        else:
            result = cli(command, cnn.image, "--input", bad)
        refused(result, says)
        assert sorted(tmp_path.iterdir()) == before


def _conv(value: float | None = None, **words: Any) -> nn.Module:
    layer = nn.Conv2d(2, 3, 3, **words)
    with torch.no_grad():
        layer.weight.fill_(0.5)
        if value is not None:
            layer.weight[0, 0, 0, 0] = value
    return nn.Sequential(layer)


BAD_MODELS = {
    "nan": (lambda: _conv(float("nan")), ["layer '0'", "NaN"]),
    "infinite": (lambda: _conv(float("inf")), ["layer '0'", "infinite"]),
    "holes": (
        lambda: nn.Sequential(_conv(), nn.MaxPool2d(2, dilation=2)),
        ["module '1'", "holes (dilation)", "use dilation 1"],
    ),
    "reflected": (
        lambda: _conv(padding=1, padding_mode="reflect"),
        ["plane (reflect)", "pad with zeros (padding_mode='zeros', nn.ZeroPad2d)"],
    ),
    "upsampled": (
        lambda: nn.Sequential(_conv(), nn.Upsample(scale_factor=2), nn.Conv2d(3, 2, 3)),
        ["upsample_nearest2d", "larger", "a Linear layer"],
    ),
    "planes of a large vector": (
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(128, 9800), nn.Unflatten(1, (2, 70, 70)), _conv()
        ),
        ["(2, 70, 70) of 9800 numbers", "make smaller planes"],
    ),
    "sigmoid": (
        lambda: nn.Sequential(_conv(), nn.Sigmoid(), nn.MaxPool2d(2)),
        ["sigmoid", "supported is"],
    ),
    "upsampling": (lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 3)), ["planes smaller"]),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
def test_bad_models(kind: str, cli: Cli, refused: Refused, cnn: Any, tmp_path: Path) -> None:
    make, says = BAD_MODELS[kind]
    bad = tmp_path / "bad.pt2"
    export(make().eval(), torch.zeros(2, 2, 8, 8), bad)
    command = cnn.compile_alone(tmp_path / "image")
    command[1] = str(bad)
    refused(cli(*command), *says)
    assert list(tmp_path.iterdir()) == [bad]


def test_groups_that_do_not_divide(cli: Cli, refused: Refused, cnn: Any, tmp_path: Path) -> None:
    """PyTorch makes no such layer; a damaged file can have one."""
    module = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (torch.zeros(1, 4, 8, 8),))
    (node,) = [one for one in program.graph.nodes if "conv2d" in str(one.target)]
    node.args = (*node.args[:-1], 3)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    bad = tmp_path / "bad.pt2"
    bad.write_bytes(buffer.getvalue())
    command = cnn.compile_alone(tmp_path / "image")
    command[1] = str(bad)
    refused(cli(*command), "its 3 groups of 2 channels do not divide 4 input and 6 output channels")
    assert list(tmp_path.iterdir()) == [bad]


@pytest.mark.parametrize("spoil", ["missing", "folder", "truncated"])
def test_models_that_are_none(
    spoil: str, cli: Cli, refused: Refused, cnn: Any, tmp_path: Path
) -> None:
    bad, says = tmp_path / "bad.pt2", {"missing": "does not exist", "folder": "is a folder"}
    if spoil == "folder":
        bad.mkdir()
    elif spoil == "truncated":
        bad.write_bytes(cnn.model.read_bytes()[:2000])
    before = sorted(tmp_path.iterdir())
    command = cnn.compile(tmp_path / "image")
    command[1] = str(bad)
    refused(cli(*command), f"bad.pt2 {says.get(spoil, 'is truncated')}")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--preset", "scnn=huge"],
            ["--preset must be one of tile, paper, tiny, board, not 'huge'"],
        ),
        (["--set", "pes_x=0"], ["--set scnn.pes_x must be a whole number from 1 to", "not 0"]),
        (["--set", "banks=12"], ["--set scnn.banks must be a power of two, not 12"]),
        (["--set", "bank_entries=few"], ["--set scnn.bank_entries", "few"]),
        (["--set", "num_streams=5"], ["--set scnn.num_streams must be at most the 4 PEs, not 5"]),
        (["--set", "scnn.acc_bits=15"], ["--set scnn.acc_bits must be at least act_bits = 16"]),
        (["--set", "field_bits=4"], ["scnn.code_bits must be at most field_bits = 4, not 8"]),
        (["--set", "acc_bits=16"], ["acc_bits = 16", "raise acc_bits"]),
        (["--set", "num_pes=4"], ["alone.pt2 has no layers for eie"]),
    ],
)
def test_bad_options(
    options: list[str], says: list[str], cli: Cli, refused: Refused, cnn: Any, tmp_path: Path
) -> None:
    refused(cli(*cnn.compile_alone(tmp_path / "image"), *options), *says)
    assert list(tmp_path.iterdir()) == []


def test_options_of_an_array_that_is_not_used(
    cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    result = cli(*files.compile(tmp_path / "image"), "--set", "banks=16")
    refused(result, "small.pt2 has no layers for scnn: leave its --engine, --preset and --set out")
    assert list(tmp_path.iterdir()) == []


def test_engines_of_different_widths(cli: Cli, refused: Refused, cnn: Any, tmp_path: Path) -> None:
    command = cnn.compile(tmp_path / "image", "--set", "scnn.act_bits=8")
    result = cli(*command)
    refused(result, "EIE must have activations of 8 bits as SCNN has, not 16", "act_bits = 8")
    assert list(tmp_path.iterdir()) == []
    assert cli(*command, "--set", "act_bits=8").code == 0


def _large(kernel: int, cnn: Any, folder: Path) -> list[str]:
    model = folder / "large.pt2"
    module = nn.Sequential(nn.Conv2d(2, 3, kernel, padding=kernel // 2))
    export(module.eval(), torch.zeros(2, 2, 8, 8), model)
    command = cnn.compile_alone(folder / "image", "--set", "bank_entries=4")
    command[1] = str(model)
    return command


@pytest.mark.parametrize("options", [["banks=2"], ["num_streams=1", "bank_entries=2"]])
def test_a_kernel_that_reaches_far_is_cut(
    options: list[str], cli: Cli, cnn: Any, tmp_path: Path
) -> None:
    assert cli(*_large(7, cnn, tmp_path), *(t for one in options for t in ("--set", one))).code == 0


@pytest.mark.parametrize("part", ["0_scnn", "1_eie"])
@pytest.mark.parametrize("command", ["run", "verify", "info", "heat"])
def test_damaged_images(
    command: str, part: str, cli: Cli, refused: Refused, cnn: Any, tmp_path: Path
) -> None:
    image = tmp_path / "image"
    shutil.copytree(cnn.image, image)
    path = sorted((image / part).rglob("bias.hex"))[0]
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([f"{int(first, 16) ^ 1:0{len(first)}x}", *rest, ""]))
    given = [] if command == "info" else ["--input", cnn.inputs]
    command_line = ["plot", "heat"] if command == "heat" else [command]
    if command == "heat":
        given += ["-o", tmp_path / "heat.png"]
    refused(cli(*command_line, image, *given), f"{path} is damaged", "altered")
    path.unlink()
    refused(cli(*command_line, image, *given), f"{path} is missing")
    assert list(tmp_path.iterdir()) == [image]


def test_images_for_other_arrays(cli: Cli, refused: Refused, cnn: Any, tmp_path: Path) -> None:
    sweep = ["sweep", "--image", cnn.image, "--input", cnn.inputs, "-o", tmp_path / "t.csv"]
    refused(cli(*sweep), "has parts for scnn, eie, but an image for eie alone is needed")
    assert list(tmp_path.iterdir()) == []


def test_layers_that_are_not_there(cli: Cli, refused: Refused, cnn: Any) -> None:
    result = cli("verify", cnn.image, "--input", cnn.inputs, "--layer", "conv3")
    refused(result, "no layer 'conv3'", "conv1, pool1, conv2, pool2, fc1, fc2")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--waves", "w.vcd", "--on", "cycles"], "waves are recorded with --on rtl only"),
        (["--waves", "w.vcd"], "waves are recorded with --on rtl only"),
        (["--trace", "t.json"], "a trace is recorded with --on cycles only"),
        (["--trace", "t.json", "--on", "rtl"], "a trace is recorded with --on cycles only"),
        (["--trace", "none/t.json", "--on", "cycles"], "there is no folder"),
        (["--trace", ".", "--on", "cycles"], "is a folder"),
        (["--waves", "none/w.vcd", "--on", "rtl"], "there is no folder"),
        (["-o", "none/y.npy"], "there is no folder"),
        (["--on", "cycls"], "did you mean 'cycles'? (see zeroskip run --help)"),
    ],
)
def test_outputs_that_cannot_be(
    options: list[str],
    says: str,
    cli: Cli,
    refused: Refused,
    cnn: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(cli("run", cnn.image, "--input", cnn.inputs, *options), says)
    assert list(tmp_path.iterdir()) == []


def test_output_folders_that_are_not_ours(
    cli: Cli, refused: Refused, cnn: Any, tmp_path: Path
) -> None:
    image = tmp_path / "image"
    shutil.copytree(cnn.image, image)
    (image / "0_scnn" / "notes.txt").write_text("mine")
    refused(cli(*cnn.compile(image)), "notes.txt")
    refused(cli("info", image), "notes.txt")
    assert (image / "0_scnn" / "notes.txt").read_text() == "mine"
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text.txt").write_text("precious")
    refused(cli(*cnn.compile(tmp_path / "thesis")), "exists and is not a zeroskip image")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image", "thesis"]


def test_errors_are_json_too(cli: Cli, cnn: Any, tmp_path: Path) -> None:
    result = cli("run", cnn.image, "--input", tmp_path / "none.npy", "--json")
    assert result.code == 2
    assert result.document == {"error": result.errors[0].removeprefix("zeroskip: "), "exit_code": 2}
