"""Proof, for all inputs and any number of cycles, that the DMA moves each beat exactly once.

All beats of a request come, in their order, from and to their address, with the right tag and
``last``, and nothing else does; a request that is written is done with its last answer, and failed
if one of them was bad. No burst is over 4 KB or ``burst_beats``, and no more of them are on their
way than there is room for; what is offered stays until it is taken; and if nobody else stalls, a
beat comes within a few cycles. One beat is marked; which one and when is left open, as is when the
other side takes and gives anything.

It is shown by induction over one cycle: the invariants are in the files ``watched_*.py``.
"""

import re
from pathlib import Path

import pytest

from tests.support.prove import FAILS, PROVED, prove
from tests.unit.hw.system.watched_dma import WatchedBursts
from tests.unit.hw.system.watched_read import WatchedRead
from tests.unit.hw.system.watched_write import WatchedWrite
from zeroskip.hw.system.params import SystemParams

pytest.importorskip("pyosys")


def params(burst_beats: int, outstanding: int) -> SystemParams:
    return SystemParams(
        data_bits=64, addr_bits=16, burst_beats=burst_beats, outstanding=outstanding
    )


@pytest.fixture
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writes have two bursts ahead of their beats, and four without an answer."""
    monkeypatch.setattr("zeroskip.hw.system.write_dma.AHEAD", 2)
    monkeypatch.setattr("zeroskip.hw.system.write_dma.UNANSWERED", 4)


@pytest.mark.parametrize(("data_bits", "burst_beats"), [(64, 1), (64, 256), (128, 16), (256, 128)])
def test_requests_are_cut_to_bursts(data_bits: int, burst_beats: int, tmp_path: Path) -> None:
    """For addresses and beats of all their bits."""
    p = SystemParams(data_bits=data_bits, addr_bits=40, burst_beats=burst_beats)
    assert re.search(PROVED, prove(WatchedBursts(p), tmp_path))


@pytest.mark.parametrize(
    ("burst_beats", "outstanding"),
    [
        (1, 1),
        (2, 2),
        pytest.param(1, 3, marks=pytest.mark.long("a proof of half a minute")),
        pytest.param(4, 2, marks=pytest.mark.long("a proof of half a minute")),
    ],
)
def test_each_beat_is_read_exactly_once(burst_beats: int, outstanding: int, tmp_path: Path) -> None:
    """For requests of up to 7 beats and addresses of 3 bits, in any number."""
    answer = prove(WatchedRead(params(burst_beats, outstanding), 3, 3), tmp_path)
    assert re.search(PROVED, answer), answer[-2000:]


@pytest.mark.usefixtures("short_lines")
@pytest.mark.parametrize("burst_beats", [1, 2])
def test_each_beat_is_written_exactly_once(burst_beats: int, tmp_path: Path) -> None:
    """For requests of up to 7 beats and addresses of 3 bits, in any number."""
    answer = prove(WatchedWrite(params(burst_beats, 1), 3, 3), tmp_path)
    assert re.search(PROVED, answer), answer[-2000:]


@pytest.mark.long("a proof of a minute")
def test_each_beat_is_written_exactly_once_with_lines_of_their_length(tmp_path: Path) -> None:
    answer = prove(WatchedWrite(params(2, 1), 3, 3), tmp_path)
    assert re.search(PROVED, answer), answer[-2000:]


def test_the_proof_of_reads_can_fail(tmp_path: Path) -> None:
    """The time that a beat takes is known to a cycle."""
    answer = prove(WatchedRead(params(1, 1), 2, 2, patience=3), tmp_path)
    assert re.search(FAILS, answer), answer[-2000:]


@pytest.mark.usefixtures("short_lines")
def test_the_proof_of_writes_can_fail(tmp_path: Path) -> None:
    answer = prove(WatchedWrite(params(1, 1), 2, 2, patience=1), tmp_path)
    assert re.search(FAILS, answer), answer[-2000:]
