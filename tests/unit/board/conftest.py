"""Frames as a board sends and takes them, and a stand-in for an array."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from amaranth.lib import data, enum

from zeroskip.flow.eie.board import EieBoardArray
from zeroskip.hw.board.protocol import Status
from zeroskip.hw.board.top import identity
from zeroskip.hw.eie.params import EieParams


class Space(enum.Enum, shape=4):
    """Spaces of the stand-in: control, one to write only, one to write and read."""

    CONTROL = 0
    WRITE_ONLY = 1
    BOTH = 2


COMMAND = data.StructLayout({
    "command": data.StructLayout({"data": 64, "addr": 24, "space": Space, "write": 1}),
    "pe": 8,
})

PARAMS = EieParams(num_pes=3)
IDENTITY = identity(EieBoardArray(PARAMS).hosted, 12_000_000)


def _with_crc(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


@pytest.fixture
def with_crc() -> Callable[[bytes], bytes]:
    """Give a function that appends the checksum to a body."""
    return _with_crc


@pytest.fixture
def layout() -> Any:
    """Give the layout of the stand-in's commands, its PEs, and what it answers to IDENTIFY."""
    return COMMAND, PARAMS.num_pes, IDENTITY


async def _send_bytes(ctx: Any, dut: Any, line: Sequence[int], gap: int = 12) -> list[Status]:
    """Offer bytes as a receiver does (-1: one without stop bit); return the errors it tells."""
    errors: list[Status] = []
    for byte in line:
        ctx.set(dut.valid, byte >= 0)
        ctx.set(dut.broken, byte < 0)
        ctx.set(dut.byte, max(byte, 0))
        for cycle in range(gap):
            error = ctx.get(dut.error)
            ctx.set(dut.acknowledge, error != 0)
            if error:
                errors.append(Status(error))
            await ctx.tick()
            ctx.set(dut.acknowledge, 0)
            if not cycle:
                ctx.set(dut.valid, 0)
                ctx.set(dut.broken, 0)
    return errors


@pytest.fixture
def send_bytes() -> Callable[..., Any]:
    """Give a coroutine function that drives the receiving side of a ``Deframe``."""
    return _send_bytes
