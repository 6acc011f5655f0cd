"""Describe how layers lie on SCNN's array, and what its memories keep of them."""

from dataclasses import asdict

from zeroskip.base.tables import Table
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.sim.machine import Description
from zeroskip.sim.memories import memory_document, memory_table
from zeroskip.sim.scnn.storage import layer_mappings, scnn_memory_use

__all__ = ["describe_part"]


def describe_part(part: ScnnPart) -> Description:
    """Describe the mapping of every layer, and the use of the memories."""
    use, mappings, p = scnn_memory_use(part), layer_mappings(part), part.params
    pairs = list(zip(part.layers, mappings, strict=True))
    tables = [
        Table(
            "Layers on the SCNN array",
            [
                "layer", "kernel", "stride", "groups", "runs", "passes", "PEs of a block", "tile",
                "channels of a group", "RAM rows", "bus words",
            ],
            [
                [
                    layer.name,
                    "{} {} x {}".format(layer.kind, *layer.kernel)
                    + (f", {len(layer.areas)} areas" if layer.areas else "")
                    + (", fused" if mapping.fused else ""),
                    "{}, {}".format(*layer.stride),
                    layer.groups,
                    mapping.runs,
                    mapping.passes,
                    "{} x {}".format(*mapping.block),
                    "{} x {}".format(*mapping.tile),
                    mapping.kc,
                    mapping.rows,
                    mapping.bus_words or "-",
                ]
                for layer, mapping in pairs
            ],
        ),
        memory_table("stream (taps, codebooks and descriptors: of the array)", use),
    ]  # fmt: skip
    words = sum(len(sram.words) for run in part.runs[1:] for sram in run.srams.values())
    lines = [
        f"host's moves between the {len(part.runs)} runs of an input: {words} words of SRAMs, and "
        "activations; `run --on cycles` says how many cycles that is"
        if len(part.runs) > 1
        else "host's moves between runs: none"
    ]
    if part.bounded:
        lines.append(
            "these runs count on zeros; inputs whose activations find no room are done again in "
            f"{len(part.bounded)} bounded runs"
        )
    document = {
        "runs": len(part.runs),
        "bounded_runs": len(part.bounded),
        "layers": {layer.name: {"mapping": asdict(mapping)} for layer, mapping in pairs},
        "memories": memory_document(use),
    }
    array = f"{p.pes_x} x {p.pes_y} PEs of {p.mult_f} x {p.mult_i} multipliers"
    return Description(array=array, document=document, tables=tables, lines=lines)
