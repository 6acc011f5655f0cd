"""Every run says how many numbers of its inputs were clipped, on either engine."""

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip import EieParams, compile
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.run import Target, run


@pytest.mark.parametrize("on", ["golden", "cycles"])
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_inputs_a_thousand_times_too_large(kind: str, on: Target) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    if kind == "cnn":
        module.insert(0, nn.Conv2d(1, 1, 3, padding=1))
    x = torch.linspace(0, 1, 96).reshape(6, 1, 4, 4)
    image = compile(module, x[:1], x / 1000, [EieParams(num_pes=4), PRESETS["tiny"]], share=True)
    right, wrong = (run(image, one, on).clipped for one in (x / 1000, x))
    assert right is not None
    assert wrong is not None
    assert (right.total, right.numbers, right.warning) == (0, 96, None)
    expected = np.count_nonzero(x.numpy().reshape(6, -1) > right.highest, axis=1)
    assert wrong.counts.tolist() == expected.tolist()
    assert wrong.total == 95
    assert wrong.warning is not None
    assert wrong.warning.startswith("99.0 % of the numbers in the inputs are beyond what")
