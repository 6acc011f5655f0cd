"""Build a Verilator simulation of the SCNN array."""

from dataclasses import asdict
from pathlib import Path

from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.scnn.array import ARRAY_MODULE, PE_MODULE, ScnnArray
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe import ScnnPe
from zeroskip.sim.rtl.build import build_design

__all__ = ["build_scnn", "scnn_act_instance", "scnn_sram_instances"]


_MANY = 8
"""PEs from which on it pays that all have the same code."""


def build_scnn(params: ScnnParams, *, waves: bool = False) -> Path:
    """Build the SCNN array; return the program, which runs any image of ``params``.

    Raises
    ------
    ToolError
        If a tool is missing or the compilation fails.
    """

    def convert() -> dict[str, str]:
        return {
            "scnn_pe.v": emit_verilog(ScnnPe(params), PE_MODULE),
            "scnn_array.v": emit_verilog(ScnnArray(params), ARRAY_MODULE),
        }

    return build_design(
        f"scnn_{params.pes_x}x{params.pes_y}_{params.mult_f}x{params.mult_i}",
        asdict(params),
        ("common", "eie", "scnn", "verilog"),
        convert,
        ARRAY_MODULE,
        (PE_MODULE,),
        alike=params.num_pes >= _MANY,
        waves=waves,
    )


def scnn_sram_instances(params: ScnnParams, name: str) -> list[str]:
    """Return the paths in the design of an image's SRAM, for instance ``stream_3/weight``.

    Codebook and tap table have a copy for each weight that a stream decodes in a cycle.
    """
    *stream, memory = name.split("/")
    if memory == "program":
        return [f"{ARRAY_MODULE}.sequencer.descriptor_read.descriptors"]
    if stream:
        return [f"{ARRAY_MODULE}.{stream[0]}.{memory}"]
    return [
        f"{ARRAY_MODULE}.stream_{number}.decode.{memory}_{lane}"
        for number in range(params.num_streams)
        for lane in range(params.mult_f)
    ]


def scnn_act_instance(pe: int, name: str) -> str:
    """Return the path in the design of a PE's source RAM (``act``) or its ``directory``."""
    return f"{ARRAY_MODULE}.pe_{pe}.act_ram.{name}_0"
