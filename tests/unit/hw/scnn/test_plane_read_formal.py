"""Proof, for any number of cycles, that PlaneRead gives each position of a plane once, in order.

And with its value; and that it asks for each directory entry and each word once, in order.
"""

from pathlib import Path

import pytest

from tests.support.prove import FAILS, PROVED, prove
from tests.unit.hw.scnn.test_plane_formal import P
from tests.unit.hw.scnn.watched_plane import WatchedPlaneRead

pytest.importorskip("pyosys")

ON_WAY = 2
"""Questions without an answer; an array has room for four."""


@pytest.fixture(autouse=True)
def few_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let PlaneRead follow as many questions as there may be."""
    monkeypatch.setattr("zeroskip.hw.scnn.plane_read.HOST_READS", ON_WAY)


@pytest.mark.long("a proof of half a minute")
def test_each_position_is_given_once(tmp_path: Path) -> None:
    """Of two PEs with tiles of 2 x 2 and 2 x 1, and up to two words a channel."""
    answer = prove(WatchedPlaneRead(P, (2, 1), 2, 2, ON_WAY), tmp_path)
    assert PROVED.split("|")[0] in answer, answer[-2000:]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    answer = prove(WatchedPlaneRead(P, (2, 1), 2, 2, ON_WAY, late=1), tmp_path)
    assert FAILS in answer, answer[-2000:]
