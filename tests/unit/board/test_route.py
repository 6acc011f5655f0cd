"""Routing again where a clock is missed by little."""

from pathlib import Path
from typing import Any

import pytest

from zeroskip.base.progress import silent
from zeroskip.flow.board import route as routing
from zeroskip.hw.board.boards import board_of


@pytest.mark.parametrize(
    ("board", "reached", "runs"),
    [
        ("ulx3s-85f", 80.0, 1),
        ("ulx3s-85f", 75.0, 1),
        ("ulx3s-85f", 71.1, 2),
        ("ulx3s-85f", 67.0, 1),
        ("icebreaker", 71.1, 1),
    ],
)
def test_slow_wires_are_taken_up_where_little_is_missing(
    board: str, reached: float, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[str]] = []

    def once(*arguments: Any, **options: Any) -> routing.Routed:
        given.append(arguments[-1])
        return routing.Routed({}, reached + 5 * len(given) - 5, 2.0, {})

    monkeypatch.setattr(routing, "_route", once)
    target = board_of(board)
    found = routing.route(target, None, 75e6, Path(), seed=1, progress=silent)
    assert given == [[], ["--tmg-ripup"]][:runs]
    assert (found.fmax_mhz, found.seconds) == (reached + 5 * runs - 5, 2.0 * runs)
