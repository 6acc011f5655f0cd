"""The graph of a network as JSON, for ``.zsk`` files; the tensors are stored apart from it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.frontend.program import Graph, Node, Ref, Tensor, Value

__all__ = ["graph_from_json", "graph_to_json", "replace_tensors"]


def graph_to_json(graph: Graph) -> dict[str, Any]:
    """Return ``graph`` without the contents of its tensors."""
    return {
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "mutated": list(graph.mutated),
        "tensors": {name: tensor.path for name, tensor in graph.tensors.items()},
        "values": {
            name: [list(value.shape), int(value.floating)] for name, value in graph.values.items()
        },
        "nodes": [
            [
                node.name,
                node.op,
                {name: _to_json(arg) for name, arg in node.args.items()},
                list(node.outputs),
                node.module,
            ]
            for node in graph.nodes
        ],
    }


def graph_from_json(text: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Graph:
    """Return the graph that :func:`graph_to_json` wrote, with ``arrays`` as its tensors.

    Raises
    ------
    InputError
        If ``text`` is no graph, or a tensor is missing.
    """
    try:
        return Graph(
            inputs=tuple(text["inputs"]),
            outputs=tuple(text["outputs"]),
            mutated=tuple(text["mutated"]),
            tensors={
                name: Tensor(path, _array(path, arrays)) for name, path in text["tensors"].items()
            },
            nodes=tuple(
                Node(
                    name=name,
                    op=op,
                    args={key: _from_json(arg) for key, arg in args.items()},
                    outputs=tuple(outputs),
                    module=module,
                )
                for name, op, args, outputs, module in text["nodes"]
            ),
            values={
                name: Value(tuple(shape), bool(floating))
                for name, (shape, floating) in text["values"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"a graph in a .zsk file cannot be read: {error}") from error


def replace_tensors(graph: Graph, arrays: dict[str, NDArray[Any]]) -> Graph:
    """Return ``graph`` with the arrays of the same paths in place of its own tensors.

    Constants that are in no state dict are kept.

    Raises
    ------
    InputError
        If a shape differs, or an array has no place in the graph.
    """
    paths = {tensor.path for tensor in graph.tensors.values()}
    unknown = [name for name in arrays if name not in paths and _matters(name)]
    if unknown and not paths & set(arrays):
        raise InputError(
            f"no tensor of the .zsk file has a name of the graph's: the file has "
            f"{_few(arrays)}, the graph {_few(paths)}; export the graph of the module whose "
            "tensors were packed, with the names of its state dict"
        )
    if unknown:
        raise InputError(
            f"the graph has no tensor {unknown[0]!r}, which the .zsk file has: is it the graph of "
            f"another network? It has {_few(paths)}"
        )
    tensors = {}
    for name, tensor in graph.tensors.items():
        array = arrays.get(tensor.path)
        if array is not None and array.shape != tensor.array.shape:
            raise InputError(
                f"tensor {tensor.path!r} is {tensor.array.shape} in the graph, but {array.shape} "
                "in the .zsk file"
            )
        new = tensor.array if array is None else array.astype(np.float64)
        tensors[name] = Tensor(tensor.path, new)
    return Graph(graph.inputs, graph.outputs, graph.mutated, tensors, graph.nodes, graph.values)


def _few(names: Iterable[str]) -> str:
    """Name a few."""
    every = sorted(names)
    return ", ".join(map(repr, every[:3])) + (f" and {len(every) - 3} more" * (len(every) > 3))


def _matters(name: str) -> bool:
    # Batch norms count batches, which no graph in eval mode refers to.
    return not name.endswith("num_batches_tracked")


def _array(path: str, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    if path not in arrays:
        raise InputError(f"the .zsk file has a graph, but not its tensor {path!r}")
    return arrays[path].astype(np.float64)


def _to_json(arg: Any) -> Any:
    if isinstance(arg, Ref):
        return {"ref": arg.name}
    if isinstance(arg, (list, tuple)):
        return [_to_json(item) for item in arg]
    return arg if isinstance(arg, (bool, int, float, str, type(None))) else str(arg)


def _from_json(arg: Any) -> Any:
    if isinstance(arg, dict):
        return Ref(arg["ref"])
    return [_from_json(item) for item in arg] if isinstance(arg, list) else arg
