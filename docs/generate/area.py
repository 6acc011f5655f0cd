"""Areas of the units, from the baseline that ``zeroskip area`` compares with."""

import json
from pathlib import Path

import zeroskip.flow.synth

__all__ = ["baseline"]

_FILE = Path(zeroskip.flow.synth.__path__[0]) / "area-baseline.json"


def baseline() -> str:
    """Return tables of the baseline: logic in gate equivalents and bits of SRAM, by unit."""
    tables = []
    for name, design in sorted(json.loads(_FILE.read_text()).items()):
        engine, preset = name.split()
        lines = [f"{engine.upper()}, preset `{preset}`", "", "| unit | logic, GE | SRAM, kbit |"]
        lines.append("|---|---:|---:|")
        for unit, area in design["units"].items():
            kbit = f"{area['sram_bits'] / 1024:,.1f}" if area["sram_bits"] else "-"
            lines.append(f"| {unit} | {area['logic_ge']:,.0f} | {kbit} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)
