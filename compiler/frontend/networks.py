"""Read networks: a torch module, an exported program, files of PyTorch, ONNX and Caffe."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend.caffe_file import CAFFE_SUFFIXES, read_caffe
from zeroskip.compiler.frontend.keras_graph import KERAS_SUFFIXES, read_keras_graph
from zeroskip.compiler.frontend.lower import lower, with_output
from zeroskip.compiler.frontend.onnx_file import read_onnx
from zeroskip.compiler.frontend.pieces import Pieces, lower_pieces
from zeroskip.compiler.frontend.program import Graph
from zeroskip.compiler.frontend.pt2 import read_pt2, reporting_damage
from zeroskip.compiler.frontend.zsk import import_zsk
from zeroskip.compiler.ir.graph import FloatGraph

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

_Made = TypeVar("_Made")

__all__ = [
    "import_file", "import_module", "import_pieces", "import_program", "import_tensors",
]  # fmt: skip


def import_module(module: "nn.Module", example_input: Any) -> FloatGraph:
    """Read the network that ``module`` computes in eval mode; ``module`` is left as it was.

    Parameters
    ----------
    module : of Linear, Conv1d and Conv2d, BatchNorm, ReLU, pooling, concatenation and addition,
        with whatever only moves elements between them, such as Flatten; however written.
    example_input : (batch, *input_shape) floating-point tensor or array; values do not matter.

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


def import_program(program: "ExportedProgram") -> FloatGraph:
    """Read the network of an exported program (``torch.export.export``).

    Raises
    ------
    CompileError
        As for :func:`import_module`.
    """
    from zeroskip.compiler.frontend.trace import graph_of_program

    return lower(graph_of_program(program))


def import_file(
    path: str | Path,
    sample_shape: Sequence[int] | None = None,
    output_name: str | None = None,
) -> FloatGraph:
    """Read the network in a file, of the kind that its name ends in: ``.pt2`` if in nothing known.

    Of Keras, that is ``.keras`` or ``.h5``; of Caffe ``.caffemodel``, ``.net`` or ``.prototxt``,
    and the other one beside it; a ``.zsk`` file must carry its graph. Nothing in a file is run or
    unpickled. ``sample_shape`` is of an input without the batch, for sizes that the file leaves
    open. ``output_name`` is the tensor that the network gives, an output of the file's or any
    before; unless given, all its outputs, side by side.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind, or of an opset that is too old.
    CompileError
        As for :func:`import_module`.
    ToolError
        If a package that reads such files is not installed.
    """
    if Path(path).suffix == ".zsk":
        return import_zsk(path, output_name=output_name)
    return _lowered(path, sample_shape, output_name, lower)


def import_pieces(
    path: str | Path,
    sample_shape: Sequence[int] | None = None,
    output_name: str | None = None,
) -> Pieces:
    """Read what is supported of the network in a file, as :func:`import_file` reads all of it.

    A ``.zsk`` file must be supported as a whole.
    """
    if Path(path).suffix == ".zsk":
        return Pieces((import_zsk(path, output_name=output_name),), ())
    return _lowered(path, sample_shape, output_name, lower_pieces)


def import_tensors(
    path: str | Path, sample_shape: Sequence[int] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Read the parameters of the network in a file by name, whether it is supported or not.

    Errors are those of :func:`import_file`, without those of operators. A ``.zsk`` file has none
    that are not supported.
    """
    if Path(path).suffix == ".zsk":
        return {}
    graph, _ = _graph(path, sample_shape)
    return {tensor.path: tensor.array for tensor in graph.tensors.values()}


def _graph(
    path: str | Path, sample_shape: Sequence[int] | None
) -> tuple[Graph, contextlib.AbstractContextManager[None]]:
    """Read the graph in a file of any kind but ``.zsk``, and what reports damage in lowering it."""
    suffix = Path(path).suffix
    if suffix == ".onnx":
        return read_onnx(path, sample_shape), contextlib.nullcontext()
    if suffix in CAFFE_SUFFIXES:
        return read_caffe(path), contextlib.nullcontext()
    if suffix in KERAS_SUFFIXES:
        return read_keras_graph(path, sample_shape), contextlib.nullcontext()
    # Readers of the other kinds find damage themselves, before anything is lowered.
    return read_pt2(path), reporting_damage(path)


def _lowered(
    path: str | Path,
    sample_shape: Sequence[int] | None,
    output_name: str | None,
    lowering: Callable[[Graph], _Made],
) -> _Made:
    """Lower the graph in a file, or the part of it that makes the output of a name."""
    graph, damage = _graph(path, sample_shape)
    with damage:
        return lowering(graph if output_name is None else with_output(graph, output_name))
