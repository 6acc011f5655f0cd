"""Read compressed networks: a ``.zsk`` file, alone or with the ``.pt2`` file of its graph."""

from pathlib import Path

import numpy as np

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.zsk import load
from zeroskip.compiler.compress.zsk_graph import graph_from_json, replace_tensors
from zeroskip.compiler.frontend.lower import lower, with_output
from zeroskip.compiler.frontend.program import Graph
from zeroskip.compiler.frontend.pt2 import read_pt2, reporting_damage
from zeroskip.compiler.ir.graph import FloatGraph

__all__ = ["import_zsk"]


def import_zsk(
    path: Path | str, graph: Path | str | None = None, output_name: str | None = None
) -> FloatGraph:
    """Read the network in a ``.zsk`` file, without torch.

    Parameters
    ----------
    path : of the ``.zsk`` file.
    graph : a ``.pt2`` file of the same network, whose tensors are replaced; the graph that the
        file carries, if None.
    output_name : of a tensor of the graph, as for :func:`.import_file`.

    Raises
    ------
    InputError
        If a file is missing or damaged, there is no graph, or it is of another network.
    CompileError
        As for :func:`.import_module`.
    """
    container = load(path)
    arrays = container.arrays()
    for name, dtype in container.dtypes().items():
        if dtype == "bfloat16":
            # The upper half of a float32.
            arrays[name] = (arrays[name].astype(np.uint32) << np.uint32(16)).view(np.float32)

    def cut(whole: Graph) -> Graph:
        return whole if output_name is None else with_output(whole, output_name)

    if graph is not None:
        return lower(cut(replace_tensors(read_pt2(graph), arrays)))
    if container.graph is None:
        raise InputError(f"{path} carries no graph; give the network's .pt2 file (graph)")
    with reporting_damage(path):
        return lower(cut(graph_from_json(container.graph, arrays)))
