"""Command lists whose input and output lie wherever a start says: registers INPUT and OUTPUT."""

from zeroskip.base.errors import InputError
from zeroskip.compiler.system.build import SystemImage
from zeroskip.hw.common.formats import pack
from zeroskip.hw.system.formats import COMMAND_BYTES, Base, Op, command_layout

__all__ = ["relative_list"]

_SIDES = ((Op.INPUT, Base.INPUT, "input_0"), (Op.OUTPUT, Base.OUTPUT, "output_0"))


def relative_list(system: SystemImage) -> bytes:
    """Return ``infer_0`` with addresses in its input and output relative to registers.

    Parameters
    ----------
    system : memory image of the network.

    Raises
    ------
    InputError
        If it has another list for inferences that find no room: its buffers are where they are.
    """
    entry = system.map
    if entry.bounded:
        raise InputError(
            f"lists of {entry.name!r} cannot be relative to registers: where there is no room, the "
            "chip goes on with a list whose buffers are where they are; compile with --set "
            "ram_margin=100, which has room for any input"
        )
    place = entry.list("infer_0")
    begin = place.address - entry.base
    made: list[bytes] = []
    for at in range(begin, begin + place.bytes, COMMAND_BYTES):
        word = int.from_bytes(system.memory[at : at + COMMAND_BYTES], "little")
        fields = {
            name: word >> field.offset & ((1 << field.width) - 1)
            for name, field in command_layout()
        }
        for op, base, name in _SIDES:
            block = entry.block(name)
            inside = block.address <= fields["addr"] < block.address + block.bytes
            if fields["op"] == op.value and inside:
                fields |= {"base": int(base), "addr": fields["addr"] - block.address}
        made.append(pack(command_layout(), **fields).to_bytes(COMMAND_BYTES, "little"))
    return b"".join(made)
