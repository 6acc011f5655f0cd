from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.compiler.eie.encode import EncodedPass, encode, pack_entries, pack_pointers
from zeroskip.hw.common.formats import pack
from zeroskip.hw.eie.formats import entry_layout, pointer_layout
from zeroskip.hw.eie.params import EieParams


def encode_whole(dense: NDArray[np.uint8], params: EieParams) -> EncodedPass:
    """Encode with rows and columns in order."""
    rows, cols = dense.shape
    window = 0, -(-rows // params.num_pes)
    return encode(csc_array(dense), np.arange(cols), np.arange(rows), cols, window, params)


def encode_column(column: Sequence[int], run_bits: int = 4) -> tuple[list[int], list[int]]:
    dense = np.array(column, np.uint8)[:, None]
    encoded = encode_whole(dense, EieParams(num_pes=1, run_bits=run_bits))
    return encoded.codes.tolist(), encoded.runs.tolist()


def test_the_papers_worked_example() -> None:
    codes, runs = encode_column([0, 0, 1, 2, *[0] * 18, 3])
    assert codes == [1, 2, 0, 3]
    assert runs == [2, 0, 15, 2]


def test_the_papers_figure_3() -> None:
    rows_of_pe_0 = [[0, 2, 3], [1], [0, 3], [], [0, 1], [0, 3], [0], [2, 3]]
    dense = np.zeros((16, 8), np.uint8)
    for column, rows in enumerate(rows_of_pe_0):
        dense[np.array(rows, np.int64) * 4, column] = 1
    encoded = encode_whole(dense, EieParams(num_pes=4))
    assert encoded.runs.tolist() == [0, 1, 0, 1, 0, 2, 0, 0, 0, 2, 0, 2, 0]
    assert encoded.pointers[0].tolist() == [0, 3, 4, 6, 6, 8, 10, 11, 13]
    assert encoded.starts.tolist() == [0, 13, 13, 13, 13]


@pytest.mark.parametrize(
    ("zeros", "runs"),
    [
        (0, [0]),
        (2, [2]),
        (3, [3]),
        (4, [3, 0]),  # exactly 2**run_bits: the padding entry is the fourth zero
        (5, [3, 1]),
        (7, [3, 3]),
        (8, [3, 3, 0]),
    ],
)
def test_gaps_around_the_longest_run(zeros: int, runs: list[int]) -> None:
    codes, got = encode_column([*[0] * zeros, 9], run_bits=2)
    assert got == runs
    assert codes == [0] * (len(runs) - 1) + [9]


def test_runs_start_again_in_every_column_and_window() -> None:
    dense = np.zeros((8, 2), np.uint8)
    dense[[3, 5, 7], [0, 0, 1]] = [1, 2, 3]
    window = encode(csc_array(dense), np.arange(2), np.arange(8), 2, (4, 8), EieParams(num_pes=1))
    assert window.codes.tolist() == [2, 3]
    assert window.runs.tolist() == [1, 3]
    assert window.pointers.tolist() == [[0, 1, 2]]


def test_positions_without_a_column_are_empty() -> None:
    dense = np.array([[1, 2, 3]], np.uint8)
    encoded = encode(
        csc_array(dense), np.array([4, 0, 2]), np.array([0]), 6, (0, 1), EieParams(num_pes=1)
    )
    assert encoded.codes.tolist() == [2, 3, 1]
    assert encoded.pointers.tolist() == [[0, 1, 1, 2, 2, 3, 3]]


def test_an_empty_matrix_has_only_pointers() -> None:
    encoded = encode_whole(np.zeros((5, 3), np.uint8), EieParams(num_pes=2))
    assert encoded.codes.size == encoded.runs.size == 0
    assert encoded.pointers.tolist() == [[0] * 4] * 2
    assert pack_entries(encoded.codes, encoded.runs, EieParams()).shape == (0, 1)


def test_a_window_without_rows_is_empty() -> None:
    encoded = encode(
        csc_array(np.ones((1, 2), np.uint8)),
        np.arange(2),
        np.array([0]),
        2,
        (1, 2),
        EieParams(num_pes=1),
    )
    assert encoded.codes.size == 0


def test_stored_zeros_are_refused() -> None:
    codes = csc_array((np.array([0], np.uint8), [0], [0, 1]), shape=(1, 1))
    with pytest.raises(
        ValueError, match=r"^codes must hold non-zero codes only, but a 0 is stored$"
    ):
        encode(codes, np.arange(1), np.arange(1), 1, (0, 1), EieParams())


def reference(
    dense: NDArray[np.uint8],
    column_positions: NDArray[np.int64],
    row_positions: NDArray[np.int64],
    num_positions: int,
    window: tuple[int, int],
    params: EieParams,
) -> list[tuple[list[tuple[int, int]], list[int]]]:
    """Encode each PE with loops, one element at a time: entries and pointers."""
    column_at = {int(position): j for j, position in enumerate(column_positions)}
    row_at = {int(position): i for i, position in enumerate(row_positions)}
    result: list[tuple[list[tuple[int, int]], list[int]]] = []
    for pe in range(params.num_pes):
        entries: list[tuple[int, int]] = []
        pointers = [0]
        for position in range(num_positions):
            run = 0
            waiting: list[tuple[int, int]] = []
            for local in range(*window):
                row = row_at.get(local * params.num_pes + pe)
                column = column_at.get(position)
                code = 0 if row is None or column is None else int(dense[row, column])
                if code:
                    entries += [*waiting, (code, run)]
                    waiting, run = [], 0
                elif run == params.max_run:
                    waiting.append((0, run))
                    run = 0
                else:
                    run += 1
            pointers.append(len(entries))
        result.append((entries, pointers))
    return result


@given(
    rows=st.integers(1, 40),
    cols=st.integers(1, 8),
    num_pes=st.integers(1, 9),
    run_bits=st.integers(1, 8),
    density=st.sampled_from([0.02, 0.2, 0.7, 1.0]),
    seed=st.integers(0, 10_000),
)
def test_encoding_is_what_loops_would_do(
    rows: int, cols: int, num_pes: int, run_bits: int, density: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 16, (rows, cols)).astype(np.uint8)
    dense[rng.random(dense.shape) >= density] = 0
    # Any placement, not only those that `place` makes: gaps, and rows out of order in a PE.
    row_positions = rng.permutation(rows + 5)[:rows]
    column_positions = rng.permutation(cols + 3)[:cols]
    num_positions = cols + 3 + int(rng.integers(3))
    height = int(row_positions.max()) // num_pes + 1
    first = int(rng.integers(height))
    window = first, int(rng.integers(first + 1, height + 2))
    params = EieParams(num_pes=num_pes, run_bits=run_bits)

    place = column_positions, row_positions, num_positions, window, params
    encoded = encode(csc_array(dense), *place)
    for pe, (entries, pointers) in enumerate(reference(dense, *place)):
        mine = slice(encoded.starts[pe], encoded.starts[pe + 1])
        codes, runs = encoded.codes[mine].tolist(), encoded.runs[mine].tolist()
        assert list(zip(codes, runs, strict=True)) == entries
        assert encoded.pointers[pe].tolist() == pointers


@given(
    code_bits=st.integers(1, 8),
    run_bits=st.integers(1, 8),
    word_bits=st.integers(16, 512),
    count=st.integers(0, 100),
    seed=st.integers(0, 1000),
)
@example(code_bits=5, run_bits=7, word_bits=128, count=11, seed=0)  # an entry across two limbs
def test_words_are_what_the_layout_packs(
    code_bits: int, run_bits: int, word_bits: int, count: int, seed: int
) -> None:
    params = EieParams(code_bits=code_bits, run_bits=run_bits, word_bits=word_bits)
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << code_bits, count).astype(np.uint8)
    runs = rng.integers(0, 1 << run_bits, count).astype(np.uint8)
    words = pack_entries(codes, runs, params)
    assert words.shape == (-(-count // params.entries_per_word), -(-word_bits // 64))

    layout = entry_layout(params)
    whole = [sum(int(limb) << 64 * i for i, limb in enumerate(word)) for word in words]
    entries = [
        pack(layout, code=code, run=run)
        for code, run in zip(codes.tolist(), runs.tolist(), strict=True)
    ]
    for index, entry in enumerate(entries):
        word, slot = divmod(index, params.entries_per_word)
        whole[word] -= entry << slot * params.entry_bits
    assert not any(whole)


@pytest.mark.parametrize(("run_bits", "word_bits"), [(8, 16), (4, 24), (4, 64)])
def test_pointers_reach_one_past_the_end_of_the_sram(run_bits: int, word_bits: int) -> None:
    params = EieParams(code_bits=4, run_bits=run_bits, word_bits=word_bits, spmat_words=5)
    last = params.spmat_entries
    layout = pointer_layout(params)
    packed = pack_pointers(np.array([[0, 1, last - 1, last]]), params)
    assert packed.tolist() == [
        [
            pack(
                layout, word=entry // params.entries_per_word, slot=entry % params.entries_per_word
            )
            for entry in (0, 1, last - 1, last)
        ]
    ]
