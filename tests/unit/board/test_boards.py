# amaranth: UnusedElaboratable=no
"""What is chosen and refused before any tool runs."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import examples
from zeroskip.base.errors import InputError, ToolError
from zeroskip.flow.board import gowin
from zeroskip.flow.board.build import shell_files
from zeroskip.flow.board.contents import BLOCK_BITS, read_blocks, skeleton, write_blocks
from zeroskip.flow.board.fit import check_fit, is_single
from zeroskip.flow.board.route import count_cells, unpack
from zeroskip.flow.board.sources import board_verilog
from zeroskip.flow.board.synthesize import TOP
from zeroskip.flow.eie.board import EieBoardArray
from zeroskip.hw.board.boards import BOARDS, FAMILIES, board_of
from zeroskip.hw.board.pll import divisor_of, ecp5_pll, ice40_pll
from zeroskip.hw.board.shell import Shell, real_clock
from zeroskip.hw.common.sram import Ports
from zeroskip.hw.eie.boards import DIGITS
from zeroskip.hw.eie.params import EieParams

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", BOARDS)
def test_digits_array_fits_its_board(name: str) -> None:
    board = BOARDS[name]
    for needed, there in check_fit(board, EieBoardArray(DIGITS[board.name])).values():
        assert 0 < needed <= there


@pytest.mark.parametrize("name", BOARDS)
def test_another_checkout_has_the_same_shell(name: str) -> None:
    """What was routed is found again by it."""
    board = BOARDS[name]
    files = shell_files(board, board.load_platform(), 24e6)
    assert "module" in files[f"{TOP}.il"]
    assert not [text for text in files.values() if str(ROOT) in str(text)]


def test_sizes_and_clocks() -> None:
    assert DIGITS["icebreaker"].num_pes >= 4
    assert BOARDS["icebreaker"].clock_mhz >= 20
    assert DIGITS["ulx3s-85f"].num_pes >= 16
    assert BOARDS["ulx3s-85f"].clock_mhz >= 50


def test_unknown_board() -> None:
    with pytest.raises(
        InputError, match=r"^board must be one of icebreaker, .*, not 'iceb': did you "
    ):
        board_of("iceb")


def test_array_that_does_not_fit() -> None:
    board = BOARDS["icebreaker"]
    with pytest.raises(
        InputError,
        match=r"^the array does not fit icebreaker: its memories need 38 EBR blocks of 30 \(the ",
    ):
        check_fit(board, EieBoardArray(dataclasses.replace(DIGITS[board.name], acc_bits=17)))
    with pytest.raises(
        InputError, match=r" need 8 SPRAM blocks of 4 \(the largest is pe_0/spmat: "
    ):
        check_fit(board, EieBoardArray(dataclasses.replace(DIGITS[board.name], word_bits=32)))


def test_memories_that_read_and_write_at_once_never_have_one_port() -> None:
    """Accumulators of 32,768 bits were put where a write comes before a read."""
    board = BOARDS["icebreaker"]
    p = dataclasses.replace(DIGITS[board.name], num_accs=2048)
    assert {need.name for need in EieBoardArray(p).needs if is_single(board, need)} == {
        f"pe_{pe}/spmat" for pe in range(p.num_pes)
    }
    with pytest.raises(InputError, match=r" need 58 EBR blocks of 30 \(the largest is pe_0/accs: "):
        check_fit(board, EieBoardArray(p))
    fits = dataclasses.replace(p, num_pes=1)
    assert check_fit(board, EieBoardArray(fits))["EBR"][0] == 19


def test_memories_are_those_of_the_verilog() -> None:
    """Names, depths, widths and ports are what the design instantiates, all of them."""
    p = dataclasses.replace(DIGITS["ulx3s-85f"], num_pes=1, cells=True, delta=True)
    texts = board_verilog(EieBoardArray(p), divisor=4, clock_hz=1_000_000)
    found: list[tuple[int, int, bool, str]] = []
    for text in texts.values():
        # The ends of paths: text has a module each.
        for ports, abits, depth, width, name in re.findall(
            r"(sram_\w+) #\(\s*\.ABITS\(32'd(\d+)\),\s*\.DEPTH\(32'd(\d+)\),\s*\.WIDTH\(32'd(\d+)\)"
            r"\s*\) \\?(\S+)",
            text,
        ):
            assert int(depth) <= 1 << int(abits)
            found.append((int(depth), int(width), ports == Ports.SHARED, name))
    listed = [
        (n.depth, n.width, n.shared, n.path.rsplit(".", 1)[1]) for n in EieBoardArray(p).needs
    ]
    assert sorted(found) == sorted(listed)


@pytest.mark.parametrize(("source", "wanted"), [(12e6, 24e6), (12e6, 20.25e6), (100e6, 33e6)])
def test_ice40_clock(source: float, wanted: float) -> None:
    pll = ice40_pll(source, wanted)
    vco = source / (pll.divr + 1) * (pll.divf + 1)
    assert 533e6 <= vco <= 1066e6
    assert pll.hz == vco / 2**pll.divq
    assert abs(pll.hz - wanted) <= 0.01 * wanted


def test_ice40_clock_as_icepll_has_it() -> None:
    pll = ice40_pll(12e6, 24e6)
    assert (pll.divr, pll.divf, pll.divq, pll.filter_range) == (0, 63, 5, 1)


@pytest.mark.parametrize(("source", "wanted"), [(25e6, 62.5e6), (48e6, 60e6), (100e6, 60e6)])
def test_ecp5_clock(source: float, wanted: float) -> None:
    pll = ecp5_pll(source, wanted)
    assert pll.clkos_div is None
    assert pll.hz == source / pll.clki_div * pll.clkfb_div == wanted
    assert 400e6 <= pll.hz * pll.clkop_div <= 800e6


@pytest.mark.parametrize(
    ("source", "wanted"), [(25e6, 60e6), (25e6, 55e6), (25e6, 3.3e6), (48e6, 61e6)]
)
def test_ecp5_clock_from_a_second_output(source: float, wanted: float) -> None:
    pll = ecp5_pll(source, wanted)
    assert pll.clkos_div is not None
    assert source / pll.clki_div >= 10e6
    vco = source / pll.clki_div * pll.clkfb_div * pll.clkop_div
    assert 400e6 <= vco <= 800e6
    assert 1 <= pll.clkop_div <= 128
    assert 1 <= pll.clkos_div <= 128
    assert pll.hz == vco / pll.clkos_div
    assert abs(pll.hz - wanted) <= 0.01 * wanted


def test_clocks_that_cannot_be_made() -> None:
    with pytest.raises(
        InputError, match=r"^clock_mhz must be .* made of the board's 12 MHz, not 5"
    ):
        ice40_pll(12e6, 5e6)
    with pytest.raises(
        InputError, match=r"^clock_mhz must be .* made of the board's 25 MHz, not 1"
    ):
        ecp5_pll(25e6, 1e6)


@pytest.mark.parametrize("baud", [0, -1, 12_000_000, 5_400_000])
def test_rates_that_cannot_be_made(baud: int) -> None:
    with pytest.raises(InputError, match=rf"^baud must be a rate .* 24 MHz .*, not {baud}$"):
        divisor_of(24e6, baud)


def test_divisor() -> None:
    assert divisor_of(24e6, 1_000_000) == 24
    assert divisor_of(62.5e6, 115_200) == 543


def _configuration(family: str) -> str:
    """Return a configuration with two blocks and other things around them; of Gowin, all."""
    if family == "gowin":
        # Frames without data, with the checksum that Apicula's packer gives such.
        frame = "0" * 2840 + f"{0xF97E:016b}" + "1" * 48
        return "\n".join([
            "// text", f"{0xA5C3:016b}", f"{0x3B8004C8:032b}", *[frame] * 1224, f"{0x0A:08b}", "",
        ])  # fmt: skip
    if family == "ice40":
        zeros = "0" * 64 + "\n"
        blocks = "".join(f".ram_data {x} 3\n{zeros * 16}\n" for x in (6, 19))
        return f".comment text\n\n.device 5k\n\n{blocks}.sym 1 name\n"
    line = " ".join(["000"] * 8) + "\n"
    blocks = "".join(f".bram_init {wid}\n{line * 256}\n" for wid in (3, 14))
    return f".device LFE5U-85F\n\n.tile A:B\narc: X Y\n\n{blocks}.tile C:D\nenum: M N\n"


# The bits of a block's parameters that mean something: on ECP5, 18 of each 20.
def _used(family: str) -> np.ndarray:
    number = np.arange(BLOCK_BITS[family])
    return number % 20 < 18 if family == "ecp5" else number >= 0


@pytest.mark.parametrize("family", BLOCK_BITS)
@examples(20)
@given(seed=st.integers(0, 1 << 32))
def test_blocks_come_back_as_they_were_written(family: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    text = _configuration(family)
    first, second, *_ = read_blocks(family, text)
    bits = (rng.random(BLOCK_BITS[family]) < 0.5) & _used(family)
    made = write_blocks(family, text, {second: bits})
    blocks = read_blocks(family, made)
    assert not blocks[first].any()
    np.testing.assert_array_equal(blocks[second], bits)
    assert skeleton(family, made) == skeleton(family, text)
    assert made.count("\n") == text.count("\n")
    if family == "gowin":
        gowin.check_frames(made)


@pytest.mark.parametrize("family", BLOCK_BITS)
def test_block_that_is_not_there(family: str) -> None:
    with pytest.raises(InputError, match=r"^the configuration has no memory block 99$"):
        write_blocks(family, _configuration(family), {"99": np.zeros(BLOCK_BITS[family], np.bool_)})


def test_one_bit_of_a_gowin_block() -> None:
    """As Project Apicula has it: word 5 is in frame 129 of its row, from the last one."""
    bits = np.zeros(gowin.BLOCK_BITS, np.bool_)
    bits[18 * 5] = True
    text = _configuration("gowin")
    made = write_blocks("gowin", text, {"X4Y27": bits}).split("\n")
    (changed,) = [n for n, (a, b) in enumerate(zip(made, text.split("\n"), strict=True)) if a != b]
    # After three lines, the frames of logic, and those of the other row of blocks.
    assert changed == 3 + 712 + 256 + 255 - 129
    assert made[changed][:2840].index("1") == 2840 - 1 - (68 + 3 * 60 + 21)


def test_bitstreams_that_are_none_of_gowin(tmp_path: Path) -> None:
    board, good = BOARDS["tangnano9k"], _configuration("gowin")
    lines = good.split("\n")
    flipped = lines[900].replace("0", "1", 1)
    for text, what in (
        ("", "it does not have the frames of a GW1N-9C"),
        (good.replace(f"{0x3B8004C8:032b}", f"{0x3B8004C7:032b}"), "it does not have the frames"),
        (good[: len(good) // 2], "or it is cut off"),
        (good.replace("0", "2"), "it does not have the frames"),
        ("\n".join([*lines[:900], "2" * 2904, *lines[901:]]), "other letters than 0 and 1"),
        ("\n".join([*lines[:900], flipped, *lines[901:]]), "the checksum of frame 897 is wrong"),
        ("\u00e9", "ascii"),
    ):
        (tmp_path / "x.fs").write_text(text)
        with pytest.raises(ToolError, match=what):
            unpack(board, tmp_path, "x.fs")
    (tmp_path / "x.fs").write_text(good)
    assert unpack(board, tmp_path, "x.fs") == good


def test_cells_of_one_kind_are_added_up() -> None:
    """As on Gowin: a bit of an adder is where a LUT would be, and other cells stand elsewhere."""
    counts = {
        "LUT4": {"used": 5, "available": 100},
        "ALU": {"used": 3, "available": 70},
        "DFF": {"used": 2, "available": 80},
        "VCC": {"used": 1, "available": 1},
    }
    found = count_cells(FAMILIES["gowin"].cells, counts)
    assert found == {"LUT": (8, 100), "FF": (2, 80)}


def test_pins_that_the_board_has_otherwise() -> None:
    """Bank 3 of the Tang Nano 9K has 1.8 V; what amaranth-boards says is left as it is."""
    board = BOARDS["tangnano9k"]
    resources = board.load_platform().resources
    for name, voltage in {"led": 18, "button": 18, "uart": 33, "clk27": 33}.items():
        assert resources[name, 0].attrs.get("IO_TYPE", "") == f"LVCMOS{voltage}", name
    plain = dataclasses.replace(board, pins={}).load_platform().resources
    assert plain["led", 0].attrs["IO_TYPE"] == "LVCMOS33"


@pytest.mark.parametrize("name", BOARDS)
def test_shell_of_each_board(name: str) -> None:
    """Pins, and a loop where there is one; a loop of ECP5 has current only if one says so."""
    board = BOARDS[name]
    platform: Any = board.load_platform()
    hz = real_clock(board, platform, board.clock_mhz * 1e6)
    files = platform.prepare(Shell(board, hz), TOP).files
    text = files[f"{TOP}.il"]
    assert "cell \\zeroskip_board \\board" in text
    loops = re.findall(r"((?:  attribute .*\n)*)  cell \\(EHXPLLL|SB_PLL40_PAD) ", text)
    assert len(loops) == (hz != platform.default_clk_frequency)
    for attributes, cell in loops:
        found = dict(re.findall(r'attribute \\(\w+) "(\d+)"', attributes))
        if cell == "EHXPLLL":
            assert int(found["ICP_CURRENT"]) > 0
            assert int(found["LPF_RESISTOR"]) > 0
    (pins,) = [one for end, one in files.items() if end.endswith((".pcf", ".lpf", ".cst"))]
    for pin in ("rx", "tx", "led", "clk"):
        assert pin in pins
    if name == "orangecrab-85f":
        # Nothing else is at these pins: the line is then idle.
        assert 'IOBUF PORT "uart_0__rx__io" IO_TYPE=LVCMOS33 PULLMODE=UP;' in pins


def test_clock_that_a_board_without_loop_has_not() -> None:
    board = BOARDS["tangnano9k"]
    with pytest.raises(InputError, match=r"^clock_mhz must be 27.* not 30"):
        real_clock(board, board.load_platform(), 30e6)


def test_one_bit_of_an_ice40_block() -> None:
    """As icestorm has it: 16 lines of 256 bits, each as one number."""
    bits = np.zeros(4096, np.bool_)
    bits[256 * 2 + 5] = True
    made = write_blocks("ice40", _configuration("ice40"), {"6 3": bits})
    assert made.split(".ram_data 6 3\n")[1].splitlines()[2] == "0" * 62 + "20"


def test_one_bit_of_an_ecp5_block() -> None:
    """As nextpnr has it: word k of 20 bits gives words 2k and 2k + 1 of 9 bits."""
    bits = np.zeros(20480, np.bool_)
    bits[20 * 5 + 10] = True
    made = write_blocks("ecp5", _configuration("ecp5"), {"3": bits})
    words = made.split(".bram_init 3\n")[1].split()
    assert words[11] == "002"
    assert set(words[:11]) == {"000"}


def test_every_shape_of_a_block_has_its_bits() -> None:
    for family in FAMILIES.values():
        for rows, width in family.block.shapes:
            assert family.block.blocks(rows, width) == 1
            assert family.block.blocks(rows + 1, width) == 2
    assert EieParams()
