"""Recurrent networks: LSTM, GRU and their cells, with what is around them at every step."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.finish import copy_input
from zeroskip.compiler.frontend.frames import SHAPES, find_frames
from zeroskip.compiler.frontend.over_steps import find_over_steps
from zeroskip.compiler.frontend.plane_ops import CONCATS
from zeroskip.compiler.frontend.program import Graph, Node, Ref
from zeroskip.compiler.frontend.recurrent_cells import made_cell, sweeps_of
from zeroskip.compiler.frontend.recurrent_layers import StepLayers
from zeroskip.compiler.frontend.recurrent_moves import Moves
from zeroskip.compiler.frontend.recurrent_values import SUPPORTED, StepValue, refusal, swaps
from zeroskip.compiler.frontend.traced import Reader
from zeroskip.compiler.frontend.unrolled import makes_zeros
from zeroskip.compiler.ir.graph import INPUT, FloatGraph, FloatLinear

__all__ = ["MOST_STEPS", "SUPPORTED", "has_cells", "lower_recurrent"]

MOST_STEPS = 1 << 14
"""Steps of a sequence, at most; each is some commands of a list in memory."""

_LAYERS: dict[str, Literal["lstm", "gru"]] = {"lstm": "lstm", "gru": "gru"}
_CELLS: dict[str, Literal["lstm", "gru"]] = {"lstm_cell": "lstm", "gru_cell": "gru"}
_MOVES = ("select", "transpose", "permute", "slice", "unsqueeze", *SHAPES)
_KNOWN = {
    *_LAYERS, *_CELLS, *ops.PRODUCTS, *ops.SAME, *_MOVES, *CONCATS, "add", "relu", "stack",
    "unbind",
}  # fmt: skip
"""What may be done to steps of a sequence."""

_PLAIN = ("rnn_tanh", "rnn_relu", "rnn_tanh_cell", "rnn_relu_cell")
"""Recurrent layers without gates."""

_OF_PLANES = (
    "it can come before the first recurrent layer; compile what is behind recurrent layers as an "
    "image of its own, and give it what that of the rest makes"
)
_WAYS_OUT = {
    **dict.fromkeys(_PLAIN, "an LSTM or a GRU can be trained in its place"),
    "embedding": "give the network what it makes, or one-hot vectors with a Linear in its place",
    **dict.fromkeys(
        ("conv1d", "conv2d", "convolution", "batch_norm", "max_pool1d", "max_pool2d", "avg_pool1d",
         "avg_pool2d", "adaptive_avg_pool2d", "pad", "constant_pad_nd"),
        _OF_PLANES,
    ),
}  # fmt: skip


def has_cells(nodes: list[Node]) -> bool:
    """Say whether a network has a recurrent layer."""
    return any(node.base in {*_LAYERS, *_CELLS, *_PLAIN} for node in nodes)


@dataclass
class _Unrolled:
    """Steps of a cell that have been seen.

    Parameters
    ----------
    name : of the layer.
    source : tensor whose steps it takes.
    step : the last.
    state : names of the values that the last has left.
    weights : names of its matrices and biases.
    """

    name: str
    source: str
    step: int
    state: tuple[str, ...]
    weights: tuple[str, ...]


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


class _Walk:
    def __init__(self, graph: Graph, nodes: list[Node]) -> None:
        frames = find_frames(graph, nodes)
        if frames is None:
            frames = find_over_steps(graph, nodes, {*_LAYERS, *_CELLS}, ops.PRODUCTS)
        self._frames = frames
        self._graph, self._nodes, self._input = graph, nodes, graph.inputs[0]
        self._reader = Reader(graph)
        if frames is not None:
            self._nodes = [node for node in nodes if frames.made.isdisjoint(node.outputs)]
            self._input = frames.output
        self._layers = StepLayers(frames.network.nodes if frames is not None else ())
        self._check_known()
        self._values: dict[str, StepValue] = {}
        self._unrolled: dict[str, _Unrolled] = {}
        # Layers that Python code calls step by step, by what they read and their weights; a ReLU
        # alone has None in place of weights.
        self._called: dict[tuple[str, tuple[str, ...] | None], str] = {}
        # Of these, ReLUs that the layers before them do.
        self._clipped: set[str] = set()
        self._steps, self._columns = self._shape()
        self._moves = Moves(graph, self._layers, self._values, self._steps)

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
        self._values[name] = StepValue(tensor, "step" if len(shape) == 2 else form)
        return steps, columns

    def _batch_first(self, layer: Node) -> bool:
        """Say whether the network's input has the batch first, as its first layer tells."""
        made = {output: node for node in self._nodes for output in node.outputs}
        first, node = bool(layer.args.get("batch_first")), layer
        while (source := next(iter(node.refs()), "")) in made:
            node = made[source]
            first ^= swaps(node)
        return first

    def run(self) -> FloatGraph:
        for node in self._nodes:
            if node.outputs:
                self._apply(node)
        output = self._values.get(self._graph.outputs[0])
        forms = ("batch", "steps", "step", "finals", "apart", "pairs")
        if output is None or output.form not in forms or output.tensor == INPUT:
            raise CompileError(
                f"the output {self._graph.outputs[0]!r} is not what a layer makes at the last "
                f"step, or at all; supported is {SUPPORTED}"
            )
        self._check_last(output, self._nodes[-1])
        nodes = self._layers.needed(output.tensor)
        frames, step = self._frames, (self._columns,)
        if frames is None:
            nodes = copy_input(nodes, output.tensor, (self._columns, 1, 1), flat=True)
        shape = self._graph.values[self._graph.inputs[0]].shape
        if frames is not None:
            step = tuple(size or 0 for size in shape[2:])
        is_step = len(self._graph.values[self._input].shape) == 2
        sample = step if is_step else (self._steps, *step)
        whole = frames is not None and frames.whole
        return FloatGraph(
            (self._columns, 1, 1) if frames is None else frames.network.input_shape,
            nodes,
            output.tensor,
            tuple(size or 0 for size in shape[1:]) if whole else sample,
            steps=self._steps,
            every_step=output.form != "step",
            whole=whole,
            sample_axes=self._sample_axes(),
        )

    def _sample_axes(self) -> tuple[int, ...] | None:
        """Return in which order the input has a sample's dimensions; None if it keeps them."""
        axes = None if self._frames is None else self._frames.network.sample_axes
        if axes is None or (self._frames is not None and self._frames.whole):
            return axes
        # Steps come first.
        return 0, *(1 + axis for axis in axes)

    def _apply(self, node: Node) -> None:
        base = node.base
        if makes_zeros(node):
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
        elif base in CONCATS or base == "stack":
            self._values[node.outputs[0]] = self._moves.concatenated(node)
        elif base == "unbind":
            self._values |= self._moves.taken_apart(node, self._first(node))
        elif base in _MOVES:
            self._values[node.outputs[0]] = self._moves.moved(node, self._first(node))

    def _check_known(self) -> None:
        """Refuse the first node that does something else to what depends on the input."""
        reached = {self._input}
        apart = frozenset[str]()
        if self._frames is not None:
            apart = (self._frames.made | {self._graph.inputs[0]}) - reached
        for node in self._nodes:
            if not apart.isdisjoint(node.refs()):
                raise refusal(
                    node, "it reads what is before the steps that recurrent layers take, too"
                )
            if not reached.isdisjoint(node.refs()) and not makes_zeros(node):
                if node.base not in _KNOWN:
                    way_out = _WAYS_OUT.get(node.base)
                    why = "what is done to steps of a sequence is not known"
                    raise refusal(node, f"{why} ({way_out})" if way_out else why)
                reached.update(node.outputs)

    def _first(self, node: Node) -> StepValue:
        return next(self._values[name] for name in node.refs() if name in self._values)

    def _check_last(self, value: StepValue, node: Node) -> None:
        """Refuse a single step that is not the last."""
        if value.form == "step" and value.tensor != INPUT and value.step != self._steps - 1:
            raise refusal(
                node, f"it is of step {value.step}, and only the last, {self._steps - 1}, can leave"
            )

    def _relu(self, node: Node) -> None:
        """Clip outputs of a Linear layer there; others by a layer that does nothing else."""
        value = self._first(node)
        made = self._layers.linear(value.tensor)
        key = value.tensor, None
        if node.name in self._clipped:
            pass
        elif value.form == "step" and key in self._called:
            value = dataclasses.replace(value, tensor=self._called[key])
        elif (
            made is not None
            and not self._is_called(made)
            and (made.relu or self._reads_alone(node, made))
        ):
            self._layers.clip(made)
        elif value.form in ("step", "batch", "steps") and value.tensor != INPUT:
            name, size = self._layers.free_name(node.layer), self._size(node)
            same = FloatLinear(name, (value.tensor,), np.eye(size), np.zeros(size), relu=True)
            self._layers.add(same, node)
            if value.form == "step":
                self._called[key] = name
            value = dataclasses.replace(value, tensor=name)
        else:
            raise refusal(node, "a ReLU must follow a layer whose outputs are of steps")
        self._values[node.outputs[0]] = value

    def _size(self, node: Node) -> int:
        """Return the number of values that a node makes in one step."""
        return self._graph.values[node.outputs[0]].shape[-1] or 0

    def _reads_alone(self, node: Node, layer: FloatLinear) -> bool:
        """Say whether nothing but ``node`` reads what ``layer`` makes."""
        names = {name for name, value in self._values.items() if value.tensor == layer.name}
        readers = [one for one in self._nodes if not names.isdisjoint(one.refs())]
        # A node that only reshapes the layer's outputs does not count as a reader.
        handed = {reader.name for reader in readers if not names.isdisjoint(reader.outputs)}
        counts = [sum(name in one.refs() for one in self._nodes) for name in names]
        ends = {reader.name for reader in readers} - handed
        return ends == {node.name} and max(counts) == 1 and names.isdisjoint(self._graph.outputs)

    def _bias(self, node: Node) -> None:
        """Take in what is added to a Linear layer, as ONNX has its bias."""
        value = self._first(node)
        made = self._layers.linear(value.tensor)
        constants = [self._reader.number(arg) for arg in node.args.values()]
        added = next((constant for constant in constants if constant is not None), None)
        if made is None or made.relu or added is None:
            raise refusal(node, "only a constant can be added, to outputs of a Linear layer")
        if self._is_called(made) or not self._reads_alone(node, made):
            raise refusal(node, f"outputs of layer {made.name!r} are read without it, too")
        bias = made.bias + np.asarray(added, np.float64).ravel()
        self._layers.by_name[value.tensor] = dataclasses.replace(made, bias=bias)
        self._values[node.outputs[0]] = value

    def _is_called(self, layer: FloatLinear) -> bool:
        """Say whether Python code calls a layer at more than one step."""
        return layer.name in self._called.values()

    def _calls(self, names: tuple[str, ...]) -> list[Node]:
        """Return the nodes that multiply by the same weights, one at each step."""
        return [
            node
            for node in self._nodes
            if node.base in ops.PRODUCTS and _names(node, ops.PRODUCTS[node.base][1:]) == names
        ]

    def _relus_of(self, calls: list[Node]) -> set[str]:
        """Return the ReLUs behind calls of a layer, if each has one that alone reads it."""
        found = set[str]()
        for call in calls:
            readers = [node for node in self._nodes if call.outputs[0] in node.refs()]
            if [node.base for node in readers] != ["relu"]:
                return set()
            if call.outputs[0] in self._graph.outputs:
                return set()
            found.add(readers[0].name)
        return found

    def _linear(self, node: Node) -> None:
        value = self._first(node)
        names = _names(node, ops.PRODUCTS[node.base][1:])
        if value.form == "step" and (value.tensor, names) in self._called:
            tensor = self._called[value.tensor, names]
            self._values[node.outputs[0]] = dataclasses.replace(value, tensor=tensor)
            return
        x, matrix, bias = (node.args.get(key) for key in ops.PRODUCTS[node.base])
        number = self._reader.number
        weight, offset = number(matrix), 0.0 if bias is None else number(bias)
        is_first = isinstance(x, Ref) and x.name in self._values
        if not is_first or not isinstance(weight, np.ndarray) or weight.ndim != 2:
            raise refusal(node, "only with the activation first and constant weights")
        if offset is None or value.form in ("hidden", "state"):
            raise refusal(node, "only of a step, or of all, and with a constant bias")
        weight = weight if node.base == "linear" else weight.T
        owner = self._reader.owner(matrix.name if isinstance(matrix, Ref) else "", node)
        offset = np.full(len(weight), np.asarray(offset, np.float64).ravel())
        relus = set[str]()
        if value.form == "step" and len(calls := self._calls(names)) > 1:
            self._called[value.tensor, names] = owner
            relus = self._relus_of(calls)
            self._clipped |= relus
        clips = bool(relus)
        self._layers.add(FloatLinear(owner, (value.tensor,), weight, offset, relu=clips), node)
        self._values[node.outputs[0]] = dataclasses.replace(value, tensor=owner)

    def _check_state(self, node: Node, state: Any) -> None:
        """Refuse an initial state that is not zeros."""
        for arg in state if isinstance(state, (list, tuple)) else [state]:
            array = self._reader.number(arg)
            if array is None:
                raise refusal(node, "its initial state depends on the input")
            if np.isnan(array).any():
                raise refusal(node, "its initial state has NaN")
            if np.any(array):
                raise refusal(node, "its initial state is not zeros")

    def _recurrent(self, node: Node, kind: Literal["lstm", "gru"]) -> None:
        args = node.args
        ops.check_eval(node, "train")
        if not isinstance(args.get("input"), Ref):
            raise refusal(node, "it takes packed sequences")
        self._check_state(node, args["hx"])
        value, form = self._first(node), "batch" if args.get("batch_first") else "steps"
        if value.form != form:
            raise refusal(
                node, f"it takes sequences in another order than batch_first={form == 'batch'}"
            )
        params, count, sweeps = list(args["params"]), int(args["num_layers"]), sweeps_of(args)
        each, own = len(params) // (count * len(sweeps)), 4 if args["has_biases"] else 2
        peepholes = [self._reader.number(arg) for arg in args.get("peepholes", ())]
        source, sides = value.tensor, list[str]()
        for layer in range(count):
            name = self._layers.free_name(node.layer) if count == 1 else f"{node.layer}.{layer}"
            made: list[str] = []
            for sweep in sweeps:
                arrays = [self._reader.number(params.pop(0)) for _ in range(each)]
                if any(array is None for array in arrays):
                    raise refusal(node, "its weights depend on the input")
                side = name if len(sweeps) == 1 else f"{name}.{sweep}"
                cell = made_cell(side, source, kind, arrays[:own], self._steps, sweep)
                projection = f"{side}.projection" if each > own else None
                seen = peepholes.pop(0) if peepholes else None
                cell = dataclasses.replace(cell, projection=projection, peepholes=seen)
                self._layers.add(cell, node)
                if projection is not None:
                    zeros = np.zeros(len(arrays[own]))
                    linear = FloatLinear(projection, (side,), arrays[own], zeros, relu=False)
                    self._layers.add(linear, node)
                made.append(projection or side)
            source = made[0]
            if len(made) > 1:
                self._layers.join_directions(name, made)
                source = name
            sides += made
        outputs = list(node.outputs)
        apart = bool(args.get("apart"))
        self._values[outputs[0]] = StepValue(source, "apart" if apart else form)
        for output, form in zip(outputs[1:], ("hidden", "state"), strict=False):
            self._values[output] = StepValue(source, form, sides=tuple(sides))

    def _cell(self, node: Node, kind: Literal["lstm", "gru"]) -> None:
        """Take in a step of a cell that Python code has called step by step."""
        args = node.args
        names = ("w_ih", "w_hh", "b_ih", "b_hh")
        given = [args[name] for name in names if args.get(name) is not None]
        weights = tuple(getattr(arg, "name", "") for arg in given)
        key = weights[0]
        hx = args["hx"] if isinstance(args["hx"], (list, tuple)) else [args["hx"]]
        value = self._values.get(getattr(args["input"], "name", ""))
        if value is None or value.form != "step":
            raise refusal(node, "its input is not a step of a sequence")
        seen = self._unrolled.get(key)
        if seen is None:
            self._check_state(node, hx)
            arrays = [self._reader.number(arg) for arg in given]
            if any(array is None for array in arrays):
                raise refusal(node, "its weights depend on the input")
            name = self._reader.owner(key, node)
            self._layers.add(made_cell(name, value.tensor, kind, arrays, self._steps), node)
            seen = self._unrolled[key] = _Unrolled(name, value.tensor, -1, (), weights)
        elif tuple(getattr(arg, "name", "") for arg in hx) != seen.state:
            raise refusal(node, f"its state is not that of step {seen.step} of layer {seen.name!r}")
        elif weights != seen.weights:
            raise refusal(node, f"it shares some of the weights of layer {seen.name!r} alone")
        if (value.tensor, value.step) != (seen.source, seen.step + 1):
            raise refusal(node, f"it must take step {seen.step + 1} of {seen.source!r}")
        seen.step = value.step
        # An output that nobody reads has no name of its own.
        seen.state = node.outputs[: len(hx)]
        self._values[node.outputs[0]] = StepValue(seen.name, "step", value.step)
        for output in node.outputs[1:]:
            self._values[output] = StepValue(seen.name, "state", value.step)


def _names(node: Node, keys: Sequence[str]) -> tuple[str, ...]:
    """Return the names of some arguments of a node, "" for those that are none."""
    return tuple(getattr(node.args.get(key), "name", "") for key in keys)
