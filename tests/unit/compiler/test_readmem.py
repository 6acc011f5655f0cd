import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.compiler.image.readmem import from_hex, to_hex


def test_rows_are_lines_of_fixed_length() -> None:
    words = np.array([[0x1F], [0]], np.uint64)
    assert to_hex(words, 17) == b"0001f\n00000\n"


def test_limbs_are_written_highest_first() -> None:
    words = np.array([[0x23, 0x1]], np.uint64)
    assert to_hex(words, 65) == b"1" + b"23".rjust(16, b"0") + b"\n"


@given(width=st.integers(1, 520), rows=st.integers(0, 5), seed=st.integers(0, 100))
def test_what_is_written_is_read(width: int, rows: int, seed: int) -> None:
    limbs = -(-width // 64)
    words = np.random.default_rng(seed).integers(0, 1 << 64, (rows, limbs), np.uint64)
    words[:, -1] >>= np.uint64(64 * limbs - width)
    text = to_hex(words, width)
    whole = [sum(int(limb) << 64 * i for i, limb in enumerate(row)) for row in words]
    assert [int(line, 16) for line in text.split()] == whole
    assert np.array_equal(from_hex(text, width), words)


@pytest.mark.parametrize(
    "text", [b"00\n00", b"00\n0g\n", b"00\n 0\n", b"00 00\n", b"00\n\n00", b"\xff0\n", b"0000\n0"]
)
def test_other_lines_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^every line must have 2 hexadecimal digits$"):
        from_hex(text, 8)


def test_rows_wider_than_the_sram_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^every row must fit 5 bits$"):
        from_hex(b"1f\n20\n", 5)
