"""Build a Verilator simulation of the SCNN array."""

from pathlib import Path

from zeroskip.flow.scnn.flow import FLOW
from zeroskip.hw.scnn.array import ARRAY_MODULE
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.rtl.build import build_array

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
    return build_array(FLOW, params, alike=params.num_pes >= _MANY, waves=waves)


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
    """Return the path in the design of a PE's activation RAM (``act``) or its ``directory``."""
    return f"{ARRAY_MODULE}.pe_{pe}.act_ram.{name}_rows"
