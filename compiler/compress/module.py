"""Between networks and plain torch modules: what compression trains, and how it is stored."""

import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from compiler.errors import InputError
from compiler.frontend import as_chain, import_module, import_program, import_pt2
from compiler.network import FloatNetwork
from compiler.staging import replaced_path

__all__ = ["Model", "export", "linear_layers", "read_model", "to_module"]

Model = nn.Module | ExportedProgram | FloatNetwork | str | Path
"""Whatever the front end reads; text is the path of a ``.pt2`` file."""


def read_model(model: Model, example_input: Any) -> FloatNetwork:
    """Read ``model``; only a module needs ``example_input``.

    Raises
    ------
    InputError, CompileError
        As the functions of :mod:`compiler.frontend` do.
    """
    if isinstance(model, FloatNetwork):
        return model
    if isinstance(model, ExportedProgram):
        return as_chain(import_program(model))
    if isinstance(model, (str, Path)):
        return as_chain(import_pt2(model))
    return as_chain(import_module(model, example_input))


def to_module(network: FloatNetwork) -> nn.Sequential:
    """Return ``network`` as Flatten, Linear and ReLU in float32, in eval mode.

    Linears carry the names of their layers, with ``_`` for what a name cannot have.
    """
    parts: dict[str, nn.Module] = {}
    if len(network.input_shape) != 1:
        parts["flatten"] = nn.Flatten()
    for layer in network.layers:
        rows, cols = layer.shape
        linear = nn.Linear(cols, rows, bias=bool(layer.bias.any()))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weight))
            if layer.bias.any():
                linear.bias.copy_(torch.from_numpy(layer.bias))
        name = _free_name(layer.name, parts)
        parts[name] = linear
        if layer.relu:
            parts[_free_name(f"{name}_relu", parts)] = nn.ReLU()
    module = nn.Sequential()
    for name, part in parts.items():
        module.add_module(name, part)
    return module.eval()


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    """Return the Linears of ``module`` in order."""
    return [part for part in module.modules() if isinstance(part, nn.Linear)]


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
    from compiler.frontend_trace import evaluating

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


def _free_name(name: str, taken: Mapping[str, nn.Module]) -> str:
    """Return ``name`` as a module may be called."""
    name = re.sub(r"\W", "_", name)
    while name in taken or hasattr(nn.Sequential, name):
        name += "_"
    return name
