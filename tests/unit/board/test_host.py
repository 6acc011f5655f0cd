"""The host's package by itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from zeroskip.flow.host.codec import Frames, answer, frame, request
from zeroskip.hw.board.protocol import FRAME_BYTES
from zeroskip.hw.eie.host import Space, place_of

ROOT = Path(__file__).parents[3]


def test_needs_neither_amaranth_nor_torch() -> None:
    code = (
        "import sys, zeroskip.flow.host, zeroskip.flow.eie.host, zeroskip.flow.host.line\n"
        "bad = {'amaranth', 'torch', 'scipy', 'numba', 'cocotb'} & set(sys.modules)\n"
        "sys.exit(f'{bad} imported' if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_places_of_srams() -> None:
    assert place_of("pe_12/ptr_odd") == (Space.POINTER, 12, 1, 2)
    assert place_of("program") == (Space.PROGRAM, 0, 0, 1)


def test_requests_that_no_board_takes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^a frame must have at most 512 bytes, not 513$"):
        request(1, 2, bytes(FRAME_BYTES - 6))
    with pytest.raises(ValueError, match=r"^sequence must be from 1 to 255, not 256$"):
        request(256, 1)


def test_answers_that_are_none() -> None:
    def body_of(data: bytes) -> bytes:
        return Frames().feed(frame(data))[0]

    good = body_of(b"\x01\x05\x81\x00abc")
    got = answer(good)
    assert got is not None
    assert (got.sequence, got.opcode, got.status, got.payload) == (5, 1, 0, b"abc")
    for bad in (
        b"",
        good[:-1],
        good[:-1] + bytes([good[-1] ^ 1]),
        body_of(b"\x02\x05\x81\x00"),  # of another version
        body_of(b"\x01\x05\x01\x00"),  # a request
        body_of(b"\x01\x05\x81"),
    ):
        assert answer(bad) is None
