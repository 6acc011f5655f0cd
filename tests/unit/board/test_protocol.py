"""docs/protocol.md tells the numbers that the code has."""

import re
import struct
from enum import IntEnum
from pathlib import Path

import pytest

from zeroskip.flow.host.line import BAUD
from zeroskip.hw.board.protocol import (
    ARGUMENT_BYTES,
    CRC_BYTES,
    FRAME_BYTES,
    HEADER_BYTES,
    IDENTITY,
    MAGIC,
    VERSION,
    Byte,
    Opcode,
    Status,
)
from zeroskip.hw.common.control import Command, Control, StatusBit
from zeroskip.hw.eie.host import BOARD_KIND, Space
from zeroskip.sim.board.build import SIM_DIVISOR, BoardModel

TEXT = (Path(__file__).parents[3] / "docs/protocol.md").read_text()
# Sentences do not end where lines do.
FLAT = " ".join(TEXT.split())


def table(*head: str) -> list[list[str]]:
    """Return the rows of the one table whose first columns are ``head``."""
    tables = re.findall(r"(?m)(?:^\|.*\n)+", TEXT)
    cells = [
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in one.splitlines()]
        for one in tables
    ]
    (found,) = [rows for rows in cells if tuple(rows[0][: len(head)]) == head]
    return found[2:]


def test_bytes() -> None:
    assert {name: int(value, 16) for name, value in table("name", "byte")} == {
        one.name: one.value for one in Byte
    }


@pytest.mark.parametrize(
    ("head", "kind"),
    [(("opcode", "request"), Opcode), (("space", "name"), Space), (("status", ""), Status)],
)
def test_numbers_have_their_names(head: tuple[str, ...], kind: type[IntEnum]) -> None:
    assert {row[1]: int(row[0]) for row in table(*head)} == {one.name: one.value for one in kind}


def test_header_and_arguments() -> None:
    header = [row[0] for row in table("byte", "request", "answer")]
    assert header == [*map(str, range(HEADER_BYTES + 1)), "4 and up"]
    assert f"version of the protocol, {VERSION}" in TEXT
    assert f"The serial protocol, version {VERSION}\n" in TEXT
    # "5 to 7" are three bytes.
    bounds = [
        list(map(int, row[0].split(" to "))) for row in table("byte", "argument of WRITE and READ")
    ]
    places = [place for one in bounds for place in range(one[0], one[-1] + 1)]
    assert places == [HEADER_BYTES + number for number in range(ARGUMENT_BYTES)]


def test_identity() -> None:
    rows = table("bytes", "")
    sizes = [int(row[0]) for row in rows]
    formats = re.findall(r"\d*[a-zA-Z]", IDENTITY)
    assert sizes == [struct.calcsize(f"<{one}") for one in formats]
    assert f"IDENTIFY answers {struct.calcsize(IDENTITY)} bytes" in TEXT
    assert rows[0][1] == f"`{MAGIC.decode()}`"
    assert f"{BOARD_KIND} = EIE" in rows[1][1]


def test_sizes() -> None:
    assert f"A frame to the board has at most {FRAME_BYTES} bytes, checksum included" in FLAT
    assert f"the frame had more than {FRAME_BYTES} bytes" in TEXT
    assert f"the frame had fewer than {HEADER_BYTES + CRC_BYTES} bytes" in TEXT
    assert f"{BAUD:,} baud unless the bitstream was made for another rate" in FLAT
    assert f"with {SIM_DIVISOR} cycles per bit" in FLAT
    assert f"given up after {BoardModel(Path()).timeout:,} cycles" in FLAT


def test_control_space() -> None:
    rows = {row[1]: row for row in table("space", "name")}
    told = dict(re.findall(r"(\d) (\w+)", rows["CONTROL"][2]))
    assert told == {str(one.value): one.name.lower() for one in Control}
    bits = {int(bit) for bit in re.findall(r"\b([1248]|16|32) (?=start|clear|with)", FLAT)}
    assert bits == {one.value for one in Command}
    told = re.search(r"Status \(.*?reset", FLAT)
    assert told is not None
    bits = {1 << int(bit) for bit in re.findall(r"bit (\d)(?= a | the )", told.group())}
    # What is lost, and sequences, are not of an EIE array alone.
    assert bits == {StatusBit.RUNNING, StatusBit.SOURCE, StatusBit.SOURCE_2, StatusBit.BAD_READ}
