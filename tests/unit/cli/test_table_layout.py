"""Tables at any width: every cell is whole, no line is too long."""

import re

import pytest

from zeroskip.cli.table_layout import format_table

HEADER = ["layer", "rows x cols", "density", "entries", "useful MACs", "outputs"]
LONG = "features.denseblock3.denselayer12.conv2"
ROWS = [
    ["conv1", "300 x 64", "8.0 %", 1_234_567_890, "12345678.9", "0.1 -0.25 3e+04"],
    [LONG, "1000 x 25088", "100.0 %", 0, "-", " ".join(["-0.1234"] * 10) + " ..."],
    ["total", "", "9.0 %", 1_234_567_890, "12345678.9", ""],
]


@pytest.mark.parametrize("width", [40, 60, 80, 100, None])
def test_cells_are_whole(width: int | None) -> None:
    text = format_table("Work of every layer (mean of 64 inputs)", HEADER, ROWS, width)
    words = text.split()
    if width is None:
        # Not cut where it goes to no terminal.
        assert len(text.splitlines()) == 1 + 1 + 2 + len(ROWS) + 1
        assert LONG in text
    else:
        assert max(map(len, text.splitlines())) <= width
    for row in ROWS:
        for cell in map(str, row[1:]):
            assert cell in text or all(word in words for word in cell.split())
            # Only what is too wide all alone is in several lines.
            assert cell in text or (width is not None and len(cell) > width // 3)
    for name in HEADER:
        assert all(word in words for word in name.split())
    assert set(re.findall(r"\d{6,}", text)) == {"1234567890", "12345678"}


def test_long_names_lose_their_middle_but_stay_different() -> None:
    names = [f"{LONG}.{end}" for end in ("weight_a", "weight_b")] + [f"a{LONG}", f"b{LONG}"]
    text = format_table("t", ["layer", "n"], [[name, 123] for name in names], 40)
    short = re.findall(r"^  (\S+) +123$", text, re.MULTILINE)
    assert len(set(short)) == len(names)
    for name, one in zip(names, short, strict=True):
        begin, end = one.split("…")
        assert name.startswith(begin)
        assert name.endswith(end)


def test_letters_that_there_are() -> None:
    text = format_table("t", ["layer", "n"], [[LONG, 1]], 30, encoding="ascii")
    assert text.isascii()
    assert "..." in text
    assert "---" in text
