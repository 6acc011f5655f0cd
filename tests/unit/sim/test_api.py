"""One call for every network: what runs and verifications of either kind have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.systems import golden_chip, put_input, read_output
from zeroskip import EieParams, Image, InputError, compile, load, run
from zeroskip.compiler.system.build import build_system
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.hw.system.params import SystemParams


@pytest.fixture(scope="module")
def mlp() -> Image:
    torch.manual_seed(3)
    return compile(
        nn.Linear(6, 4), torch.zeros(1, 6), torch.randn(9, 6), EieParams(num_pes=2), share=True
    )


@pytest.fixture(scope="module")
def cnn() -> Image:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))
    return compile(
        module, torch.zeros(1, 1, 4, 4), torch.randn(9, 1, 4, 4),
        [EieParams(num_pes=2), PRESETS["tiny"]], share=True,
    )  # fmt: skip


def test_results_mean_the_same(mlp: Image, cnn: Image) -> None:
    for image, shape, layers in ((mlp, (6,), 1), (cnn, (1, 4, 4), 2)):
        # Ten times what was calibrated, so that outputs saturate.
        x = 40 * np.random.default_rng(0).normal(size=(7, *shape))
        golden, cycles = run(image, x), run(image, x, "cycles")
        assert golden.saturated is not None
        assert [part.shape for part in golden.saturated] == [(7,)] * layers
        assert golden.saturated[-1].any()
        assert len(golden.layer_outputs) == layers
        assert (golden.cycles, golden.reload_cycles, golden.seconds) == (None, None, None)
        assert [part.run_cycles for part in golden.parts] == [None] * layers
        assert cycles.cycles is not None
        assert cycles.cycles.shape == (7,)
        assert np.array_equal(cycles.result, golden.result)
        assert np.array_equal(golden.result, golden.layer_outputs[-1])
        assert np.array_equal(golden.outputs, golden.result / 2.0**image.out_frac)
        assert [part.engine for part in cycles.parts] == [part.engine for part in image.parts]
        total = np.zeros(7, np.int64)
        for part, counted in zip(image.parts, cycles.parts, strict=True):
            assert counted is cycles.part(part.engine)
            assert counted.cycles is not None
            total += counted.cycles
            assert counted.counters is not None
            assert counted.counters.shape[:3] == (7, len(counted.layers), part.params.num_pes)
        assert np.array_equal(cycles.cycles, total)


def test_one_sample_and_tensors_of_any_kind(mlp: Image, cnn: Image) -> None:
    for image, shape in ((mlp, (6,)), (cnn, (1, 4, 4))):
        x = torch.randn(2, *shape).bfloat16().double()
        wanted = run(image, x.numpy()).outputs
        assert np.array_equal(run(image, x[0]).outputs, wanted[:1])
        for given in (
            x.tolist(),
            [*x],
            tuple(x.numpy()),
            x.bfloat16(),
            x.float(),
            x.clone().requires_grad_(),
        ):
            assert np.array_equal(run(image, given).outputs, wanted)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 5), r"input must have shape \(samples, 6\), not \(2, 5\)$"),
        (torch.zeros(5), r"input must have shape \(samples, 6\), not \(5,\)$"),
        (torch.zeros(0, 6), "input has no samples$"),
        ([[1.0] * 6, [1.0] * 5], "all samples of one shape, but NumPy makes none of this list$"),
        ([torch.zeros(6), torch.zeros(5)], "but NumPy makes none of this list$"),
        (torch.zeros(2, 6).to_sparse(), "but NumPy makes none of this Tensor$"),
        (torch.zeros(2, 6, dtype=torch.int32), "not of int32; convert it to float32"),
        (torch.zeros(2, 6, device="meta"), "but NumPy makes none of this Tensor$"),
        (torch.full((2, 6), torch.nan), "12 values that are NaN or infinite, the first in sample"),
        (None, "not of object"),
    ],
)
def test_inputs_are_refused_in_a_sentence(mlp: Image, x: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message) as info:
        run(mlp, x)
    assert "\n" not in str(info.value)


def test_what_is_no_image_is_refused() -> None:
    no_image: Any = "out/mine"
    with pytest.raises(InputError, match=r"what compile or load gave, not a str$"):
        run(no_image, torch.zeros(1, 6))


class _Reshaped(nn.Module):
    def __init__(self, layer: nn.Module, *shape: int) -> None:
        super().__init__()
        self.layer, self.shape = layer, shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).reshape(len(x), *self.shape)


@pytest.mark.parametrize(
    ("module", "sample"),
    [
        (nn.Conv1d(2, 3, 3), (2, 9)),
        (nn.BatchNorm2d(2), (2, 3, 3)),
        (_Reshaped(nn.Linear(5, 6), 2, 3), (5,)),
        (_Reshaped(nn.Linear(5, 1)), (5,)),
        (_Reshaped(nn.Conv2d(2, 3, 3), 3, 12), (2, 5, 6)),
    ],
    ids=["conv1d", "scaled planes", "planes of a vector", "one number", "flattened planes"],
)
def test_outputs_have_the_shape_that_the_network_gives(
    module: nn.Module, sample: tuple[int, ...], tmp_path: Path
) -> None:
    torch.manual_seed(4)
    x = torch.randn(6, *sample)
    compile(module.eval(), x[:1], x, share=True).save(tmp_path / "image")
    image = load(tmp_path / "image")
    with torch.no_grad():
        wanted = module(x).numpy()
    assert image.output_shape == wanted.shape[1:]
    assert run(image, x).outputs.shape == run(image, x, "cycles").outputs.shape == wanted.shape
    assert np.abs(run(image, x).outputs - wanted).max() < 0.3


class _Heads(nn.Module):
    """A network of several outputs, that ``heads`` makes of two tensors of planes and a vector."""

    def __init__(self, heads: Callable[..., Any]) -> None:
        super().__init__()
        self.body, self.one, self.two = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, 1)
        self.vector, self.heads = nn.Linear(64, 5), heads
        self.vector.weight.data = torch.where(self.vector.weight > 0, 0.125, -0.25)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.body(x).relu()
        return self.heads(self.one(y), self.two(y), self.vector(y.flatten(1)))


@pytest.mark.parametrize(
    ("heads", "shape", "said"),
    [
        (lambda a, b, _: (a, b), (5, 4, 4), "channels 0 to 1"),
        (lambda a, b, _: {"a": a.permute(0, 2, 3, 1), "b": b.permute(0, 2, 3, 1)}, (4, 4, 5), "ch"),
        (lambda a, b, _: (a, b[:, :, ::2, ::2]), (44,), "values 0 to 31"),
        (lambda _, b, v: (v, b, v), (58,), "values 53 to 57"),
        (lambda _, __, v: v.unbind(1), (5,), "values 4 to 4"),
    ],
)
def test_several_outputs_stand_side_by_side(
    heads: Callable[..., Any], shape: tuple[int, ...], said: str
) -> None:
    torch.manual_seed(5)
    module, x = _Heads(heads).eval(), torch.randn(3, 1, 6, 6)
    image = compile(module, x[:1], x, PRESETS["tiny"], share=True)
    made = run(image, x).outputs
    assert made.shape == (3, *shape)
    assert said in image.report["notes"][0]
    given = module(x)
    tensors = [*given.values()] if isinstance(given, dict) else [*given]
    if len(shape) == 3:
        wanted = torch.cat(tensors, 3 if shape[-1] == 5 else 1)
    else:
        wanted = torch.cat([tensor.reshape(3, -1) for tensor in tensors], 1)
    np.testing.assert_allclose(made, wanted.detach().numpy(), atol=0.01)


def test_memory_has_outputs_as_the_network_gives_them() -> None:
    """Channels are last, as in networks of TensorFlow: no layer of the array puts them there."""
    torch.manual_seed(6)
    module = _Heads(lambda a, b, _: (a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1))).eval()
    x = torch.randn(3, 1, 6, 6)
    image = compile(module, x[:1], x, PRESETS["tiny"])
    assert [layer.name for layer in image.graph.layers] == ["body", "one", "two"]
    golden = run(image, x[:1])
    system = build_system(image, SystemParams())
    chip = golden_chip(system, [part.params for part in image.parts])
    put_input(system, chip.memory, 0, golden.planes[0].ravel())
    for one in system.map.lists[:2]:
        chip.start(one.address, one.bytes)
    assert np.array_equal(read_output(system, chip.memory, 0), golden.result[0].ravel())
