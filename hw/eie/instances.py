"""Name the instances of an EIE array's memories."""

__all__ = ["memory_path"]

_PATHS = {
    "program": "ccu.descriptor_read.descriptors",
    "codebook": "ccu.codebook_load.codebooks",
    "spmat": "spmat_read.spmat",
    "ptr_even": "ptr_read.ptr_even",
    "ptr_odd": "ptr_read.ptr_odd",
    "bias": "act_rw.bias",
    "act_0": "act_rw.act_0",
    "act_1": "act_rw.act_1",
    "act_2": "act_rw.act_2",
    "state": "cell.state",
    "references": "act_rw.delta.references",
    "kept": "act_rw.kept",
    "accs": "arithm.accs.rows",
    "counters": "counters.counts.rows",
}


def memory_path(name: str) -> str:
    """Return the path, inside the array, of a memory such as ``pe_3/spmat``.

    A test holds it against the Verilog.
    """
    *pe, memory = name.split("/")
    return ".".join([*pe, _PATHS[memory]])
