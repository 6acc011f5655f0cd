"""Order the passes of a run, and give their tensors rows and directory entries by lifetime."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.compiler.scnn.allocate import Lifetime, allocate, peak
from zeroskip.compiler.scnn.fill import dense_rows
from zeroskip.compiler.scnn.geometry import phase_taps
from zeroskip.compiler.scnn.held import Piece
from zeroskip.compiler.scnn.layer import input_channels
from zeroskip.compiler.scnn.order import goes_along
from zeroskip.compiler.scnn.place import Placed
from zeroskip.compiler.scnn.run import Channels, TileLayout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["PlacedPass", "Schedule", "Spot", "schedule"]


RowsOf = Callable[[TileLayout, Channels, int], int]
Lives = dict[tuple[int, int], tuple[int, int]]
"""First and last pass of each piece (tensor, number)."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where a piece of a tensor is in each of its owners.

    Parameters
    ----------
    piece : its channels.
    each : channels of an owner.
    phases : directory entries of a channel.
    base, entries : directory entries.
    word, rows : of the activation RAM.
    """

    piece: Piece
    each: int
    phases: int
    base: int
    entries: int
    word: int
    rows: int

    @property
    def limit(self) -> int:
        """First row of the activation RAM that is not the piece's any more."""
        return self.word + self.rows


@dataclass(frozen=True)
class PlacedPass:
    """A pass: a layer, or what it makes of a piece of its inputs.

    Parameters
    ----------
    layer : its number.
    target : where it writes.
    reads : where the inputs are, one after the other, in the order of the layer's channels.
    first : input channel of the layer that is the first of these.
    """

    layer: int
    target: Spot
    reads: tuple[Spot, ...]
    first: int

    @property
    def span(self) -> range:
        """Directory entries from the first to the last that it reads."""
        return range(
            min(spot.base for spot in self.reads),
            max(spot.base + spot.entries for spot in self.reads),
        )

    def groups(self, most: int) -> tuple[int, int]:
        """Count the groups of an owner's output channels, of at most ``most``, and theirs."""
        groups = -(-self.target.each // most)
        return groups, -(-self.target.each // groups)


@dataclass(frozen=True)
class Schedule:
    """The passes of a run, and where its tensors are.

    Parameters
    ----------
    passes : in order.
    spots : of each tensor of the run, its pieces.
    rows, entries : of activation RAM and directory, at the peak.
    """

    passes: tuple[PlacedPass, ...]
    spots: tuple[tuple[Spot, ...], ...]
    rows: int
    entries: int


def schedule(
    graph: QuantGraph, placed: Placed, params: ScnnParams, rows_of: RowsOf
) -> Schedule | None:
    """Order the passes of a run and give its tensors places.

    What is live in the same pass has rows of its own. What is loaded has rows for whatever comes,
    if there are any left: a run may begin while that is under way.

    Parameters
    ----------
    graph, placed, params : the network, where its tensors lie, and the array.
    rows_of : counts the rows of a tensor's channels, as :meth:`.Fill.rows` does.

    Returns
    -------
    None if something does not fit its memory.
    """
    holding = placed.holding
    order = _order(graph, placed)
    if len(order) > params.num_descriptors or not _tables_hold(graph, placed, params):
        return None
    lives = _lives(placed, order)
    shares = [
        [piece.each(placed.owners(number, params)) for piece in pieces]
        for number, pieces in enumerate(placed.pieces)
    ]
    for bounded in (True, False):
        rows = _rows(graph, placed, params, rows_of, (shares, lives), bounded=bounded)
        words = allocate(rows, params.act_words)
        if words is not None:
            break
    entries: list[Lifetime] = []
    for cluster in holding.clusters:
        some = [lives[number, at] for number in cluster for at in range(len(shares[number]))]
        phases = holding.tensors[cluster[0]].phases
        count = phases * sum(sum(shares[at]) for at in cluster)
        entries.append(Lifetime(count, min(some)[0], max(last for _, last in some)))
    bases = allocate(entries, params.num_channels)
    if words is None or bases is None:
        return None
    spots = _spots(placed, shares, rows, words, bases)
    passes = tuple(
        PlacedPass(
            layer=step.layer,
            target=spots[holding.makes[step.layer]][step.piece],
            reads=tuple(spots[number][at] for number, at in step.reads),
            first=step.first,
        )
        for step in order
    )
    known = dict(zip(((step.layer, step.piece) for step in order), range(len(order)), strict=True))
    for number, (step, made) in enumerate(zip(order, passes, strict=True)):
        if placed.buses[step.layer] and not _written(placed, spots, made, known, number):
            return None
    return Schedule(passes, spots, peak(rows, words), peak(entries, bases))


def _rows(
    graph: QuantGraph,
    placed: Placed,
    params: ScnnParams,
    rows_of: RowsOf,
    held: tuple[Sequence[Sequence[int]], Lives],
    *,
    bounded: bool,
) -> list[Lifetime]:
    """Count the rows of each piece of each tensor, and say in which passes it has them.

    Parameters
    ----------
    graph, placed, params, rows_of : as for :func:`schedule`.
    held : of each tensor, channels of an owner of each piece; and :func:`_lives`.
    bounded : what is loaded has room whatever it is.
    """
    shares, lives = held
    found: list[Lifetime] = []
    for number, tensor in enumerate(placed.holding.tensors):
        layout = placed.layout(graph, number)
        maker = graph.layers[tensor.maker] if tensor.maker >= 0 else None
        # Owners that lack a channel have the smallest number in each of its places.
        full = bounded if maker is None else maker.op == "max" and maker.signed_input
        for at, (piece, each) in enumerate(zip(placed.pieces[number], shares[number], strict=True)):
            channels = Channels(tensor=tensor.name, start=piece.start, stop=piece.stop)
            count = dense_rows(layout, each, params) if full else rows_of(layout, channels, each)
            found.append(Lifetime(count, *lives[number, at]))
    return found


@dataclass(frozen=True)
class _Step:
    """A pass: the piece that a layer makes, and the pieces (tensor, number) that it reads."""

    layer: int
    piece: int
    reads: tuple[tuple[int, int], ...]
    first: int


def _order(graph: QuantGraph, placed: Placed) -> list[_Step]:
    """Order passes: what goes along with a piece of several follows it at once."""
    holding, pieces = placed.holding, placed.pieces
    every: dict[int, list[_Step]] = {}
    for layer in placed.layers:
        reads = _reads(placed, layer)
        every[layer] = []
        for at, piece in enumerate(pieces[holding.makes[layer]]):
            needed = input_channels(graph.layers[layer], range(piece.start, piece.stop))
            some = [
                (first, read)
                for first, count, read in reads
                if first < needed.stop and needed.start < first + count
            ]
            every[layer].append(_Step(layer, at, tuple(read for _, read in some), some[0][0]))
    found: list[_Step] = []

    def make(step: _Step) -> None:
        found.append(step)
        piece = holding.makes[step.layer], step.piece
        if len(pieces[piece[0]]) == 1:
            return
        for layer in placed.layers:
            for other in every[layer]:
                if other.reads == (piece,) and goes_along(graph.layers[layer]):
                    make(other)

    for layer in placed.layers:
        for step in every[layer]:
            if step not in found:
                make(step)
    return found


def _reads(placed: Placed, layer: int) -> list[tuple[int, int, tuple[int, int]]]:
    """List the pieces (tensor, number) that a layer reads, with their first channel and size."""
    found: list[tuple[int, int, tuple[int, int]]] = []
    first = 0
    for number in placed.holding.reads[layer]:
        for at, piece in enumerate(placed.pieces[number]):
            found.append((first, piece.stop - piece.start, (number, at)))
            first += piece.stop - piece.start
    return found


def _lives(placed: Placed, order: Sequence[_Step]) -> Lives:
    """Find the passes in which each piece (tensor, number) is written and needed for the last time.

    What is loaded is there before the first pass; what leaves, behind the last.
    """
    holding = placed.holding
    firsts = {
        (number, at): -1
        for number, tensor in enumerate(holding.tensors)
        if tensor.maker < 0
        for at in range(len(placed.pieces[number]))
    }
    lasts: dict[tuple[int, int], int] = {}
    for number, step in enumerate(order):
        firsts[holding.makes[step.layer], step.piece] = number
        lasts |= dict.fromkeys(step.reads, number)
    return {
        key: (first, len(order) if holding.tensors[key[0]].leaves else lasts.get(key, first))
        for key, first in firsts.items()
    }


def _tables_hold(graph: QuantGraph, placed: Placed, params: ScnnParams) -> bool:
    """Return whether the tables of taps, biases and codebooks hold what all passes need."""
    taps: dict[tuple[object, ...], int] = {}
    books: set[bytes] = set()
    biases: dict[object, int] = {}
    for layer, plan in placed.plans.items():
        conv, to = graph.layers[layer], placed.place(placed.holding.makes[layer])
        found = phase_taps(conv.weight.shape[2:], conv.stride, conv.padding)
        taps[found, plan.mapping.y_stride] = sum(map(len, found))
        owners = to.blocks(params)
        for at, piece in enumerate(placed.pieces[placed.holding.makes[layer]]):
            # A maximum has none, so those of as many channels have the same.
            each = piece.each(owners)
            biases[each if conv.op == "max" else (layer, at)] = each
        if conv.codebook is not None:
            books.add(conv.codebook.tobytes())
    return (
        sum(taps.values()) <= params.num_taps
        and sum(biases.values()) <= params.num_biases
        and len(books) <= params.num_codebooks
    )


def _spots(
    placed: Placed,
    shares: Sequence[Sequence[int]],
    rows: Sequence[Lifetime],
    words: Sequence[int],
    bases: Sequence[int],
) -> tuple[tuple[Spot, ...], ...]:
    """Say where the pieces of each tensor are."""
    holding, starts = placed.holding, dict[int, int]()
    for cluster, base in zip(holding.clusters, bases, strict=True):
        for at in cluster:
            starts[at] = base
            base += sum(shares[at]) * holding.tensors[at].phases
    found: list[tuple[Spot, ...]] = []
    index = 0
    for number, tensor in enumerate(holding.tensors):
        phases, base = tensor.phases, starts[number]
        here: list[Spot] = []
        for piece, each in zip(placed.pieces[number], shares[number], strict=True):
            here.append(
                Spot(
                    piece=piece,
                    each=each,
                    phases=phases,
                    base=base,
                    entries=each * phases,
                    word=words[index],
                    rows=rows[index].rows,
                )
            )
            base += each * phases
            index += 1
        found.append(tuple(here))
    return tuple(found)


def _written(
    placed: Placed,
    spots: Sequence[Sequence[Spot]],
    step: PlacedPass,
    known: dict[tuple[int, int], int],
    number: int,
) -> bool:
    """Return whether all entries that the owners send have been written by then."""
    holding = placed.holding
    cluster = holding.clusters[holding.of_tensor[holding.reads[step.layer][0]]]
    return all(
        holding.tensors[tensor].maker < 0 or known[holding.tensors[tensor].maker, at] < number
        for tensor in cluster
        for at, spot in enumerate(spots[tensor])
        if spot.base in step.span
    )
