"""Read networks of every kind, and write torch modules as ``.pt2`` files."""

import copy
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_path
from zeroskip.compiler.compress.hooks import load_maker
from zeroskip.compiler.compress.rebuild import to_module
from zeroskip.compiler.frontend.networks import import_file, import_program
from zeroskip.compiler.ir.graph import FloatGraph

__all__ = ["Model", "export", "read_model"]

Model = nn.Module | ExportedProgram | FloatGraph | str | Path
"""What can be compressed: whatever the front end reads. Text is the path of a ``.pt2``,
``.onnx``, ``.keras``, ``.caffemodel`` or ``.zsk`` file, or like ``net.py:make``: a file, which is
run, and its function that makes the module."""


def read_model(
    model: Model,
) -> tuple[Callable[[], nn.Module], tuple[int, ...] | None, Path | None]:
    """Return what makes the module to compress, anew each time.

    Returns
    -------
    The function, the shape of a sample if the model says it, and the user's file that is run.

    Raises
    ------
    InputError, CompileError
        As the functions of :mod:`zeroskip.compiler.frontend.networks` do.
    """
    if isinstance(model, nn.Module):
        return lambda: copy.deepcopy(model), None, None
    if isinstance(model, str) and ".py:" in model:
        maker, file = load_maker(model)
        return maker, None, file
    if isinstance(model, (str, Path)):
        network = import_file(model)
    elif isinstance(model, ExportedProgram):
        network = import_program(model)
    elif isinstance(model, FloatGraph):
        network = model
    else:
        raise InputError(
            "model must be a torch.nn.Module, an exported program or the path of a .pt2, .onnx, "
            f".keras, .caffemodel or .zsk file, not {type(model).__name__}"
        )
    shape = network.sample_shape or network.input_shape
    return lambda: to_module(network), shape, None


def export(module: nn.Module, example_input: torch.Tensor, path: str | Path) -> None:
    """Write ``module`` in eval mode to ``path``, a ``.pt2`` file for batches of any size.

    The file appears when it is complete, or not at all.

    Parameters
    ----------
    module : left as it was.
    example_input : (batch, *input_shape).
    path : ends in ``.pt2``; its folder exists.

    Raises
    ------
    InputError
        If ``path`` cannot be written.
    """
    from zeroskip.compiler.frontend.trace import evaluating

    path = Path(path)
    if path.suffix != ".pt2":
        raise InputError(f"the model file must end in .pt2, not {path.name!r}")
    # A batch of one would be taken for a fixed size.
    example = example_input[:1].expand(2, *example_input.shape[1:]).clone()
    stream = io.BytesIO()
    with evaluating(module), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (example,), dynamic_shapes=({0: Dim("batch")},))
        torch.export.save(program, stream)
    with replaced_path(path) as draft:
        draft.write_bytes(stream.getbuffer())
