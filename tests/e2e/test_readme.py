"""The README's code does what it says: every block is run, in order, in the project's folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _run(command: list[str], text: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # A make that runs these tests is not the README's.
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFL"))
    }
    return subprocess.run(
        command,
        input=text,
        cwd=ROOT,
        env={**own, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def _blocks() -> list[tuple[str, str]]:
    """Return language and text of all blocks that can be run."""
    found = [(kind, text) for kind, text in _BLOCK.findall(README) if kind != "text"]
    # Not these tests within themselves.
    return [(kind, text.replace("make test\n", "")) for kind, text in found]


@pytest.mark.cosim
@pytest.mark.timeout(18000)
def test_readme_runs() -> None:
    kinds = [kind for kind, _ in _blocks()]
    assert kinds == ["sh", "sh", "python", *["sh"] * 6]
    outputs: list[str] = []
    for kind, text in _blocks():
        command = [sys.executable, "-"] if kind == "python" else ["bash", "-eu"]
        done = _run(command, text)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        outputs.append(done.stdout)
    sim, cnn, own, commands, bench, _, scnn, _, bitstream = outputs
    assert sim.splitlines()[-1] in README
    assert cnn.splitlines()[-1] in README
    assert re.search(r"AlexNet +2\.37 +3\.73", scnn)
    assert re.search(r"^336 words compared, 0 differ; cycles: \[", own, re.MULTILINE)
    assert "best preset: 1.060 x the no-padding bound" in bench
    assert re.search(r"^clock 24 MHz, met: ", bitstream, re.MULTILINE)
    assert re.search(r"^bit-exact: \d+ words compared, 0 differ$", commands, re.MULTILINE)


_CNN = """
from dataclasses import replace
from zeroskip.hw.scnn.params import PRESETS
from pathlib import Path
from tempfile import TemporaryDirectory

model = nn.Sequential(
    nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 5)
)
x = torch.randn(20, 1, 6, 6)
# An array that the co-simulations build, too.
small = replace(PRESETS["tile"], pes_x=2, pes_y=2, num_streams=4, mult_f=2, mult_i=2, banks=16)
"""


def _python(kind: str) -> str:
    """Return the README's Python, for its MLP or with a CNN in the MLP's place."""
    (text,) = (text for language, text in _blocks() if language == "python")
    text = text.replace("out/mine", "{out}/mine")
    text, places = re.subn(r'"(\{out\}/[\w.]+)"', r'f"\1"', text)
    assert places == 3
    if kind == "cnn":
        text, models = re.subn(r"^model = .*\nx = .*\n", _CNN, text, flags=re.MULTILINE)
        text, calls = re.subn(r"share=True", "share=True, scnn=small", text)
        assert (models, calls) == (1, 1)
    return text


@pytest.mark.cosim
def test_readme_python_is_for_every_network(tmp_path: Path) -> None:
    text = f"out = {str(tmp_path)!r}\n" + _python("cnn")
    # Both kinds give all that is documented.
    text += (
        "one = run(image, x[0])\n"
        "again = Image.load(f'{out}/mine')\n"
        "assert (run(again, x).outputs == y).all() and one.outputs.shape == (1, 5)\n"
        "assert result.words > 0 == result.differ and result.ok and result.rtl.cycles.shape == (4,)"
        "\n"
    ).replace("Image.load", "__import__('compiler').Image.load")
    done = _run([sys.executable, "-"], text)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^[1-9]\d* words compared, 0 differ; cycles: \[", done.stdout, re.MULTILINE)


def test_readme_python_has_the_types_it_says(tmp_path: Path) -> None:
    for kind in ("mlp", "cnn"):
        (tmp_path / f"{kind}.py").write_text('out = "out"\n' + _python(kind))
    command = [sys.executable, "-m", "pyright", "--project", str(ROOT / "pyproject.toml")]
    done = _run([*command, *map(str, sorted(tmp_path.glob("*.py")))], "")
    assert done.returncode == 0, done.stdout
    assert "0 errors" in done.stdout


def test_readme_names_files_that_are_there() -> None:
    tree = README[README.index("## From network to words") :]
    for name in re.findall(r"\b(?:compiler|hw|sim|scripts|tests)/[\w/.*-]*", tree):
        assert list(ROOT.glob(name.rstrip("."))), name
    for name in re.findall(r"\b[a-z_]+\.py\b", tree):
        assert list(ROOT.glob(f"**/{name}")), name
    for name in ("CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"):
        assert f"({name})" in README
        assert (ROOT / name).is_file()
