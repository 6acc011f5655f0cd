"""The exported testbench of an array by itself."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zeroskip.sim.rtl.icarus import has_icarus

Files = Any


@pytest.mark.cosim
@pytest.mark.skipif(not has_icarus(), reason="Icarus Verilog is not installed")
def test_a_testbench(cli: Callable[..., Any], files: Files, tmp_path: Path) -> None:
    """It passes, inside a design of another name, too, and says what is not as the models say."""
    folder = tmp_path / "array"
    made = cli("verilog", "--image", files.image, "--input", files.inputs, "-o", folder)
    assert made.code == 0, made.err
    design, bench = folder / "eie_array.sv", folder / "eie_array_tb.v"
    outer = tmp_path / "outer.v"
    outer.write_text("module outer; eie_array_tb inner (); endmodule\n")
    program = tmp_path / "testbench.vvp"
    command = ["iverilog", "-g2005", "-s", "outer", "-o", program, design, bench, outer]
    subprocess.run(command, check=True)

    def said() -> list[str]:
        command = ["vvp", program, f"+sram_dir={folder / 'srams'}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert said()[-1] == "PASS: 5 runs"
    vectors = folder / "srams" / "vectors.hex"
    lines = vectors.read_text().splitlines()
    # Cycles of the first run, and the last word of the output of the last.
    lines[0], lines[-1] = f"{int(lines[0], 16) + 1:016x}", f"{int(lines[-1], 16) ^ 1:016x}"
    vectors.write_text("\n".join(lines))
    *found, verdict = said()
    assert verdict == "FAIL"
    assert sum("another number of cycles" in line for line in found) == 1
    assert sum("another output" in line for line in found) == 1
    # Other words of the program, and then no folder.
    memory = folder / "srams" / "pe_0.spmat_read.spmat.hex"
    memory.write_text(memory.read_text().replace("1", "2"))
    assert sum("another output" in line for line in said()) > 1
    vectors.unlink()
    assert said()[-2:] == ["name the folder srams beside the Verilog by +sram_dir=DIR", "FAIL"]


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
    refused(
        cli("verilog", "--image", cnn.image_alone, "--input", cnn.inputs, "-o", folder),
        "there is no testbench of scnn by itself: use --top axi",
    )
    small = tmp_path / "small"
    assert cli(*files.compile(small, "--set", "spmat_words=16")).code == 0
    refused(cli("verilog", "--image", small, *inputs, "-o", folder), "runs of the array", "--top")
    assert not folder.exists()
