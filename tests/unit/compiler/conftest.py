"""Images to save, load and spoil."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zeroskip.compiler.eie.place import Strategy, place
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.network import QuantNetwork
from zeroskip.hw.eie.params import EieParams


def _compile_image(
    network: QuantNetwork, strategy: Strategy = "balance", report: dict[str, Any] | None = None
) -> Image:
    params = EieParams(num_pes=3, num_accs=4, acc_bits=40)
    placement = place(network, params, strategy)
    return Image("net", params, network, placement, build(network, placement, params), report or {})


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
    """Give a function of a network, a strategy and a report."""
    return _compile_image


@pytest.fixture(scope="session")
def image(draw_network: Callable[..., QuantNetwork]) -> Image:
    """Give an image of two layers, the first in two passes."""
    return _compile_image(draw_network([12, 20, 5], shift=6), report={"accuracy": 0.5})


@pytest.fixture
def saved(image: Image, tmp_path: Path) -> Path:
    """Give a directory that holds ``image``."""
    image.save(tmp_path / "net")
    return tmp_path / "net"


@pytest.fixture(scope="session")
def edit() -> Callable[..., None]:
    """Give a function that changes the manifest in a directory."""
    return _edit


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Give a function that reads all files below a directory."""
    return _contents
