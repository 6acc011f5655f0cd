"""One call for every network: what runs and verifications of either kind have in common."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.compiler import EieParams, Image, InputError, compile
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim import CnnResult, CnnVerifyResult, RunResult, VerifyResult, run


def _names(kind: type) -> set[str]:
    fields = {field.name for field in dataclasses.fields(kind)}
    return fields | {name for name, one in vars(kind).items() if isinstance(one, property)}


@pytest.fixture(scope="module")
def mlp() -> Image:
    torch.manual_seed(3)
    image = compile(
        nn.Linear(6, 4), torch.zeros(1, 6), torch.randn(9, 6), EieParams(num_pes=2), share=True
    )
    assert isinstance(image, Image)
    return image


@pytest.fixture(scope="module")
def cnn() -> CnnImage:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))
    image = compile(
        module, torch.zeros(1, 1, 4, 4), torch.randn(9, 1, 4, 4), EieParams(num_pes=2),
        scnn=PRESETS["tiny"], share=True,
    )  # fmt: skip
    assert isinstance(image, CnnImage)
    return image


def test_results_have_the_same_names() -> None:
    assert _names(RunResult) <= _names(CnnResult)
    assert _names(VerifyResult) <= _names(CnnVerifyResult)


def test_results_mean_the_same(mlp: Image, cnn: CnnImage) -> None:
    for image, shape, layers in ((mlp, (6,), 1), (cnn, (1, 4, 4), 2)):
        # Ten times what was calibrated, so that outputs saturate.
        x = 40 * np.random.default_rng(0).normal(size=(7, *shape))
        golden, cycles = run(image, x), run(image, x, "cycles")
        assert golden.saturated is not None
        assert [part.shape for part in golden.saturated] == [(7,)] * layers
        assert golden.saturated[-1].any()
        assert len(golden.layer_outputs) == layers
        assert (golden.cycles, golden.reload_cycles, golden.result) == (None, None, None)
        assert cycles.cycles is not None
        assert cycles.result is not None
        assert cycles.cycles.shape == (7,)
        assert np.array_equal(cycles.result, golden.layer_outputs[-1])


def test_one_sample_and_tensors_of_any_kind(mlp: Image, cnn: CnnImage) -> None:
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
    with pytest.raises(InputError, match=r"what compile or Image\.load gave, not a str$"):
        run(no_image, torch.zeros(1, 6))
