"""The accesses that energy is counted from are those of the RTL, SRAM by SRAM."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zeroskip as zs
from tests.support.arrays import EIE, SCNN
from tests.support.cells import draw_recurrent
from tests.support.sram_waves import sram_accesses
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.ir.graph import QuantCell
from zeroskip.compiler.passes.fixed_point import dequantize
from zeroskip.hw.common.formats import CellKind

pytestmark = [pytest.mark.cosim, pytest.mark.long("builds a simulator that records waves")]

EIE_SRAMS = {
    "Spmat words read": [(r"spmat", "read")],
    "pointers read": [(r"ptr_(even|odd)", "read")],
    "activations scanned": [(r"act_\d", "read")],
    "outputs written": [(r"act_\d", "write")],
    "biases read": [(r"bias", "read")],
    "sums read": [(r"accs\.rows", "read")],
    "sums written": [(r"accs\.rows", "write")],
}
SCNN_SRAMS = {
    "beats kept": [(r"stream_\d+\.fifo\.beats", "write")],
    "beats taken": [(r"stream_\d+\.fifo\.beats", "read")],
    "weights looked up": [(r"codebook_\d", "read")],
    "taps looked up": [(r"tap_\d", "read")],
    "directory entries read": [(r"directory_rows", "read")],
    "directory entries written": [(r"directory_rows", "write")],
    "words read": [(r"act_rows", "read")],
    "words written": [(r"act_rows", "write")],
    "biases read": [(r"stream_\d+\.bias", "read")],
    "sums read": [(r"set_\d_bank_\d+", "read")],
    "sums written": [(r"set_\d_bank_\d+", "write")],
}
# Of the same memories and ports.
JOINED = {"sums drained": "sums read", "sums cleared": "sums written"}


def _check(image: zs.Image, x: np.ndarray, srams: Mapping[str, Any], waves: Path) -> None:
    zs.run(image, x, "rtl", waves=waves)
    made = sram_accesses(waves)
    # Weights come ahead of the run that takes them.
    every = sram_accesses(waves, idle=True)
    made |= Counter({name: count for name, count in every.items() if name[0].endswith(".beats")})
    counted: Counter[str] = Counter()
    for layer in zs.energy(image, x).layers:
        for event in layer.events:
            counted[JOINED.get(event.what, event.what)] += round(event.count)
    for what, patterns in srams.items():
        found = sum(
            count
            for (path, access), count in made.items()
            for pattern, kind in patterns
            if access == kind and re.search(rf"\.{pattern}$", path)
        )
        assert found == counted[what], what
        assert found, what


def test_eie(tmp_path: Path) -> None:
    torch.manual_seed(1)
    layers = nn.Linear(20, 24), nn.Linear(24, 12)
    for layer in layers:
        layer.weight.data *= torch.rand_like(layer.weight) < 0.4
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU()).eval()
    x = (torch.rand(1, 20) * (torch.rand(1, 20) < 0.6)).numpy()
    image = zs.compile(model, x, x, EIE, share=True)
    _check(image, x, EIE_SRAMS, tmp_path / "eie.vcd")


def test_cells(tmp_path: Path) -> None:
    """Two steps of cells, one with peepholes, whose SRAMs nothing is loaded into between them.

    Some multiply by changes.
    """
    array = replace(EIE, cells=True, peepholes=True, delta=True)
    graph, inputs = draw_recurrent(4, array, steps=2)
    cells = [layer for layer in graph.layers if isinstance(layer, QuantCell)]
    assert [cell.cell for cell in cells] == [CellKind.GRU, CellKind.PEEPHOLE, CellKind.GRU]
    assert 0 < sum(cell.thresholds is not None for cell in cells) < len(cells)
    image = compile_quantized(graph, {"eie": array}, name="cells")
    x = dequantize(inputs[:2], image.in_frac).reshape(1, *image.sample_shape)
    states = {
        "states read": [(r"cell\w*\.state", "read")],
        "states written": [(r"cell\w*\.state", "write")],
        "references read": [(r"delta\w*\.references", "read")],
        "references written": [(r"delta\w*\.references", "write")],
        "totals read": [(r"kept", "read")],
        "totals kept": [(r"kept", "write")],
    }
    _check(image, x, EIE_SRAMS | states, tmp_path / "cells.vcd")


def test_scnn(tmp_path: Path) -> None:
    torch.manual_seed(1)
    layers = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 4, 3, stride=2)
    for layer in layers:
        layer.weight.data *= torch.rand_like(layer.weight) < 0.4
    model = nn.Sequential(layers[0], nn.ReLU(), nn.MaxPool2d(2), layers[1], nn.ReLU()).eval()
    x = torch.rand(1, 2, 12, 12).numpy()
    array = replace(SCNN, pes_x=2, pes_y=1, num_streams=2)
    image = zs.compile(model, x, x, array, share=True)
    _check(image, x, SCNN_SRAMS, tmp_path / "scnn.vcd")
