from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Fragment
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from zeroskip.hw.common.formats import pack
from zeroskip.hw.eie.formats import entry_layout
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.spmat_read import SpmatRead
from zeroskip.sim.bench.pysim import put, random_gaps, simulate

Entry = tuple[int, int]
"""Code, run."""
Issue = tuple[int, int, int, int]
"""Padding, code, row, value."""

SIZES = {
    "8 per word": {},
    "7 of 9 bits": {"run_bits": 5},
    "1 per word": {"word_bits": 16, "code_bits": 7, "run_bits": 2},
    "2 per word": {"word_bits": 16},
    "3 per word": {"word_bits": 16, "code_bits": 3, "run_bits": 2},
}


def sized(name: str, skip_padding: bool = False, **values: int) -> EieParams:
    sizes = {"spmat_words": 64, "num_accs": 1024, "act_bits": 8, **SIZES[name], **values}
    return EieParams.from_dict({**sizes, "skip_padding": skip_padding})


def expected(p: EieParams, columns: list[list[Entry]], first: int = 0) -> Iterator[Issue]:
    """Walk the entries of ``columns``, whose values are 1, -2, 3, -4, ..."""
    at = first
    for number, column in enumerate(columns):
        value = value_of(number)
        row, index = 0, 0
        while index < len(column):
            code, run = column[index]
            row += run
            same_word = (at + index + 1) % p.entries_per_word != 0
            if p.skip_padding and code == 0 and same_word and index + 1 < len(column):
                index += 1
                code, run = column[index]
                row += run + 1
            yield int(code == 0), code, row, value
            row, index = row + 1, index + 1
        at += len(column)


def value_of(number: int) -> int:
    return (number % 100 + 1) * (-1) ** number


class Fpga:
    """A platform, as far as the unit looks at it."""

    short_paths = True


def issues_of(
    p: EieParams,
    columns: list[list[Entry]],
    *,
    first: int = 0,
    gap: int = 0,
    platform: object = None,
) -> tuple[list[Issue], list[int], int]:
    """Store ``columns`` from entry ``first`` on and work through them.

    Returns what was issued, the cycle of each issue, and the cycle of the first transfer.
    """
    dut = SpmatRead(p)
    per_word = p.entries_per_word
    entries = [entry for column in columns for entry in column]
    assert first + len(entries) <= p.spmat_entries
    # Entries of nobody are full of ones, so that reading them is seen.
    words = [(1 << p.word_bits) - 1] * p.spmat_words
    for at, (code, run) in enumerate(entries, first):
        word, slot = divmod(at, per_word)
        words[word] &= ~(((1 << p.entry_bits) - 1) << slot * p.entry_bits)
        words[word] |= pack(entry_layout(p), code=code, run=run) << slot * p.entry_bits
    works, at = [], first
    for number, column in enumerate(columns):
        (start_word, start_slot), at = divmod(at, per_word), at + len(column)
        end_word, end_slot = divmod(at, per_word)
        works.append({
            "value": value_of(number),
            "start": {"word": start_word, "slot": start_slot},
            "end": {"word": end_word, "slot": end_slot},
        })
    issued: list[Issue] = []
    cycles: list[int] = []
    taken: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.load_en, 1)
        for addr, word in enumerate(words):
            ctx.set(dut.load_addr, addr)
            ctx.set(dut.load_data, word)
            await ctx.tick()
        ctx.set(dut.load_en, 0)
        await put(ctx, dut.i, works, random_gaps(6, gap))
        await ctx.tick().until(~dut.issued)
        for _ in range(5):
            await ctx.tick()
            assert not ctx.get(dut.issued)

    async def monitor(ctx: Any) -> None:
        cycle = 0
        outputs = (dut.padding, dut.code, dut.row, dut.value)
        while True:
            transfer = dut.i.valid & dut.i.ready
            _, _, valid, take, *fields = await ctx.tick().sample(dut.issued, transfer, *outputs)
            if valid:
                issued.append((fields[0], fields[1], fields[2], fields[3]))
                cycles.append(cycle)
            else:
                assert not fields[0]
            if take:
                taken.append(cycle)
            cycle += 1

    simulate(Fragment.get(dut, platform), bench, monitors=[monitor])
    return issued, cycles, taken[0]


def assert_full_speed(
    p: EieParams, columns: list[list[Entry]], first: int = 0, platform: object = None
) -> None:
    """Check the entries, one in each cycle from the one after the first transfer on."""
    issued, cycles, start = issues_of(p, columns, first=first, platform=platform)
    assert issued == list(expected(p, columns, first))
    assert cycles == list(range(start + 1, start + 1 + len(issued)))


def draw_columns(
    p: EieParams, rng: Random, count: int, longest: int, padding: float
) -> list[list[Entry]]:
    return [
        [
            (0, p.max_run)
            if rng.random() < padding
            else (rng.randrange(1, p.num_codes), rng.randint(0, p.max_run))
            for _ in range(rng.randint(1, longest))
        ]
        for _ in range(count)
    ]


@pytest.mark.parametrize("skip_padding", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("longest", "count"), [(1, 60), (3, 30), (20, 5)])
def test_one_entry_per_cycle(size: str, skip_padding: bool, longest: int, count: int) -> None:
    p = sized(size, skip_padding, spmat_words=128)
    rng = Random(longest)
    columns = draw_columns(p, rng, count, longest, 0.3)
    assert_full_speed(p, columns, first=rng.randrange(p.entries_per_word))


@pytest.mark.parametrize("skip_padding", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_gaps(size: str, skip_padding: bool) -> None:
    p = sized(size, skip_padding, spmat_words=128)
    columns = draw_columns(p, Random(5), 20, 6, 0.3)
    issued, _, _ = issues_of(p, columns, first=1, gap=4)
    assert issued == list(expected(p, columns, 1))


@pytest.mark.parametrize("size", SIZES)
def test_every_place_and_length(size: str) -> None:
    """Columns of 1 to 2 words and a bit, from every slot, so ending at every slot."""
    p = sized(size)
    lengths = range(1, 2 * p.entries_per_word + 2)
    for first in range(p.entries_per_word):
        columns = [[(1 + k % (p.num_codes - 1), k % 2) for k in range(n)] for n in lengths]
        assert_full_speed(sized(size, spmat_words=256), columns, first)


@pytest.mark.parametrize("skip_padding", [False, True])
@pytest.mark.parametrize("size", ["2 per word", "8 per word"])
def test_on_an_fpga(size: str, skip_padding: bool) -> None:
    p = sized(size, skip_padding)
    columns = draw_columns(p, Random(7), 12, 2 * p.entries_per_word + 1, 0.3)
    for first in range(2):
        assert_full_speed(p, columns, first, Fpga())


@pytest.mark.parametrize("skip_padding", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_end_of_the_sram(size: str, skip_padding: bool) -> None:
    """The end pointer of the last column is one past the last word."""
    p = sized(size, skip_padding, spmat_words=4)
    entries = p.entries_per_word
    columns = [[(1, 0)] * (2 * entries - 1), [(1, 1)], [(1, k % 2) for k in range(2 * entries)]]
    assert_full_speed(p, columns)
    assert_full_speed(p, columns[-1:], first=2 * entries)
    assert_full_speed(p, [[(1, 1)]], first=4 * entries - 1)


def test_empty_run_and_longest_run() -> None:
    p = sized("8 per word")
    columns = [[(5, 0)], [(5, 15)], [(5, 15), (6, 0), (7, 15)]]
    issued, _, _ = issues_of(p, columns)
    assert [row for _, _, row, _ in issued] == [0, 15, 15, 16, 32]


def test_gap_of_exactly_two_to_the_run_bits() -> None:
    """16 zeros: padding at row 15, the entry at row 16."""
    columns = [[(0, 15), (9, 0)], [(0, 15), (0, 15), (9, 0)]]
    issued, _, _ = issues_of(sized("8 per word"), columns)
    assert issued == [(1, 0, 15, 1), (0, 9, 16, 1), (1, 0, 15, -2), (1, 0, 31, -2), (0, 9, 32, -2)]
    issued, _, _ = issues_of(sized("8 per word", skip_padding=True), columns)
    # Padding that is taken together with padding is issued as padding.
    assert issued == [(0, 9, 16, 1), (1, 0, 31, -2), (0, 9, 32, -2)]


def test_padding_at_the_end_of_a_word_takes_a_cycle() -> None:
    columns = [[(1, 0)] * 7 + [(0, 15), (9, 2)]]
    issued, _, _ = issues_of(sized("8 per word", skip_padding=True), columns)
    assert issued[7:] == [(1, 0, 22, 1), (0, 9, 25, 1)]


def test_padding_does_not_reach_into_the_next_column() -> None:
    columns = [[(3, 0), (0, 15)], [(4, 1)]]
    issued, _, _ = issues_of(sized("8 per word", skip_padding=True), columns)
    assert issued == [(0, 3, 0, 1), (1, 0, 16, 1), (0, 4, 1, -2)]


def test_skipped_padding_is_the_end_of_a_word() -> None:
    columns = [[(1, 0)] * 6 + [(0, 15), (9, 2), (8, 1)], [(7, 3)]]
    assert_full_speed(sized("8 per word", skip_padding=True), columns)


def test_last_row() -> None:
    p = sized("8 per word", num_accs=32)
    issued, _, _ = issues_of(p, [[(1, 15), (2, 15)], [(3, 0)]])
    assert [row for _, _, row, _ in issued] == [15, 31, 0]


@simulated(40)
@given(
    code_bits=st.integers(1, 8),
    run_bits=st.integers(1, 8),
    word_bits=st.integers(16, 80),
    skip_padding=st.booleans(),
    first=st.integers(0, 20),
    seed=st.integers(0, 1000),
    padding=st.sampled_from([0.0, 0.4, 0.9]),
    gap=st.sampled_from([0, 2]),
)
def test_any_format(
    code_bits: int,
    run_bits: int,
    word_bits: int,
    skip_padding: bool,
    first: int,
    seed: int,
    padding: float,
    gap: int,
) -> None:
    p = EieParams(
        code_bits=code_bits,
        run_bits=run_bits,
        word_bits=word_bits,
        skip_padding=skip_padding,
        spmat_words=128,
        num_accs=8192,
        act_bits=8,
    )
    columns = draw_columns(p, Random(seed), 12, 8, padding)
    issued, _, _ = issues_of(p, columns, first=first, gap=gap)
    assert issued == list(expected(p, columns, first))
