"""Golden against PyTorch in float64, within what rounding can do and no more."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tests.unit.compiler.float_nodes import chain
from zeroskip import EieParams, Image, compile, run
from zeroskip.compiler.frontend.networks import import_module
from zeroskip.compiler.ir.graph import FloatLinear

PARAMS = EieParams(num_pes=3)


def _network(seed: int) -> nn.Sequential:
    """Return a network of all supported layers, whose weights have few values after folding."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Flatten(),
        nn.Linear(30, 40),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(40, 25, bias=False),
        nn.BatchNorm1d(25),
        nn.ReLU(),
        nn.Linear(25, 7),
    ).double()
    with torch.no_grad():
        for layer in module:
            if isinstance(layer, nn.Linear):
                layer.weight.copy_(torch.randint(-7, 8, layer.weight.shape) / 16)
                layer.weight.mul_(torch.rand(layer.weight.shape) < 0.4)
            if isinstance(layer, nn.BatchNorm1d):
                # One scale for all, so that folding leaves the number of values as it is.
                assert layer.running_mean is not None
                layer.running_mean.normal_()
                layer.weight.fill_(0.8)
                layer.bias.normal_()
    return module.eval()


def _error_bound(
    exact: tuple[FloatLinear, ...], image: Image, x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Bound the difference of the outputs: (rows, samples)."""
    value = x.T
    layers = image.part("eie").layers
    error = np.full_like(value, 2.0 ** -(layers[0].in_frac + 1))
    for layer, rounded in zip(exact, layers, strict=True):
        codes = rounded.codes.toarray()
        weight = rounded.codebook[codes] * 2.0**-rounded.weight_frac
        bias = rounded.bias * 2.0 ** -(rounded.in_frac + rounded.weight_frac)
        error = (
            np.abs(weight) @ error
            + np.abs(weight - layer.weight) @ np.abs(value)
            + np.abs(bias - layer.bias)[:, None]
            + 2.0 ** -(rounded.out_frac + 1)
        )
        value = layer.weight @ value + layer.bias[:, None]
        value = np.maximum(value, 0) if layer.relu else value
    return error


@pytest.mark.parametrize("seed", range(5))
def test_golden_computes_what_torch_does(seed: int) -> None:
    module = _network(seed)
    x = np.random.default_rng(seed).normal(size=(50, 5, 6))
    image = compile(module, x[:2], x, PARAMS)
    result = run(image, x)
    assert result.saturated is not None
    assert not sum(part.sum() for part in result.saturated)
    with torch.no_grad():
        exact = module(torch.from_numpy(x)).numpy()
    assert exact.dtype == np.float64
    difference = np.abs(result.outputs - exact)
    network = chain(import_module(module, x[:2]))
    bound = _error_bound(network, image, x.reshape(50, -1)).T
    # The last digits of float64 aside.
    assert (difference <= bound * (1 + 1e-9) + 1e-12).all()
    assert bound.max() < 0.02
    assert difference.max() > 0
