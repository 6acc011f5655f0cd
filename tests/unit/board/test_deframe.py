# amaranth: UnusedElaboratable=no
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import examples
from zeroskip.flow.host.codec import Frames, frame
from zeroskip.hw.board.deframe import Deframe
from zeroskip.hw.board.protocol import FRAME_BYTES, Byte, Status
from zeroskip.sim.bench.pysim import simulate

TIMEOUT = 400
END, ESC = int(Byte.END), int(Byte.ESC)


def run(
    send_bytes: Callable[..., Any], *lines: Sequence[int], wait: int = 0
) -> tuple[list[bytes], list[Status]]:
    """Send lines, and take each frame after the line that ended it."""
    dut = Deframe(TIMEOUT)
    frames: list[bytes] = []
    errors: list[Status] = []

    async def bench(ctx: Any) -> None:
        for line in lines:
            errors.extend(await send_bytes(ctx, dut, line))
            if wait:
                await ctx.tick().repeat(wait)
                errors.extend(await send_bytes(ctx, dut, [END], 3))
            if ctx.get(dut.frame):
                body = bytearray()
                for at in range(ctx.get(dut.length)):
                    ctx.set(dut.read_at, at)
                    await ctx.tick()
                    body.append(ctx.get(dut.read_byte))
                frames.append(bytes(body))
                ctx.set(dut.release, 1)
                await ctx.tick()
                ctx.set(dut.release, 0)
        errors.extend(await send_bytes(ctx, dut, [END, END]))

    simulate(dut, bench)
    return frames, errors


GOOD = b"\x01\x02\x03"


@pytest.mark.parametrize(
    "body",
    [GOOD, bytes([1, END, ESC, 0xDC, 0xDD]), bytes(range(256)), bytes([END] * (FRAME_BYTES - 4))],
)
def test_frames_arrive(send_bytes: Callable[..., Any], body: bytes) -> None:
    frames, errors = run(send_bytes, frame(body), frame(GOOD), frame(body))
    assert frames == [body, GOOD, body]
    assert not errors


def test_host_reads_what_it_writes() -> None:
    frames = Frames()
    body = bytes(range(256))
    got = [one for piece in frame(body) + frame(GOOD) for one in frames.feed(bytes([piece]))]
    assert [one[:-4] for one in got] == [body, GOOD]
    assert frames.feed(bytes([ESC, 1, END])) == [b""]


LONG = frame(bytes(FRAME_BYTES - 3))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (frame(GOOD)[:-2] + b"\x00" + bytes([END]), Status.BAD_CRC),
        (frame(GOOD)[:-3] + bytes([END]), Status.TOO_SHORT),
        (frame(b"\x01\x02")[1:], Status.TOO_SHORT),
        (bytes([1, ESC, 1, 2, 3, 4, 5, 6, 7, 8, END]), Status.BAD_ESCAPE),
        (bytes([1, 2, 3, 4, 5, 6, 7, 8, ESC, END]), Status.BAD_ESCAPE),
        (LONG, Status.TOO_LONG),
        (frame(bytes(FRAME_BYTES - 4) + b"\xc0"), Status.TOO_LONG),
        ([1, 2, 3, -1, 5, 6, 7, 8, END], Status.LINE),
        ([-1, *frame(GOOD)], Status.LINE),
    ],
    ids=lambda value: value.name if isinstance(value, Status) else "",
)
def test_bad_frame_is_told_once_and_the_next_is_good(
    send_bytes: Callable[..., Any], line: Sequence[int], status: Status
) -> None:
    frames, errors = run(send_bytes, line, frame(GOOD))
    assert errors == [status]
    assert frames[-1] == GOOD


def test_frame_that_stops_is_given_up(send_bytes: Callable[..., Any]) -> None:
    cut = frame(bytes(20))[:-9]
    assert run(send_bytes, cut, wait=TIMEOUT + 5) == ([], [Status.TIMEOUT])
    # What else was wrong with it is told instead.
    assert run(send_bytes, [*cut, ESC, 0], wait=TIMEOUT + 5) == ([], [Status.BAD_ESCAPE])
    # A pause that is shorter does no harm; END ends what was cut.
    assert run(send_bytes, cut, wait=TIMEOUT - 30) == ([], [Status.BAD_CRC])


def test_bytes_into_a_full_buffer_are_lost_and_told(send_bytes: Callable[..., Any]) -> None:
    frames, errors = run(send_bytes, frame(GOOD) + frame(bytes(9)), frame(GOOD), frame(GOOD))
    assert frames == [GOOD, GOOD, GOOD]
    assert errors == [Status.OVERRUN]
    # END bytes are nothing to lose.
    assert run(send_bytes, frame(GOOD) + bytes([END] * 3), frame(GOOD)) == ([GOOD, GOOD], [])


def test_no_garbage_hides_the_next_frame(send_bytes: Callable[..., Any]) -> None:
    @examples(15)
    @given(st.lists(st.binary(max_size=40), max_size=6), st.binary(min_size=3, max_size=40))
    def check(lines: list[bytes], body: bytes) -> None:
        frames, errors = run(send_bytes, *(line + bytes([END]) for line in lines), frame(body))
        assert frames == [body]
        assert Status.OVERRUN not in errors

    check()


def test_timeout_is_checked() -> None:
    with pytest.raises(ValueError, match=r"^timeout must be from 2 to 4294967296 cycles, not 1$"):
        Deframe(1)
