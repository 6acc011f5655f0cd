"""Which integers each element of a network can be, whatever the input: for proofs to be held to.

Worked out output by output in Python's unbounded integers, over the windows as they lie in the
planes; the compiler has one range for each tensor and looks at no window. Every range is reached
if the elements of a layer's input could be chosen one by one.
"""

from dataclasses import dataclass

from tests.unit.golden.unbounded import windows
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph, QuantLinear

__all__ = ["Reach", "of_graph"]

Range = tuple[int, int]


@dataclass
class Reach:
    """What a layer's numbers can be.

    Parameters
    ----------
    inputs : smallest and largest input.
    sums : smallest and largest partial sum, the last one with bias and half included.
    outputs : smallest and largest output.
    """

    inputs: Range
    sums: Range
    outputs: Range


def _output(total: Range, shift: int, relu: bool, act_bits: int) -> Range:
    """Return the range of an output from that of its sum."""
    least, most = 0 if relu else -(2 ** (act_bits - 1)), 2 ** (act_bits - 1) - 1
    low, high = (min(max(end // 2**shift, least), most) for end in total)
    return low, high


def _sum(terms: list[tuple[int, Range]], added: int) -> tuple[Range, Range]:
    """Return the ranges of all partial sums of weights times inputs, and of the whole sum."""
    ends = [(w * low, w * high) for w, (low, high) in terms]
    whole = sum(map(min, ends)) + added, sum(map(max, ends)) + added
    part = sum(min(0, *one) for one in ends), sum(max(0, *one) for one in ends)
    return (min(part[0], whole[0]), max(part[1], whole[1])), whole


def _hull(ranges: list[Range]) -> Range:
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _of_linear(
    layer: QuantLinear, inputs: list[Range], act_bits: int
) -> tuple[Reach, list[list[list[Range]]]]:
    """Return what the numbers of a matrix can be, and the ranges of its outputs [rows][1][1]."""
    sums, outputs = [], []
    rows = layer.codebook[layer.codes.toarray()].tolist()
    for row, bias in zip(rows, layer.bias.tolist(), strict=True):
        added = bias + 2**layer.shift // 2
        part, whole = _sum(list(zip(row, inputs, strict=True)), added)
        sums.append(part)
        outputs.append(_output(whole, layer.shift, layer.relu, act_bits))
    return Reach(_hull(inputs), _hull(sums), _hull(outputs)), [[[one]] for one in outputs]


def _of_conv(
    layer: QuantConv, inputs: list[list[list[Range]]], act_bits: int
) -> tuple[Reach, list[list[list[Range]]]]:
    """Return what the numbers of a layer can be, and the ranges of its outputs [K][P][Q]."""
    depth, height, width = layer.out_shape
    sums: list[Range] = []
    outputs = [[[(0, 0)] * width for _ in range(height)] for _ in range(depth)]
    for k, p, q, window in windows(layer):
        added = int(layer.bias[k]) + 2**layer.shift // 2
        if layer.op == "max":
            ends = [inputs[c][y][x] for c, y, x, _ in window]
            part = whole = max(low for low, _ in ends), max(high for _, high in ends)
        else:
            part, whole = _sum([(w, inputs[c][y][x]) for c, y, x, w in window], added)
        sums.append(part)
        outputs[k][p][q] = _output(whole, layer.shift, layer.relu, act_bits)
    everything = [one for plane in inputs for line in plane for one in line]
    made = [one for plane in outputs for line in plane for one in line]
    return Reach(_hull(everything), _hull(sums), _hull(made)), outputs


def of_graph(graph: QuantGraph, act_bits: int) -> dict[str, Reach]:
    """Return what the numbers of every layer of a network can be."""
    channels, height, width = graph.input_shape
    anything = -(2 ** (act_bits - 1)), 2 ** (act_bits - 1) - 1
    tensors = {INPUT: [[[anything] * width for _ in range(height)] for _ in range(channels)]}
    found: dict[str, Reach] = {}
    for layer in graph.layers:
        planes = [plane for name in layer.inputs for plane in tensors[name]]
        if isinstance(layer, QuantLinear):
            elements = [one for plane in planes for line in plane for one in line]
            found[layer.name], tensors[layer.name] = _of_linear(layer, elements, act_bits)
        else:
            found[layer.name], tensors[layer.name] = _of_conv(layer, planes, act_bits)
    return found
