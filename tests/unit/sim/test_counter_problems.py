"""Counters that cannot be: each rule that they break is told."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zeroskip.sim.machine import Selection, machine
from zeroskip.sim.result import PartResult

# One input, two layers, two PEs, three classes: 10 cycles, then 6.
COUNTERS = np.array([[[[4, 6, 0], [3, 1, 6]], [[2, 2, 2], [0, 0, 6]]]])
USEFUL = np.array([[7, 2]])


def problems(counters: NDArray[np.int64], useful: NDArray[np.int64], cycles: int) -> Any:
    rtl = PartResult(
        engine="eie",
        layers=("fc1", "fc2"),
        tensors={},
        run_cycles=np.array([[cycles]]),
        counters=counters,
    )
    part: Any = None
    return machine("eie").counter_problems(Selection(part, rtl.layers), rtl, useful)


def test_counters_that_add_up() -> None:
    assert problems(COUNTERS, USEFUL, 16) == []


@pytest.mark.parametrize(
    ("layer", "pe", "change", "sentences"),
    [
        (0, 1, [1, -1, 0], ["layer fc1: the array counted 8 useful MACs, but golden's act"]),
        (1, 1, [0, 0, 1], ["layer fc2: the PEs' counters add up to 6 to 7 cycles"]),
        (
            1,
            0,
            [0, 1, 0],
            [
                "layer fc2: the PEs' counters add up to 6 to 7 cycles",
                "the layers' counters add up to 17 cycles, but the run took 16",
            ],
        ),
    ],
)
def test_counters_that_do_not(layer: int, pe: int, change: list[int], sentences: list[str]) -> None:
    counters = COUNTERS.copy()
    counters[0, layer, pe] += change
    found = problems(counters, USEFUL, 16)
    assert len(found) == len(sentences)
    for sentence, part in zip(found, sentences, strict=True):
        assert sentence.startswith("input 0")
        assert part in sentence
