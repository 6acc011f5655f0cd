"""One pass: its descriptor, and what it adds to the SRAMs."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.encode import StreamBlocks, encode_weights, tap_words
from zeroskip.compiler.scnn.fields import bias_words
from zeroskip.compiler.scnn.geometry import Region, phase_taps
from zeroskip.compiler.scnn.mapping import Mapping, Room
from zeroskip.compiler.scnn.run import Channels, PassOutput, ScnnDescriptor
from zeroskip.hw.common.formats import Activation
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Encoder", "Pass", "Share"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of a layer that a pass computes.

    Parameters
    ----------
    region : of the plane.
    outputs : output channels, which are dealt to the streams in equal contiguous parts.
    channels : input channels whose products are added.
    first, final : the part has the layer's first, or last, input channels; in between, sums stay
        in the accumulators.
    """

    region: Region
    outputs: range
    channels: range
    first: bool = True
    final: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Pass:
    """A descriptor and the words that it refers to.

    Parameters
    ----------
    descriptor : as if this pass were alone in the SRAMs and in the activation RAM.
    layer : number of the layer in the graph.
    output : see :class:`.PassOutput`; None if sums stay.
    taps : (taps,) uint64.
    codebook : (weights,) int64, or None for plain values.
    streams : what each stream reads; only the first ones are listened to, see
        :func:`.stream_count`.
    biases : of each stream, (biases, 1) uint64; of the same number; none if sums stay.
    """

    descriptor: ScnnDescriptor
    layer: int
    output: PassOutput | None
    taps: NDArray[np.uint64]
    codebook: NDArray[np.int64] | None
    streams: tuple[StreamBlocks, ...]
    biases: tuple[NDArray[np.uint64], ...]

    @property
    def channels(self) -> int:
        """Output channels that each block writes."""
        step = self.descriptor
        return (step.groups - 1) * step.kc + step.kc_last if step.drain else 0

    def writing_to(self, base: int, word: int, *, append: bool = False) -> "Pass":
        """Return the pass, writing from a directory entry and a row on; see the descriptor."""
        place = replace(self.descriptor, dst_base=base, dst_word=word, append=append)
        return replace(self, descriptor=place)


class Encoder:
    """Encodes parts of a layer, each only once.

    Parameters
    ----------
    conv : the layer.
    fields : of its weights, from :func:`.stored_fields`.
    mapping : of all parts.
    params : of the array.
    room : of all parts, if sums go on from one part to another of another kernel; unless given,
        each has what it needs.
    """

    def __init__(
        self,
        conv: QuantConv,
        fields: NDArray[np.uint64],
        mapping: Mapping,
        params: ScnnParams,
        room: Room | None = None,
    ) -> None:
        self.params = params
        self.conv, self._fields, self._mapping = conv, fields, mapping
        self._room = room
        self._outputs: range | None = None
        self._known: dict[tuple[object, ...], tuple[StreamBlocks, ...]] = {}

    def make(
        self,
        share: Share,
        *,
        layer: int = 0,
        out_stride: tuple[int, int] = (1, 1),
        out_y_stride: int | None = None,
        out_dense: bool = False,
        pool: QuantConv | None = None,
        numbers: NDArray[np.int64] | None = None,
    ) -> Pass:
        """Encode a part of the layer.

        Parameters
        ----------
        share : which part.
        layer : number of the layer in the graph.
        out_stride : (down, across), phases in which outputs are stored.
        out_y_stride : row stride of their positions; None: no room between rows.
        out_dense : store zeros, too.
        pool : pooling whose outputs are written instead of the layer's, see :func:`.fuses`.
        numbers : where the input channels stand, see
            :func:`.encode_weights`; a part must always have the same.
        """
        conv, mapping, params = self.conv, self._mapping, self.params
        region = share.region
        phases = phase_taps(conv.weight.shape[2:], conv.stride, region.padding)
        made, windows = (conv, (1, 1)) if pool is None else (pool, pool.stride)
        descriptor = self._descriptor(share, windows, out_stride, out_y_stride, out_dense)
        output, biases = None, (np.empty((0, 1), np.uint64),) * params.num_streams
        if share.final:
            parts = self._parts(share)
            output = PassOutput(
                blocks=tuple(
                    Channels(tensor=made.name, start=part.start, stop=part.stop)
                    for part in parts[: mapping.blocks(params)]
                ),
                y0=region.y0 // windows[0],
                x0=region.x0 // windows[1],
                height=region.height // windows[0],
                width=region.width // windows[1],
            )
            biases = tuple(bias_words(conv, part, self._slots(share), params) for part in parts)
        return Pass(
            descriptor=descriptor,
            layer=layer,
            output=output,
            taps=tap_words(phases, descriptor.origin, mapping.y_stride),
            codebook=conv.codebook,
            streams=self._streams(share, numbers),
            biases=biases,
        )

    def _descriptor(
        self,
        share: Share,
        windows: tuple[int, int],
        out_stride: tuple[int, int],
        out_y_stride: int | None,
        out_dense: bool,
    ) -> ScnnDescriptor:
        """Describe a part of the layer, as if it were alone in the memories.

        Parameters
        ----------
        windows : (down, across) of a pooling whose outputs are written.
        share, out_stride, out_y_stride, out_dense : as for :meth:`make`.
        """
        conv, mapping, params, region = self.conv, self._mapping, self.params, share.region
        room = self._room or Room.of(conv, region.padding)
        slots = self._slots(share)
        groups = -(-slots // mapping.kc)
        across, down = mapping.width(params) > 1, mapping.height(params) > 1
        maximum = conv.op == "max"
        return ScnnDescriptor(
            groups=groups,
            kc=mapping.kc,
            kc_last=slots - (groups - 1) * mapping.kc,
            log_kc=mapping.log_kc,
            k_stride=mapping.k_stride,
            y_stride=mapping.y_stride,
            origin=room.top * mapping.y_stride + room.left,
            wo=mapping.wo,
            ho=mapping.ho,
            halo_left=room.left * across,
            halo_right=room.right * across,
            halo_top=room.top * down,
            halo_bottom=room.bottom * down,
            full_x=region.width // mapping.wo,
            full_y=region.height // mapping.ho,
            rem_x=region.width % mapping.wo,
            rem_y=region.height % mapping.ho,
            block_x=mapping.block_x,
            block_y=mapping.block_y,
            src_base=0,
            dst_base=0,
            dst_word=0,
            dst_limit=params.act_words,
            append=False,
            out_sx=out_stride[1],
            out_sy=out_stride[0],
            out_y_stride=(
                mapping.wo // windows[1] // out_stride[1] if out_y_stride is None else out_y_stride
            ),
            pool_x=windows[1],
            pool_y=windows[0],
            bias_base=0,
            shift=conv.shift,
            codebook=0,
            plain=conv.codebook is None,
            activation=Activation.RELU if conv.relu else Activation.IDENTITY,
            maximum=maximum,
            init_min=maximum and conv.signed_input,
            keep_zeros=maximum and conv.signed_input,
            out_dense=out_dense,
            wipe=share.first,
            drain=share.final,
            bus=False,
            src_block_x=0,
            src_block_y=0,
            src_entries=0,
            src_step_x=0,
            src_step_y=0,
            last=False,
        )

    def _slots(self, share: Share) -> int:
        """Return the most output channels that a stream gets, at least 1."""
        return max(1, *(len(part) for part in self._parts(share)))

    def _parts(self, share: Share) -> tuple[range, ...]:
        """Deal the output channels to the streams; some may get an empty range."""
        used = self._mapping.streams(self.params)
        each = -(-len(share.outputs) // len(used))
        # Streams without a whole block have groups, too, and none of them anything in it.
        parts = [share.outputs[:0]] * self.params.num_streams
        for number, stream in enumerate(used):
            parts[stream] = share.outputs[number * each : (number + 1) * each]
        return tuple(parts)

    def _streams(
        self, share: Share, numbers: NDArray[np.int64] | None = None
    ) -> tuple[StreamBlocks, ...]:
        conv, kc = self.conv, self._mapping.kc
        phases = phase_taps(conv.weight.shape[2:], conv.stride, share.region.padding)
        order = tuple(tuple((tap.r, tap.s) for tap in taps) for taps in phases)
        key = share.channels, order
        if self._outputs != share.outputs:
            self._outputs, self._known = share.outputs, {}
        if key not in self._known:
            parts = self._parts(share)
            groups = -(-self._slots(share) // kc)
            self._known[key] = encode_weights(
                conv, self._fields, phases, parts, share.channels, kc, groups, self.params, numbers
            )
        return self._known[key]
