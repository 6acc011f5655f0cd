"""Recurrent networks: LSTM, GRU and their cells, with what is around them at every step."""

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.frames import SHAPES, find_frames
from zeroskip.compiler.frontend.plane_ops import CONCATS
from zeroskip.compiler.frontend.program import Graph, Node, Ref
from zeroskip.compiler.frontend.traced import Reader
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatCell,
    FloatConcat,
    FloatGraph,
    FloatLinear,
    FloatNode,
)
from zeroskip.compiler.ir.sequences import Sweep

__all__ = ["MOST_STEPS", "SUPPORTED", "has_cells", "lower_recurrent"]

MOST_STEPS = 1 << 14
"""Steps of a sequence, at most; each is some commands of a list in memory."""

SUPPORTED = (
    "of a recurrent network LSTM, with projection and peepholes or without, GRU, LSTMCell and "
    "GRUCell from a state of zeros, Linear and ReLU at every step, concatenation, Dropout, and the "
    "outputs of the last step or of all"
)

_LAYERS: dict[str, Literal["lstm", "gru"]] = {"lstm": "lstm", "gru": "gru"}
_CELLS: dict[str, Literal["lstm", "gru"]] = {"lstm_cell": "lstm", "gru_cell": "gru"}
_ZEROS = {"zeros", "new_zeros", "zeros_like"}
_MOVES = ("select", "transpose", "permute", "slice", *SHAPES)
_KNOWN = {*_LAYERS, *_CELLS, *ops.PRODUCTS, *ops.SAME, *_MOVES, *CONCATS, "relu", "add"}
"""What may be done to steps of a sequence."""

_OF_PLANES = (
    "between x.flatten(0, 1) and reshape(batch, steps, -1) it can be one of single steps; if it "
    "reads several, compile the layers up to it as an image of their own, and give what they make "
    "to that of the layers behind it"
)
_WAYS_OUT = {
    "embedding": "give the network what it makes, or one-hot vectors with a Linear in its place",
    **dict.fromkeys(
        ("conv1d", "conv2d", "convolution", "batch_norm", "max_pool1d", "max_pool2d", "avg_pool1d",
         "avg_pool2d", "adaptive_avg_pool2d"),
        _OF_PLANES,
    ),
}  # fmt: skip

_ENDLESS = (1 << 63) - 1
"""End of a slice that takes all there is."""


def has_cells(nodes: list[Node]) -> bool:
    """Say whether a network has a recurrent layer."""
    return any(node.base in {*_LAYERS, *_CELLS, "rnn_tanh", "rnn_relu"} for node in nodes)


_Form = Literal["batch", "steps", "step", "hidden", "finals", "state", "apart", "pairs"]

_SWAPPED: Mapping[str, _Form] = {
    "batch": "steps", "steps": "batch", "hidden": "finals", "apart": "pairs",
}  # fmt: skip
"""What a value becomes with batch and steps, or batch and directions, swapped."""


@dataclass(frozen=True)
class _Value:
    """What a value of the graph is.

    Parameters
    ----------
    tensor : whose.
    form : ``batch`` and ``steps`` are of sequences, whichever is the first dimension; ``step`` is a
        single step; ``hidden`` is the last step that each layer and direction has made, ``state``
        their states, and ``finals`` hidden ones with the batch first. ``apart`` are steps whose
        directions are a dimension of their own, behind the steps, and ``pairs`` behind the batch.
    step : its number, of a single one.
    sides : names of those layers and directions, in order.
    """

    tensor: str
    form: _Form
    step: int = 0
    sides: tuple[str, ...] = ()


@dataclass
class _Unrolled:
    """Steps of a cell that have been seen.

    Parameters
    ----------
    name : of the layer.
    source : tensor whose steps it takes.
    step : the last.
    state : names of the values that the last has left.
    """

    name: str
    source: str
    step: int
    state: tuple[str, ...]


def lower_recurrent(graph: Graph, nodes: list[Node]) -> FloatGraph:
    """Return what a recurrent network computes.

    Parameters
    ----------
    graph : of one input and one output.
    nodes : that the output depends on, in order.

    Raises
    ------
    CompileError
        If it has something that is not supported; names it.
    """
    return _Walk(graph, nodes).run()


def _swaps(node: Node, form: str = "steps") -> bool:
    """Say whether a node swaps batch and steps, or what is of directions and the batch."""
    pair, order = ({1, 2}, [0, 2, 1, 3]) if form == "apart" else ({0, 1}, [1, 0, 2])
    dims = node.args.get("dim0"), node.args.get("dim1")
    return set(dims) == pair or node.args.get("dims") == order


def _error(node: Node, why: str) -> CompileError:
    place = f", in module {node.module!r}" if node.module else ""
    return CompileError(
        f"node {node.name!r} ({node.op}{place}) is not supported: {why}; supported is {SUPPORTED}"
    )


class _Walk:
    def __init__(self, graph: Graph, nodes: list[Node]) -> None:
        self._frames = frames = find_frames(graph, nodes)
        self._graph, self._nodes, self._input = graph, nodes, graph.inputs[0]
        self._reader = Reader(graph)
        self._layers: dict[str, FloatNode] = {}
        if frames is not None:
            self._nodes = [node for node in nodes if frames.made.isdisjoint(node.outputs)]
            self._layers |= {node.name: node for node in frames.network.nodes}
            self._input = frames.output
        self._check_known()
        self._values: dict[str, _Value] = {}
        self._unrolled: dict[str, _Unrolled] = {}
        # By layer, the cells of its directions, which make its outputs at every step.
        self._both: dict[str, tuple[str, ...]] = {}
        self._steps, self._columns = self._shape()

    def _shape(self) -> tuple[int, int]:
        """Return steps and columns of the input, and note in which form it comes."""
        name = self._input
        shape = self._graph.values[name].shape
        whole = next((node for node in self._nodes if node.base in _LAYERS), None)
        first = whole is None or self._batch_first(whole)
        sizes = shape[1:] if first else (shape[0], *shape[2:])
        if len(shape) == 2 and whole is None:
            sizes = (1, *sizes)
        if len(sizes) != 2 or None in sizes:
            text = ", ".join("?" if size is None else str(size) for size in shape)
            raise CompileError(
                f"the input of a recurrent network must be a batch of sequences, (batch, steps, "
                f"values) or with batch_first=False (steps, batch, values), of which only the "
                f"batch may vary, not ({text})"
            )
        steps, columns = (int(size or 0) for size in sizes)
        if not 1 <= steps <= MOST_STEPS:
            raise CompileError(f"a sequence must have 1 to {MOST_STEPS} steps, not {steps}")
        form: Literal["batch", "steps", "step"] = "batch" if first else "steps"
        tensor = INPUT if self._frames is None else self._frames.network.output
        self._values[name] = _Value(tensor, "step" if len(shape) == 2 else form)
        return steps, columns

    def _batch_first(self, layer: Node) -> bool:
        """Say whether the network's input has the batch first, as its first layer tells."""
        made = {output: node for node in self._nodes for output in node.outputs}
        first, node = bool(layer.args.get("batch_first")), layer
        while (source := next(iter(node.refs()), "")) in made:
            node = made[source]
            first ^= _swaps(node)
        return first

    def run(self) -> FloatGraph:
        for node in self._nodes:
            if node.outputs:
                self._apply(node)
        output = self._values.get(self._graph.outputs[0])
        if output is None or output.form in ("hidden", "state") or output.tensor == INPUT:
            raise CompileError(
                f"the output {self._graph.outputs[0]!r} is not what a layer makes at the last "
                f"step, or at all; supported is {SUPPORTED}"
            )
        self._check_last(output, self._nodes[-1])
        nodes = self._needed(output.tensor)
        frames, step = self._frames, (self._columns,)
        if frames is not None:
            shape = self._graph.values[self._graph.inputs[0]].shape
            step = tuple(size or 0 for size in shape[2:])
        is_step = len(self._graph.values[self._input].shape) == 2
        return FloatGraph(
            (self._columns, 1, 1) if frames is None else frames.network.input_shape,
            nodes,
            output.tensor,
            step if is_step else (self._steps, *step),
            steps=self._steps,
            every_step=output.form != "step",
        )

    def _needed(self, output: str) -> tuple[FloatNode, ...]:
        """Return the layers that the output depends on.

        Raises
        ------
        CompileError
            If outputs of steps are needed of a layer of which the final state is, too.
        """
        needed = {output}
        for node in reversed(self._layers.values()):
            if node.name in needed:
                needed.update(node.inputs)
        for both, sides in self._both.items():
            final = next((one for one in sides if self._cell_of(one).sweep == "final"), None)
            if both in needed and final is not None:
                raise CompileError(
                    f"layer {both!r} gives its outputs at steps and the final state of {final!r}, "
                    "and one of the two alone can be had: use those of the last step, or the final "
                    "states, of both directions"
                )
        return tuple(node for name, node in self._layers.items() if name in needed)

    def _cell_of(self, name: str) -> FloatCell:
        """Return the cell that makes a tensor, itself or by its projection."""
        cells = (layer for layer in self._layers.values() if isinstance(layer, FloatCell))
        return next(cell for cell in cells if cell.past == name)

    def _apply(self, node: Node) -> None:
        base = node.base
        if base in _ZEROS:
            self._reader.constants[node.outputs[0]] = np.zeros(1)
        elif not any(name in self._values for name in node.refs()):
            self._reader.fold(node)
        elif base in _LAYERS:
            self._recurrent(node, _LAYERS[base])
        elif base in _CELLS:
            self._cell(node, _CELLS[base])
        elif base in ops.PRODUCTS:
            self._linear(node)
        elif base in ops.SAME:
            ops.check_eval(node, "train")
            self._values[node.outputs[0]] = self._first(node)
        elif base == "relu":
            self._relu(node)
        elif base == "add":
            self._bias(node)
        elif base in CONCATS:
            self._values[node.outputs[0]] = self._concatenated(node)
        elif base in _MOVES:
            self._values[node.outputs[0]] = self._moved(node)

    def _check_known(self) -> None:
        """Refuse the first node that does something else to what depends on the input."""
        reached = {self._input}
        apart = frozenset[str]() if self._frames is None else self._frames.made - reached
        for node in self._nodes:
            if not apart.isdisjoint(node.refs()):
                raise _error(node, "it reads what is made of single steps, of which one can leave")
            if not reached.isdisjoint(node.refs()) and node.base not in _ZEROS:
                if node.base not in _KNOWN:
                    way_out = _WAYS_OUT.get(node.base)
                    why = "what is done to steps of a sequence is not known"
                    raise _error(node, f"{why} ({way_out})" if way_out else why)
                reached.update(node.outputs)

    def _first(self, node: Node) -> _Value:
        return next(self._values[name] for name in node.refs() if name in self._values)

    def _check_last(self, value: _Value, node: Node) -> None:
        """Refuse a single step that is not the last."""
        if value.form == "step" and value.tensor != INPUT and value.step != self._steps - 1:
            raise _error(
                node, f"it is of step {value.step}, and only the last, {self._steps - 1}, can leave"
            )

    def _moved(self, node: Node) -> _Value:
        """Return what a step, or another order of dimensions, is."""
        value, args = self._first(node), node.args
        if node.base == "slice" and self._is_whole(node):
            return value
        if (form := _SWAPPED.get(value.form)) is not None and _swaps(node, value.form):
            return dataclasses.replace(value, form=form)
        if node.base in SHAPES and (shaped := self._shaped(node, value)) is not None:
            return shaped
        axis = {"batch": 1, "steps": 0, "hidden": 0}.get(value.form)
        dim, index = args.get("dim"), args.get("index", 0)
        if node.base == "select" and dim == axis and value.form != "hidden":
            return _Value(value.tensor, "step", index % self._steps)
        if value.form == "hidden" and dim == 0 and node.base == "select":
            return self._final(value.sides[index])
        raise _error(node, "only a step, the hidden state of a layer, or dimensions swapped")

    def _shaped(self, node: Node, value: _Value) -> _Value | None:
        """Return what a value is in other dimensions; None if that is nothing known."""
        shapes = (self._graph.values[name].shape for name in (node.refs()[0], node.outputs[0]))
        before, after = shapes
        if before == after:
            return value
        if len(before) != len(after) + 1:
            return None
        if value.form == "hidden" and len(value.sides) == 1:
            return self._final(value.sides[0])
        if value.form == "finals":
            return self._joined(node, [self._final(side) for side in value.sides])
        # Directions side by side in one dimension are as torch has them; behind the steps, one
        # alone is.
        is_pair = value.form == "pairs" and after[:2] == before[:2]
        if is_pair or (value.form == "apart" and before[1] == 1 and after[1] == before[2]):
            return dataclasses.replace(value, form="steps")
        return None

    def _final(self, name: str) -> _Value:
        """Return the final state of a layer: its output at the last step that it takes."""
        cell = self._cell_of(name)
        if cell.sweep == "reverse":
            self._layers[cell.name] = dataclasses.replace(cell, sweep="final")
        return _Value(name, "step", self._steps - 1)

    def _concatenated(self, node: Node) -> _Value:
        """Return values of steps side by side."""
        values = [self._values[name] for name in node.refs() if name in self._values]
        dim, first = node.args.get("dim", 0), values[0]
        same = all((one.form, one.step) == (first.form, first.step) for one in values)
        same = same and len(values) == len(node.refs())
        last = {"step": 1, "batch": 2, "steps": 2}
        if same and first.form == "hidden" and dim == 0:
            sides = tuple(side for one in values for side in one.sides)
            return dataclasses.replace(first, sides=sides)
        if not same or dim not in (-1, last.get(first.form)):
            raise _error(node, "only outputs of the same steps, side by side")
        return self._joined(node, values)

    def _joined(self, node: Node, values: list[_Value]) -> _Value:
        self._layers[node.name] = FloatConcat(node.name, tuple(one.tensor for one in values))
        return dataclasses.replace(values[0], tensor=node.name)

    def _is_whole(self, node: Node) -> bool:
        """Say whether a slice leaves nothing out, as those of a batch of any size."""
        args = node.args
        size = self._graph.values[node.refs()[0]].shape[args.get("dim") or 0]
        end = args.get("end")
        reaches = end is None or end >= (_ENDLESS if size is None else size)
        return reaches and not args.get("start") and args.get("step") in (None, 1)

    def _relu(self, node: Node) -> None:
        value = self._first(node)
        made = self._layers.get(value.tensor)
        if not isinstance(made, FloatLinear):
            raise _error(node, "a ReLU must follow a Linear layer")
        self._layers[value.tensor] = dataclasses.replace(made, relu=True)
        self._values[node.outputs[0]] = value

    def _bias(self, node: Node) -> None:
        """Take in what is added to a Linear layer, as ONNX has its bias."""
        value = self._first(node)
        made = self._layers.get(value.tensor)
        constants = [self._reader.number(arg) for arg in node.args.values()]
        added = next((one for one in constants if one is not None), None)
        if not isinstance(made, FloatLinear) or made.relu or added is None:
            raise _error(node, "only a constant can be added, to outputs of a Linear layer")
        bias = made.bias + np.asarray(added, np.float64).ravel()
        self._layers[value.tensor] = dataclasses.replace(made, bias=bias)
        self._values[node.outputs[0]] = value

    def _linear(self, node: Node) -> None:
        value = self._first(node)
        self._check_last(value, node)
        x, matrix, bias = (node.args.get(key) for key in ops.PRODUCTS[node.base])
        number = self._reader.number
        weight, offset = number(matrix), 0.0 if bias is None else number(bias)
        is_first = isinstance(x, Ref) and x.name in self._values
        if not is_first or not isinstance(weight, np.ndarray) or weight.ndim != 2:
            raise _error(node, "only with the activation first and constant weights")
        if offset is None or value.form in ("hidden", "state"):
            raise _error(node, "only of a step, or of all, and with a constant bias")
        weight = weight if node.base == "linear" else weight.T
        owner = self._reader.owner(matrix.name if isinstance(matrix, Ref) else "", node)
        offset = np.full(len(weight), np.asarray(offset, np.float64).ravel())
        self._add(FloatLinear(owner, (value.tensor,), weight, offset, relu=False), node)
        self._values[node.outputs[0]] = dataclasses.replace(value, tensor=owner)

    def _add(self, layer: FloatCell | FloatLinear, node: Node) -> None:
        arrays = [layer.weight, layer.bias]
        if isinstance(layer, FloatCell):
            arrays += [layer.recurrent]
            arrays += [] if layer.peepholes is None else [layer.peepholes]
        bad = sum(int(np.count_nonzero(~np.isfinite(array))) for array in arrays)
        if bad:
            raise CompileError(
                f"layer {layer.name!r} has {bad} weights and biases that are NaN or infinite; was "
                "the network trained to the end?"
            )
        if layer.name in self._layers:
            raise _error(node, f"layer {layer.name!r} is used more than once")
        self._layers[layer.name] = layer

    def _check_state(self, node: Node, state: Any) -> None:
        """Refuse an initial state that is not zeros."""
        for arg in state if isinstance(state, (list, tuple)) else [state]:
            array = self._reader.number(arg)
            if array is None:
                raise _error(node, "its initial state depends on the input")
            if np.isnan(array).any():
                raise _error(node, "its initial state has NaN")
            if np.any(array):
                raise _error(node, "its initial state is not zeros")

    def _recurrent(self, node: Node, kind: Literal["lstm", "gru"]) -> None:
        args = node.args
        ops.check_eval(node, "train")
        if not isinstance(args.get("input"), Ref):
            raise _error(node, "it takes packed sequences")
        self._check_state(node, args["hx"])
        value, form = self._first(node), "batch" if args.get("batch_first") else "steps"
        if value.form != form:
            raise _error(
                node, f"it takes sequences in another order than batch_first={form == 'batch'}"
            )
        params, count, sweeps = list(args["params"]), int(args["num_layers"]), _sweeps(args)
        each, own = len(params) // (count * len(sweeps)), 4 if args["has_biases"] else 2
        peepholes = [self._reader.number(arg) for arg in args.get("peepholes", ())]
        source, sides = value.tensor, list[str]()
        for layer in range(count):
            name = self._free_name(node.layer) if count == 1 else f"{node.layer}.{layer}"
            made: list[str] = []
            for sweep in sweeps:
                arrays = [self._reader.number(params.pop(0)) for _ in range(each)]
                if any(array is None for array in arrays):
                    raise _error(node, "its weights depend on the input")
                side = name if len(sweeps) == 1 else f"{name}.{sweep}"
                cell = _made_cell(side, source, kind, arrays[:own], self._steps, sweep)
                projection = f"{side}.projection" if each > own else None
                seen = peepholes.pop(0) if peepholes else None
                cell = dataclasses.replace(cell, projection=projection, peepholes=seen)
                self._add(cell, node)
                if projection is not None:
                    zeros = np.zeros(len(arrays[own]))
                    linear = FloatLinear(projection, (side,), arrays[own], zeros, relu=False)
                    self._add(linear, node)
                made.append(projection or side)
            source = made[0]
            if len(made) > 1:
                self._layers[name] = FloatConcat(name, tuple(made))
                self._both[name], source = tuple(made), name
            sides += made
        outputs = list(node.outputs)
        apart = bool(args.get("apart"))
        self._values[outputs[0]] = _Value(source, "apart" if apart else form)
        for output, form in zip(outputs[1:], ("hidden", "state"), strict=False):
            self._values[output] = _Value(source, form, sides=tuple(sides))

    def _free_name(self, name: str) -> str:
        """Return a name that no layer has: layers of an ONNX file may be of one module."""
        numbers = (f"{name}.{number}" for number in itertools.count(1))
        taken = {one for layer in self._layers for one in (layer, layer.rpartition(".")[0])}
        return next(one for one in itertools.chain([name], numbers) if one not in taken)

    def _cell(self, node: Node, kind: Literal["lstm", "gru"]) -> None:
        """Take in a step of a cell that Python code has called step by step."""
        args = node.args
        weight = args["w_ih"]
        key = weight.name if isinstance(weight, Ref) else ""
        hx = args["hx"] if isinstance(args["hx"], (list, tuple)) else [args["hx"]]
        value = self._values.get(getattr(args["input"], "name", ""))
        if value is None or value.form != "step":
            raise _error(node, "its input is not a step of a sequence")
        seen = self._unrolled.get(key)
        if seen is None:
            self._check_state(node, hx)
            names = ("w_ih", "w_hh", "b_ih", "b_hh")
            arrays = [
                self._reader.number(args[name]) for name in names if args.get(name) is not None
            ]
            if any(array is None for array in arrays):
                raise _error(node, "its weights depend on the input")
            name = self._reader.owner(key, node)
            self._add(_made_cell(name, value.tensor, kind, arrays, self._steps), node)
            seen = self._unrolled[key] = _Unrolled(name, value.tensor, -1, ())
        elif tuple(getattr(arg, "name", "") for arg in hx) != seen.state:
            raise _error(node, f"its state is not that of step {seen.step} of layer {seen.name!r}")
        if (value.tensor, value.step) != (seen.source, seen.step + 1):
            raise _error(node, f"it must take step {seen.step + 1} of {seen.source!r}")
        seen.step = value.step
        # An output that nobody reads has no name of its own.
        seen.state = node.outputs[: len(hx)]
        self._values[node.outputs[0]] = _Value(seen.name, "step", value.step)
        for output in node.outputs[1:]:
            self._values[output] = _Value(seen.name, "state", value.step)


def _made_cell(
    name: str,
    source: str,
    kind: Literal["lstm", "gru"],
    arrays: list[NDArray[np.float64]],
    steps: int,
    sweep: Sweep = "forward",
) -> FloatCell:
    """Put torch's weights in the order of sums; see :class:`.FloatCell`."""
    weight, recurrent = (np.asarray(array, np.float64) for array in arrays[:2])
    units = len(weight) // (4 if kind == "lstm" else 3)
    zeros = np.zeros(len(weight))
    biases = [np.asarray(array, np.float64) for array in arrays[2:]] or [zeros, zeros]
    inner, outer = (array.reshape(-1, units) for array in biases)
    of_input, of_past = (array.reshape(-1, units, array.shape[1]) for array in (weight, recurrent))
    if kind == "lstm":
        # torch has input gate, forget gate, candidate, output gate.
        order = [0, 2, 1, 3]
        of_input, of_past, bias = of_input[order], of_past[order], (inner + outer)[order]
    else:
        # torch has reset gate, update gate, candidate; the first is a factor of its hidden part.
        nothing = np.zeros_like(of_input[0]), np.zeros_like(of_past[0])
        of_input = np.stack([of_input[0], nothing[0], of_input[1], of_input[2]])
        of_past = np.stack([of_past[0], of_past[2], of_past[1], nothing[1]])
        bias = np.stack([inner[0] + outer[0], outer[2], inner[1] + outer[1], inner[2]])
    return FloatCell(
        name=name,
        inputs=(source,),
        kind=kind,
        weight=np.ascontiguousarray(of_input.reshape(4 * units, -1)),
        recurrent=np.ascontiguousarray(of_past.reshape(4 * units, -1)),
        bias=bias.ravel(),
        steps=steps,
        sweep=sweep,
    )


def _sweeps(args: Mapping[str, Any]) -> tuple[Sweep, ...]:
    """Return the directions of a recurrent layer, in the order of its weights."""
    if args.get("bidirectional"):
        return "forward", "reverse"
    return ("reverse",) if args.get("reverse") else ("forward",)
