"""The exported testbench of an array by itself."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zeroskip.sim.rtl.icarus import has_icarus

Files = Any

_RUN = r"run \d+: (\d+) cycles, the model's are (\d+); (\d+) of (\d+) words differ"


@pytest.mark.cosim
@pytest.mark.skipif(not has_icarus(), reason="Icarus Verilog is not installed")
def test_a_testbench(cli: Callable[..., Any], files: Files, tmp_path: Path) -> None:
    """It passes, inside a design of another name, too, and says what is not as the models say."""
    folder = tmp_path / "array"
    made = cli("verilog", "--image", files.image, "--input", files.inputs, "-o", folder)
    assert made.code == 0, made.err
    outer = tmp_path / "outer.v"
    outer.write_text("module outer; eie_array_tb inner (); endmodule\n")
    program = _build(tmp_path, "eie", "outer", outer)
    assert _said(program, folder)[-1] == "PASS: 5 runs"
    vectors = _spoil(folder)
    *found, verdict = _said(program, folder)
    assert verdict == "FAIL"
    assert sum("another number of cycles" in line for line in found) == 1
    assert sum("another output" in line for line in found) == 1
    # Other words of the program, and then no folder.
    memory = folder / "srams" / "pe_0.spmat_read.spmat.hex"
    memory.write_text(memory.read_text().replace("1", "2"))
    assert sum("another output" in line for line in _said(program, folder)) > 1
    vectors.unlink()
    last = ["name the folder srams beside the Verilog by +sram_dir=DIR", "FAIL"]
    assert _said(program, folder)[-2:] == last


@pytest.mark.cosim
@pytest.mark.skipif(not has_icarus(), reason="Icarus Verilog is not installed")
def test_a_testbench_with_weights_that_stream_in(
    cli: Callable[..., Any], cnn: Files, tmp_path: Path
) -> None:
    """Of several runs, between which the host loads memories and moves activations."""
    image, folder, inputs = tmp_path / "image", tmp_path / "array", tmp_path / "x.npy"
    np.save(inputs, np.load(cnn.inputs)[:2])
    small = "--set", "num_descriptors=2", "--set", "act_words=24"
    assert cli(*cnn.compile_alone(image, *small)).code == 0
    made = cli("verilog", "--image", image, "--input", inputs, "-o", folder)
    assert made.code == 0, made.err
    program = _build(tmp_path, "scnn", "scnn_array_tb")
    *found, verdict = _said(program, folder)
    runs = [re.fullmatch(_RUN, line) for line in found]
    assert len(runs) > 4
    assert all(run and run[1] == run[2] and run[3] == "0" for run in runs)
    assert any(run and int(run[4]) > 20 for run in runs)
    assert verdict == f"PASS: {len(runs)} runs"
    _spoil(folder)
    *found, verdict = _said(program, folder)
    assert verdict == "FAIL"
    assert sum("another number of cycles" in line for line in found) == 1
    assert sum("another output" in line for line in found) == 1
    beats = folder / "srams" / "weights.hex"
    beats.write_text(beats.read_text().replace("1", "2"))
    assert _said(program, folder)[-1] == "FAIL"


def _build(folder: Path, engine: str, top: str, *more: Path) -> Path:
    """Compile the testbench in ``folder / "array"``; return the program."""
    program, array = folder / "testbench.vvp", folder / "array" / f"{engine}_array"
    texts = f"{array}.sv", f"{array}_tb.v", *more
    subprocess.run(["iverilog", "-g2005", "-s", top, "-o", program, *texts], check=True)
    return program


def _said(program: Path, folder: Path) -> list[str]:
    """Return what a testbench prints, without what Icarus says of files."""
    command = ["vvp", program, f"+sram_dir={folder / 'srams'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if not line.startswith("WARNING")]


def _spoil(folder: Path) -> Path:
    """Spoil the cycles of the first run, and the last word of the output of the last."""
    vectors = folder / "srams" / "vectors.hex"
    lines = vectors.read_text().splitlines()
    for place in (0, -1):
        lines[place] = f"{int(lines[place], 16) ^ 1:0{len(lines[place])}x}"
    vectors.write_text("\n".join(lines))
    return vectors


def test_what_has_no_testbench(
    cli: Callable[..., Any], refused: Callable[..., None], files: Files, cnn: Files, tmp_path: Path
) -> None:
    inputs = "--input", files.inputs
    folder = tmp_path / "array"
    refused(cli("verilog", *inputs, "-o", folder), "--input needs --image, and no --top")
    given = ["--image", files.image, *inputs]
    refused(cli("verilog", *given, "--top", "axi", "-o", folder), "zeroskip system writes")
    refused(
        cli("verilog", "--image", cnn.image, "--input", cnn.inputs, "-o", folder),
        "has parts for scnn, eie",
        "use --top axi",
    )
    small = tmp_path / "small"
    assert cli(*files.compile(small, "--set", "spmat_words=16")).code == 0
    refused(cli("verilog", "--image", small, *inputs, "-o", folder), "runs of the array", "--top")
    assert not folder.exists()
