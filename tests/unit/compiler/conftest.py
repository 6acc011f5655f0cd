"""Images to save, load and spoil."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.images import eie_image, follow
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.eie.place import Strategy, place
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph, QuantLinear
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS

_EIE = EieParams(num_pes=3, num_accs=4, acc_bits=40)
_SCNN = replace(PRESETS["tile"], pes_x=2, pes_y=2, num_streams=4)


def _compile_image(
    network: QuantGraph[QuantLinear],
    strategy: Strategy = "balance",
    report: dict[str, Any] | None = None,
) -> Image:
    return eie_image("net", network, _EIE, place(network, _EIE, strategy), report)


def _convolutions() -> QuantGraph[QuantConv]:
    """Draw two convolutions on 5 x 5, the second with a codebook."""
    rng = np.random.default_rng(0)
    book = np.array([0, 3, -4, 7])
    common: dict[str, Any] = {
        "kind": "conv",
        "stride": (1, 1),
        "padding": (1, 1),
        "groups": 1,
        "relu": True,
        "op": "add",
        "signed_input": False,
        "in_frac": 8,
        "weight_frac": 4,
        "out_frac": 8,
    }
    first = QuantConv(
        name="conv1",
        inputs=(INPUT,),
        in_shape=(2, 5, 5),
        out_shape=(4, 5, 5),
        weight=rng.integers(-9, 9, (4, 2, 3, 3)),
        codebook=None,
        bias=rng.integers(-99, 99, 4),
        **common,
    )
    second = QuantConv(
        name="conv2",
        inputs=("conv1",),
        in_shape=(4, 5, 5),
        out_shape=(3, 5, 5),
        weight=rng.choice(book, (3, 4, 3, 3)),
        codebook=book,
        bias=rng.integers(-99, 99, 3),
        **common,
    )
    return QuantGraph((2, 5, 5), (first, second), ("conv2",))


def _edit(root: Path, change: Callable[[dict[str, Any]], object], *, signed: bool = True) -> None:
    """Change a manifest, and make its checksum right, as a careful forger would."""
    manifest = json.loads((root / "manifest.json").read_bytes())
    change(manifest)
    if signed:
        manifest.pop("checksum", None)
        text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
        manifest["checksum"] = hashlib.sha256(text.encode()).hexdigest()
    (root / "manifest.json").write_text(json.dumps(manifest))


def _contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="session")
def compile_image() -> Callable[..., Image]:
    """Give a function of a network of Linear layers, a strategy and a report."""
    return _compile_image


@pytest.fixture(scope="session")
def convolutions() -> QuantGraph[QuantConv]:
    """Give two convolutions on 5 x 5."""
    return _convolutions()


@pytest.fixture(scope="session")
def linear_image(draw_network: Callable[..., QuantGraph[QuantLinear]]) -> Image:
    """Give an image for EIE of two layers, the first in two passes."""
    return _compile_image(draw_network([12, 20, 5], shift=6), report={"accuracy": 0.5})


@pytest.fixture(scope="session")
def conv_image(convolutions: QuantGraph[QuantConv]) -> Image:
    """Give an image for SCNN."""
    return compile_quantized(convolutions, {"scnn": _SCNN}, name="net")


@pytest.fixture(scope="session")
def both_image(
    convolutions: QuantGraph[QuantConv], draw_network: Callable[..., QuantGraph[QuantLinear]]
) -> Image:
    """Give an image of two convolutions for SCNN and two Linear layers for EIE."""
    return compile_quantized(
        follow(convolutions, draw_network([75, 10, 4], shift=6)),
        {"eie": _EIE, "scnn": _SCNN},
        name="net",
        report={"accuracy": 0.5},
    )


@pytest.fixture(params=["linear", "conv", "both"])
def image(request: pytest.FixtureRequest) -> Image:
    """Give an image for each engine, and one for both."""
    return request.getfixturevalue(f"{request.param}_image")


@pytest.fixture
def saved(image: Image, tmp_path: Path) -> Path:
    """Give a directory that holds ``image``."""
    image.save(tmp_path / "net")
    return tmp_path / "net"


@pytest.fixture
def saved_linear(linear_image: Image, tmp_path: Path) -> Path:
    """Give a directory that holds ``linear_image``."""
    linear_image.save(tmp_path / "net")
    return tmp_path / "net"


@pytest.fixture
def saved_both(both_image: Image, tmp_path: Path) -> Path:
    """Give a directory that holds ``both_image``."""
    both_image.save(tmp_path / "net")
    return tmp_path / "net"


@pytest.fixture(scope="session")
def edit() -> Callable[..., None]:
    """Give a function that changes the manifest in a directory."""
    return _edit


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Give a function that reads all files below a directory."""
    return _contents
