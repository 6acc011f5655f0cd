"""Scripts in examples run and say what they promise."""

import re
import runpy
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import zeroskip as zs
from zeroskip.compiler.image.image import load

_EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.long("compiles a large network")
def test_squeezenet(tmp_path: Path) -> None:
    """All layers of SqueezeNet are compiled and counted; fixed point finds the same class."""
    target = tmp_path / "net"
    command = [sys.executable, str(_EXAMPLES / "squeezenet.py"), "--version", "1.1"]
    done = subprocess.run(
        [*command, "-o", str(target)], capture_output=True, text=True, cwd=_EXAMPLES.parent
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"([\d,]+) cycles; class (\d+), in float (\d+)", done.stdout)
    assert found is not None
    assert found[2] == found[3]
    image = load(target)
    convs = [layer for layer in image.graph.layers if layer.kind == "conv"]
    assert len(convs) == 26
    assert all(layer.codebook is not None for layer in convs)
    listed = re.findall(r"^  \S+ +(?:conv|max|avg) .* ([\d,]+) cycles$", done.stdout, re.MULTILINE)
    total = sum(int(cycles.replace(",", "")) for cycles in listed)
    assert total == int(found[1].replace(",", ""))
    assert (tmp_path / "net_input.npy").is_file()


@pytest.mark.long("trains and compresses a network")
def test_recurrent(tmp_path: Path) -> None:
    """A row for each seed, whose sizes are those asked for; utterances are drawn."""
    rng = np.random.default_rng(0)
    for name in ("TRAIN", "TEST"):
        lines = ["@data"]
        for number in range(18):
            frames = rng.normal(number % 9, 0.2, (12, 7 + number)).round(3)
            lines.append(
                ":".join([*(",".join(map(str, row)) for row in frames), str(number % 9 + 1)])
            )
        (tmp_path / f"JapaneseVowels_{name}.ts").write_text("\n".join(lines))
    settings = [f"{stage}.epochs=2" for stage in ("train", "prune", "finetune")]
    command = [sys.executable, "examples/recurrent.py", "vowels", "--data", str(tmp_path)]
    command += ["--seeds", "2", "-o", str(tmp_path / "runs")]
    command += [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=_EXAMPLES.parent)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")]
    assert [row[0].strip() for row in rows[2:]] == ["0", "1"]
    assert all(row[1].strip() == "10.0 %" for row in rows[2:])
    assert "mean change" in done.stdout


@pytest.mark.long("trains and compresses a network")
def test_silero(tmp_path: Path) -> None:
    """A row for each recording; weights and recordings are drawn."""
    rng = np.random.default_rng(0)
    shapes = {"stft_conv.weight": (258, 1, 256)}
    for number, (outputs, inputs) in enumerate([(128, 129), (64, 128), (64, 64), (128, 64)], 1):
        shapes |= {f"conv{number}.weight": (outputs, inputs, 3), f"conv{number}.bias": (outputs,)}
    for kind in ("ih", "hh"):
        shapes |= {f"lstm_cell.weight_{kind}": (512, 128), f"lstm_cell.bias_{kind}": (512,)}
    shapes |= {"final_conv.weight": (1, 128, 1), "final_conv.bias": (1,)}
    weights = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    save_file(weights, tmp_path / "weights.safetensors")
    for name, frames in (("one", 9), ("two", 7)):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(rng.normal(0, 3000, 512 * frames).astype("<i2").tobytes())
    sounds = [str(tmp_path / f"{name}.wav") for name in ("one", "two")]
    command = [sys.executable, "examples/silero.py", "--train", sounds[0], "--test", *sounds]
    command += ["--weights", str(tmp_path / "weights.safetensors"), "--epochs", "2"]
    command += ["-o", str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=_EXAMPLES.parent)
    assert done.returncode == 0, done.stderr
    assert "49,765 of 242,176 weights kept" in done.stdout
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")]
    assert [[cell.strip() for cell in row[:2]] for row in rows[2:]] == [["one", "9"], ["two", "7"]]
    # What fixed point says is what the pruned network says in float.
    assert all(row[3] == row[5] for row in rows[2:])
    assert load(tmp_path / "runs" / "image").graph.steps == 9


def test_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images of docs/energy.md; drain and compression take what the page has for an output."""
    monkeypatch.setattr(sys, "argv", ["energy.py", "-o", str(tmp_path)])
    runpy.run_path(str(_EXAMPLES / "energy.py"), run_name="__main__")
    pes = {name: load(tmp_path / name).parts[0].params.num_pes for name in ("eie", "scnn", "drain")}
    assert pes == {"eie": 2, "scnn": 1, "drain": 1}
    assert not np.load(tmp_path / "scnn-zeros.npy").any()
    found = zs.energy(load(tmp_path / "drain"), np.load(tmp_path / "drain.npy"))
    (layer,) = found.layers
    page = (_EXAMPLES.parent / "docs" / "energy.md").read_text()
    rows = re.findall(r"^\| (?:drain|compression) \| (.*?) \| [\d.]+ \|$", page, re.MULTILINE)
    shown = {
        name.strip(): float(pj)
        for row in rows
        for name, pj in re.findall(r"([a-z ]+?)(?: \(.*?\))? (\d+\.\d+)", row)
    }
    assert len(shown) == 6
    last = {event.what: event.total_pj / (32 * 14 * 14) for event in reversed(layer.events)}
    assert shown == pytest.approx({name: last[name] for name in shown}, abs=0.006)
