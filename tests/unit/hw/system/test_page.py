"""docs/command-list.md has the codes of commands and errors."""

import re
from enum import Enum
from pathlib import Path

import pytest

from zeroskip.hw.system.formats import Error, Op

PAGE = Path(__file__).parents[4] / "docs" / "command-list.md"


@pytest.mark.parametrize("kind", [Op, Error])
def test_values(kind: type[Enum]) -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", PAGE.read_text(), re.MULTILINE)
    listed = {(name, int(value)) for value, name in rows}
    for member in kind:
        assert member == Error.NONE or (member.name, member.value) in listed
