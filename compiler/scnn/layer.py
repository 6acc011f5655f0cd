"""Turn one layer into runs of the array, with the host in between."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from compiler.eie.segment import SramData
from compiler.graph import QuantConv
from compiler.scnn.encode import stored_fields
from compiler.scnn.geometry import layer_regions
from compiler.scnn.mapping import Mapping
from compiler.scnn.passes import Encoder, Share, collect
from compiler.scnn.run import ActLoad, ActStore, Channels, ScnnRun, TileLayout
from hw.scnn.params import ScnnParams

__all__ = [
    "LayerPlan",
    "input_channels",
    "layer_runs",
    "only_changes",
    "output_slices",
    "pieces",
]


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """How one layer is computed.

    Parameters
    ----------
    mapping : of every pass.
    region_h, region_w : the output plane is cut into regions of at most so many outputs.
    k_step : output channels of a run, over all streams.
    c_step : input channels of a run; if fewer than the outputs need, sums stay in the
        accumulators from run to run, and the outputs of a run are of one group.
    cycles : that the layer takes, estimated.
    """

    mapping: Mapping
    region_h: int
    region_w: int
    k_step: int
    c_step: int
    cycles: float = 0.0


def input_channels(conv: QuantConv, outputs: range) -> range:
    """Find the input channels that some output channels are made from."""
    per_group = conv.weight.shape[1]
    of_group = conv.out_shape[0] // conv.groups
    first, last = outputs.start // of_group, (outputs.stop - 1) // of_group
    return range(first * per_group, (last + 1) * per_group)


def output_slices(conv: QuantConv, k_step: int) -> tuple[range, ...]:
    """Cut the output channels into parts of at most ``k_step``.

    A part has some groups of the convolution, or some output channels of one: parts that straddle
    groups would need the inputs of both.
    """
    channels = range(conv.out_shape[0])
    of_group = len(channels) // conv.groups
    if k_step >= of_group:
        return tuple(_slices(channels, k_step // of_group * of_group))
    return tuple(part for group in _slices(channels, of_group) for part in _slices(group, k_step))


def pieces(inputs: Sequence[Channels], channels: range) -> tuple[Channels, ...]:
    """Find channels of tensors that stand one behind the other."""
    found: list[Channels] = []
    base = 0
    for one in inputs:
        first = max(channels.start - base, 0)
        stop = min(channels.stop - base, one.stop - one.start)
        if first < stop:
            found.append(replace(one, start=one.start + first, stop=one.start + stop))
        base += one.stop - one.start
    return tuple(found)


def layer_runs(
    conv: QuantConv,
    plan: LayerPlan,
    params: ScnnParams,
    *,
    layer: int = 0,
    inputs: Sequence[Channels] = (),
) -> list[ScnnRun]:
    """Build the runs of a layer that takes its input from the host and leaves its output there.

    Weights stay in the SRAMs where they serve several regions, activations where they serve
    several parts of the output channels.

    Parameters
    ----------
    conv, plan : the layer, and how.
    params : of the array.
    layer : number of the layer in the graph.
    inputs : what the layer reads, in order; unless given, it has one input.

    Raises
    ------
    CompileError
        If not even the weights of one input channel fit the SRAMs.
    """
    if not inputs:
        if len(conv.inputs) != 1:
            raise ValueError(f"inputs of layer {conv.name!r} must be given: it has several")
        inputs = (Channels(tensor=conv.inputs[0], start=0, stop=conv.in_shape[0]),)
    encoder = Encoder(conv, stored_fields(conv, params), plan.mapping, params)
    regions = layer_regions(conv, plan.region_h, plan.region_w)
    runs: list[ScnnRun] = []
    loaded: ActLoad | None = None
    for outputs in output_slices(conv, plan.k_step):
        for part in _fitting(conv, encoder, plan, outputs):
            for region in regions:
                for share in part:
                    here = replace(share, region=region)
                    one = encoder.make(here, layer=layer)
                    program, srams = collect([one], params)
                    load = ActLoad(
                        channels=pieces(inputs, share.channels),
                        base=0,
                        layout=plan.mapping.layout(
                            region, conv.stride, dense=one.descriptor.keep_zeros
                        ),
                    )
                    store: tuple[ActStore, ...] = ()
                    if one.output is not None:
                        store = (
                            ActStore(
                                blocks=one.output.blocks,
                                base=0,
                                layout=_stored(plan.mapping, here),
                            ),
                        )
                    runs.append(
                        ScnnRun(
                            program=program,
                            passes=(layer,),
                            outputs=(one.output,),
                            srams=srams,
                            loads=() if load == loaded else (load,),
                            stores=store,
                        )
                    )
                    loaded = load
    return only_changes(runs)


def only_changes(runs: Sequence[ScnnRun]) -> list[ScnnRun]:
    """Leave out SRAMs that hold already what a run loads."""
    held: dict[str, SramData] = {}
    kept: list[ScnnRun] = []
    for run in runs:
        srams = {
            name: data
            for name, data in run.srams.items()
            if name not in held
            or not (held[name].words is data.words or np.array_equal(held[name].words, data.words))
        }
        held |= srams
        kept.append(replace(run, srams=srams))
    return kept


def _slices(channels: range, step: int) -> Iterator[range]:
    for start in range(channels.start, channels.stop, step):
        yield range(start, min(start + step, channels.stop))


def _fitting(
    conv: QuantConv, encoder: Encoder, plan: LayerPlan, outputs: range
) -> Iterator[tuple[Share, ...]]:
    """Cut outputs, and then input channels, until the weights of each part fit the SRAMs.

    Yields for each part of the outputs the shares whose sums make them, without their region.
    """
    channels = input_channels(conv, outputs)
    whole = layer_regions(conv, conv.out_shape[1], conv.out_shape[2])[0]
    shares = [
        Share(
            region=whole,
            outputs=outputs,
            channels=some,
            first=some.start == channels.start,
            final=some.stop == channels.stop,
        )
        for some in _slices(channels, plan.c_step)
    ]
    at_once = plan.mapping.kc * len(plan.mapping.streams(encoder.params))
    one_group = len(outputs) <= at_once
    if (len(shares) == 1 or one_group) and all(encoder.fits(share) for share in shares):
        yield tuple(shares)
        return
    if not one_group:
        # Whole groups, and the same number of them in both parts or one more in the first.
        half = -(-len(outputs) // (2 * at_once)) * at_once
        for some in (outputs[:half], outputs[half:]):
            yield from _fitting(conv, encoder, plan, some)
        return
    if plan.c_step > 1:
        smaller = replace(plan, c_step=-(-min(plan.c_step, len(channels)) // 2))
        yield from _fitting(conv, encoder, smaller, outputs)
        return
    encoder.refuse(shares)


def _stored(mapping: Mapping, share: Share) -> TileLayout:
    """Lay the outputs of a region on a block."""
    region = share.region
    return TileLayout(
        block_x=mapping.block_x,
        block_y=mapping.block_y,
        tile_h=mapping.ho,
        tile_w=mapping.wo,
        sy=1,
        sx=1,
        y_stride=mapping.wo,
        y0=region.y0,
        x0=region.x0,
        height=region.height,
        width=region.width,
        dense=False,
    )
