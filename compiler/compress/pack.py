"""From a compressed module to ``model.zsk``, and back to a state dict."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.compress.layers import bake, layers_of
from zeroskip.compiler.compress.run_folder import write_file
from zeroskip.compiler.compress.zsk import Container, dumps, load, loads
from zeroskip.compiler.compress.zsk_graph import graph_to_json
from zeroskip.compiler.compress.zsk_tensor import DTYPES, StoredTensor, encode_tensor
from zeroskip.compiler.frontend.lower import lower
from zeroskip.compiler.frontend.program import Graph
from zeroskip.compiler.frontend.trace import graph_of_module
from zeroskip.compiler.ir.graph import FloatConv, FloatLinear

__all__ = ["LayerSize", "PackReport", "pack", "pack_state", "state_of_zsk", "to_array"]


@dataclass(frozen=True)
class LayerSize:
    """A line of the paper's tables 2 and 3.

    Parameters
    ----------
    name : of the layer.
    weights, kept : how many there are, and are not 0.
    values : shared by them.
    code_bits, run_bits : of an entry before Huffman coding.
    coded_code_bits, coded_run_bits : means after it.
    rate_shared, rate_coded : bytes of the weights over 4 bytes each, before and after Huffman
        coding, codebook and tables included.
    """

    name: str
    weights: int
    kept: int
    values: int
    code_bits: float
    coded_code_bits: float
    run_bits: float
    coded_run_bits: float
    rate_shared: float
    rate_coded: float


@dataclass(frozen=True)
class PackReport:
    """What packing made.

    Parameters
    ----------
    file_bytes : size of the file.
    parameters : of the network.
    ratio : 4 bytes a parameter over ``file_bytes``.
    layers : those whose weights are compressed.
    warnings : what a user should know.
    """

    file_bytes: int
    parameters: int
    ratio: float
    layers: tuple[LayerSize, ...]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return asdict(self)


def pack(
    module: nn.Module,
    path: Path | str,
    example: torch.Tensor | None = None,
    meta: dict[str, Any] | None = None,
    *,
    needs_graph: bool = False,
) -> PackReport:
    """Write ``module`` to ``path``; it is read back and compared bit by bit before it appears.

    Parameters
    ----------
    module : compressed, or not; left as it was.
    path : of the ``.zsk`` file.
    example : an input, batch first; with it the file carries the graph.
    meta : stored with it, anything that JSON can say.
    needs_graph : nothing is written without a graph; else a warning says why there is none.

    Raises
    ------
    InputError
        If a parameter is NaN or infinite, or the file cannot be written; or there is no graph, and
        one is needed.
    """
    module = bake(copy.deepcopy(module)).cpu().eval()
    warnings: list[str] = []
    graph: dict[str, Any] | None = None
    if example is not None:
        try:
            traced = graph_of_module(module, example.cpu())
            graph = graph_to_json(traced)
        except (CompileError, InputError) as error:
            if needs_graph:
                raise InputError(str(error)) from error
            warnings.append(f"the file carries no graph: {error}")
        else:
            warnings += _scaled_layers(module, traced)
    layers = {layer.path: name for name, layer in layers_of(module).items()}
    parameters = sum(p.numel() for p in module.parameters())
    report = pack_state(module.state_dict(), path, layers, graph, meta, parameters=parameters)
    return replace(report, warnings=(*warnings, *report.warnings))


def pack_state(
    state: Mapping[str, torch.Tensor],
    path: Path | str,
    layers: Mapping[str, str] | None = None,
    graph: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
    *,
    parameters: int | None = None,
) -> PackReport:
    """Write a state dict; see :func:`pack`.

    Parameters
    ----------
    state : tensors by name.
    path, graph, meta : of the file.
    layers : names of the layers by their tensors; all with a matrix or more, if None.
    parameters : that the ratio refers to; all elements, if None.

    Raises
    ------
    InputError
        As for :func:`pack`.
    """
    if layers is None:
        named = [name for name, tensor in state.items() if tensor.dim() > 1]
        layers = {name: name.removesuffix(".weight") for name in named}
    stored: list[StoredTensor] = []
    warnings: list[str] = []
    for name, tensor in state.items():
        array, dtype = to_array(name, tensor)
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{name!r} has NaN or infinite elements; was it trained to the end?")
        stored.append(encode_tensor(name, array, dtype))
        if name in layers and tensor.numel() and not bool(tensor.any()):
            warnings.append(
                f"layer {layers[name]!r} has no weight left: its outputs are its biases"
            )
    data = dumps(Container(tuple(stored), graph, dict(meta or {})))
    back = loads(data).arrays()
    for name, tensor in state.items():
        array, _ = to_array(name, tensor)
        if back[name].tobytes() != array.tobytes() or back[name].shape != array.shape:
            raise InputError(f"{name!r} does not come back as it was; please report this")
    write_file(Path(path), data)
    count = sum(t.numel() for t in state.values()) if parameters is None else parameters
    return PackReport(
        file_bytes=len(data),
        parameters=count,
        ratio=4 * count / len(data),
        layers=tuple(
            _size(layers[tensor.name], state[tensor.name], tensor)
            for tensor in stored
            if tensor.name in layers
        ),
        warnings=tuple(warnings),
    )


def state_of_zsk(path: Path | str) -> dict[str, torch.Tensor]:
    """Return the state dict in a ``.zsk`` file.

    Raises
    ------
    InputError
        As :func:`.load` does.
    """
    container = load(path)
    dtypes = container.dtypes()
    state = {}
    for name, array in container.arrays().items():
        # NumPy has no bfloat16; its bits are the array's.
        tensor = torch.from_numpy(np.array(array))
        state[name] = tensor.view(torch.bfloat16) if dtypes[name] == "bfloat16" else tensor
    return state


def to_array(name: str, tensor: torch.Tensor) -> tuple[np.ndarray, str]:
    """Return the elements of ``tensor`` for a ``.zsk`` file, and their type's name."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise InputError(
            f"{name!r} is of type {dtype}, which .zsk files do not hold; convert it, to float32 say"
        )
    if tensor.is_meta or tensor.is_quantized or tensor.layout != torch.strided:
        raise InputError(
            f"{name!r} has no plain elements: it is sparse, quantized or on 'meta'; make it dense"
        )
    tensor = tensor.detach().cpu().contiguous()
    if dtype == "bfloat16":
        tensor = tensor.view(torch.uint16)
    return tensor.numpy(), dtype


def _scaled_layers(module: nn.Module, graph: Graph) -> list[str]:
    """Return a warning for each layer whose shared values ``compile`` would scale apart."""
    try:
        network = lower(graph)
    except (CompileError, InputError):
        return []  # It does not compile: the user's to know, whoever wants the file alone.
    shared = {name: layer.weight for name, layer in layers_of(module).items()}
    warnings: list[str] = []
    for layer in network.nodes:
        if not isinstance(layer, (FloatConv, FloatLinear)):
            continue
        if not layer.folded or layer.name not in shared:
            continue
        values = int(shared[layer.name].unique().numel())
        found = np.unique(layer.weight).size
        if found > values:
            warnings.append(
                f"compile scales the weights of layer {layer.name!r} by "
                f"{', '.join(map(repr, layer.folded))}: its {values} values become {found}; put "
                "that scaling into the weights before compression"
            )
    return warnings


def _size(name: str, weight: torch.Tensor, stored: StoredTensor) -> LayerSize:
    record, total = stored.record, max(1, weight.numel())
    width = 8 * weight.element_size()
    entries = max(1, record.get("entries", total))
    sections = [8 * len(section) for section in stored.sections]
    # Sparse tensors have values where shared ones have codes; plain ones have nothing else.
    code = record.get("code_bits", width)
    runs = record.get("run_bits", 0)
    if record["kind"] == "shared":
        coded, coded_runs, table = sections[2], sections[3], sections[0]
    else:
        coded, coded_runs, table = sections[0], sections[-1] if len(sections) > 1 else 0, 0
    return LayerSize(
        name=name,
        weights=total,
        kept=int(torch.count_nonzero(weight)),
        values=record.get("values", int(weight[weight != 0].unique().numel())),
        code_bits=code,
        coded_code_bits=coded / entries,
        run_bits=runs,
        coded_run_bits=coded_runs / entries,
        rate_shared=(entries * (code + runs) + table) / (32 * total),
        rate_coded=sum(sections) / (32 * total),
    )
