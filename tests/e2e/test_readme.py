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
@pytest.mark.timeout(1800)
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


def test_readme_names_files_that_are_there() -> None:
    tree = README[README.index("## From network to words") :]
    for name in re.findall(r"\b(?:compiler|hw|sim|scripts|tests)/[\w/.*-]*", tree):
        assert list(ROOT.glob(name.rstrip("."))), name
    for name in re.findall(r"\b[a-z_]+\.py\b", tree):
        assert list(ROOT.glob(f"**/{name}")), name
    for name in ("CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"):
        assert f"({name})" in README
        assert (ROOT / name).is_file()
