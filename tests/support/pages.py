"""The code blocks of README.md and of docs: what is run, and what it must print.

A block of ``sh`` or ``python`` is run, in the order of its page. A block of ``text`` behind it,
under the same heading, is what it prints: all lines, in order; ``...`` stands for any number of
lines. A Python block that begins with ``# NAME.py`` is a file of that name.
``<!-- not run: REASON -->`` before a block keeps it from being run, ``<!-- needs: PROGRAM -->``
where that is not installed; ``<!-- drawing -->`` keeps a text from being compared. A page with
``<!-- after: PAGE.md -->`` needs what the other's blocks make, and runs in the same folder.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "Block", "Sandbox", "first_page", "read_blocks", "shown_in"]

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"^(?P<heading>#+ )"
    r"|(?:^<!-- (?P<note>[^\n]*) -->\n+)?^```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_RUN = ("sh", "python")
_AFTER = re.compile(r"^<!-- after: (\S+) -->$", re.MULTILINE)
# Not these tests within themselves.
_OWN = re.compile(r"^make test(-all)?$\n", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Block that is run.

    Parameters
    ----------
    page : its file.
    line : of the page, counted from 1.
    kind : its language.
    text : what is run.
    printed : blocks of text that must be in its output.
    skipped : why it is not run; empty if it is.
    """

    page: Path
    line: int
    kind: str
    text: str
    printed: tuple[str, ...]
    skipped: str

    @property
    def name(self) -> str:
        """Name of the case."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def read_blocks(page: Path) -> list[Block]:
    """Read the blocks of a page that are run, or would be if it could be done here."""
    text = page.read_text()
    blocks: list[Block] = []
    behind = False
    for found in _BLOCK.finditer(text):
        kind, note = found["kind"], found["note"] or ""
        if found["heading"]:
            behind = False
        elif kind in _RUN:
            line = text[: found.start("text")].count("\n")
            skipped = _reason(note)
            code = _OWN.sub("", found["text"])
            blocks.append(Block(page, line, kind, code, (), skipped))
            behind = True
        elif kind == "text" and behind and note != "drawing":
            last = blocks[-1]
            printed = (*last.printed, found["text"])
            blocks[-1] = Block(page, last.line, last.kind, last.text, printed, last.skipped)
    return blocks


def _reason(note: str) -> str:
    """Return why a block is not run, by the note in front of it; empty if it is."""
    what, _, text = note.partition(": ")
    if what == "needs" and shutil.which(text) is None:
        return f"{text} is not installed"
    return text if what == "not run" else ""


def first_page(page: Path) -> Path:
    """Return the page in whose folder a page's blocks are run."""
    before = _page_before(page)
    return page if before is None else first_page(before)


def needed_blocks(page: Path) -> list[Block]:
    """Read the blocks of the pages that a page needs, and its own."""
    before = _page_before(page)
    return [*([] if before is None else needed_blocks(before)), *read_blocks(page)]


def _page_before(page: Path) -> Path | None:
    found = _AFTER.search(page.read_text())
    return found and page.parent / found[1]


def shown_in(printed: str, output: str) -> str | None:
    """Look for the lines of ``printed`` in an output, in their order.

    Returns
    -------
    The first line that is not there; None if all are.
    """
    lines = iter([line.rstrip() for line in output.splitlines()])
    for wanted in printed.splitlines():
        if wanted.strip() and wanted.strip() != "..." and wanted.rstrip() not in lines:
            return wanted
    return None


class Sandbox:
    """Folder like that of the repository, in which the blocks of pages are run, each once.

    What is tracked is linked; ``out`` is empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._outputs: dict[Block, str] = {}
        for path in ROOT.iterdir():
            if path.name not in ("out", ".git"):
                (folder / path.name).symlink_to(path)

    def run(self, block: Block) -> str:
        """Run a block, and before it those that it needs and that were not run yet.

        Returns
        -------
        Its stdout.
        """
        blocks = needed_blocks(block.page)
        for needed in blocks[: blocks.index(block) + 1]:
            if needed not in self._outputs:
                self._outputs[needed] = self._run(needed)
        return self._outputs[block]

    def _run(self, block: Block) -> str:
        if block.skipped:
            return ""
        name = re.match(r"# (\w+\.py)\n", block.text) if block.kind == "python" else None
        if name:
            (self._folder / name[1]).write_text(block.text)
            return ""
        command = [sys.executable, "-"] if block.kind == "python" else ["bash", "-eu"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # A make that runs these tests is not the reader's, and need not install anything again.
        own = {key: text for key, text in os.environ.items() if not key.startswith(("MAKE", "MFL"))}
        own["MAKEFLAGS"] = " -- STAMP= DEVELOPED="
        done = subprocess.run(
            command,
            input=block.text,
            cwd=self._folder,
            env={**own, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
        return done.stdout
