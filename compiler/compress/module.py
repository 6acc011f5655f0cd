"""Read networks of every kind, and write torch modules as ``.pt2`` files."""

import io
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_path
from zeroskip.compiler.frontend.networks import import_module, import_program, import_pt2
from zeroskip.compiler.frontend.zsk import import_zsk
from zeroskip.compiler.ir.graph import FloatGraph

__all__ = ["Model", "export", "linear_layers", "read_model", "weight_layers"]

Model = nn.Module | ExportedProgram | FloatGraph | str | Path
"""Whatever the front end reads; text is the path of a ``.pt2`` or ``.zsk`` file."""


def read_model(model: Model, example_input: Any) -> FloatGraph:
    """Read ``model``; only a module needs ``example_input``.

    Raises
    ------
    InputError, CompileError
        As the functions of :mod:`zeroskip.compiler.frontend.networks` do.
    """
    if isinstance(model, FloatGraph):
        return model
    if isinstance(model, ExportedProgram):
        return import_program(model)
    if isinstance(model, (str, Path)):
        return import_zsk(model) if Path(model).suffix == ".zsk" else import_pt2(model)
    return import_module(model, example_input)


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    """Return the Linears of ``module`` in order."""
    return [part for part in module.modules() if isinstance(part, nn.Linear)]


def weight_layers(module: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """Return the Linears and convolutions of ``module`` in order."""
    return [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d)]


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
