"""Clustering, masks, ternary weights, sensitivity: each against what it is defined to be."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.cluster import share_weights, start_centroids
from zeroskip.compiler.compress.config import Analyze, Granularity
from zeroskip.compiler.compress.layers import layers_of
from zeroskip.compiler.compress.masks import VECTOR, make_mask
from zeroskip.compiler.compress.sensitivity import Sensitivity, analyze, scale_densities
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.task import Task
from zeroskip.compiler.compress.ttq import hold_ternary
from zeroskip.compiler.passes.share import cluster


@pytest.mark.parametrize("init", ["linear", "density", "forgy"])
@pytest.mark.parametrize("count", [2, 7, 15])
def test_kmeans_is_that_of_scikit_learn(init: Any, count: int) -> None:
    weights = np.random.default_rng(count).normal(size=2000)
    start = start_centroids(weights, count, init, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options: Any = {"init": start[:, None], "n_init": 1, "max_iter": 1000, "tol": 0}
        theirs = KMeans(count, algorithm="lloyd", **options).fit(weights[:, None])
    assert np.allclose(cluster(weights, count, start), np.sort(theirs.cluster_centers_.ravel()))


def test_starts() -> None:
    weights = np.array([-1.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 3.0])
    assert start_centroids(weights, 5, "linear").tolist() == [-1, 0, 1, 2, 3]
    assert np.isin(start_centroids(weights, 3, "forgy", 2), weights).all()
    density = start_centroids(weights, 4, "density")
    assert ((density > 0) & (density < 1)).sum() >= 2
    # More centroids than values are no more than the values.
    assert start_centroids(weights, 9, "forgy").tolist() == np.unique(weights).tolist()


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.floats(0, 1))
def test_sharing_keeps_zeros(seed: int, count: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    weight = np.where(rng.random((9, 11)) < density, rng.normal(size=(9, 11)), 0)
    shared = share_weights(torch.from_numpy(weight).float(), count)
    values = shared.right_inverse(torch.zeros(1))
    dense = shared(values).numpy()
    assert np.array_equal(dense != 0, weight.astype(np.float32) != 0)
    assert np.unique(dense[dense != 0]).size <= count


def test_gradients_of_shared_values_are_sums() -> None:
    weight = torch.tensor([[1.0, 1.1, 0.0], [5.0, 0.0, 5.2]])
    shared = share_weights(weight, 2)
    values = shared.right_inverse(weight).clone().requires_grad_()
    gradient = torch.arange(6.0).reshape(2, 3)
    shared(values).backward(gradient)
    assert values.grad is not None
    assert values.grad.tolist() == [0 + 1, 3 + 5]


def test_granularities_of_convolutions() -> None:
    weight = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    groups: dict[Granularity, int] = {"vector": 3, "kernel": 9, "filter": 45}
    for granularity, group in groups.items():
        mask = make_mask(weight, 1 / 3, granularity).reshape(-1, group)
        assert (mask.all(1) | ~mask.any(1)).all()
        kept = round(mask.shape[0] / 3)
        assert mask.any(1).sum() == kept
        sums = weight.abs().reshape(-1, group).sum(1)
        assert sums[mask.any(1)].min() >= sums[~mask.any(1)].max()


def test_granularities_of_linears() -> None:
    weight = torch.randn(10, 4 * VECTOR + 1, generator=torch.Generator().manual_seed(0))
    mask = make_mask(weight, 0.4, "vector")
    for row in mask:
        for start in range(0, 4 * VECTOR, VECTOR):
            assert row[start : start + VECTOR].unique().numel() == 1
    rows = make_mask(weight, 0.4, "filter")
    assert rows.all(1).sum() == 4
    assert rows.sum() == 4 * weight.shape[1]


@pytest.mark.parametrize("pes", [1, 3, 8, 40])
def test_balance_gives_every_pe_the_same(pes: int) -> None:
    weight = torch.randn(24, 50, generator=torch.Generator().manual_seed(0))
    weight[::8] *= 5
    mask = make_mask(weight, 0.2, "fine", pes)
    counts = [int(mask[pe::pes].sum()) for pe in range(min(pes, 24))]
    assert max(counts) - min(counts) <= 0
    plain = make_mask(weight, 0.2)
    if pes == 8:
        assert int(plain[::8].sum()) > 2 * counts[0]


def test_masks_refuse_wrong_densities() -> None:
    with pytest.raises(InputError, match=r"density must be from 0 to 1, not 1\.5"):
        make_mask(torch.ones(2, 2), 1.5)
    assert not make_mask(torch.ones(2, 2), 0.0).any()
    assert make_mask(torch.ones(2, 2), 1e-9).sum() == 1


def test_ternary_weights() -> None:
    layer = nn.Linear(8, 6)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)))
    float_weight = layer.weight.detach().clone()
    hold_ternary(layers_of(layer)[""], 0.3)
    above = float_weight > 0.3 * float_weight.abs().max()
    below = float_weight < -0.3 * float_weight.abs().max()
    dense = layer.weight.detach()
    assert dense.unique().numel() == 3
    assert torch.equal(dense > 0, above)
    assert torch.equal(dense < 0, below)
    assert dense.max() == pytest.approx(float(float_weight[above].mean()))
    gradient = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    layer.weight.backward(gradient)
    held = layer.get_submodule("parametrizations.weight.0")
    positive, negative = held.get_parameter("positive"), held.get_parameter("negative")
    assert positive.grad is not None
    assert negative.grad is not None
    assert torch.allclose(positive.grad, gradient[above].sum())
    assert torch.allclose(negative.grad, -gradient[below].sum())
    latent = layer.get_parameter("parametrizations.weight.original").grad
    scale = torch.where(above, positive, torch.where(below, negative, 1.0))
    assert latent is not None
    assert torch.allclose(latent, gradient * scale)


def test_analysis_finds_the_layer_that_matters(stages: Any, task: Task) -> None:
    run: Stages = stages()
    module = run.run("train")
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    base, found = analyze(module, task, Analyze(densities=[0.5, 0.2, 0.05], batches=3), seed=1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert [layer.name for layer in found] == list(layers_of(module))
    for layer in found:
        assert layer.densities == (1.0, 0.5, 0.2, 0.05)
        assert layer.accuracies[0] == base.accuracy
        assert 0.05 <= layer.density <= 1
        assert layer.quality == pytest.approx(layer.threshold / layer.std)
    again = analyze(module, task, Analyze(densities=[0.5, 0.2, 0.05], batches=3), seed=1)
    assert again == (base, found)


def test_scaled_densities_keep_their_mean() -> None:
    def layer(name: str, weights: int, density: float) -> Sensitivity:
        return Sensitivity(name, weights, 1.0, (1.0,), (0.0,), (1.0,), density, 0.5)

    scaled = scale_densities([layer("a", 1000, 0.02), layer("b", 10, 0.9)], 0.05)
    assert (1000 * scaled["a"] + 10 * scaled["b"]) / 1010 == pytest.approx(0.05)
    assert scaled["b"] == 1.0
