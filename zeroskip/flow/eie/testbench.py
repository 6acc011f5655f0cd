"""Testbench in plain Verilog of an array of EIE by itself: a host at its port."""

from collections.abc import Sequence
from pathlib import Path

from zeroskip.flow.template import fill, instance
from zeroskip.hw.common.bundle import Port
from zeroskip.hw.common.control import CONTROL_SPACE, Command, Control
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams

__all__ = ["testbench"]

_TEXT = Path(__file__).with_name("testbench.v")
_DRIVEN = "clk", "rst", "cmd__payload", "cmd__valid", "rsp__ready"


def testbench(top: str, ports: Sequence[Port], p: EieParams) -> str:
    """Write the testbench of an array, which no rows stream into or out of.

    Parameters
    ----------
    top : module that is tested.
    ports : of the module.
    p : of the array.
    """
    (command,) = (port for port in ports if port.name == "cmd__payload")
    fields = {name: (low, width) for name, low, width in command.fields}
    places = {
        f"{name.removeprefix('command.').upper()}_FIELD": f"{low + width - 1}:{low}"
        for name, (low, width) in fields.items()
    }
    idle = [
        f"    assign {port.name} = 0;\n"
        for port in ports
        if port.direction == "input" and port.name not in _DRIVEN
    ]
    # Status bits 1 and 5, see StatusBit.
    source = "{answer[5], answer[1]}" if p.file_bits > 1 else "answer[1]"
    values = {
        "CHIP": top,
        "CMD_BITS": command.width,
        "SPACE_BITS": fields["command.space"][1],
        "ADDR_BITS": fields["command.addr"][1],
        "DATA_BITS": fields["command.data"][1],
        "PE_BITS": fields["pe"][1],
        "FILE_BITS": p.file_bits,
        "ROW_BITS": p.act_addr_bits,
        "ACT_BITS": p.act_bits,
        "SOURCE": source,
        "CLEAR_VALUE": int(Command.CLEAR),
        "CONTROL_SPACE": CONTROL_SPACE,
        "ACT_SPACE": int(Space.ACT),
        **{f"{row.name}_ROW": int(row) for row in Control},
        **places,
    }
    return fill(_TEXT.read_text(), {"INSTANCE": instance(ports), "IDLE": "".join(idle)}, values)
