"""``zeroskip area``: its document and tables, and what it refuses."""

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zeroskip.cli.guard import FAILED, REFUSED
from zeroskip.flow.synth.baseline import read_baseline

Cli = Callable[..., Any]
Refused = Callable[..., None]

UNITS = {"act_queue", "ptr_read", "spmat_read", "arithm", "act_rw", "counters", "control"}


@pytest.mark.long("synthesizes the array of 64 PEs")
def test_eie_against_the_baseline(cli: Cli, tmp_path: Path) -> None:
    out, folder = tmp_path / "area.json", tmp_path / "netlists"
    result = cli(
        "area", "--preset", "paper", "--baseline", "--json", "-o", out, "--netlists", folder
    )
    assert result.code == 0
    document = result.document
    assert json.loads(out.read_text()) == document
    assert document["outgrown"] == []
    assert document["params"]["num_pes"] == document["num_pes"] == 64
    units = {one["name"]: one for one in document["pe"]}
    assert set(units) == UNITS
    for quantity in ("logic_ge", "flipflops", "sram_bits", "sram_um2"):
        total = document["pe_total"][quantity]
        assert total == pytest.approx(sum(one[quantity] for one in units.values()), abs=1)
    assert units["arithm"]["paper_um2"] == 3110
    assert units["arithm"]["logic_um2"] == pytest.approx(0.798 * units["arithm"]["logic_ge"], 1e-3)
    assert units["spmat_read"]["sram_bits"] == 16384 * 64
    assert {one["name"] for one in document["array"]} == {
        "answers",
        "ccu",
        "lnzd",
        "scan",
        "host port",
    }
    # A node of the tree is as large as the paper's, or less.
    assert 0 < document["parts"][0]["logic_um2"] <= document["parts"][0]["paper_um2"] == 189
    assert document["paths"]["pe"]["levels"] > 5
    # What the paper has without its SRAMs, and less is aimed at.
    assert document["pe_total"]["logic_um2"] < 12_000 < document["paper_pe_logic_um2"]
    assert units["arithm"]["logic_um2"] <= 3_000
    assert {path.name for path in folder.iterdir()} == {"pe.v", "array.v"}
    assert "module eie_pe" in (folder / "pe.v").read_text()


@pytest.mark.long("synthesizes an array and a PE")
def test_scnn_outgrows_a_baseline(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its units are as large as agreed on, but one, which was agreed on by mistake."""
    agreed = read_baseline()
    agreed["scnn tiny"]["units"]["pe scatter"]["logic_ge"] *= 0.97
    monkeypatch.setattr("zeroskip.flow.synth.baseline.read_baseline", lambda path: agreed)
    result = cli("area", "--engine", "scnn", "--preset", "tiny", "--baseline")
    assert result.code == FAILED
    lines = result.out.splitlines()
    (grown,) = (line for line in lines if " grew from " in line)
    assert grown.startswith("scnn tiny: pe scatter grew from ")
    assert grown.endswith(" GE of logic (+3.1 %)")
    assert not any("NOT bit-exact" in line for line in lines)
    assert any(line.split()[:1] == ["multiplier_array"] for line in lines)


@pytest.mark.long("synthesizes an array")
def test_liberty_with_delays(cli: Cli, small_liberty: Path) -> None:
    result = cli("area", "--set", "num_pes=1", "--liberty", small_liberty, "--clock-ps", 900)
    assert result.code == 0
    lines = result.out.splitlines()
    # Delays are not put below areas as if both were of one netlist.
    at = lines.index("Longest paths, in netlists of their own: mapped for speed, modules dissolved")
    assert re.match(r" +of the +gates +ns +gates GE +from +to$", lines[at + 2])
    assert re.match(r" +pe +\d+ +\d+\.\d\d +[\d,]+ +register .*", lines[at + 4])
    assert any("mapped for area" in line for line in lines[:at])
    assert any("NOT CHECKED" in line for line in lines)
    assert any("NAND2 2;" in line for line in lines)
    assert any("mapped for 900 ps" in line for line in lines)


@pytest.fixture
def small_liberty(tmp_path: Path) -> Path:
    """Give a library with delays: an inverter, a NAND2 and a flip-flop."""
    table = ' (t) {{ values ("0.05, 0.5", "0.06, 0.6"); }} '
    tables = ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
    arc = 'timing () {{ related_pin : "{pin}"; {kind} ' + table.join([*tables, ""]) + "}}"
    inputs = "pin ({}) {{ direction : input; capacitance : 0.001; {} }}"
    sense = "timing_sense : negative_unate;"

    def cell(name: str, area: float, function: str, pins: str) -> str:
        arcs = " ".join(arc.format(pin=pin, kind=sense) for pin in pins)
        ports = " ".join(inputs.format(pin, "") for pin in pins)
        return (
            f"cell ({name}) {{ area : {area}; {ports} pin (Y) {{ direction : output; "
            f'max_capacitance : 1.0; function : "{function}"; {arcs} }} }}'
        )

    edge = arc.format(pin="CK", kind="timing_type : rising_edge;")
    path = tmp_path / "small.lib"
    path.write_text(f"""library (small) {{
        time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1mA";
        capacitive_load_unit (1, pf); delay_model : table_lookup;
        lu_table_template (t) {{ variable_1 : input_net_transition; index_1 ("0.01, 0.5");
            variable_2 : total_output_net_capacitance; index_2 ("0.001, 0.5"); }}
        {cell("IV", 1.0, "!A", "A")}
        {cell("ND2", 2.0, "!(A&B)", "AB")}
        {cell("NR2", 2.0, "!(A|B)", "AB")}
        {cell("BF", 1.5, "A", "A").replace("negative", "positive")}
        cell (FF) {{ area : 9; ff (IQ, IQN) {{ clocked_on : "CK"; next_state : "D"; }}
            {inputs.format("CK", "clock : true;")} {inputs.format("D", "")}
            pin (Q) {{ direction : output; max_capacitance : 1.0; function : "IQ"; {edge} }} }}
    }}""")
    return path


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--preset", "huge"], "--preset must be one of small, paper, best, icebreaker"),
        (["--engine", "scnn", "--preset", "best"], "one of tile, paper, tiny, board, not 'best'"),
        (["--preset", ""], "--preset must be one of small, paper, best"),
        (
            ["--engine", "ei"],
            "--engine must be one of eie, scnn, system, not 'ei': did you mean 'eie'?",
        ),
        (["--engine", "scnn", "--preset", "paper", "--check"], "arrays of at most 4 PEs of scnn"),
        (["--netlists", "/dev/null/x"], "folder /dev/null/x cannot be made"),
        (["--engine", "scnn", "--set", "num_pes=2"], "scnn cannot set 'num_pes'"),
        (["--set", "num_pes=0"], "--set eie.num_pes must be a whole number from 1 to 256, not 0"),
        (["--clock-ps", "0"], "--clock-ps must be from 1 to 1000000, not 0"),
        (["--liberty", "/none.lib"], "liberty file /none.lib does not exist"),
        (["-o", "/none/area.json"], "there is no folder /none"),
        (["--set", "num_pes=2", "--baseline"], "leave --set out"),
    ],
)
def test_refused(cli: Cli, refused: Refused, arguments: list[str], what: str) -> None:
    refused(cli("area", *arguments), what)


def test_other_cells_cannot_run(cli: Cli, refused: Refused, small_liberty: Path) -> None:
    for option in ("--check", "--baseline", "--renew-baseline"):
        refused(cli("area", "--liberty", small_liberty, option), f"{option} is for the project's")
    text = small_liberty.read_text()
    small_liberty.write_text(text[:-30])
    refused(cli("area", "--liberty", small_liberty), "does not parse: braces do not match")
    # What only Yosys finds.
    small_liberty.write_text(text.replace("delay_model", "@#$ delay_model"))
    what = f"nothing can be mapped to liberty file {small_liberty}: Yosys failed with status 1"
    refused(cli("area", "--liberty", small_liberty), what)


def test_yosys_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pyosys" else find(name)
    )
    result = cli("area")
    assert result.code == REFUSED
    (line,) = result.errors
    assert "install Zeroskip with its extra 'synth'" in line
