"""The network between the passes of the compiler: a graph, in float and then in fixed point."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.compiler.ir.sequences import Sequences, Sweep, rows_as_steps
from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.common.tanh import ARGUMENT_FRAC

__all__ = [
    "INPUT",
    "TRAINED",
    "Area",
    "FloatAdd",
    "FloatCell",
    "FloatConcat",
    "FloatConv",
    "FloatGraph",
    "FloatLinear",
    "FloatNode",
    "FloatPool",
    "Pair",
    "QuantCell",
    "QuantConv",
    "QuantGraph",
    "QuantLayer",
    "QuantLinear",
    "Shape",
    "dense_macs",
    "linear_chain",
    "plain_codebook",
]

Pair = tuple[int, int]
"""Down, across."""

Shape = tuple[int, int, int]
"""(C, H, W) of a tensor."""

INPUT = "input"
"""Name of the tensor that is the network's input; no node has it."""

TRAINED = frozenset({"conv", "linear", "lstm", "gru"})
"""Kinds of layers whose weights somebody trained; those of others are ones, which totals of weights
leave out."""


@dataclass(frozen=True, eq=False)
class FloatConv:
    """A convolution, BatchNorm folded in, then ReLU if ``relu``.

    Parameters
    ----------
    name : the module's path in the network, unique; also the name of its output tensor.
    inputs : name of the tensor that it reads.
    weight : (K, C // groups, R, S) float64, zeros are pruned weights.
    bias : (K,) float64.
    stride, padding : (down, across); padding above and to the left.
    groups : as in ``torch.nn.Conv2d``.
    relu : clip negative outputs to 0.
    folded : names of the scaling steps that were folded into the weights.
    values : as in :class:`FloatLinear`.
    after : padding below and to the right; negative where the last rows or columns are not read;
        None: as ``padding``.
    dilation : (down, across); ``weight`` has zeros in the holes, which are no pruned weights.
    """

    name: str
    inputs: tuple[str]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    stride: Pair
    padding: Pair
    groups: int
    relu: bool
    folded: tuple[str, ...] = ()
    after: Pair | None = None
    values: int | None = None
    dilation: Pair = (1, 1)

    @property
    def padded(self) -> bool:
        """Whether a window can reach beyond the plane."""
        return max(*self.padding, *(self.after or ())) > 0

    def places(self, plane: Pair) -> Pair:
        """Return how many places the kernel has in a padded plane: rows and columns of outputs."""
        down, across = (
            (size + before + behind - width) // step + 1
            for size, before, behind, width, step in zip(
                plane,
                self.padding,
                self.padding if self.after is None else self.after,
                self.weight.shape[2:],
                self.stride,
                strict=True,
            )
        )
        return down, across


@dataclass(frozen=True)
class FloatPool:
    """Pooling; windows may hang over the padded plane (``ceil_mode``).

    Parameters
    ----------
    name, inputs : as in :class:`FloatConv`.
    kind : ``max``, or ``avg``, which divides by the number of elements that torch counts.
    kernel, stride, padding : (down, across).
    out_size : rows and columns of the output, which says whether ``ceil_mode`` was set.
    count_include_pad : as in ``torch.nn.AvgPool2d``.
    relu : clip negative outputs to 0.
    divisor : what an average divides by instead of counting; None: it counts.
    """

    name: str
    inputs: tuple[str]
    kind: Literal["max", "avg"]
    kernel: Pair
    stride: Pair
    padding: Pair
    out_size: Pair
    count_include_pad: bool = True
    relu: bool = False
    divisor: int | None = None


@dataclass(frozen=True)
class FloatConcat:
    """Tensors side by side along the channels."""

    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class FloatAdd:
    """Sum of two tensors of the same shape, then ReLU if ``relu``."""

    name: str
    inputs: tuple[str, str]
    relu: bool


@dataclass(frozen=True, eq=False)
class FloatLinear:
    """``y = W x + b``, then ReLU if ``relu``: a convolution whose kernel is as large as its input.

    Parameters
    ----------
    name : the module's path in the network, unique; also the name of its output tensor, whose
        shape is (rows, 1, 1).
    inputs : name of the tensor that it reads; its elements, in the order of (C, H, W), are the
        columns.
    weight : (rows, columns) float64, zeros are pruned weights.
    bias : (rows,) float64.
    relu : clip negative outputs to 0.
    folded : names of the scaling steps that were folded into the weights, which may have given
        every row or column values of its own.
    values : different weights but 0 that there were before that, if a codebook could hold them.
    """

    name: str
    inputs: tuple[str]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    relu: bool
    folded: tuple[str, ...] = ()
    values: int | None = None

    @property
    def shape(self) -> Pair:
        """Rows and columns."""
        return self.weight.shape[0], self.weight.shape[1]


@dataclass(frozen=True, eq=False)
class FloatCell:
    """A recurrent layer: at each step, outputs of its input and of its outputs of the step before.

    Rows of matrices and biases are sums of hidden units: sum ``q`` of unit ``u`` is row
    ``q * units + u``, in the order of :class:`.CellKind`.

    Parameters
    ----------
    name, inputs : as in :class:`FloatLinear`.
    kind : ``lstm`` or ``gru``.
    weight : (4 units, columns) float64, of the input.
    recurrent : (4 units, outputs) float64, of the outputs of the step before.
    bias : (4 units,) float64.
    steps : of a sequence; samples of a tensor are steps of sequences, one behind the other.
    projection : name of the Linear layer right behind this one whose outputs it reads of the step
        before (LSTMP); None: it reads its own.
    sweep : in which order it takes them.
    peepholes : (3, units) float64, of an LSTM whose gates see the state: weights of the state
        before for input gate and forget gate, and of the new one for the output gate. None: they
        do not see it.
    delta : in fixed point, it multiplies only by changes of what it reads that are larger than
        this, and keeps its sums; None: it multiplies by all that it reads.
    """

    name: str
    inputs: tuple[str]
    kind: Literal["lstm", "gru"]
    weight: NDArray[np.float64]
    recurrent: NDArray[np.float64]
    bias: NDArray[np.float64]
    steps: int
    projection: str | None = None
    sweep: Sweep = "forward"
    peepholes: NDArray[np.float64] | None = None
    delta: float | None = None

    relu: ClassVar[bool] = False

    @property
    def units(self) -> int:
        """Hidden units."""
        return len(self.bias) // 4

    @property
    def past(self) -> str:
        """Tensor that it reads of the step before."""
        return self.projection or self.name

    @property
    def matrices(self) -> tuple[FloatLinear, FloatLinear]:
        """The two matrices as Linear layers, which have the names of their weights."""
        zeros = np.zeros(len(self.bias))
        return (
            FloatLinear(self.name, self.inputs, self.weight, self.bias, relu=False),
            FloatLinear(f"{self.name}.recurrent", (self.past,), self.recurrent, zeros, relu=False),
        )


FloatNode = FloatConv | FloatLinear | FloatPool | FloatConcat | FloatAdd | FloatCell


class _Samples:
    """What samples of a network's tensors are: one each, steps of a sequence, or a whole one."""

    steps: int | None
    whole: bool

    @property
    def input_steps(self) -> int:
        """Samples of the input tensor that are one sample of the user's."""
        return 1 if self.whole else self.steps or 1

    def _whole_tensors(self, planes: Iterable["FloatNode | QuantConv"]) -> frozenset[str]:
        """Return the input, if it is of whole sequences, and what layers of ``planes`` make of it.

        Parameters
        ----------
        planes : layers that take no steps, each behind those it reads.
        """
        found = {INPUT} if self.whole else set[str]()
        for layer in planes:
            if found.issuperset(layer.inputs):
                found.add(layer.name)
        return frozenset(found)


@dataclass(frozen=True, eq=False)
class FloatGraph(_Samples):
    """Nodes in an order in which every tensor is made before it is read.

    Parameters
    ----------
    input_shape : (C, H, W) of the network's input, the tensor :data:`INPUT`.
    nodes : at least one; names are unique.
    output : name of the tensor that leaves.
    sample_shape : of a sample as users give it, which has the elements of ``input_shape`` in the
        same order; None: it is the same.
    notes : sentences on what the network had besides, and was left out.
    steps : of a recurrent network, those of a sample, which is a sequence of inputs; else None.
    every_step : of a recurrent network: the outputs of all steps leave, not only of the last.
    result_shape : of an output as users get it, which has the elements of ``output`` in the order
        of ``result_axes``, for instance (K, length) of a Conv1d; None: (rows,) of a vector, else
        (C, H, W).
    whole : of a recurrent network: a sample of the input is a whole sequence, as convolutions over
        several steps read it. Whose inputs are of steps takes the rows of what they make one after
        the other, see :func:`.rows_as_steps`, and ``steps`` counts these.
    sample_axes : order in which the input tensor has the dimensions of ``sample_shape``, where that
        is another one, for instance (1, 0) of (length, channels); None: as they are.
    result_axes : order in which an output, as users get it, has the dimensions (C, H, W) of
        ``output``, where that is another one: (1, 2, 0) if channels are last; None: as they are.
    """

    input_shape: Shape
    nodes: tuple[FloatNode, ...]
    output: str
    sample_shape: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    steps: int | None = None
    every_step: bool = False
    result_shape: tuple[int, ...] | None = None
    whole: bool = False
    sample_axes: tuple[int, ...] | None = None
    result_axes: tuple[int, ...] | None = None

    @cached_property
    def of_sequences(self) -> frozenset[str]:
        """Names of tensors of which a sample is a whole sequence, if the input's are."""
        return self._whole_tensors(node for node in self.nodes if not _takes_steps(node))

    def reads_rows(self, node: FloatNode) -> bool:
        """Say whether a node takes the rows of what it reads as steps."""
        return _takes_steps(node) and not self.of_sequences.isdisjoint(node.inputs)

    def projection(self, node: FloatNode) -> FloatLinear | None:
        """Return the layer whose outputs of the step before ``node`` reads, if not its own."""
        name = node.projection if isinstance(node, FloatCell) else None
        linears = (one for one in self.nodes if isinstance(one, FloatLinear))
        return next((linear for linear in linears if linear.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Area:
    """Outputs of an average whose windows are divided by the same number.

    Parameters
    ----------
    y0, x0, height, width : the rectangle of the output plane.
    weight : of all elements of its windows, as in :class:`QuantConv`.
    """

    y0: int
    x0: int
    height: int
    width: int
    weight: int


@dataclass(frozen=True, eq=False)
class QuantConv:
    """A convolution, a pooling or an addition in fixed point.

    ``y = saturate((sum(w * x) + bias + half) >> shift)``, then ReLU, over the concatenation of
    ``inputs`` along the channels; sums wrap at ``acc_bits``. With ``op`` "max" the sum is a maximum
    over the elements inside the plane, weights are 1, and bias and shift 0.

    Parameters
    ----------
    name : of the layer and of its output tensor.
    kind : what it was in the network, for tables.
    inputs : tensors whose channels it reads, in this order.
    in_shape, out_shape : (C, H, W) of all inputs together and of the output.
    weight : (K, C // groups, R, S) int64, ``value = integer * 2**-weight_frac``.
    codebook : (n,) int64, entry 0 is 0, that holds every weight; None for plain values.
    bias : (K,) int64 with ``in_frac + weight_frac`` fraction bits.
    stride, padding : (down, across); padding above and to the left. What hangs over the plane
        below and to the right (padding there, ``ceil_mode``) is what ``out_shape`` says.
    groups : input channel ``c`` reaches output channels of group ``c // (C // groups)`` only.
    relu : clip negative outputs to 0.
    op : ``add`` or ``max``.
    signed_input : an input may be negative (then a maximum must look at zeros, too).
    in_frac, weight_frac, out_frac : fraction bits; all inputs have the same.
    areas : of an average that divides by different numbers: they cover the output plane, each
        once, and have their own weights instead of ``weight``, which is that of the largest.
    dilation : (down, across); ``weight`` has zeros in the holes, which are no pruned weights.
    """

    name: str
    kind: Literal["conv", "max", "avg", "add"]
    inputs: tuple[str, ...]
    in_shape: Shape
    out_shape: Shape
    weight: NDArray[np.int64]
    codebook: NDArray[np.int64] | None
    bias: NDArray[np.int64]
    stride: Pair
    padding: Pair
    groups: int
    relu: bool
    op: Literal["add", "max"]
    signed_input: bool
    in_frac: int
    weight_frac: int
    out_frac: int
    areas: tuple[Area, ...] = ()
    dilation: Pair = (1, 1)

    @property
    def kernel(self) -> Pair:
        """Rows and columns of the kernel without the holes of its dilation."""
        rows, columns = self.weight.shape[2:]
        down, across = self.dilation
        return (rows - 1) // down + 1, (columns - 1) // across + 1

    @property
    def num_weights(self) -> int:
        """Weights of the layer, those that were pruned included."""
        return int(np.count_nonzero(self.weight_places))

    @property
    def weight_places(self) -> NDArray[np.bool_]:
        """Where the network has weights, pruned ones included: (K, C // groups, R, S) bool.

        It has none in the holes of a dilated kernel, and of a tensor that is added as it is only
        the 1 of each channel.
        """
        down, across = self.dilation
        found = np.zeros(self.weight.shape, np.bool_)
        found[:, :, ::down, ::across] = True
        depth, end = self.weight.shape[:2]
        if len(self.inputs) > 1 and self.groups == 1 and self.op == "add":
            while end >= depth and self._adds(end - depth, end):
                found[:, end - depth : end] = self.weight[:, end - depth : end] != 0
                end -= depth
        return found

    def _adds(self, begin: int, end: int) -> bool:
        """Say whether input channel ``begin + k``, times 1, is all that output k takes of them.

        Parameters
        ----------
        begin, end : first of as many input channels as there are outputs, and the one behind them.
        """
        own = self.weight[:, begin:end]
        ones = own.diagonal()  # (R, S, K)
        return (
            np.count_nonzero(own) == len(own)
            and bool((ones.sum(axis=(0, 1)) == 1 << max(0, self.weight_frac)).all())
            and np.count_nonzero(ones.any(axis=2)) == 1
        )

    @property
    def nonzeros(self) -> int:
        """Weights that are not 0."""
        return int(np.count_nonzero(self.weight))

    @property
    def windows(self) -> dict[str, Any]:
        """How the kernel goes over the planes, for JSON."""
        return {
            "kernel": list(self.kernel),
            "dilation": list(self.dilation),
            "stride": list(self.stride),
            "padding": list(self.padding),
            "groups": self.groups,
            "areas": [asdict(area) for area in self.areas],
        }

    @property
    def shift(self) -> int:
        """Right shift from accumulator to output."""
        return self.in_frac + self.weight_frac - self.out_frac


@dataclass(frozen=True, eq=False)
class QuantLinear:
    """A matrix in fixed point.

    ``y = saturate((codebook[codes] x + bias + half) >> shift)``, then ReLU; sums wrap at
    ``acc_bits``.

    Parameters
    ----------
    name, relu : as in :class:`FloatLinear`.
    inputs : tensors whose channels, one after the other, are its input.
    in_shape : (C, H, W) of the input.
    codes : (rows, columns) uint8, or uint16 of plain weights, compressed columns with sorted rows;
        only non-zero codes stored.
    codebook : (2**code_bits,) int64 weights, entry 0 is 0, unused entries are 0.
    bias : (rows,) int64, with ``in_frac + weight_frac`` fraction bits.
    in_frac, weight_frac, out_frac : fraction bits of input, weights and output; may be negative.
    """

    kind: ClassVar[Literal["linear"]] = "linear"

    name: str
    inputs: tuple[str, ...]
    in_shape: Shape
    codes: csc_array
    codebook: NDArray[np.int64]
    bias: NDArray[np.int64]
    relu: bool
    in_frac: int
    weight_frac: int
    out_frac: int

    @property
    def shape(self) -> Pair:
        """Rows and columns."""
        return self.bias.size, self.codes.indptr.size - 1

    @property
    def out_shape(self) -> Shape:
        """(rows, 1, 1)."""
        return self.bias.size, 1, 1

    @property
    def num_weights(self) -> int:
        """Weights of the layer, pruned ones included."""
        return self.shape[0] * self.shape[1]

    @property
    def nonzeros(self) -> int:
        """Weights that are not 0."""
        return int(self.codes.nnz)

    @property
    def windows(self) -> dict[str, Any]:
        """Nothing: all inputs are one window."""
        return {}

    @property
    def shift(self) -> int:
        """Right shift from accumulator to output."""
        return self.in_frac + self.weight_frac - self.out_frac


@dataclass(frozen=True, eq=False)
class QuantCell:
    """A recurrent layer in fixed point; :func:`.step_cell` is what it makes of its sums.

    Parameters
    ----------
    name, kind, steps, projection, sweep : as in :class:`FloatCell`, as is the order of rows.
    inputs, in_shape : as in :class:`QuantLinear`.
    matrix, recurrent : codes of the weights of the input, and of the outputs of the step before, as
        in :class:`QuantLinear`.
    codebook, recurrent_codebook : their weights.
    bias : (4 units,) int64, with ``in_frac + weight_frac`` fraction bits.
    in_frac, weight_frac, recurrent_frac, out_frac : fraction bits of input, weights and outputs;
        products of both matrices have the same.
    peepholes : (3, units) int64 with ``ARGUMENT_FRAC`` fraction bits, see :class:`FloatCell`.
    thresholds : of changes of its input, and of what it reads of the step before, in steps of
        their formats; None: it multiplies by all that it reads.
    """

    name: str
    kind: Literal["lstm", "gru"]
    inputs: tuple[str, ...]
    in_shape: Shape
    matrix: csc_array
    recurrent: csc_array
    codebook: NDArray[np.int64]
    recurrent_codebook: NDArray[np.int64]
    bias: NDArray[np.int64]
    in_frac: int
    weight_frac: int
    recurrent_frac: int
    out_frac: int
    steps: int
    projection: str | None = None
    sweep: Sweep = "forward"
    peepholes: NDArray[np.int64] | None = None
    thresholds: Pair | None = None

    relu: ClassVar[bool] = False

    @property
    def cell(self) -> CellKind:
        """What the hardware makes of its sums."""
        return CellKind.PEEPHOLE if self.peepholes is not None else CellKind[self.kind.upper()]

    @property
    def units(self) -> int:
        """Hidden units."""
        return self.bias.size // 4

    @property
    def past(self) -> str:
        """Tensor that it reads of the step before."""
        return self.projection or self.name

    @property
    def past_frac(self) -> int:
        """Fraction bits of what it reads of the step before."""
        return self.in_frac + self.weight_frac - self.recurrent_frac

    @property
    def shape(self) -> Pair:
        """Rows and columns of both matrices side by side."""
        return self.bias.size, self.matrix.indptr.size + self.recurrent.indptr.size - 2

    @property
    def out_shape(self) -> Shape:
        """(units, 1, 1)."""
        return self.units, 1, 1

    @property
    def num_weights(self) -> int:
        """Weights of the layer, pruned ones included."""
        return self.weight_rows * self.shape[1]

    @property
    def weight_rows(self) -> int:
        """Weights of a column: a GRU's candidate has two sums, each of one matrix alone."""
        return {"lstm": 4, "gru": 3}[self.kind] * self.units

    @property
    def nonzeros(self) -> int:
        """Weights that are not 0."""
        return int(self.matrix.nnz + self.recurrent.nnz)

    @property
    def windows(self) -> dict[str, Any]:
        """Nothing: all inputs are one window."""
        return {}

    @property
    def shift(self) -> int:
        """Right shift from accumulator to an argument of tanh."""
        return self.in_frac + self.weight_frac - ARGUMENT_FRAC


QuantLayer = QuantConv | QuantLinear | QuantCell

LayerT = TypeVar("LayerT", bound=QuantLayer, covariant=True)


@dataclass(frozen=True, eq=False)
class QuantGraph(_Samples, Generic[LayerT]):
    """Layers in order; each reads :data:`INPUT` or outputs of layers before it.

    An engine's part of a network is a graph whose layers are all of the engine's kind, for
    instance ``QuantGraph[QuantConv]``.

    Parameters
    ----------
    input_shape : (C, H, W).
    layers : at least one; names are unique.
    outputs : tensors whose channels, one after the other, are the graph's output.
    sample_shape : as in :class:`FloatGraph`.
    sources : name and shape of tensors that are made elsewhere; a whole network has none.
    steps, every_step : as in :class:`FloatGraph`.
    lengths : of a recurrent network, the steps of each sequence of a batch; None: all have
        ``steps``, else none has more.
    result_shape : as in :class:`FloatGraph`; parts of a network have none.
    whole : as in :class:`FloatGraph`. Of a part of such a network, its layers make whole sequences,
        whose rows others take as steps; a part that takes steps is as of any recurrent network.
    sample_axes, result_axes : as in :class:`FloatGraph`.
    """

    input_shape: Shape
    layers: tuple[LayerT, ...]
    outputs: tuple[str, ...]
    sample_shape: tuple[int, ...] | None = None
    sources: tuple[tuple[str, Shape], ...] = ()
    steps: int | None = None
    every_step: bool = False
    lengths: tuple[int, ...] | None = None
    result_shape: tuple[int, ...] | None = None
    whole: bool = False
    sample_axes: tuple[int, ...] | None = None
    result_axes: tuple[int, ...] | None = None

    @cached_property
    def of_sequences(self) -> frozenset[str]:
        """Names of tensors of which a sample is a whole sequence, if the input's are."""
        return self._whole_tensors(layer for layer in self.layers if isinstance(layer, QuantConv))

    def sequences(self, samples: int, *, whole: bool = False) -> Sequences:
        """Return which samples are of one inference: steps of a sequence, or one alone.

        Parameters
        ----------
        samples : of a tensor of steps.
        whole : of the input instead, of which a sample may be a whole sequence.
        """
        if whole and self.whole:
            samples *= self.steps or 1
        if self.lengths is not None:
            return Sequences(self.lengths)
        return Sequences.equal(samples, self.steps or 1)

    @property
    def given(self) -> dict[str, Shape]:
        """Shapes (C, H, W) of the tensors that no layer makes, by name."""
        return {INPUT: self.input_shape, **dict(self.sources)}

    def taken(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return tensors (samples, C, H, W) of a part of a network as it takes them.

        Of whole sequences that others have made it takes rows, as steps.
        """
        own = {name for layer in self.layers for name in (*layer.inputs, layer.name)}
        return {
            name: tensor if tensor.shape[1:] == self.shape(name) else rows_as_steps(tensor)
            for name, tensor in tensors.items()
            if name in own
        }

    def shape(self, tensor: str) -> Shape:
        """Return the shape (C, H, W) of a tensor.

        Raises
        ------
        KeyError
            If there is no such tensor.
        """
        return (self.given | {layer.name: layer.out_shape for layer in self.layers})[tensor]

    def projection(self, layer: QuantLayer) -> QuantLinear | None:
        """Return the layer whose outputs of the step before ``layer`` reads, if not its own."""
        name = layer.projection if isinstance(layer, QuantCell) else None
        linears = (one for one in self.layers if isinstance(one, QuantLinear))
        return next((linear for linear in linears if linear.name == name), None)


def _takes_steps(node: FloatNode) -> bool:
    """Say whether a node of a recurrent network takes a vector at each step, not planes."""
    return isinstance(node, FloatLinear | FloatCell)


def dense_macs(layer: QuantLayer) -> int:
    """Count the products of a layer, zeros included, but not the holes of a dilated kernel.

    Of a recurrent layer, those of a step.
    """
    return int(np.prod(layer.out_shape[1:])) * layer.num_weights


def plain_codebook(bits: int) -> NDArray[np.int64]:
    """Return the codebook of plain weights: a code is its weight, in two's complement."""
    codes = np.arange(1 << bits)
    return np.where(codes >> (bits - 1), codes - (1 << bits), codes)


def linear_chain(layers: Sequence[QuantLinear]) -> QuantGraph[QuantLinear]:
    """Make a graph of Linear layers, each of which reads the one before it.

    Parameters
    ----------
    layers : at least one, with other names; what they say that they read is replaced.

    Returns
    -------
    A network of samples (columns,).
    """
    columns = layers[0].shape[1]
    made, source, shape = list[QuantLinear](), INPUT, (columns, 1, 1)
    for layer in layers:
        made.append(replace(layer, inputs=(source,), in_shape=shape))
        source, shape = layer.name, layer.out_shape
    return QuantGraph((columns, 1, 1), tuple(made), (source,), (columns,))
