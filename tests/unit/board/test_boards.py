# amaranth: UnusedElaboratable=no
"""What is chosen and refused before any tool runs."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.errors import InputError
from hw.board.boards import BOARDS, FAMILIES, board_of
from hw.board.contents import BLOCK_BITS, read_blocks, skeleton, write_blocks
from hw.board.fit import check_fit, memory_needs
from hw.board.instances import memory_path
from hw.board.pll import divisor_of, ecp5_pll, ice40_pll
from hw.board.sources import board_verilog
from hw.eie.params import EieParams


@pytest.mark.parametrize("name", BOARDS)
def test_digits_array_fits_its_board(name: str) -> None:
    board = BOARDS[name]
    for needed, there in check_fit(board, board.params()).values():
        assert 0 < needed <= there


def test_sizes_and_clocks() -> None:
    assert BOARDS["icebreaker"].params().num_pes >= 4
    assert BOARDS["icebreaker"].clock_mhz >= 20
    assert BOARDS["ulx3s-85f"].params().num_pes >= 16
    assert BOARDS["ulx3s-85f"].clock_mhz >= 50


def test_unknown_board() -> None:
    with pytest.raises(InputError, match=r"^--board must be one of icebreaker, .*, not 'iceb'$"):
        board_of("iceb")


def test_array_that_does_not_fit() -> None:
    board = BOARDS["icebreaker"]
    with pytest.raises(
        InputError,
        match=r"^the array does not fit icebreaker: its memories need 38 EBR blocks of 30 \(the ",
    ):
        check_fit(board, dataclasses.replace(board.params(), acc_bits=17))
    with pytest.raises(
        InputError, match=r" need 8 SPRAM blocks of 4 \(the largest is pe_0/spmat: "
    ):
        check_fit(board, dataclasses.replace(board.params(), word_bits=32))


def test_memories_are_those_of_the_verilog() -> None:
    """Names, depths and widths are what the design instantiates, all of them."""
    p = dataclasses.replace(BOARDS["ulx3s-85f"].params(), num_pes=1)
    texts = board_verilog(p, divisor=4, clock_hz=1_000_000)
    found: list[tuple[int, int, str]] = []
    for text in texts.values():
        # The ends of paths: text has a module each.
        for abits, depth, width, name in re.findall(
            r"sram_1r1w #\(\s*\.ABITS\(32'd(\d+)\),\s*\.DEPTH\(32'd(\d+)\),\s*\.WIDTH\(32'd(\d+)\)"
            r"\s*\) \\?(\S+)",
            text,
        ):
            assert int(depth) <= 1 << int(abits)
            found.append((int(depth), int(width), name))
    listed = [(n.depth, n.width, memory_path(n.name).rsplit(".", 1)[1]) for n in memory_needs(p)]
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
    assert pll.hz == source / pll.clki_div * pll.clkfb_div == wanted
    assert 400e6 <= pll.hz * pll.clkop_div <= 800e6


def test_clocks_that_cannot_be_made() -> None:
    with pytest.raises(InputError, match=r"^--clock 5 MHz cannot be made of the board's 12 MHz; "):
        ice40_pll(12e6, 5e6)
    with pytest.raises(InputError, match=r"^--clock 1 MHz cannot be made of the board's 25 MHz; "):
        ecp5_pll(25e6, 1e6)


@pytest.mark.parametrize("baud", [0, -1, 12_000_000, 5_400_000])
def test_rates_that_cannot_be_made(baud: int) -> None:
    with pytest.raises(InputError, match=rf"^--baud must be a rate .* 24 MHz .*, not {baud}$"):
        divisor_of(24e6, baud)


def test_divisor() -> None:
    assert divisor_of(24e6, 1_000_000) == 24
    assert divisor_of(62.5e6, 115_200) == 543


def _configuration(family: str) -> str:
    """Return a configuration with two blocks and other things around them."""
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
    return number >= 0 if family == "ice40" else number % 20 < 18


@pytest.mark.parametrize("family", BLOCK_BITS)
@given(seed=st.integers(0, 1 << 32))
def test_blocks_come_back_as_they_were_written(family: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    text = _configuration(family)
    first, second = read_blocks(family, text)
    bits = (rng.random(BLOCK_BITS[family]) < 0.5) & _used(family)
    made = write_blocks(family, text, {second: bits})
    blocks = read_blocks(family, made)
    assert not blocks[first].any()
    np.testing.assert_array_equal(blocks[second], bits)
    assert skeleton(family, made) == skeleton(family, text)
    assert made.count("\n") == text.count("\n")


def test_block_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"^the configuration has no memory block 99$"):
        write_blocks("ecp5", _configuration("ecp5"), {"99": np.zeros(20480, np.bool_)})


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
