"""The trace of a CNN's run against the counters of the same run."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.cosim.scnn_draw import draw_layer, draw_planes
from tests.cosim.scnn_plans import draw_runs
from zeroskip import EieParams, compile
from zeroskip.base.errors import ImageError, InputError
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.hw.eie.host import StallClass as EieStallClass
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.result import Result
from zeroskip.sim.run import quantize, run
from zeroskip.sim.scnn.cycles.passes import PassTrace, drain_exchanges, pe_streams
from zeroskip.sim.scnn.cycles.program import RunCount, ScnnCycles
from zeroskip.sim.scnn.cycles.trace import trace_cnn_image
from zeroskip.sim.scnn.job import fused_layers
from zeroskip.sim.trace import write_trace

_P = replace(PRESETS["tiny"], num_streams=4)
_PAIRS = slice(StallClass.USEFUL, StallClass.FRAGMENTATION + 1)


def _check_pass(descriptor: Any, times: PassTrace, counters: np.ndarray, p: ScnnParams) -> None:
    """Check that a pass did what its counters say, and when it may."""
    assert times.run - times.start == counters[0, StallClass.SETUP] // p.mults
    assert (times.pairs.sum(axis=1) * p.mults == counters[:, _PAIRS].sum(axis=1)).all()
    first, last = times.issued
    done = times.pairs > 0
    assert (done == (first >= 0)).all()
    assert (done == (last >= 0)).all()
    assert (last - first + 1 >= times.pairs)[done].all()
    assert (first >= times.run)[done].all()
    assert (last < times.end)[done].all()
    streams = pe_streams(p, descriptor)
    for pe in range(p.num_pes):
        mine = np.flatnonzero(done[pe])
        # Blocks are done in the order of the stream, one after the other.
        assert (last[pe, mine[:-1]] < first[pe, mine[1:]]).all()
        like = np.flatnonzero(streams == streams[pe])
        others = np.flatnonzero(streams != streams[pe])
        assert not (done[like].any(axis=0) & done[others].any(axis=0)).any()
    begins, ends = times.drained
    assert len(begins) == descriptor.groups
    if not descriptor.drain:
        assert (times.drained == -1).all()
        return
    steps = np.full(descriptor.groups, len(drain_exchanges(_P, descriptor)))
    steps *= np.where(
        np.arange(descriptor.groups) < descriptor.groups - 1, descriptor.kc, descriptor.kc_last
    )
    assert (ends - begins + 1 == steps).all()
    assert (begins[1:] > ends[:-1]).all()
    assert times.run < begins[0]
    assert ends[-1] < times.end
    assert begins[-1] > last.max()


@pytest.mark.long("draws many layers")
def test_passes_of_drawn_layers_are_what_the_counters_say() -> None:
    rng = np.random.default_rng(3)
    kept, several, waited = 0, 0, 0
    for _ in range(60):
        layer = draw_layer(rng, "layer", [(INPUT, (5, 9, 8))], _P)
        x = draw_planes(rng, layer.in_shape, 1, _P, low=_P.min_act)[0]
        runs = draw_runs(rng, layer, _P)
        if runs is None:
            continue
        plain, traced = ScnnCycles(_P, runs), ScnnCycles(_P, runs)
        for number, one_run in enumerate(runs):
            times: list[PassTrace] = []
            counts: list[RunCount] = [
                plain.count(number, {INPUT: x}),
                traced.count(number, {INPUT: x}, times),
            ]
            assert counts[0].cycles == counts[1].cycles == times[-1].end
            assert (counts[0].counters == counts[1].counters).all()
            assert times[0].start == 0
            for one, then in itertools.pairwise(times):
                assert one.end == then.start
            for one, when, mine in zip(one_run.program, times, counts[1].counters, strict=True):
                _check_pass(one, when, mine, _P)
                kept += not one.drain
                several += one.groups > 1
                spans = when.issued[1] - when.issued[0] + 1
                waited += int((spans > when.pairs)[when.pairs > 0].sum())
    # Else little was tried: sums that are kept, several groups, blocks that waited for banks.
    assert kept > 10
    assert several > 10
    assert waited > 10


@pytest.fixture(scope="module", params=[True, False], ids=["with EIE", "SCNN alone"])
def traced(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Image, np.ndarray, Result, list[dict[str, Any]]]:
    """Give an image, inputs, the result and the events of the second input's trace."""
    torch.manual_seed(1)
    layers: list[nn.Module] = [
        nn.Conv2d(2, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 4, 3, stride=2),
        nn.ReLU(),
    ]
    if request.param:
        layers += [nn.Flatten(), nn.Linear(4 * 2 * 2, 12), nn.ReLU(), nn.Linear(12, 5)]
    module = nn.Sequential(*layers).eval()
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3, 2, 10, 10)).clip(0)
    eie = EieParams(num_pes=2, queue_depth=4)
    image = compile(module, torch.tensor(x[:1], dtype=torch.float32), x, [eie, _P], share=True)
    result = run(image, x, "cycles")
    path = tmp_path_factory.mktemp("trace") / "t.json"
    write_trace(result, path, sample=1)
    document = json.loads(path.read_text())
    assert document["otherData"]["input"] == 1
    assert document["otherData"]["time"] == "1 us of the trace is 1 cycle of the arrays"
    return image, x, result, document["traceEvents"]


def _slices(events: list[dict[str, Any]], pid: int, tid: int) -> list[dict[str, Any]]:
    return [one for one in events if one["ph"] == "X" and (one["pid"], one["tid"]) == (pid, tid)]


def test_events_are_those_of_the_format(traced: Any) -> None:
    image, _, result, events = traced
    names = {(e["pid"], e.get("tid")): e["args"]["name"] for e in events if "_name" in e["name"]}
    timed = [event for event in events if event["ph"] != "M"]
    for event in timed:
        assert event["ph"] in ("X", "C")
        assert isinstance(event["ts"], int)
        assert event["ts"] >= 0
        assert (event["pid"], None) in names
        if event["ph"] == "X":
            assert event["dur"] > 0
            assert (event["pid"], event["tid"]) in names
    assert max(event["ts"] + event.get("dur", 0) for event in timed) == result.cycles[1]
    pes = [name for (pid, _), name in names.items() if pid == 1 and name.startswith("PE")]
    assert pes == ["PE 0 (0, 0)", "PE 1 (1, 0)", "PE 2 (0, 1)", "PE 3 (1, 1)"]
    assert names[1, None] == f"SCNN array of {image.name}"
    assert ((2, None) in names) == (len(image.parts) > 1)


def test_the_sequencer_is_never_without_a_pass(traced: Any) -> None:
    image, _, result, events = traced
    passes = _slices(events, 1, 0)
    assert passes[0]["ts"] == 0
    for one, then in itertools.pairwise(passes):
        assert one["ts"] + one["dur"] == then["ts"]
    assert passes[-1]["ts"] + passes[-1]["dur"] == result.part("scnn").run_cycles[1].sum()
    assert len(passes) == 2 * sum(len(run.program) for run in image.part("scnn").runs)
    fused = fused_layers(image.part("scnn"))
    for number, layer in enumerate(image.part("scnn").layers):
        mine = [one for one in passes if one["args"]["layer"] == layer.name]
        assert bool(mine) == (number not in fused)
        counters = result.part("scnn").counters[1, number, 0]
        assert sum(one["dur"] for one in mine) * image.part("scnn").params.mults == counters.sum()
        setup = sum(one["dur"] for one in mine if one["name"] == f"setup {layer.name}")
        assert setup * image.part("scnn").params.mults == counters[StallClass.SETUP]


def test_pes_and_the_drain_work_within_passes(traced: Any) -> None:
    image, _, result, events = traced
    p = image.part("scnn").params
    runs = [one for one in _slices(events, 1, 0) if one["name"].startswith("run ")]
    for tid in range(1, 2 + p.num_pes):
        mine = _slices(events, 1, tid)
        assert mine
        for one, then in itertools.pairwise(mine):
            assert one["ts"] + one["dur"] <= then["ts"]
        for one in mine:
            end = one["ts"] + one["dur"]
            assert any(run["ts"] <= one["ts"] and end <= run["ts"] + run["dur"] for run in runs)
    steps = sum(
        len(drain_exchanges(_P, one)) * ((one.groups - 1) * one.kc + one.kc_last)
        for run in image.part("scnn").runs
        for one in run.program
        if one.drain
    )
    assert sum(one["dur"] for one in _slices(events, 1, 1)) == steps
    for pe in range(p.num_pes):
        pairs = sum(one["args"]["pairs"] for one in _slices(events, 1, 2 + pe))
        assert pairs * p.mults == result.part("scnn").counters[1, :, pe, _PAIRS].sum()


def test_eie_begins_where_scnn_ends(traced: Any) -> None:
    image, _, result, events = traced
    if len(image.parts) == 1:
        assert {event["pid"] for event in events} == {1}
        return
    assert {event["pid"] for event in events} == {1, 2, 3}
    phases = _slices(events, 2, 0)
    assert phases[0]["ts"] == result.part("scnn").run_cycles[1].sum()
    assert phases[-1]["ts"] + phases[-1]["dur"] == result.cycles[1]
    counters = result.part("eie").counters[1].sum(axis=0)
    for pe in range(image.part("eie").params.num_pes):
        issued = counters[pe, EieStallClass.USEFUL] + counters[pe, EieStallClass.PADDING]
        assert sum(one["dur"] for one in _slices(events, 2, pe + 1)) == issued


def test_only_what_was_run_is_traced(traced: Any, tmp_path: Path) -> None:
    _, _, result, _ = traced
    with pytest.raises(InputError, match="input 3 cannot be traced: there are 3, from 0 up"):
        write_trace(result, tmp_path / "u.json", sample=3)
    assert not [*tmp_path.iterdir()]


def test_damaged_images_are_told(traced: Any, tmp_path: Path) -> None:
    image, _, result, _ = traced
    part = image.part("scnn")
    first, *later = part.runs
    longer = replace(first, program=(replace(first.program[0], groups=99), *first.program[1:]))
    damaged = replace(image, parts=(replace(part, runs=(longer, *later)), *image.parts[1:]))
    with pytest.raises(ImageError, match="is damaged: stream 0 must"):
        write_trace(replace(result, image=damaged), tmp_path / "u.json")
    assert not [*tmp_path.iterdir()]


def test_traces_need_the_models_tensors_only(traced: Any) -> None:
    image, x, result, _ = traced
    golden = run(image, x)
    planes = quantize(image, x)[0]
    tensors = {name: of_all[2] for name, of_all in {INPUT: planes, **golden.tensors}.items()}
    assert trace_cnn_image(image.part("scnn"), tensors)[-1].end == result.part("scnn").cycles[2]
