"""Files that were altered, with right checksums: one sentence, and no memory for what is not there.

Each kind is read in a process whose memory is limited, texts of all kinds in one.
"""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.tiers import drawn
from tests.unit.compress.test_inputs import write_net
from zeroskip import EieParams, compile
from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.config_file import dump_config
from zeroskip.compiler.compress.import_net import parse_layers
from zeroskip.compiler.compress.pack import pack
from zeroskip.flow.synth.baseline import BASELINE
from zeroskip.flow.synth.liberty import OWN_LIBERTY
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.eie.sweep.columns import EIE_COLUMNS
from zeroskip.sim.sweep.journal import Journal
from zeroskip.sim.sweep.table import write_table

_ROOT = Path(__file__).parents[3]


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 5)
    )
    return _few(net)


def _few(net: nn.Sequential) -> nn.Sequential:
    """Share the weights of each layer among few values."""
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            if name.endswith("weight"):
                tensor.copy_((tensor * 6 / tensor.abs().max()).round() / 8)
    return net.eval()


def _export(net: nn.Sequential, x: torch.Tensor, path: Path) -> None:
    torch.export.save(torch.export.export(net, (x,)), str(path))


def _linear(folder: Path) -> None:
    net = _few(nn.Sequential(nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 4)))
    x = torch.rand(3, 9)
    compile(net, x[:1], x, EieParams(num_pes=2)).save(folder)


def _cnn(folder: Path) -> None:
    x = torch.rand(3, 2, 6, 6)
    image = compile(_net(), x[:1], x, [EieParams(num_pes=2), PRESETS["tiny"]])
    image.save(folder)


def _zsk(folder: Path) -> None:
    pack(_net(), folder / "model.zsk", torch.rand(1, 2, 6, 6))


def _pt2(folder: Path) -> None:
    _export(_net(), torch.rand(1, 2, 6, 6), folder / "model.pt2")


def _npy(folder: Path) -> None:
    np.save(folder / "x.npy", np.arange(12.0).reshape(4, 3))


def _baseline(folder: Path) -> None:
    (folder / "b.json").write_bytes(BASELINE.read_bytes()[:])


def _gz(folder: Path) -> None:
    (folder / "x.lib.gz").write_bytes(gzip.compress(OWN_LIBERTY.read_bytes()))


def _lib(folder: Path) -> None:
    (folder / "x.lib").write_bytes(OWN_LIBERTY.read_bytes())


def _journal(folder: Path) -> None:
    with Journal(folder / "x.journal", "it") as journal:
        journal.add(1, [{"a": 1}])


def _net_file(folder: Path) -> None:
    data, _ = write_net(parse_layers("fc1:30x20,fc2:5x30"))
    (folder / "x.net").write_bytes(data)


def _csv(folder: Path) -> None:
    rows = [{"layer": f"fc{n}", "num_pes": n, "cycles": 9 * n} for n in range(4)]
    write_table(rows, folder / "x.csv", EIE_COLUMNS)


def _config(folder: Path) -> None:
    (folder / "x.toml").write_text(dump_config(Config()))


_TEXTS: dict[Callable[[Path], None], int] = {
    _baseline: 200,
    _gz: 100,
    _lib: 100,
    _journal: 200,
    _config: 200,
    _net_file: 200,
    _csv: 100,
}


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("image", {_linear: 250}),
        ("image", {_cnn: 250}),
        ("zsk", {_zsk: 300}),
        ("pt2", {_pt2: 250}),
        ("npy", {_npy: 300}),
        ("text", _TEXTS),
    ],
    ids=["linear", "cnn", "zsk", "pt2", "npy", "texts"],
)
def test_mutants(kind: str, made: dict[Callable[[Path], None], int], tmp_path: Path) -> None:
    arguments: list[str] = []
    for make, count in made.items():
        folder = tmp_path / make.__name__
        folder.mkdir()
        make(folder)
        arguments += [kind, str(folder), str(drawn(count))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.files.child", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
