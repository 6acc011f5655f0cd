"""The board's top under Verilator, driven through a pseudo-terminal by the host's own code."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.flow.eie.board import EieBoardArray
from zeroskip.flow.eie.host import load_image, run_image
from zeroskip.flow.host import Board, HostError, Line
from zeroskip.flow.host.codec import Answer, Frames, answer, frame
from zeroskip.flow.host.line import NoAnswerError
from zeroskip.hw.board.protocol import FRAME_BYTES, Byte, Opcode, Status
from zeroskip.hw.board.top import BOARD_MODULE
from zeroskip.hw.common.control import Command, Control
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.instances import memory_path
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.board.build import build_board
from zeroskip.sim.board.process import SimulatedBoard, simulated_board
from zeroskip.sim.run import run

pytestmark = [pytest.mark.cosim, pytest.mark.filterwarnings("ignore:Generating overly large")]

# Two builds for all tests here. The first is reloaded between its runs; the second has counters and
# everything at once, and the single-port memories of a board, of a size that its accumulators and
# counters have, which read and write in one cycle.
_ARRAYS = {
    "segments": EieParams(
        num_pes=2,
        queue_depth=4,
        word_bits=16,
        acc_bits=24,
        act_bits=8,
        spmat_words=64,
        num_pointers=32,
        num_acts=4,
        num_accs=3,
        num_biases=8,
        num_descriptors=4,
        counters=False,
    ),
    "whole": EieParams(
        num_pes=3,
        spmat_words=1024,
        num_pointers=512,
        num_acts=64,
        num_accs=64,
        num_biases=128,
        num_descriptors=16,
        pointers_first=True,
    ),
}
_SINGLE_BITS = {"segments": 0, "whole": 1024}
# Seconds of the board's own time: it does not matter what else the machine does.
_PATIENCE = 0.1


@contextmanager
def board_of(name: str, **options: Any) -> Iterator[tuple[SimulatedBoard, Board]]:
    model = build_board(EieBoardArray(_ARRAYS[name]), single_bits=_SINGLE_BITS[name])
    with simulated_board(model, **options) as board, Line(board.port, clock=board.clock) as line:
        yield board, Board(line, patience=_PATIENCE)


def assert_golden(board: Board, trial: Any, *, loaded: bool = False) -> None:
    """Run a trial's inputs on the board; every output, cycle and counter must be the model's."""
    if not loaded:
        load_image(board, trial.image.part("eie"))
    columns = trial.inputs.astype(np.int64)
    got = run_image(board, trial.image.part("eie"), columns)
    result = run(trial.image, trial.inputs, "cycles")
    model, params = result.part("eie"), trial.image.part("eie").params
    assert model.cycles is not None
    np.testing.assert_array_equal(got.result, result.layer_outputs[-1])
    np.testing.assert_array_equal(got.cycles, model.cycles)
    if params.counters:
        assert got.counters is not None
        np.testing.assert_array_equal(
            got.counters.sum(axis=(1, 3)),
            np.repeat(model.cycles[:, None], params.num_pes, 1),
        )
        assert model.counters is not None
        np.testing.assert_array_equal(got.counters.sum(axis=1), model.counters.sum(axis=1))


@pytest.mark.long("builds the simulator of a board")
@pytest.mark.parametrize("name", _ARRAYS)
def test_images_through_the_terminal(
    name: str, trials: Callable[[EieParams], st.SearchStrategy[Any]]
) -> None:
    """Images are loaded one after the other, each run bit for bit as golden has it."""

    @simulated(2)
    @given(st.lists(trials(_ARRAYS[name]), min_size=3, max_size=3))
    def check(drawn: list[Any]) -> None:
        with board_of(name) as (_, board):
            for trial in drawn:
                assert_golden(board, trial)
            # The first again: nothing of the others is left.
            assert_golden(board, drawn[0])
            assert board.retries == 0

    check()


@pytest.mark.long("builds the simulator of a board")
def test_contents_from_configuration(
    tmp_path: Path, trials: Callable[[EieParams], st.SearchStrategy[Any]]
) -> None:
    """A board whose memories hold the image from the start needs no loading."""
    trial = _first(trials(_ARRAYS["whole"]))
    for name, sram in trial.image.part("eie").srams.items():
        file = tmp_path / f"{BOARD_MODULE}.array.{memory_path(name)}.hex"
        file.write_bytes(to_hex(sram.words, sram.width))
    with board_of("whole", sram_dir=tmp_path, seed=3) as (_, board):
        assert_golden(board, trial, loaded=True)


@pytest.mark.long("builds the simulator of a board")
def test_wrong_image_is_refused(trials: Callable[[EieParams], st.SearchStrategy[Any]]) -> None:
    trial = _first(trials(_ARRAYS["whole"]))
    with (
        board_of("segments") as (_, board),
        pytest.raises(HostError, match=r"^the board has another array \(2 PEs\) than the image"),
    ):
        load_image(board, trial.image.part("eie"))


@pytest.mark.long("builds the simulator of a board")
def test_reset_in_the_middle(trials: Callable[[EieParams], st.SearchStrategy[Any]]) -> None:
    """Whatever a reset cuts short, the board and the host find together again."""
    trial = _first(trials(_ARRAYS["segments"]))
    with board_of("segments") as (simulated, board):
        load_image(board, trial.image.part("eie"))
        for _ in range(20):
            board.clear()
            board.command(_START)
            simulated.press_reset()
            assert board.identify().num_pes == 2
        board.wait()
        assert_golden(board, trial)


def test_port_problems(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"^port /dev/none cannot be opened: there is no such port"):
        Line("/dev/none")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(HostError, match=r"cannot be opened: it is no serial port"):
        Line(str(file))
    # A terminal with nobody at its other end.
    leader, follower = os.openpty()
    try:
        with Line(os.ttyname(follower)) as line:
            board = Board(line, patience=0.05)
            with pytest.raises(NoAnswerError, match=r"^nothing answers at port .* check the port"):
                board.identify()
            assert board.retries == 3
            with pytest.raises(HostError, match=r"another program uses it; end that first$"):
                Line(os.ttyname(follower))
    finally:
        os.close(leader)
        os.close(follower)


_START = Command.START
# Rows of activation files, PEs, and both files: what a request that slips through would change.
_ROWS = [file << 2 | row for file in (0, 1) for row in range(4)]


class Fuzzer:
    """Bad frames, each with the one answer that it must get."""

    def __init__(self, line: Line, seed: int) -> None:
        self._line = line
        self._random = random.Random(seed)
        self._frames = Frames()
        self._pending: list[Answer] = []
        self.counts: dict[str, int] = {}

    def dangerous(self) -> bytes:
        """Return a request, without checksum, that would be seen to have been executed."""
        row = self._random.choice(_ROWS).to_bytes(3, "little")
        data = self._random.randbytes(self._random.randint(1, 40))
        choices = [
            bytes([Space.ACT | 0x80, 0, *row, 1, 1, *data]),
            bytes([Space.CONTROL, 0, 0, 0, 0, 1, 1, _START]),
        ]
        head = bytes([1, self._random.randint(1, 255), Opcode.WRITE])
        return head + self._random.choice(choices)

    def bad(self) -> tuple[str, bytes, set[Status]]:
        """Return a kind, bytes for the line that end with END, and what may be answered."""
        r, end = self._random, bytes([Byte.END])
        body, good = self.dangerous(), b""
        good = frame(body)[1:-1]
        kinds = ["garbage", "flip", "cut", "checksum", "request", "escape", "long"]
        # Long ones take most of the time.
        (kind,) = r.choices(kinds, [6, 6, 6, 6, 6, 6, 1])
        if kind == "garbage":
            data = bytes(b for b in r.randbytes(r.randint(1, 60)) if b != Byte.END) or b"\0"
            return kind, data + end, {Status.BAD_CRC, Status.BAD_ESCAPE, Status.TOO_SHORT}
        if kind == "flip":
            data = bytearray(good)
            at, bit = r.randrange(len(data)), 1 << r.randrange(8)
            if data[at] ^ bit == Byte.END:
                bit ^= 0xFF
            data[at] ^= bit
            return kind, bytes(data) + end, {Status.BAD_CRC, Status.BAD_ESCAPE}
        if kind == "cut":
            data = good[: r.randint(1, len(good) - 1)]
            return kind, data + end, {Status.BAD_CRC, Status.BAD_ESCAPE, Status.TOO_SHORT}
        if kind == "checksum":
            whole = body + r.randbytes(4)
            escaped = whole.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
            return kind, escaped + end, {Status.BAD_CRC}
        if kind == "long":
            size = FRAME_BYTES - 3 + r.randint(0, 100) - len(body)
            return kind, frame(body + r.randbytes(size))[1:], {Status.TOO_LONG}
        if kind == "escape":
            at = r.randrange(len(good))
            data = good[:at] + bytes([Byte.ESC, r.choice([0, 1, 0xDA, 0xDE, 0xFF])]) + good[at:]
            return kind, data + end, {Status.BAD_ESCAPE}
        refused: list[tuple[bytes, Status]] = [
            (bytes([2]) + body[1:], Status.BAD_VERSION),
            (bytes([1, 9, r.choice([0, 4, 99, 255])]) + body[3:], Status.BAD_OPCODE),
            (body[:4] + bytes([r.randint(2, 255)]) + body[5:], Status.BAD_ARGUMENT),
            (body[:3] + bytes([r.randint(7, 127)]) + body[4:], Status.BAD_ARGUMENT),
            (body[:9] + bytes([r.choice([0, 9, 255])]) + body[10:], Status.BAD_ARGUMENT),
            (body[:10], Status.BAD_LENGTH),
            (body[:9] + bytes([8]) + bytes(r.choice([1, 7, 9, 63])), Status.BAD_LENGTH),
            (bytes([1, 9, Opcode.READ]) + body[3:10] + bytes([1, 1]), Status.BAD_LENGTH),
            (bytes([1, 9, Opcode.IDENTIFY]) + body[3:], Status.BAD_LENGTH),
        ]
        data, status = r.choice(refused)
        return kind, frame(data)[1:], {status}

    def send(self) -> None:
        """Send one bad frame and check its answer."""
        kind, data, allowed = self.bad()
        self._line.write(data)
        got = self.receive()
        assert Status(got.status) in allowed, (kind, data.hex(), got)
        assert got.payload == b""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def receive(self) -> Answer:
        """Return the next answer; a board that hangs has none."""
        give_up = self._line.clock() + _PATIENCE
        while not self._pending:
            assert self._line.clock() < give_up, "the board does not answer"
            for body in self._frames.feed(self._line.read(_PATIENCE)):
                got = answer(body)
                assert got is not None, f"unreadable answer {body.hex()}"
                self._pending.append(got)
        return self._pending.pop(0)


def state_of(board: Board) -> tuple[list[int], int, int]:
    acts = [int(one) for row in _ROWS for one in board.read(Space.ACT, row, 2, size=1, across=2)]
    return acts, board.control(Control.STATUS), board.control(Control.CYCLES)


@pytest.mark.long("builds the simulator of a board")
@pytest.mark.parametrize("seed", range(2))
def test_bad_frames(seed: int) -> None:
    """5,000 bad frames in all: an error each, nothing executed, and the next frame is good."""
    with board_of("segments", seed=seed + 1) as (simulated, board):
        line = board.line
        fuzzer = Fuzzer(line, seed)
        board.wait()
        for row in _ROWS:
            board.write(Space.ACT, row, np.array([[row], [100 - row]], np.uint64), size=1, across=2)
        before = state_of(board)
        for burst in range(25):
            for _ in range(100):
                fuzzer.send()
            if burst % 5 == 4:
                # A frame that stops is told without END; and one that a reset cuts is not.
                line.write(frame(fuzzer.dangerous())[1:-2])
                assert fuzzer.receive().status == Status.TIMEOUT
                line.write(frame(fuzzer.dangerous())[1:-2])
                line.pause(0.0001)
                simulated.press_reset()
                board.wait()
            # The next frame after any bad one is executed.
            assert state_of(board)[0] == before[0]
            assert not board.running()
        assert sum(fuzzer.counts.values()) == 2500
        assert min(fuzzer.counts.values()) > 50
        assert state_of(board)[2] == before[2]


def _first(strategy: st.SearchStrategy[Any]) -> Any:
    """Draw one example, always the same."""
    drawn: list[Any] = []

    @simulated(1)
    @given(strategy)
    def take(one: Any) -> None:
        drawn.append(one)

    take()
    return drawn[0]
