"""Testbench in plain Verilog of an array by itself: a host at its port."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from zeroskip.flow.template import fill, instance
from zeroskip.hw.common.bundle import Port
from zeroskip.hw.common.control import CONTROL_SPACE, Control

__all__ = ["testbench"]

_TEXT = Path(__file__).with_suffix(".v")
_DRIVEN = "clk", "rst", "cmd__payload", "cmd__valid", "rsp__ready"


def testbench(
    top: str,
    ports: Sequence[Port],
    own: str,
    *,
    driven: Collection[str],
    values: Mapping[str, object],
) -> str:
    """Write the testbench of an array.

    Parameters
    ----------
    top : module that is tested.
    ports : of the module.
    own : Verilog of what this engine's host does in another way than others do, see the text.
    driven : inputs that ``own`` drives; those that nothing drives are 0.
    values : that stand for names in the text and in ``own``: of every engine ``WORD_BITS``, how
        many low bits of a word that was read are compared.
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
        if port.direction == "input" and port.name not in {*_DRIVEN, *driven}
    ]
    data_bits = fields["command.data"][1]
    filled = {
        "CHIP": top,
        "CMD_BITS": command.width,
        "SPACE_BITS": fields["command.space"][1],
        "ADDR_BITS": fields["command.addr"][1],
        "DATA_BITS": data_bits,
        "VALUE_BITS": -(-data_bits // 64) * 64,
        "PE_BITS": fields["pe"][1],
        "CONTROL_SPACE": CONTROL_SPACE,
        **{f"{row.name}_ROW": int(row) for row in Control},
        **places,
        **values,
    }
    parts = {"INSTANCE": instance(ports), "IDLE": "".join(idle), "OWN": own}
    return fill(_TEXT.read_text(), parts, filled)
