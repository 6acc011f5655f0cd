"""Find LSTM and GRU cells in graphs that have them as matrix products, functions and arithmetic.

So exporters write a cell that Python code calls step by step: to ONNX, and in programs of torch
whose operators were decomposed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zeroskip.compiler.frontend.ops import node_error
from zeroskip.compiler.frontend.program import Graph, Node, Ref, Tensor
from zeroskip.compiler.frontend.traced import live_nodes

__all__ = ["makes_zeros", "with_cells"]

_ZEROS = {"zeros", "new_zeros", "zeros_like"}
_FILLED = {"full", "new_full", "full_like"}
_SPLITS = {"split", "unsafe_split", "split_with_sizes", "chunk", "unsafe_chunk"}
_TURNS = {"t", "permute", "transpose", "numpy_T"}
_LSTM, _GRU = 4, 3
"""Gates of a hidden unit, the candidate among them; each is a sum of products."""


def makes_zeros(node: Node) -> bool:
    """Say whether a node makes a tensor of zeros, for example ``zeros_like``: an initial state."""
    return node.base in _ZEROS or (node.base in _FILLED and node.args.get("fill_value") == 0)


def with_cells(graph: Graph) -> Graph:
    """Return a graph that has a node ``lstm_cell`` or ``gru_cell`` for the parts of each cell.

    A cell is taken as torch computes it, with the order of sums that torch has::

        i, f, g, o = split(x W + b + h U + d)
        c' = sigmoid(f) c + sigmoid(i) tanh(g)
        h' = sigmoid(o) tanh(c')

    and of a GRU ``n = tanh(x_n + sigmoid(r) h_n)``, ``h' = (h - n) sigmoid(z) + n``. What an
    exporter folded of the first step, whose ``h U`` is 0, is taken from the second. Anything else
    stays as it is.
    """
    finder = _Finder(graph)
    cells = list(finder.cells())
    if not cells:
        return graph
    made = {cell.outputs[-1]: cell for cell in cells}
    inside = {name for cell in cells for name in cell.outputs}
    nodes = list[Node]()
    for node in graph.nodes:
        cell = next((made[name] for name in node.outputs if name in made), None)
        if cell is not None:
            nodes.append(finder.node(cell, cells))
        elif inside.isdisjoint(node.outputs):
            nodes.append(node)
    changed = replace(graph, nodes=tuple(nodes), tensors=graph.tensors | finder.tensors)
    live = live_nodes(changed)
    names = {node.name for node in live}
    refused = {name: why for name, why in graph.refused.items() if name in names}
    return replace(changed, nodes=tuple(live), refused=refused)


@dataclass(frozen=True)
class _Product:
    """A matrix times a step's inputs, or times the hidden units of the step before.

    Parameters
    ----------
    source : the vector.
    weight : the matrix, (gates * units, columns).
    bias : added to it, if anything.
    """

    source: str
    weight: str
    bias: str | None


@dataclass(frozen=True)
class _Cell:
    """One step of a cell, by the names of its values.

    Parameters
    ----------
    outputs : h, and of an LSTM c, behind the step.
    state : the same before it; no h where an exporter has folded it.
    of_input : product of the step's inputs.
    of_state : that of h, or constants that an exporter has made of it.
    """

    outputs: tuple[str, ...]
    state: tuple[str | None, ...]
    of_input: _Product
    of_state: _Product | tuple[str, ...]


class _Finder:
    """Search of a graph for cells, from their outputs back to their products.

    Parameters
    ----------
    graph : as a front end made it.

    Attributes
    ----------
    tensors : constants that nodes of cells need and the graph does not have.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made = {name: node for node in graph.nodes for name in node.outputs}
        # Values that depend on the network's input: others are constants or zeros.
        self._reached = set(graph.inputs)
        for node in graph.nodes:
            if not makes_zeros(node) and not self._reached.isdisjoint(node.refs()):
                self._reached.update(node.outputs)
        self._hidden: dict[str, str] = {}
        self._seen: list[str] = []
        self.tensors: dict[str, Tensor] = {}

    def cells(self) -> Iterator[_Cell]:
        """Give the cells, in the order of their steps."""
        for node in self._graph.nodes:
            for name in node.outputs[:1]:
                cell = self._lstm(name) or self._gru(name)
                if cell is not None:
                    self._hidden[cell.outputs[-1]] = name
                    yield cell

    def _lstm(self, h: str) -> _Cell | None:
        """Return the step of an LSTM cell whose output is ``h``; None if there is none."""
        for o, tanh in self._operands(h, "mul"):
            c = self._argument(tanh, "tanh")
            for old, new in self._operands(c, "add"):
                for f, past in self._operands(old, "mul"):
                    for i, g in self._operands(new, "mul"):
                        gates = [self._argument(gate, "sigmoid") for gate in (i, f, o)]
                        gates.insert(2, self._argument(g, "tanh"))
                        sums = self._whole(gates, _LSTM)
                        found = sums and self._lstm_sums(sums, past)
                        if found:
                            return _Cell((h, c), *found)
        return None

    def _lstm_sums(
        self, sums: str, past: str
    ) -> tuple[tuple[str | None, str], _Product, _Product | tuple[str, ...]] | None:
        """Return (h, c) before a step, and both products that ``sums`` adds; else None."""
        before = self._hidden.get(past)
        for left, right in self._operands(sums, "add"):
            of_input, of_state = self._product(left), self._product(right)
            if of_input is None or of_input.source not in self._reached:
                continue
            if of_state is None:
                if right in self._graph.tensors:
                    return (None, past), of_input, (right,)
            elif of_state.source == before or (
                before is None and of_state.source not in self._reached
            ):
                return (of_state.source, past), of_input, of_state
        return None

    def _gru(self, h: str) -> _Cell | None:
        """Return the step of a GRU cell whose output is ``h``; None if there is none."""
        for scaled, n in self._operands(h, "add"):
            for apart, update in self._operands(scaled, "mul"):
                node = self._made.get(apart)
                refs = [] if node is None or node.base != "sub" else node.refs()
                if node is None or refs[1:] != [n] or node.args.get("alpha", 1) != 1:
                    continue
                past = refs[0]
                for inner, reset in self._operands(self._argument(n, "tanh"), "add"):
                    for outer, r in self._operands(reset, "mul"):
                        gates = [self._argument(gate, "sigmoid") for gate in (r, update)]
                        found = self._gru_sums(gates, inner, outer)
                        if found:
                            return _Cell((h,), (past,), *found)
        return None

    def _gru_sums(
        self, gates: Sequence[str], inner: str, outer: str
    ) -> tuple[_Product, _Product | tuple[str, ...]] | None:
        """Return both products that gates and candidate are made of; None if they are not."""
        for of_reset in self._operands(gates[0], "add"):
            for of_update in self._operands(gates[1], "add"):
                x = self._whole([of_reset[0], of_update[0], inner], _GRU)
                hidden = [of_reset[1], of_update[1], outer]
                of_input = self._product(x)
                if of_input is None:
                    continue
                whole = self._whole(hidden, _GRU)
                of_state = self._product(whole)
                if of_state is not None:
                    return of_input, of_state
                folded = (whole,) if whole else tuple(hidden)
                if all(name in self._graph.tensors for name in folded):
                    return of_input, folded
        return None

    def _operands(self, name: str, base: str) -> Iterator[tuple[str, str]]:
        """Give both operands of a node that makes ``name``, if it is of ``base``, in each order."""
        node = self._made.get(name)
        refs = [] if node is None or node.base != base else node.refs()
        if node is not None and len(refs) == 2 and node.args.get("alpha", 1) == 1:
            yield refs[0], refs[1]
            yield refs[1], refs[0]

    def _argument(self, name: str, function: str) -> str:
        """Return what ``function`` is applied to to make ``name``; "" if another node makes it."""
        node = self._made.get(name)
        # ONNX has Sigmoid and Tanh, which its front end leaves by their own names.
        refs = [] if node is None or node.base.lower() != function else node.refs()
        return refs[0] if len(refs) == 1 else ""

    def _whole(self, pieces: Sequence[str], count: int) -> str:
        """Return what a node splits into ``count`` equal ``pieces``; "" if none does."""
        node = self._made.get(pieces[0])
        shapes = {self._graph.values[name].shape for name in pieces if name in self._graph.values}
        if node is None or node.base not in _SPLITS or tuple(pieces) != node.outputs:
            return ""
        is_last = len(shapes) == 1 and node.args.get("dim", 0) in (-1, len(*shapes) - 1)
        return node.refs()[0] if len(pieces) == count and is_last else ""

    def _product(self, name: str) -> _Product | None:
        """Return the product that makes ``name``, with its bias; None if another node does."""
        for product, bias in self._operands(name, "add"):
            found = self._product(product)
            if found is not None and found.bias is None and bias not in self._reached:
                return replace(found, bias=self._first_alike(bias))
        node = self._made.get(name)
        if node is None or node.base not in ("linear", "addmm", "mm", "matmul"):
            return None
        names = {"linear": ("input", "weight", "bias"), "addmm": ("mat1", "mat2", "self")}
        keys = names.get(node.base, ("self", "other" if node.base == "matmul" else "mat2", ""))
        source, matrix, bias = (node.args.get(key) for key in keys)
        plain = node.args.get("alpha", 1) == 1 == node.args.get("beta", 1)
        if not isinstance(source, Ref) or not isinstance(matrix, Ref) or not plain:
            return None
        weight = self._weight(matrix.name, is_turned=node.base != "linear")
        offset = self._first_alike(bias.name) if isinstance(bias, Ref) else None
        return None if weight is None else _Product(source.name, weight, offset)

    def _weight(self, name: str, *, is_turned: bool) -> str | None:
        """Return the name of a matrix, (gates * units, columns), the same in all steps."""
        node = self._made.get(name)
        if is_turned and node is not None and node.base in _TURNS:
            return self._weight(node.refs()[0], is_turned=False)
        tensor = self._graph.tensors.get(name)
        if tensor is None or tensor.array.ndim != 2:
            return None
        if is_turned:
            name, tensor = f"{name}.turned", Tensor(tensor.path, tensor.array.T)
            self.tensors[name] = tensor
        return self._first_alike(name)

    def _first_alike(self, name: str) -> str:
        """Return the first constant equal to ``name``: files may repeat one at each step."""
        tensor = self._tensor(name)
        if tensor is None:
            return name
        for known in self._seen:
            other = self._tensor(known)
            if other and other.path == tensor.path and np.array_equal(other.array, tensor.array):
                return known
        self._seen.append(name)
        return name

    def _tensor(self, name: str | None) -> Tensor | None:
        return self.tensors.get(name or "") or self._graph.tensors.get(name or "")

    def node(self, cell: _Cell, cells: Sequence[_Cell]) -> Node:
        """Return the node ``lstm_cell`` or ``gru_cell`` of a step, with torch's arguments."""
        maker = self._made[cell.outputs[0]]
        state, of_state = list(cell.state), cell.of_state
        if not isinstance(of_state, _Product):
            of_state = self._unfolded(cell, of_state, cells)
            state[0] = of_state.source
        hx = [Ref(name) for name in state if name is not None]
        kind = "lstm_cell" if len(cell.outputs) == 2 else "gru_cell"
        args = {
            "input": Ref(cell.of_input.source),
            "hx": hx,
            "w_ih": Ref(cell.of_input.weight),
            "w_hh": Ref(of_state.weight),
            "b_ih": cell.of_input.bias and Ref(cell.of_input.bias),
            "b_hh": of_state.bias and Ref(of_state.bias),
        }
        return Node(maker.name, f"aten.{kind}.default", args, cell.outputs, maker.module)

    def _unfolded(self, cell: _Cell, folded: tuple[str, ...], cells: Sequence[_Cell]) -> _Product:
        """Return the product of a first step's zeros, which an exporter has computed already.

        Its matrix is that of the next step.

        Raises
        ------
        NodeError
            If it is not what the next step would make of zeros.
        """
        sums = np.concatenate([self._graph.tensors[fold].array.ravel() for fold in folded])
        zeros, path = f"{cell.outputs[0]}.zeros", f"{cell.of_input.weight}.folded"
        units = len(sums) // (_LSTM if len(cell.outputs) == 2 else _GRU)
        self.tensors[zeros] = Tensor(zeros, np.zeros(units))
        after = next((one.of_state for one in cells if one.state == cell.outputs), None)
        if after is None:
            # Of a single step the sums are all that is known, and all that is needed.
            self.tensors[path] = Tensor(path, np.zeros((len(sums), units)))
            self.tensors[f"{path}.bias"] = Tensor(f"{path}.bias", sums)
            return _Product(zeros, path, f"{path}.bias")
        bias = self._tensor(after.bias) if isinstance(after, _Product) else None
        if isinstance(after, _Product) and np.allclose(
            sums, 0.0 if bias is None else bias.array, atol=1e-6
        ):
            return replace(after, source=zeros)
        raise node_error(self._made[cell.outputs[0]], "its initial state is not zeros")
