"""Find which tensors are on the array in a run, and which of them lie side by side."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from zeroskip.compiler.ir.graph import Pair, QuantConv, QuantGraph
from zeroskip.compiler.scnn.fill import Fill
from zeroskip.compiler.scnn.order import goes_along

_MOST_GROUPS = 8
_MOST_STRIDE = 7

__all__ = [
    "Held",
    "Holding",
    "Piece",
    "by_groups",
    "hold_tensors",
    "tensor_pieces",
    "without_fused",
]


@dataclass(frozen=True)
class Piece:
    """Channels of a tensor that a pass makes or the host loads, dealt to the owners in order.

    Each owner has as many directory entries as the one with the most channels.
    """

    start: int
    stop: int

    def each(self, owners: int) -> int:
        """Count the channels of an owner, but the last."""
        return -(-(self.stop - self.start) // owners)


@dataclass(frozen=True)
class Held:
    """A tensor that is on the array.

    Parameters
    ----------
    name : of the tensor.
    stride : of the layers that read it: it is stored in phases.
    dense : a layer that reads it must see its zeros.
    maker : number of the layer that makes it; -1: it is loaded.
    leaves : it is stored in memory after the run.
    """

    name: str
    stride: Pair
    dense: bool
    maker: int
    leaves: bool

    @property
    def phases(self) -> int:
        """Directory entries of a channel."""
        return self.stride[0] * self.stride[1]


@dataclass(frozen=True)
class Holding:
    """All tensors of a run.

    Parameters
    ----------
    tensors : loaded ones first, then in the order of their layers.
    reads : by layer, numbers of the tensors that it reads, in its order.
    makes : by layer, number of the tensor.
    clusters : numbers of tensors that some layer reads together, in the order of the directory.
    of_tensor : of each tensor, the number of its cluster.
    """

    tensors: tuple[Held, ...]
    reads: dict[int, tuple[int, ...]]
    makes: dict[int, int]
    clusters: tuple[tuple[int, ...], ...]
    of_tensor: tuple[int, ...]


def hold_tensors(graph: QuantGraph, layers: range) -> Holding | None:
    """List the tensors that are on the array during a run: its inputs, and what its layers make.

    Returns
    -------
    None if a tensor that the run makes is read with different strides, or with one that
    descriptors have no bits for.
    """
    convs = graph.layers
    made = {convs[number].name for number in layers}
    users: dict[tuple[str, Pair], list[int]] = {}
    for number in layers:
        for name in dict.fromkeys(convs[number].inputs):
            users.setdefault((name, convs[number].stride), []).append(number)
    outside = set(graph.outputs)
    outside |= {name for conv in convs[layers.stop :] for name in conv.inputs}
    strides: dict[str, set[Pair]] = {}
    for name, stride in users:
        strides.setdefault(name, set()).add(stride)
    for name in made:
        here = strides.get(name, {(1, 1)})
        if len(here) > 1 or max(map(max, here)) > _MOST_STRIDE:
            return None
    tensors: list[Held] = []
    numbers: dict[tuple[str, Pair], int] = {}

    def hold(name: str, stride: Pair, maker: int) -> None:
        readers = users.get((name, stride), [])
        leaves = maker >= 0 and name in outside
        dense = any(convs[n].op == "max" and convs[n].signed_input for n in readers)
        numbers[name, stride] = len(tensors)
        tensors.append(Held(name, stride, dense, maker, leaves))

    for name, stride in users:
        if name not in made:
            hold(name, stride, -1)
    for number in layers:
        name = convs[number].name
        hold(name, next(iter(strides.get(name, {(1, 1)}))), number)
    reads = {
        number: tuple(numbers[name, convs[number].stride] for name in convs[number].inputs)
        for number in layers
    }
    makes = {tensors[at].maker: at for at in range(len(tensors)) if tensors[at].maker >= 0}
    clusters = _clusters(len(tensors), list(reads.values()))
    of_tensor = {at: number for number, cluster in enumerate(clusters) for at in cluster}
    return Holding(
        tuple(tensors), reads, makes, clusters, tuple(of_tensor[at] for at in range(len(tensors)))
    )


def without_fused(
    holding: Holding, fused: Mapping[int, int]
) -> tuple[Holding, tuple[int, ...], tuple[int, ...]]:
    """Return what a run holds without the tensors between layers and their fused poolings.

    Parameters
    ----------
    holding : of a run.
    fused : by number of a fused pooling, that of the layer which makes it.

    Returns
    -------
    The layers make what the poolings did; and the numbers that its tensors, and its clusters, had.
    """
    gone = {holding.makes[conv] for conv in fused.values()}
    tensors = tuple(at for at in range(len(holding.tensors)) if at not in gone)
    clusters = tuple(
        number for number, cluster in enumerate(holding.clusters) if not gone.issuperset(cluster)
    )
    new = {at: number for number, at in enumerate(tensors)}
    held = [holding.tensors[at] for at in tensors]
    makes = {layer: at for layer, at in holding.makes.items() if layer not in fused}
    makes |= {conv: holding.makes[pool] for pool, conv in fused.items()}
    found = Holding(
        tensors=tuple(replace(one, maker=fused.get(one.maker, one.maker)) for one in held),
        reads={
            layer: tuple(new[at] for at in reads)
            for layer, reads in holding.reads.items()
            if layer not in fused
        },
        makes={layer: new[at] for layer, at in makes.items()},
        clusters=tuple(tuple(new[at] for at in holding.clusters[number]) for number in clusters),
        of_tensor=tuple(clusters.index(holding.of_tensor[at]) for at in tensors),
    )
    return found, tensors, clusters


def _clusters(count: int, together: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Join what is read together; the largest reads say the order."""
    of = [[at] for at in range(count)]
    for some in sorted(together, key=len, reverse=True):
        first = of[some[0]]
        for at in some[1:]:
            if of[at] is not first:
                first += of[at]
                for other in of[at]:
                    of[other] = first
    return tuple(dict.fromkeys(tuple(cluster) for cluster in of))


def by_groups(conv: QuantConv) -> bool:
    """Tell if a layer has a pass for each group, so that all blocks read the same channels."""
    return 1 < conv.groups <= _MOST_GROUPS and not goes_along(conv)


def tensor_pieces(
    graph: QuantGraph,
    holding: Holding,
    fill: Fill,
    most: float,
    whole: Collection[int] = (),
) -> tuple[tuple[Piece, ...], ...]:
    """Cut each tensor into pieces: a layer that goes along makes those of what it reads.

    Parameters
    ----------
    graph, holding : the network, and the tensors of a run.
    fill : of the activation RAMs.
    most : activations that a piece stores, where only layers that go along read the tensor, so that
        it need not be there all at once.
    whole : numbers of tensors that are not cut for that.
    """
    readers: dict[int, list[int]] = {}
    for layer, read in holding.reads.items():
        for at in read:
            readers.setdefault(at, []).append(layer)
    pieces: list[tuple[Piece, ...]] = []
    for number, tensor in enumerate(holding.tensors):
        conv = graph.layers[tensor.maker] if tensor.maker >= 0 else None
        channels, rows, columns = graph.shape(tensor.name)
        here: list[Piece] = []
        base = 0
        if conv is not None and goes_along(conv):
            for at in holding.reads[tensor.maker]:
                here += [Piece(base + piece.start, base + piece.stop) for piece in pieces[at]]
                base += pieces[at][-1].stop
            pieces.append(tuple(here))
            continue
        if conv is not None and by_groups(conv):
            each = channels // conv.groups
            pieces.append(tuple(Piece(at, at + each) for at in range(0, channels, each)))
            continue
        passing = conv is not None and not tensor.leaves and number in readers
        passing = passing and number not in whole
        passing = passing and all(goes_along(graph.layers[layer]) for layer in readers[number])
        stored = channels * rows * columns * fill.share(tensor.name)
        count = min(channels, max(1, math.ceil(stored / most))) if passing else 1
        each = -(-channels // count)
        pieces.append(
            tuple(Piece(first, min(first + each, channels)) for first in range(0, channels, each))
        )
    return tuple(pieces)
