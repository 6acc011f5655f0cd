"""The exported text of both engines and the chip of both: names, and that all files go together."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from zeroskip.flow.export import export
from zeroskip.flow.flow import FLOWS, flow
from zeroskip.hw.common.emit import SRAM_VERILOG
from zeroskip.hw.common.verilog_keywords import KEYWORDS
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.rtl.tools import tool_environment

_EIE = EieParams(num_pes=9, spmat_words=64, num_pointers=64, skip_padding=True, pointers_first=True)
_SCNN = PRESETS["tiny"]


DESIGNS = FLOWS.names()
_ARRAYS = {"eie": _EIE, "scnn": _SCNN}


@pytest.fixture(scope="module")
def texts() -> Mapping[str, Mapping[str, str]]:
    """Files of each engine."""
    return {engine: export(flow(engine), _ARRAYS, "test").files for engine in DESIGNS}


def declared(text: str) -> list[str]:
    """Return names of modules, ports, signals, memories and instances."""
    names = re.findall(r"^module ([^\s(]+)", text, re.MULTILINE)
    names += re.findall(
        r"^  (?:input|output|wire|reg) (?:signed )?(?:\[[^]]*\] )?(.*?)(?: \[.*\]| = .*)?;",
        text,
        re.MULTILINE,
    )
    names += re.findall(r"^  (?:\w+ #\([^;]*?\n  \)|[a-z]\w+) (\S+) \(\n    \.", text, re.MULTILINE)
    return names


@pytest.mark.parametrize("engine", DESIGNS)
def test_every_name_is_plain_and_no_keyword(
    texts: Mapping[str, Mapping[str, str]], engine: str
) -> None:
    for name, text in texts[engine].items():
        code = re.sub(
            r'"[^"\n]*"|//.*|/\*.*?\*/', "", text.replace(SRAM_VERILOG.read_text().strip("\n"), "")
        )
        assert "\\" not in code, name
        assert set(re.findall(r"\w*\$\w*", code)) <= {"$signed"}, name
        if name.endswith(".sv"):
            names = declared(code)
            assert len(names) > 100
            assert not set(names) & KEYWORDS, name
            assert all(re.fullmatch(r"[A-Za-z_]\w*", one) for one in names), name
            # The export names a signal without a name in Python after its vector or its connection.
            assert not [one for one in names if "anonymous" in one or "port_" in one], name


@pytest.mark.long("reads all files with two simulators")
def test_files_of_all_go_together(texts: Mapping[str, Mapping[str, str]], tmp_path: Path) -> None:
    """Of both engines, the chip, and a second array under a prefix."""
    other = export(flow("eie"), {"eie": EieParams(num_pes=2)}, "test", "second_").files
    tops = {
        "eie_array": texts["eie"],
        "scnn_array": texts["scnn"],
        "scnn_eie_system": texts["system"],
    }
    files = []
    for top, found in [*tops.items(), ("second_eie_array", other)]:
        files.append(tmp_path / f"{top}.sv")
        files[-1].write_text(found[f"{top}.sv"])
    # SYMRSVDWORD: the chip has a port `interrupt`.
    allowed = ("WIDTH", "CASEINCOMPLETE", "MULTITOP", "SYMRSVDWORD")
    check(["verilator", "--lint-only", *(f"-Wno-{one}" for one in allowed)], files)
    if shutil.which("iverilog"):
        every = [word for file in files for word in ("-s", file.stem)]
        check(["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-tnull", *every], files)


def check(command: list[str], files: list[Path]) -> None:
    """Run a tool, which must have nothing to say."""
    done = subprocess.run(
        [*command, *map(str, files)],
        env=tool_environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_files_of_one_array_do_not_go_together_without_a_prefix(
    texts: Mapping[str, Mapping[str, str]], tmp_path: Path
) -> None:
    """The check above can fail."""
    for name in ("a.sv", "b.sv"):
        (tmp_path / name).write_text(texts["eie"]["eie_array.sv"])
    with pytest.raises(AssertionError):
        check(
            ["verilator", "--lint-only", "-Wno-WIDTH", "--top-module", "eie_array"],
            [tmp_path / "a.sv", tmp_path / "b.sv"],
        )


def test_macros_of_all_go_together(texts: Mapping[str, Mapping[str, str]]) -> None:
    lines = [
        line.split()[1]
        for found in texts.values()
        for name, text in found.items()
        if name.endswith(".vh")
        for line in text.splitlines()
    ]
    assert len(lines) == len(set(lines))
    assert {"EIE_SPACE_SPMAT", "SCNN_SPACE_TAP", "SYSTEM_OP_INPUT"} <= set(lines)
