import gzip
import re
from itertools import product
from pathlib import Path

import pytest

from zeroskip.base.errors import InputError
from zeroskip.flow.synth.liberty import OWN_LIBERTY, OWN_MODELS, read_liberty

SMALLEST = """
library ("small") {
  /* a brace } in a comment, and one in a string: */
  comment : "{";
  cell (ND2) { area : 2.5; pin (A) { direction : input; } pin (B) { direction : input; }
    pin (Y) { direction : output; function : "(A B)'"; timing () { related_pin : "A"; } } }
  cell (ND2X2) { area : 4; pin (A) { direction : "input"; } pin (B) { direction : "input"; }
    pin (Y) { direction : "output"; function : "!(A*B)"; } }
  cell (IV) { area : 1; pin (A) { direction : input; }
    pin (Y) { direction : output; function : "A'"; } }
  cell ("BF") { area : 3; pin (A) { direction : input; }
    pin (Y) { direction : output; function : "A"; } }
  cell (FF) { area : 9; ff (IQ, IQN) { clocked_on : "C"; next_state : "D"; }
    pin (C) { direction : input; } pin (D) { direction : input; }
    pin (Q) { direction : output; function : "IQ"; } }
}
"""


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_liberty(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_own_library() -> None:
    own = read_liberty(OWN_LIBERTY)
    assert own.ge == 1.0
    assert not own.has_timing
    assert own.buffer == "ZS_BUF"
    assert [name for name, cell in own.cells.items() if cell.sequential] == ["ZS_DFF"]


def test_models_do_what_the_library_says() -> None:
    """Both are written by hand: every function on every input."""
    models = dict(
        re.findall(r"module (ZS_\w+) .*?assign Y = (.*?);", OWN_MODELS.read_text(), re.DOTALL)
    )
    cells = read_liberty(OWN_LIBERTY).cells
    assert set(models) | {"ZS_DFF"} == set(cells)
    for name, text in models.items():
        cell = cells[name]
        function = cell.functions["Y"].replace("!", "~")
        for bits in product((0, 1), repeat=len(cell.inputs)):
            values = dict(zip(cell.inputs, bits, strict=True))
            results = [eval(one, {}, values) & 1 for one in (function, text)]
            assert results[0] == results[1], (name, values)


@pytest.mark.parametrize("packed", [False, True])
def test_reading(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("small.lib.gz" if packed else "small.lib")
    path.write_bytes(gzip.compress(SMALLEST.encode()) if packed else SMALLEST.encode())
    library = read_liberty(path)
    assert library.name == "small"
    assert library.ge == 2.5
    assert library.buffer == "BF"
    assert library.has_timing
    assert {name: cell.area for name, cell in library.cells.items()} == {
        "ND2": 2.5, "ND2X2": 4, "IV": 1, "BF": 3, "FF": 9,
    }  # fmt: skip
    assert library.cells["FF"].sequential
    assert not library.cells["IV"].sequential


def test_cells_without_outputs_need_no_area(tmp_path: Path) -> None:
    path = tmp_path / "filler.lib"
    path.write_text(SMALLEST.replace("cell (IV)", "cell (FILL) { } cell (IV)"))
    assert read_liberty(path).cells["FILL"].area == 0


@pytest.mark.parametrize(
    "attribute",
    ["is_isolation_cell : true;", "is_level_shifter : true;", "dont_use : true;", "area : 0.0;"],
)
def test_cells_that_nothing_may_be_mapped_to(tmp_path: Path, attribute: str) -> None:
    path = tmp_path / "more.lib"
    area = "" if "area" in attribute else "area : 1;"
    pins = 'pin (A) { direction : input; } pin (Z) { direction : output; function : "!A"; }'
    cell = f"cell (ISO) {{ {area} {attribute} /* }} */ {pins} }} "
    path.write_text(SMALLEST.replace("cell (IV)", f"{cell} cell (IV)"))
    library = read_liberty(path)
    path.write_text(SMALLEST)
    plain = read_liberty(path)
    assert library.cells == plain.cells
    # Nor do the programs that map see them.
    assert library.text.split() == plain.text.split()
    path.write_text(SMALLEST.replace("cell (IV)", f"{cell.replace('true', 'false')} cell (IV)"))
    assert ("ISO" in read_liberty(path).cells) == ("true" in attribute)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no groups 'library'"),
        ("not a library", "has no groups 'library'"),
        (SMALLEST[:-3], "braces do not match"),
        (SMALLEST.replace("cell (IV) {", "cell {"), "opens no group"),
        (SMALLEST.replace("area : 9", "area : nine"), "cell FF has area 'nine', where a number"),
        (SMALLEST.replace("area : 9", "area : nan"), "cell FF has area 'nan', where a number"),
        (SMALLEST.replace("area : 2.5", "area : inf"), "cell ND2 has area 'inf'"),
        (SMALLEST.replace("area : 2.5", "area : -2.5"), "cell ND2 has area '-2.5'"),
        (SMALLEST.replace("area : 2.5;", ""), "cell ND2 has no area"),
        (SMALLEST.replace("area : 9;", "area : 0;"), "has no flip-flop"),
        (SMALLEST + SMALLEST, "has 2 groups 'library'"),
        (SMALLEST.replace("ff (IQ", "fff (IQ"), "has no flip-flop"),
        (re.sub(r"\(A.?B\)'?|!\(A.B\)", "A", SMALLEST), "has no NAND2"),
        ("library (x) { }", "has no cells"),
    ],
)
def test_what_is_no_library(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "bad.lib"
    path.write_text(text)
    assert why in refusal(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none.lib")
    assert "is a folder" in refusal(tmp_path)
    assert "/dev/null is no file" in refusal(Path("/dev/null"))
    cut = tmp_path / "cut.lib.gz"
    cut.write_bytes(gzip.compress(SMALLEST.encode())[:-20])
    assert "cannot be read" in refusal(cut)
