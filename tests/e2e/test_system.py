"""Networks in memory, from the command line."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.arrays import SYSTEM
from zeroskip.compiler.system.map import MemoryMap
from zeroskip.flow.bus.testbench import TESTED_TOPS
from zeroskip.sim.rtl.icarus import has_icarus


@pytest.fixture(scope="module")
def image(cli: Callable[..., Any], files: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an image of an array that has two activation files without a chip around it."""
    folder = tmp_path_factory.mktemp("system") / "image"
    result = cli(*files.compile(folder))
    assert result.code == 0, result.err
    return folder


def test_a_folder_of_memory(cli: Callable[..., Any], image: Path, tmp_path: Path) -> None:
    text = cli("system", image, "-o", tmp_path / "memory")
    assert text.code == 0
    assert "Memory of" in text.out
    assert "cycles of an inference at least: port" in text.out
    found = MemoryMap.model_validate_json((tmp_path / "memory" / "map.json").read_text())
    assert [one.name for one in found.lists] == ["setup", "infer_0", "infer_1"]
    document = cli("system", image, "--port-bits", "64", "--json").document
    assert document["map"]["port"]["data_bits"] == 64
    assert document["run"] is None
    assert document["traffic"]["infer_0"]["read"] == 8 * document["bounds"]["port"]


@pytest.mark.cosim
@pytest.mark.skipif(not has_icarus(), reason="Icarus Verilog is not installed")
@pytest.mark.long("simulates four states of a chip behind a bus")
@pytest.mark.parametrize("bus", TESTED_TOPS)
def test_a_testbench(
    cli: Callable[..., Any], files: Any, image: Path, tmp_path: Path, bus: str
) -> None:
    """It passes, and says so of whatever is not as the models have it."""
    pytest.importorskip("systemrdl")
    chip, memory = tmp_path / "chip", tmp_path / "memory"
    made = cli("verilog", "--image", image, "--top", bus, "--port-bits", "64", "-o", chip)
    assert made.code == 0, made.err
    given = ["--port-bits", "64", "--base", "8192", "--latency", "9", "--input", files.inputs]
    assert cli("system", image, *given, "-o", memory).code == 0
    top, program = f"eie_{bus}_tb", tmp_path / "testbench.vvp"
    sources = [chip / f"eie_{bus}.sv", chip / f"{top}.v"]
    subprocess.run(["iverilog", "-g2005", "-s", top, "-o", program, *sources], check=True)

    def said() -> list[str]:
        command = ["vvp", program, f"+image={memory}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    core = (chip / f"eie_{bus}.core").read_text()
    assert all((chip / name).is_file() for name in re.findall(rf"- (eie_{bus}\w*\.\w+)", core))
    assert f"toplevel: {top}" in core
    assert said()[-1] == "PASS: 5 inferences"
    vectors, run = memory / "vectors.hex", memory / "run.hex"
    lines = vectors.read_text().splitlines()
    # Cycles of the first inference, and a word of the output of the last.
    lines[0], lines[-1] = f"{int(lines[0], 16) + 1:016x}", f"{int(lines[-1], 16) ^ 1:016x}"
    vectors.write_text("\n".join(lines))
    *found, verdict = said()
    assert verdict == "FAIL"
    # Cycles are counted with the memory that the models have.
    assert sum("another number of cycles" in line for line in found) == TESTED_TOPS[bus]
    assert sum("another output" in line for line in found) == 1
    array, _, numbers = run.read_text().partition("\n")
    if bus == "axi_stream":
        # No list for streams, as of a network that reads its input more than once.
        run.write_text("\n".join([array, *numbers.split()[:-1], "0" * 16]))
        assert "no stream gives what the network reads: use --top axi" in said()[-2]
    run.write_text("1\n" + numbers)
    *_, last, verdict = said()
    assert re.fullmatch("cycle [0-9]: the image is for another array, or another --port-bits", last)
    assert verdict == "FAIL"


def test_info_has_it_too(cli: Callable[..., Any], image: Path) -> None:
    assert "Memory of" in cli("info", image).out
    document = cli("info", image, "--json").document
    assert document["system"]["map"]["lists"][0]["name"] == "setup"


def test_cycles_of_inferences(cli: Callable[..., Any], files: Any, image: Path) -> None:
    result = cli("system", image, "--input", files.inputs, "--json")
    run = result.document["run"]
    # Five inputs, two queued at a time.
    assert [len(group["done"]) for group in run["groups"]] == [2, 2, 1]
    first, second, alone = run["groups"]
    assert first["cycles"][0] > run["compute_cycles"]
    assert alone["cycles"][0] > alone["compute"][0]
    assert second["done"][1] - second["done"][0] < second["cycles"][0]
    for option in (["--latency", "99"], ["--rate", "8"], ["--stall", "200"]):
        slow = cli("system", image, "--input", files.inputs, *option, "--json").document
        assert slow["run"]["groups"][0]["cycles"][0] > first["cycles"][0]
    text = cli("system", image, "--input", files.inputs).out
    assert "queued behind it" in text


@pytest.mark.cosim
def test_rtl_agrees(cli: Callable[..., Any], files: Any, tmp_path: Path) -> None:
    given = [
        text for name, size in asdict(SYSTEM).items() for text in ("--set", f"eie.{name}={size}")
    ]
    result = cli(*files.compile(tmp_path / "image"), *given)
    assert result.code == 0, result.err
    options = ["--on", "rtl", "--latency", "30", "--stall", "60", "--seed", "2"]
    result = cli("system", tmp_path / "image", "--input", files.inputs, *options, "--json")
    run = result.document["run"]
    assert result.code == 0
    assert run["exact"]
    assert run["compared"]["times"] == 2 * (1 + 5)
    assert set(run["differ"].values()) == {0}


def test_bad_options_are_refused(
    cli: Callable[..., Any],
    refused: Callable[..., None],
    files: Any,
    image: Path,
    tmp_path: Path,
) -> None:
    refused(
        cli("system", image, "--port-bits", "100"), "--port-bits must be 64, 128 or 256, not 100"
    )
    refused(cli("system", image, "--base", "100"), "a multiple of 4096, not 100")
    refused(cli("system", image, "--on", "rtl"), "give --input X.npy, too")
    refused(cli("system", image, "--latency", "-1"), "from 0 to 32767")
    refused(cli("system", image, "--rate", "0"), "--rate must be a whole number from 1 to 256")
    (tmp_path / "mine").write_text("mine")
    refused(cli("system", image, "-o", tmp_path), "is no memory image")
    np.save(tmp_path / "x.npy", np.zeros((2, 7)))
    refused(cli("system", image, "--input", tmp_path / "x.npy"), "24")
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_driver(cli: Callable[..., Any], image: Path, tmp_path: Path) -> None:
    """It has the image's addresses, and the number of the array that exported Verilog tells."""
    pytest.importorskip("systemrdl")
    result = cli("driver", image, "--port-bits", "64", "--base", "8192", "-o", tmp_path / "driver")
    assert result.code == 0, result.err
    code = (tmp_path / "driver" / "zeroskip_image.c").read_text()
    header = (tmp_path / "driver" / "zeroskip_registers.h").read_text()
    number = re.search(r"ZEROSKIP__ARRAY__ARRAY_reset (0x\w+)", header)
    assert number is not None
    assert f".array = {number[1]}u," in code
    entry = MemoryMap.model_validate_json((tmp_path / "driver" / "map.json").read_text())
    assert entry.base == 8192
    assert f".setup = {{{entry.list('setup').address - 8192}, " in code
    again = cli("driver", image, "-o", tmp_path / "driver")
    assert again.code == 0, "a folder of its own is replaced"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--base", "100"], "the base address must be a multiple of 4096, not 100"),
        (["--port-bits", "96"], "--port-bits must be 64, 128 or 256, not 96"),
    ],
)
def test_bad_drivers(
    cli: Callable[..., Any], image: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    result = cli("driver", image, *options, "-o", tmp_path / "driver")
    assert result.code == 2
    assert sentence in result.err
    assert not (tmp_path / "driver").exists()


def test_bad_tops(cli: Callable[..., Any], image: Path, tmp_path: Path) -> None:
    for options, sentence in (
        (["--top", "ahb"], "axi"),
        (["--top", "axi", "--engine", "chip"], "one of eie, scnn, system, not 'chip'"),
        (["--top", "axi_stream", "--engine", "scnn"], "another order than a stream gives it"),
        (["--image", image, "--engine", "scnn"], "leave --engine, --preset and --set out"),
        (
            ["--top", "axi", "--port-bits", "32"],
            "--port-bits must be a whole number from 64 to 256",
        ),
    ):
        result = cli("verilog", *options, "-o", tmp_path / "top")
        assert result.code == 2
        assert sentence in result.err
        assert not (tmp_path / "top").exists()
