import re
import subprocess
from pathlib import Path

import pytest

from tests.support.tiers import cases
from zeroskip.hw.common.emit import SRAM_VERILOG, emit_verilog
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.hw.scnn.pe import ScnnPe
from zeroskip.sim.rtl.tools import tool_environment

SIZES: dict[str, ScnnParams] = {
    "tiny": PRESETS["tiny"],
    "paper": PRESETS["paper"],
    "smallest": ScnnParams(
        mult_f=1,
        mult_i=1,
        banks=1,
        bank_entries=2,
        scatter_depth=1,
        weight_depth=2,
        block_depth=2,
        run_bits=1,
        field_bits=2,
        code_bits=1,
        weight_bits=2,
        act_bits=2,
        acc_bits=8,
        act_words=4,
        num_channels=2,
        num_descriptors=2,
        counters=False,
    ),
    "odd": ScnnParams(
        pes_x=3,
        mult_f=3,
        mult_i=5,
        banks=4,
        scatter_depth=7,
        weight_depth=11,
        block_depth=3,
        act_words=37,
        act_fifo_words=5,
        num_channels=19,
        num_descriptors=3,
        acc_bits=20,
    ),
}


def srams_of(text: str) -> list[str]:
    return sorted(re.findall(r"sram_\w+ #\([^;]*?\n\s*\) (\S+)", text))


@pytest.mark.parametrize("size", cases(SIZES, ["paper", "odd"], "converts a larger PE"))
def test_verilog_is_sound(size: str, tmp_path: Path) -> None:
    """No latch, no lost name, no signal of 0 bits; and Verilator has nothing to say."""
    p = SIZES[size]
    text = emit_verilog(ScnnPe(p), "scnn_pe")
    names = ["act_rows", "directory_rows", *["rows"] * 2 * p.counters]
    names += ["words"] if p.act_fifo_words else []
    names += [f"set_{number}_bank_{bank}" for number in (0, 1) for bank in range(p.banks)]
    assert srams_of(text) == sorted(names)
    assert "latch" not in text
    assert "[-1:0]" not in text
    assert len(text) < 1_000_000  # an array has it once
    (tmp_path / "scnn_pe.v").write_text(text)
    lint = subprocess.run(
        [
            *("verilator", "--lint-only", "-Wno-WIDTH", "-Wno-CASEINCOMPLETE"),
            *("--top-module", "scnn_pe", str(SRAM_VERILOG), str(tmp_path / "scnn_pe.v")),
        ],
        env=tool_environment(),
        capture_output=True,
        text=True,
    )
    assert (lint.returncode, lint.stderr) == (0, "")


def test_same_text_every_time() -> None:
    p = PRESETS["tiny"]
    assert emit_verilog(ScnnPe(p), "scnn_pe") == emit_verilog(ScnnPe(p), "scnn_pe")
