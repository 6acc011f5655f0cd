"""The exported Verilog in an event-driven simulator with four states: golden's outputs, and no X.

SRAMs start as X, and so do ports until the reset: what is read without having been written shows
at a port, see ``sim/bench/four_state.py`` for which.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tests.support.tiers import cases
from zeroskip import EieParams, compile
from zeroskip.base.errors import SimulationError
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.passes.fixed_point import quantize_input
from zeroskip.flow.export import export
from zeroskip.flow.flow import flow
from zeroskip.hw.common.emit import SRAM_VERILOG
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.hw.system.memory import MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.bench.four_state import guard_of
from zeroskip.sim.eie.rtl import EIE_DRIVER
from zeroskip.sim.eie.rtl_image import image_job, image_result
from zeroskip.sim.rtl.icarus import build_icarus, has_icarus
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.run import run
from zeroskip.sim.system.verify import verify_system
from zeroskip.sim.verify import compare_raw, verify

pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        not has_icarus(),
        reason="Icarus Verilog is not installed: 'apt install iverilog' for the four-state checks",
    ),
]

_EIE = EieParams(
    num_pes=3,
    queue_depth=2,
    spmat_words=128,
    num_pointers=64,
    num_acts=16,
    num_accs=16,
    num_biases=32,
    num_descriptors=4,
    skip_padding=True,
    pointers_first=True,
)
_SCNN = replace(PRESETS["tiny"], pes_y=1)
Change = Callable[[str], str]


def _program(engine: str, folder: Path, change: Change = str) -> Path:
    files = export(flow(engine), {"eie": _EIE, "scnn": _SCNN}, "test").files
    top = f"{engine}_array"
    return build_icarus(change(files[f"{top}.sv"]), top, folder)


def _pruned(*layers: nn.Module) -> nn.Module:
    """Make a network of 15 values and two thirds zeros."""
    torch.manual_seed(5)
    net = nn.Sequential(*layers)
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                shape = layer.weight.shape
                layer.weight.copy_(torch.randint(-7, 8, shape) / 8 * (torch.rand(shape) < 0.35))
    return net


@pytest.fixture
def program(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Return how to make all simulations of an engine those of Icarus Verilog."""

    def use(engine: str, change: Change = str) -> Path:
        made = _program(engine, tmp_path, change)
        for build in ("eie.rtl.build_array", "scnn.rtl.build_scnn"):
            monkeypatch.setattr(f"zeroskip.sim.{build}", lambda *_, **__: made)
        return made

    return use


def _eie(params: EieParams = _EIE) -> tuple[Image, NDArray[np.float64]]:
    net = _pruned(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 10))
    samples = np.random.default_rng(1).standard_normal((16, 40))
    image = compile(net, samples, samples, params)
    return image, samples[:2]


def _cnn(*behind: nn.Module, eie: EieParams = _EIE) -> tuple[Image, NDArray[np.float64]]:
    convs = [nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3, stride=2), nn.ReLU()]
    samples = np.random.default_rng(2).standard_normal((8, 2, 7, 7))
    image = compile(_pruned(*convs, *behind), samples, samples, [eie, _SCNN])
    return image, samples[:1]


@pytest.mark.parametrize("host_load", cases([False, True], [True], "loads the SRAMs word by word"))
def test_eie(program: Callable[..., Path], host_load: bool) -> None:
    image, inputs = _eie()
    made = program("eie")
    model = run(image, inputs, "cycles")
    part = image.part("eie")
    job = image_job(part, quantize_input(inputs, image.in_frac, _EIE.act_bits))
    (raw,) = run_jobs(EIE_DRIVER, _EIE, [job], host_load=host_load, program=made)
    result = compare_raw(image, model, image_result(part, raw))
    assert not result.differences
    assert not result.cycle_differences
    assert result.ok


@pytest.mark.long("simulates four states of another engine")
def test_scnn(program: Callable[..., Path]) -> None:
    image, inputs = _cnn()
    program("scnn")
    assert verify(image, inputs).ok


@pytest.mark.long("simulates four states of a system")
@pytest.mark.parametrize("both", [False, True])
def test_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, both: bool) -> None:
    """From a reset on, nothing that a chip of EIE, or of both, says is X, nor what it writes."""

    def build(*arguments: Any, **_: Any) -> Path:
        convert, top = arguments[3:5]
        text = "\n".join([SRAM_VERILOG.read_text(), *convert().values()])
        made = build_icarus(text, top, tmp_path)
        ports = made.parent / "ports.txt"
        # A row of the memory, past its ports: none has been read at first.
        watched = [port for port in ports.read_text().split() if port != "host_answer"]
        assert "interrupt" in watched
        ports.write_text("\n".join(watched))
        return made

    monkeypatch.setattr("zeroskip.sim.system.rtl.build_design", build)
    eie = replace(_EIE, num_pes=4)
    image, inputs = _cnn(nn.Flatten(), nn.Linear(36, 7), eie=eie) if both else _eie(eie)
    settings = MemorySettings(read_latency=9, write_latency=5, stall=60, seed=3)
    assert verify_system(image, inputs, SystemParams(), settings).ok


@pytest.mark.long("simulates four states of a wrong array")
def test_blocks_that_never_run_are_found(program: Callable[..., Path]) -> None:
    """As Yosys writes them, blocks whose sources are constant wait for ever."""
    image, inputs = _eie()
    program("eie", lambda text: re.sub(r"/\*.*?\*/ initial (\w+) <= 1'b0;", "", text))
    with pytest.raises(SimulationError):
        run(image, inputs[:1], "rtl")


def test_x_is_found(program: Callable[..., Path]) -> None:
    image, inputs = _eie()
    program("eie", lambda text: text.replace("assign out_valid = ", "assign out_valid = 1'bx ^ "))
    with pytest.raises(SimulationError, match=r"AssertionError: out_valid is X"):
        run(image, inputs[:1], "rtl")


def test_what_may_be_x() -> None:
    ports = [
        "clk",
        "cmd__payload",
        "cmd__valid",
        "running",
        "out_valid",
        "out_data",
        "scnn_out_valid",
    ]
    guards = {port: guard_of(port, [*ports, "scnn_out_data"]) for port in [*ports, "scnn_out_data"]}
    assert {port: guard for port, guard in guards.items() if guard} == {
        "cmd__payload": "cmd__valid",
        "out_data": "out_valid",
        "scnn_out_data": "scnn_out_valid",
    }
