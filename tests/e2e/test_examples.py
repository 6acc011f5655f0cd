"""Scripts in examples run and say what they promise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from zeroskip.compiler.image.image import load

_EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.long("compiles a large network")
def test_squeezenet(tmp_path: Path) -> None:
    """All layers of SqueezeNet are compiled and counted; fixed point finds the same class."""
    target = tmp_path / "net"
    command = [sys.executable, str(_EXAMPLES / "squeezenet.py"), "--version", "1.1"]
    done = subprocess.run(
        [*command, "-o", str(target)], capture_output=True, text=True, cwd=_EXAMPLES.parent
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"([\d,]+) cycles; class (\d+), in float (\d+)", done.stdout)
    assert found is not None
    assert found[2] == found[3]
    image = load(target)
    convs = [layer for layer in image.graph.layers if layer.kind == "conv"]
    assert len(convs) == 26
    assert all(layer.codebook is not None for layer in convs)
    listed = re.findall(r"^  \S+ +(?:conv|max|avg) .* ([\d,]+) cycles$", done.stdout, re.MULTILINE)
    total = sum(int(cycles.replace(",", "")) for cycles in listed)
    assert total == int(found[1].replace(",", ""))
    assert (tmp_path / "net_input.npy").is_file()
