"""Name the instances of an array's memories in a board's top."""

from zeroskip.hw.board.top import BOARD_MODULE

__all__ = ["board_instance", "memory_path"]

_PE = {
    "spmat": "spmat_read.spmat",
    "ptr_even": "ptr_read.ptr_even",
    "ptr_odd": "ptr_read.ptr_odd",
    "bias": "act_rw.bias",
    "act_0": "act_rw.act_0",
    "act_1": "act_rw.act_1",
    "accs": "arithm.accs.rows",
    "counters": "counters.counts.rows",
}
_OTHERS = {
    "program": "array.ccu.descriptor_read.descriptors",
    "codebook": "array.ccu.codebook_load.codebooks",
    "buffer": "deframe.buffer",
}


def memory_path(name: str) -> str:
    """Return the path, inside the board's top, of a memory such as ``pe_3/spmat``.

    A test holds it against the Verilog.
    """
    *pe, memory = name.split("/")
    return f"array.{pe[0]}.{_PE[memory]}" if pe else _OTHERS[memory]


def board_instance(name: str) -> str:
    """Return the path in a simulation, from the board's top down, of a memory."""
    return f"{BOARD_MODULE}.{memory_path(name)}"
