"""The site builds without a broken link, and its numbers are those that the code gives today."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()


_BUILDS = pytest.mark.long("builds the site, as make docs does")


def _stored(name: str) -> dict[str, Any]:
    return json.loads((DOCS / f"data/{name}.json").read_text())["runs"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; a link to what is not there is a warning, and warnings are errors."""
    output = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", output / "trees"]
    done = subprocess.run(
        [*command, DOCS, output / "html"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return output / "html"


@_BUILDS
def test_every_page_is_there_and_every_link_leads_somewhere(site: Path) -> None:
    pages = {page.relative_to(site).as_posix() for page in site.glob("*.html")}
    assert {f"{page.stem}.html" for page in DOCS.glob("*.md")} <= pages
    anchors = {
        name: set(re.findall(r'\bid="([^"]+)"', (site / name).read_text())) for name in pages
    }
    for name in pages:
        for link in re.findall(r'<a [^>]*\bhref="([^"]+)"', (site / name).read_text()):
            if re.match(r"[a-z]+:", link):
                continue
            page, _, anchor = link.partition("#")
            target = page or name
            assert (site / target).is_file(), f"{name} links to {link}"
            if anchor and target in anchors:
                assert anchor in anchors[target], f"{name} links to {link}"


@_BUILDS
def test_the_command_line_reference_has_every_command(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "cli.html").read_text())
    for command in ("compile", "run", "verify", "bench", "sweep", "host simulate"):
        assert f"zeroskip {command}" in text
    # Options with what they do.
    assert "--data" in text
    assert "Samples like those of real use" in text


@_BUILDS
def test_the_python_reference_has_every_name(site: Path) -> None:
    import zeroskip

    text = (site / "python.html").read_text()
    for name in zeroskip.__all__:
        assert f'id="zeroskip.{name}"' in text


def test_readme_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README):
        if not re.match(r"[a-z]+:", link):
            assert (ROOT / link).is_file(), link


def _measure(cli: Callable[..., Any], command: str, *more: str) -> Any:
    result = cli(*command.split()[1:], *more)
    assert result.code == 0, result.err
    return result.document


def test_readme_has_the_numbers_of_the_evaluations() -> None:
    over = _stored("eie")["all"]["result"]["cycles_over_bound"]
    alexnet = _stored("scnn")["all"]["result"]["networks"]["alexnet"]
    for numbers in (
        f"| {over['paper']:.3f} | {over['best']:.3f} |",
        f"| {alexnet['speedup_paper']:.2f} | {alexnet['speedup']:.2f} |",
        f"| | {alexnet['speedup_total']:.2f} |",
    ):
        assert numbers in README


def test_one_layer_of_each_evaluation_is_todays(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = _stored("eie")["all"]
    (there,) = (record for record in run["result"]["layers"] if record["name"] == "NT-We")
    assert _measure(cli, run["command"], "--layers", "NT-We")["layers"] == [there]
    for title, run in _stored("eie-steps").items():
        (there,) = (row for row in run["result"] if row["layer"] == "NT-We")
        (row,) = _measure(cli, run["command"], "--layers", "NT-We", "--jobs", "1")["rows"]
        assert {name: row[name] for name in there} == there, title
        (tmp_path / "TABLE.csv").unlink()
    run = _stored("scnn")["all"]
    layers = run["result"]["networks"]["googlenet"]["layers"]
    (there,) = (record for record in layers if record["name"] == "5b/1x1")
    document = _measure(cli, run["command"], "--alone", "--layers", "googlenet/5b/1x1")
    (row,) = document["networks"]["googlenet"]["layers"]
    # The other machines are left out of this run.
    assert {name: value for name, value in row.items() if value is not None} == {
        name: there[name] for name, value in row.items() if value is not None
    }


def test_every_heading_of_a_table_is_defined() -> None:
    cells = re.findall(r"(?m)^\| ([^|]+) \|", (DOCS / "metrics.md").read_text())
    defined = {name.strip("` ") for cell in cells for name in [cell, *cell.split(", ")]}
    folders = ("zeroskip/cli", "zeroskip/flow", "compiler", "sim")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    for path in paths:
        for call in ast.walk(ast.parse(path.read_text())):
            match call:
                case ast.Call(
                    func=ast.Name("print_table" | "Table"), args=[_, ast.List(elts=headings), *_]
                ):
                    names = {name.value for name in headings if isinstance(name, ast.Constant)}
                    assert names <= defined, f"docs/metrics.md does not define those of {path}"
