"""Estimate how often a convolution on SCNN reads and writes memories, from vectors of operands."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.geometry import Region
from zeroskip.compiler.scnn.mapping import Mapping as Placed
from zeroskip.compiler.scnn.mapping import Room
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.energy.activity import LayerActivity
from zeroskip.sim.scnn.cycles.references import References, Writes
from zeroskip.sim.scnn.energy import access_events

__all__ = ["PassShape", "estimated_activity", "pass_counts"]

Counts = NDArray[np.int64]


class PassShape(NamedTuple):
    """What a pass makes.

    Parameters
    ----------
    conv, region, mapping : part of a layer, its outputs, and where they are.
    outputs : channels of each stream.
    nonzeros, products : weights that are not 0, and products of these and of such activations,
        those that fall outside of the plane included.
    first, final : it begins sums, and ends them.
    windows : rows and columns of outputs of which the maximum is taken on the way out, else 1.
    density : of what is written.
    """

    conv: QuantConv
    region: Region
    mapping: Placed
    outputs: int
    nonzeros: int
    products: int
    first: bool
    final: bool
    windows: tuple[int, int]
    density: float


def pass_counts(
    shape: PassShape, acts: Counts, weights: Counts, params: ScnnParams, packing: Packing
) -> dict[str, int]:
    """Estimate the fields of :class:`.References` and :class:`.Writes` of a pass.

    What the position bus brings is left out, as is what PEs store of what others need.

    Parameters
    ----------
    shape : of the pass.
    acts : (channels * phases, PEs of a block) vectors of activations that a PE holds.
    weights : (groups, streams, channels * phases) vectors of weights that go to all of them.
    params, packing : of the array, and of weights on their way to it.
    """
    pes, streams = acts.shape[1], weights.shape[1]
    mapping = shape.mapping
    filled = weights > 0
    vectors, blocks = int(weights.sum()), int(filled.sum())
    shared = shape.conv.codebook is not None
    bits = shape.nonzeros * (packing.shared if shared else packing.plain)
    found = dict[str, int](
        weight_sram=vectors,
        weight_fifo_writes=vectors * pes,
        weight_fifo_reads=int((weights.sum(axis=(0, 1)) @ acts).sum()),
        directory=blocks * pes,
        act_ram=int((filled.sum(axis=(0, 1)) @ acts).sum()),
        beats=round((bits + blocks * packing.header) / packing.beat) + streams,
        accumulators=shape.products,
        lookups=shape.nonzeros,
        wiped=2 * params.accs * params.num_pes * shape.first,
    )
    if not shape.final:
        return found
    room = Room.of(shape.conv, shape.region.padding)
    rows = mapping.ho + (room.top + room.bottom) * (mapping.height(params) > 1)
    columns = mapping.wo + (room.left + room.right) * (mapping.width(params) > 1)
    tile, planes = mapping.ho * mapping.wo, shape.outputs * params.num_pes
    pairs = shape.windows[1] % 2 == 0 and rows * columns == tile
    outputs = tile * planes // (1 + pairs)
    # A word more for the rest that fills none, unless there is nothing, as outside of the plane.
    window = shape.windows[0] * shape.windows[1]
    kept = tile / window
    density = shape.density * min(1.0, shape.region.height * shape.region.width / (tile * pes))
    some = 1 - (1 - density) ** kept
    words = (density * kept + some * (params.mult_i - 1) / 2) / params.mult_i
    return found | dict[str, int](
        drained=rows * columns * planes,
        biases=shape.outputs * streams,
        pairs=outputs * pairs,
        outputs=outputs,
        compared=outputs * (window > 1),
        words=round(words * planes),
        entries=planes,
    )


def estimated_activity(
    name: str, cycles: float, useful: float, counts: Mapping[str, float], params: ScnnParams
) -> LayerActivity:
    """Return what a layer does for an input.

    Parameters
    ----------
    name, cycles, useful : of the layer; products of two non-zeros.
    counts : of :func:`pass_counts`, for an input.
    params : of the array.
    """
    whole = {field: round(count) for field, count in counts.items()}
    read = References(
        **{field: whole.get(field, 0) for field in _READ},
    )
    written = Writes(**{field: whole.get(field, 0) for field in _WRITTEN})
    return LayerActivity(name, cycles, useful, list(access_events(params, read, written)))


_READ = (
    "weight_sram", "weight_fifo_writes", "weight_fifo_reads", "directory", "act_ram",
    "accumulators", "drained",
)  # fmt: skip
_WRITTEN = (
    "beats", "lookups", "wiped", "biases", "pairs", "outputs", "compared", "words", "entries",
)  # fmt: skip
