"""The registers of a chip, from their description."""

import re

from zeroskip.flow.registers.systemrdl import register_files
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import engine_sizes, system_registers

__all__ = ["registers"]


def registers() -> str:
    """Return the page that PeakRDL makes of the registers of EIE's default preset."""
    description = system_registers(SystemParams(), engine_sizes("eie", EieParams()))
    page = register_files(description)["registers.md"].decode()
    return "## " + re.split(r"^## ", page, maxsplit=1, flags=re.MULTILINE)[1]
