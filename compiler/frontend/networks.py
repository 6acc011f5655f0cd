"""Read networks: a torch module, an exported program, or a ``.pt2`` file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.lower import lower
from zeroskip.compiler.frontend.pt2 import read_pt2, reporting_damage
from zeroskip.compiler.ir.graph import FloatCnn
from zeroskip.compiler.ir.network import FloatNetwork

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

__all__ = ["as_chain", "import_module", "import_program", "import_pt2"]


def import_module(module: "nn.Module", example_input: Any) -> FloatNetwork | FloatCnn:
    """Read the network that ``module`` computes in eval mode; ``module`` is left as it was.

    Parameters
    ----------
    module : a chain of Linear, ReLU, Flatten, Dropout and BatchNorm1d, however written; before it,
        Conv2d, BatchNorm2d, ReLU, pooling, concatenation of channels and addition, with branches.
    example_input : (batch, *input_shape) floating-point tensor or array; values do not matter.

    Returns
    -------
    A :class:`FloatCnn` if there are convolutions or pooling, else the chain.

    Raises
    ------
    InputError
        If an argument is of the wrong kind.
    CompileError
        If the network is not of the supported kind; names the operation.
    """
    # torch takes seconds to import, and whoever has a .pt2 file can do without it.
    from zeroskip.compiler.frontend.trace import graph_of_module

    return lower(graph_of_module(module, example_input))


def import_program(program: "ExportedProgram") -> FloatNetwork | FloatCnn:
    """Read the network of an exported program (``torch.export.export``).

    Raises
    ------
    CompileError
        As for :func:`import_module`.
    """
    from zeroskip.compiler.frontend.trace import graph_of_program

    return lower(graph_of_program(program))


def import_pt2(path: str | Path) -> FloatNetwork | FloatCnn:
    """Read the network in a ``.pt2`` file (``torch.export.save``), without torch.

    Nothing in the file is run or unpickled.

    Raises
    ------
    InputError
        If the file is missing, damaged or no ``.pt2`` file.
    CompileError
        As for :func:`import_module`.
    """
    graph = read_pt2(path)
    with reporting_damage(path):
        return lower(graph)


def as_chain(network: FloatNetwork | FloatCnn) -> FloatNetwork:
    """Return ``network`` if it is a chain of Linear layers.

    Raises
    ------
    CompileError
        If it has convolutions or pooling.
    """
    if isinstance(network, FloatCnn):
        raise CompileError(
            f"the network has convolutions or pooling ({network.graph.nodes[0].name!r}), but only "
            "a chain of Linear layers can be taken here"
        )
    return network
