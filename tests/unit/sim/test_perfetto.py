"""The trace of a run against the counters of the same run."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zeroskip.base.errors import InputError
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.eie.host import StallClass
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.result import Result
from zeroskip.sim.run import run
from zeroskip.sim.trace import write_trace

SIZES = (50, 40, 9)


def _params(*, best: bool, num_accs: int) -> EieParams:
    return EieParams(
        num_pes=4, queue_depth=4, run_bits=2, spmat_words=128, num_pointers=128, num_acts=16,
        num_accs=num_accs, num_biases=64, pointers_first=best, skip_padding=best,
    )  # fmt: skip


@pytest.fixture(
    params=[(False, 16), (True, 16), (True, 4)], ids=["plain", "best", "passes and segments"]
)
def traced(
    request: pytest.FixtureRequest,
    draw_network: Callable[..., QuantGraph[QuantLinear]],
    tmp_path: Path,
) -> tuple[Image, Any, Result, list[dict[str, Any]]]:
    """Give an image, inputs, the result and the events of the second input's trace."""
    best, num_accs = request.param
    network = draw_network(SIZES, density=0.3)
    image = compile_quantized(
        network,
        {"eie": _params(best=best, num_accs=num_accs)},
        options={"placement": "balance"},
        name="net",
    )
    rng = np.random.default_rng(2)
    x = (rng.integers(1, 9, (2, 50)) * (rng.random((2, 50)) < 0.5)).astype(np.float64)
    result = run(image, x, "cycles")
    path = tmp_path / "t.json"
    write_trace(result, path, sample=1)
    document = json.loads(path.read_text())
    assert document["otherData"]["time"] == "1 us of the trace is 1 cycle of the arrays"
    return image, x, result, document["traceEvents"]


def test_events_are_sorted_and_end_with_the_run(traced: Any) -> None:
    _, _, result, events = traced
    timed = [event for event in events if event["ph"] != "M"]
    times = [event["ts"] for event in timed]
    assert times == sorted(times)
    assert times[0] == 0
    assert all(event.get("dur", 1) > 0 for event in timed)
    ends = [event["ts"] + event.get("dur", 0) for event in timed]
    assert max(ends) == result.cycles[1]


def test_slices_are_the_cycles_that_issue(traced: Any) -> None:
    image, x, result, events = traced
    counters = result.part("eie").counters[1].sum(axis=0)
    for pe in range(image.part("eie").params.num_pes):
        mine = [event for event in events if event["ph"] == "X" and event["tid"] == pe + 1]
        for one, then in itertools.pairwise(mine):
            assert one["ts"] + one["dur"] <= then["ts"]
        issued = counters[pe, StallClass.USEFUL] + counters[pe, StallClass.PADDING]
        assert sum(event["dur"] for event in mine) == issued
        real = sum(event["args"]["entries"] - event["args"]["padding"] for event in mine)
        assert real == counters[pe, StallClass.USEFUL]
        columns = {int(event["name"]) for event in mine}
        inputs = np.flatnonzero(x[1]).tolist(), np.flatnonzero(result.layer_outputs[0][1]).tolist()
        assert columns <= {*inputs[0], *inputs[1]}


def test_phases_follow_each_other_and_are_what_the_counters_say(traced: Any) -> None:
    image, _, result, events = traced
    phases = [event for event in events if event["ph"] == "X" and event["tid"] == 0]
    for one, then in itertools.pairwise(phases):
        assert one["ts"] + one["dur"] == then["ts"]
    for number, layer in enumerate(image.graph.layers):
        for name, stall in (("setup", StallClass.SETUP), ("drain", StallClass.DRAIN)):
            spent = sum(e["dur"] for e in phases if e["name"] == f"{name} {layer.name}")
            assert spent == result.part("eie").counters[1, number, 0, stall]


def test_queues_hold_no_more_than_they_can(traced: Any) -> None:
    image, _, _, events = traced
    levels: dict[str, list[int]] = {}
    for event in events:
        if event["ph"] == "C":
            levels.setdefault(event["name"], []).append(event["args"]["entries"])
    assert len(levels) == image.part("eie").params.num_pes
    for of_queue in levels.values():
        assert min(of_queue) == of_queue[-1] == 0
        assert 0 < max(of_queue) <= image.part("eie").params.queue_depth


def test_only_what_was_run_is_traced(traced: Any, tmp_path: Path) -> None:
    _, _, result, _ = traced
    with pytest.raises(InputError, match="input 2 cannot be traced: there are 2"):
        write_trace(result, tmp_path / "u.json", sample=2)
