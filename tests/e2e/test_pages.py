"""The README and the documentation say what is true: blocks run, outputs are those shown."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pages import PAGES, Block, Sandbox, first_page, read_blocks, shown_in

ROOT = Path(__file__).parents[2]
_BLOCKS = [block for page in PAGES for block in read_blocks(page)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Sandbox]:
    """Give a function that returns the sandbox of a page, and of those that come after it."""
    made: dict[Path, Sandbox] = {}

    def of(page: Path) -> Sandbox:
        first = first_page(page)
        if first not in made:
            made[first] = Sandbox(tmp_path_factory.mktemp(first.stem))
        return made[first]

    return of


@pytest.mark.cosim
@pytest.mark.long("runs what a reader would, and compares what is shown")
@pytest.mark.timeout(18000)
@pytest.mark.parametrize("block", _BLOCKS, ids=lambda block: block.name)
def test_block(block: Block, sandbox: Callable[[Path], Sandbox]) -> None:
    if block.skipped:
        pytest.skip(block.skipped)
    output = sandbox(block.page).run(block)
    for printed in block.printed:
        missing = shown_in(printed, output)
        assert missing is None, f"{block.name} shows {missing!r}, but prints\n{output}"


def test_what_is_shown_is_compared() -> None:
    output = "one  1\ntwo  2\nthree  3\n"
    assert shown_in("one  1\n...\nthree  3\n", output) is None
    assert shown_in("one  1\ntwo  3\n", output) == "two  3"
    assert shown_in("two  2\none  1\n", output) == "one  1"
    # The README shows what its commands print.
    assert any(block.printed for block in _BLOCKS if block.page.name == "README.md")


@pytest.mark.long("pyright takes seconds for a page")
def test_python_has_the_types_it_says(tmp_path: Path) -> None:
    for number, block in enumerate(_BLOCKS):
        if block.kind == "python":
            (tmp_path / f"block_{number}.py").write_text(block.text)
    command = [sys.executable, "-m", "pyright", "--project", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, *map(str, sorted(tmp_path.glob("*.py")))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "0 errors" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (page.parent / link).exists(), link
    for name in re.findall(r"(?<![\w/.-])(?:compiler|hw|sim|scripts|tests)/[\w/.*-]+", text):
        assert list(ROOT.glob(name.rstrip("."))), name
