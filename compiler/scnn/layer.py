"""Turn one layer into runs of the array, with the host in between."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from zeroskip.compiler.image.runs import only_changes
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.collect import collect
from zeroskip.compiler.scnn.fields import stored_fields
from zeroskip.compiler.scnn.geometry import Region, cut, kernel_pieces, whole_plane
from zeroskip.compiler.scnn.mapping import Mapping, Room
from zeroskip.compiler.scnn.passes import Encoder, Pass, Share
from zeroskip.compiler.scnn.run import ActLoad, ActStore, Channels, ScnnRun
from zeroskip.hw.scnn.params import ScnnParams

__all__ = [
    "LayerPlan",
    "channel_parts",
    "channels_read",
    "input_channels",
    "layer_runs",
    "output_slices",
    "pieces",
]


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """Plan of one layer: its runs and mappings.

    Parameters
    ----------
    mapping : of every pass.
    region_h, region_w : the output plane is cut into regions of at most so many outputs.
    k_step : output channels of a run, over all streams.
    c_step : input channels of a run; if fewer than the outputs need, sums stay in the
        accumulators from run to run, and the outputs of a run are of one group.
    kernel_step : rows and columns of the kernel in a run; if the kernel has more, sums stay, too.
    cycles : that the layer takes, estimated.
    """

    mapping: Mapping
    region_h: int
    region_w: int
    k_step: int
    c_step: int
    kernel_step: tuple[int, int] = (1 << 10, 1 << 10)
    cycles: float = 0.0


def input_channels(conv: QuantConv, outputs: range) -> range:
    """Find the input channels that some output channels are made from."""
    return channels_read(outputs, conv.out_shape[0] // conv.groups, conv.weight.shape[1])


def channels_read(outputs: range, of_group: int, fan: int) -> range:
    """Find the input channels of outputs where ``of_group`` are made from ``fan``."""
    first, last = outputs.start // of_group, (outputs.stop - 1) // of_group
    return range(first * fan, (last + 1) * fan)


def output_slices(conv: QuantConv, k_step: int) -> tuple[range, ...]:
    """Cut the output channels into parts of at most ``k_step``.

    A part has some groups of the convolution, or some output channels of one: parts that straddle
    groups would need the inputs of both.
    """
    return channel_parts(conv.out_shape[0], conv.out_shape[0] // conv.groups, k_step)


def channel_parts(depth: int, of_group: int, k_step: int) -> tuple[range, ...]:
    """Cut ``depth`` output channels, of which groups have ``of_group``, as `output_slices`."""
    channels = range(depth)
    if k_step >= of_group:
        return tuple(_slices(channels, k_step // of_group * of_group))
    return tuple(part for group in _slices(channels, of_group) for part in _slices(group, k_step))


def pieces(inputs: Sequence[Channels], channels: range) -> tuple[Channels, ...]:
    """Find channels of tensors that stand one behind the other."""
    found: list[Channels] = []
    base = 0
    for tensor in inputs:
        first = max(channels.start - base, 0)
        stop = min(channels.stop - base, tensor.stop - tensor.start)
        if first < stop:
            found.append(replace(tensor, start=tensor.start + first, stop=tensor.start + stop))
        base += tensor.stop - tensor.start
    return tuple(found)


def layer_runs(
    conv: QuantConv,
    plan: LayerPlan,
    params: ScnnParams,
    *,
    layer: int = 0,
    inputs: Sequence[Channels] = (),
    progress: Callable[[int], None] | None = None,
) -> list[ScnnRun]:
    """Build the runs of a layer that takes its input from the host and leaves its output there.

    Activations stay in the RAMs where they serve several parts of the output channels. Inputs are
    loaded to the begin of the activation RAM, outputs are written to its end.

    Parameters
    ----------
    conv, plan : the layer, and how.
    params : of the array.
    layer : number of the layer in the graph.
    inputs : what the layer reads, in order; unless given, it has one input.
    progress : called with the number of runs so far, after each.
    """
    if not inputs:
        if len(conv.inputs) != 1:
            raise ValueError(f"inputs of layer {conv.name!r} must be given: it has several")
        inputs = (Channels(tensor=conv.inputs[0], start=0, stop=conv.in_shape[0]),)
    encoders = _encoders(conv, plan, params)
    _, rows, columns = conv.out_shape
    runs: list[ScnnRun] = []
    loaded: ActLoad | None = None
    for outputs in output_slices(conv, plan.k_step):
        for part in _fitting(conv, encoders, plan, outputs):
            for y0 in range(0, rows, plan.region_h):
                for x0 in range(0, columns, plan.region_w):
                    size = min(plan.region_h, rows - y0), min(plan.region_w, columns - x0)
                    for encoder, share in part:
                        region = cut(encoder.conv, y0, x0, *size)
                        made = encoder.make(replace(share, region=region), layer=layer)
                        if made.output is not None:
                            words = made.channels * plan.mapping.words(params)
                            made = made.writing_to(
                                params.num_channels - made.channels, params.act_words - words
                            )
                        dense = made.descriptor.keep_zeros
                        load = ActLoad(
                            channels=pieces(inputs, share.channels),
                            base=0,
                            word=0,
                            limit=params.act_words,
                            dealt=False,
                            layout=plan.mapping.layout(region, conv.stride, dense=dense),
                        )
                        program, srams = collect([made], params)
                        runs.append(
                            ScnnRun(
                                program=program,
                                passes=(layer,),
                                outputs=(made.output,),
                                srams=srams,
                                loads=() if load == loaded else (load,),
                                stores=_stores(plan.mapping, region, made),
                            )
                        )
                        loaded = load
                        if progress is not None:
                            progress(len(runs))
    return only_changes(runs)


def _encoders(conv: QuantConv, plan: LayerPlan, params: ScnnParams) -> list[Encoder]:
    """Make an encoder for each part of the kernel."""
    fields = stored_fields(conv, params)
    parts = kernel_pieces(conv, plan.kernel_step)
    room: Room | None = None
    if len(parts) > 1:
        mapping, region = plan.mapping, (plan.region_h, plan.region_w)
        block = mapping.height(params), mapping.width(params)
        room, _, _ = Room.of_parts(conv, region, plan.kernel_step, block)
    return [
        Encoder(piece, fields[:, :, where[0], where[1]], plan.mapping, params, room)
        for where, piece in parts
    ]


def _slices(channels: range, step: int) -> Iterator[range]:
    for start in range(channels.start, channels.stop, step):
        yield range(start, min(start + step, channels.stop))


def _fitting(
    conv: QuantConv, encoders: Sequence[Encoder], plan: LayerPlan, outputs: range
) -> Iterator[list[tuple[Encoder, Share]]]:
    """Cut outputs until the sums of those whose inputs are in several parts fit one group.

    Yields for each part of the outputs the shares whose sums make them, whose region does not
    matter yet.
    """
    channels = input_channels(conv, outputs)
    chunks = list(_slices(channels, plan.c_step))
    shares = [
        (
            encoder,
            Share(
                region=whole_plane(encoder.conv),
                outputs=outputs,
                channels=chunk,
                first=encoder is encoders[0] and chunk == chunks[0],
                final=encoder is encoders[-1] and chunk == chunks[-1],
            ),
        )
        for encoder in encoders
        for chunk in chunks
    ]
    params = encoders[0].params
    at_once = plan.mapping.kc * len(plan.mapping.streams(params))
    if len(shares) == 1 or len(outputs) <= at_once:
        yield shares
        return
    # Whole groups, and the same number of them in both parts or one more in the first.
    half = -(-len(outputs) // (2 * at_once)) * at_once
    for some in (outputs[:half], outputs[half:]):
        yield from _fitting(conv, encoders, plan, some)


def _stores(mapping: Mapping, region: Region, made: Pass) -> tuple[ActStore, ...]:
    """Have the host store the outputs of a region, if there are any yet."""
    if made.output is None:
        return ()
    base, layout = made.descriptor.dst_base, mapping.out_layout(region)
    return (ActStore(blocks=made.output.blocks, base=base, layout=layout),)
