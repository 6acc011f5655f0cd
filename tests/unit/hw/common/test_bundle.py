import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from amaranth.lib import wiring

from tests.support.tiers import cases
from zeroskip.hw.common.bundle import Port, bundle, constants, ports
from zeroskip.hw.common.control import Command, Control
from zeroskip.hw.eie.array import ARRAY_MODULE, PE_MODULE, EieArray
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe
from zeroskip.hw.scnn.array import ScnnArray
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.rtl.tools import tool_environment

ROOT = Path(__file__).parents[4]
SMALL = EieParams(num_pes=3, spmat_words=64, num_pointers=64, counters=False)


def lint(top: str, *files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *("verilator", "--lint-only", "-Wno-WIDTH", "-Wno-CASEINCOMPLETE"),
            *("--top-module", top, f"-I{files[-1].parent}", *map(str, files)),
        ],
        env=tool_environment(),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "params", cases([EieParams(), SMALL], [EieParams()], "compiles the files of another array")
)
def test_example_and_files_stand_alone(params: EieParams, tmp_path: Path) -> None:
    pe, array = Pe(params), EieArray(params)
    enums = (Space, Control, Command)
    (tmp_path / "eie_array.vh").write_text(constants("EIE", ports(array), enums))
    file = tmp_path / "eie_array.sv"
    file.write_text(bundle([(PE_MODULE, pe), (ARRAY_MODULE, array)], [params], "test"))
    found = lint("eie_example", ROOT / "examples/verilog/eie_example.v", file)
    assert (found.returncode, found.stderr) == (0, "")
    # The check can fail: a port that is not there is found.
    text = (ROOT / "examples/verilog/eie_example.v").read_text()
    wrong = tmp_path / "wrong.v"
    wrong.write_text(text.replace(".running(", ".walking("))
    assert lint("eie_example", wrong, file).returncode != 0
    single = tmp_path / "eie_pe.sv"
    single.write_text(bundle([(PE_MODULE, pe)], [params], "test"))
    found = lint(PE_MODULE, single)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize(
    "component",
    [
        EieArray(EieParams()),
        Pe(EieParams()),
        ScnnArray(ScnnParams()),
    ],
)
def test_documented_ports_are_true(component: wiring.Component) -> None:
    assert _table(ports(component)) in (ROOT / "docs/verilog.md").read_text()


def _table(listed: Iterable[Port]) -> str:
    """Write ports as a table in Markdown."""
    lines = ["| port | direction | bits | fields |", "|---|---|---|---|"]
    for port in listed:
        fields = ", ".join(
            f"`{name}` [{low + width - 1}:{low}]" for name, low, width in port.fields
        )
        lines.append(f"| `{port.name}` | {port.direction} | {port.width} | {fields} |")
    return "\n".join(lines) + "\n"


def test_head_names_what_it_was_made_from() -> None:
    text = bundle([(PE_MODULE, Pe(SMALL))], [SMALL], "1.2.3")
    assert text.startswith("// eie_pe, made by zeroskip 1.2.3 from\n// EieParams(\n")
    head = " ".join(line[2:].strip() for line in text.splitlines() if line.startswith("//     "))
    for name in ("num_pes=3", "counters=False"):
        assert name in head
