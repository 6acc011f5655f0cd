# amaranth: UnusedElaboratable=no
"""Requests against a stand-in for an array: what it is told to do, and what comes back."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from amaranth.hdl import Module

from zeroskip.flow.host.codec import Answer, Frames, answer
from zeroskip.hw.board.bridge import Bridge
from zeroskip.hw.board.frame import Frame
from zeroskip.hw.board.protocol import MAGIC, Opcode, Status
from zeroskip.sim.bench.pysim import simulate

Command = tuple[int, int, int, int, int]
"""Write or not, space, PE, row, data."""


class Trial:
    """A bridge with its sending side; the receiving side and the array are the bench."""

    def __init__(self, layout: Any) -> None:
        command, self.num_pes, identity = layout
        self.bridge = Bridge(command, 64, identity, self.num_pes, [0, 1, 2], [0, 2])
        self.frame = Frame()
        self.module = Module()
        self.module.submodules.bridge = self.bridge
        self.module.submodules.frame = self.frame
        self.module.d.comb += [
            self.frame.i.payload.eq(self.bridge.o.payload),
            self.frame.i.valid.eq(self.bridge.o.valid),
            self.bridge.o.ready.eq(self.frame.i.ready),
        ]
        self.commands: list[Command] = []
        self.sent = bytearray()

    def run(self, *bodies: bytes, running: bool = False, error: int = 0) -> list[Answer]:
        """Offer requests, each when the one before is answered; return the answers."""
        bridge, frame = self.bridge, self.frame

        async def requests(ctx: Any) -> None:
            ctx.set(bridge.running, running)
            for body in bodies:
                ctx.set(bridge.length, len(body))
                ctx.set(bridge.frame, 1)
                released = False
                while not released:
                    _, _, at, released = await ctx.tick().sample(bridge.read_at, bridge.release)
                    ctx.set(bridge.read_byte, body[at] if at < len(body) else 0xEE)
                ctx.set(bridge.frame, 0)
                await self._quiet(ctx)
            if error:
                ctx.set(bridge.error, error)
                await ctx.tick().until(bridge.acknowledge)
                ctx.set(bridge.error, 0)
                await self._quiet(ctx)

        async def array(ctx: Any) -> None:
            wait = 0
            while True:
                ctx.set(bridge.cmd.ready, wait == 2)
                taken = ctx.get(bridge.cmd.valid) and wait == 2
                wait = 0 if taken or not ctx.get(bridge.cmd.valid) else wait + 1
                one = ctx.get(bridge.cmd.payload)
                await ctx.tick()
                if not taken:
                    continue
                command = one.command
                self.commands.append((
                    command.write,
                    command.space.value,
                    one.pe,
                    command.addr,
                    command.data,
                ))
                ctx.set(bridge.cmd.ready, 0)
                if not command.write:
                    ctx.set(bridge.rsp.payload, 0x1122334455667700 + command.addr * 16 + one.pe)
                    ctx.set(bridge.rsp.valid, 1)
                    while not ctx.get(bridge.rsp.ready):
                        await ctx.tick()
                    await ctx.tick()
                    ctx.set(bridge.rsp.valid, 0)

        async def line(ctx: Any) -> None:
            while True:
                ctx.set(frame.o.ready, 1)
                _, _, valid, byte = await ctx.tick().sample(frame.o.valid, frame.o.payload)
                if valid:
                    self.sent.append(byte)
                    ctx.set(frame.o.ready, 0)
                    for _ in range(12):
                        await ctx.tick()

        simulate(self.module, requests, monitors=[array, line])
        answers = [answer(body) for body in Frames().feed(bytes(self.sent))]
        assert None not in answers
        return [one for one in answers if one]

    async def _quiet(self, ctx: Any) -> None:
        """Wait until an answer is out."""
        before, same = -1, 0
        while same < 60:
            same = same + 1 if len(self.sent) == before else 0
            before = len(self.sent)
            await ctx.tick()


def request(opcode: int, *arguments: int, version: int = 1) -> bytes:
    return bytes([version, 7, opcode, *arguments])


def write(space: int, pe: int, row: int, step: int, size: int, data: Sequence[int]) -> bytes:
    return request(Opcode.WRITE, space, pe, *row.to_bytes(3, "little"), step, size, *data)


def read(space: int, pe: int, row: int, step: int, size: int, count: int) -> bytes:
    return request(Opcode.READ, space, pe, *row.to_bytes(3, "little"), step, size, count)


def test_identify(layout: Any) -> None:
    trial = Trial(layout)
    assert trial.run(request(Opcode.IDENTIFY)) == [Answer(7, Opcode.IDENTIFY, 0, layout[2])]
    assert layout[2].startswith(MAGIC)
    assert not trial.commands


def test_write(layout: Any) -> None:
    trial = Trial(layout)
    bodies = [
        write(1, 2, 0x010203, 2, 3, [1, 2, 3, 0xFF, 0xFE, 0xC0]),
        write(2 | 0x80, 1, 5, 1, 1, [9, 8, 7]),
        write(0, 0, 0, 0, 8, list(range(0x10, 0x18))),
    ]
    assert trial.run(*bodies) == [Answer(7, Opcode.WRITE, 0, b"")] * 3
    assert trial.commands == [
        (1, 1, 2, 0x010203, 0x030201),
        (1, 1, 2, 0x010205, 0xC0FEFF),
        # Across PEs, and to the next row after the last of three.
        (1, 2, 1, 5, 9),
        (1, 2, 2, 5, 8),
        (1, 2, 0, 6, 7),
        (1, 0, 0, 0, 0x1716151413121110),
    ]


def test_read(layout: Any) -> None:
    trial = Trial(layout)
    got = trial.run(read(2, 1, 6, 4, 2, 2), read(2 | 0x80, 2, 1, 1, 1, 2), read(0, 0, 2, 0, 8, 1))
    payloads = [
        bytes([0x61, 0x77, 0xA1, 0x77]),
        bytes([0x12, 0x20]),
        bytes([0x20, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]),
    ]
    assert got == [Answer(7, Opcode.READ, 0, payload) for payload in payloads]
    assert [command[:4] for command in trial.commands] == [
        (0, 2, 1, 6), (0, 2, 1, 10), (0, 2, 2, 1), (0, 2, 0, 2), (0, 0, 0, 2),
    ]  # fmt: skip


WORD = list(range(8))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (request(Opcode.IDENTIFY, version=2), Status.BAD_VERSION),
        (request(0), Status.BAD_OPCODE),
        (request(4, *range(20)), Status.BAD_OPCODE),
        (request(Opcode.IDENTIFY, 1), Status.BAD_LENGTH),
        (write(1, 0, 0, 1, 1, []), Status.BAD_LENGTH),
        (write(1, 0, 0, 1, 3, WORD), Status.BAD_LENGTH),
        (request(Opcode.WRITE, 1, 0), Status.BAD_LENGTH),
        (read(2, 0, 0, 1, 1, 0), Status.BAD_LENGTH),
        (read(2, 0, 0, 1, 1, 1) + b"\0", Status.BAD_LENGTH),
        (read(2, 0, 0, 1, 1, 1)[:-1], Status.BAD_LENGTH),
        (write(3, 0, 0, 1, 1, WORD), Status.BAD_ARGUMENT),
        (write(0x7F, 0, 0, 1, 1, WORD), Status.BAD_ARGUMENT),
        (write(1, 3, 0, 1, 1, WORD), Status.BAD_ARGUMENT),
        (write(1, 0, 0, 1, 0, WORD), Status.BAD_ARGUMENT),
        (write(1, 0, 0, 1, 9, [*WORD, 8]), Status.BAD_ARGUMENT),
        (read(1, 0, 0, 1, 1, 1), Status.BAD_ARGUMENT),
        (read(2, 255, 0, 1, 1, 1), Status.BAD_ARGUMENT),
    ],
)
def test_refused(layout: Any, body: bytes, status: Status) -> None:
    """A request that is refused does nothing, and the next one is executed."""
    trial = Trial(layout)
    refused, done = trial.run(body, write(1, 0, 3, 1, 8, WORD))
    assert refused == Answer(7, body[2] & 0x7F, status, b"")
    assert done.status == Status.OK
    assert [command[3] for command in trial.commands] == [3]


def test_busy(layout: Any) -> None:
    """While a run is under way, the control space is open and no other."""
    trial = Trial(layout)
    bodies = [write(1, 0, 0, 1, 8, WORD), read(2, 0, 0, 1, 1, 1), write(0, 0, 0, 1, 1, [2])]
    statuses = [one.status for one in trial.run(*bodies, running=True)]
    assert statuses == [Status.BUSY, Status.BUSY, Status.OK]
    assert trial.commands == [(1, 0, 0, 0, 2)]


def test_errors_of_the_line_are_told(layout: Any) -> None:
    (got,) = Trial(layout).run(error=Status.BAD_CRC)
    assert got == Answer(0, 0, Status.BAD_CRC, b"")


def test_answers_are_escaped_and_have_a_checksum(
    layout: Any, with_crc: Callable[[bytes], bytes]
) -> None:
    """Byte for byte what docs/protocol.md says; every byte value occurs."""
    trial = Trial(layout)
    bodies = [bytes([1, sequence, Opcode.IDENTIFY]) for sequence in (0xC0, 0xDB)]
    trial.run(*bodies)
    expected = b""
    for sequence in (0xC0, 0xDB):
        whole = with_crc(bytes([1, sequence, 0x81, 0]) + layout[2])
        whole = whole.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        expected += b"\xc0" + whole + b"\xc0"
    assert bytes(trial.sent) == expected
    assert zlib.crc32(b"123456789") == 0xCBF43926


def test_identity_is_checked(layout: Any) -> None:
    with pytest.raises(ValueError, match=r"^identity must have 23 bytes, not 1$"):
        Bridge(layout[0], 64, b"x", 3, [0], [0])
