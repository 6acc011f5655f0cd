"""All mappings of a layer that the memories allow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from operator import add

from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.geometry import spilled
from zeroskip.compiler.scnn.layer import LayerPlan
from zeroskip.compiler.scnn.mapping import Mapping, Room
from zeroskip.hw.scnn.params import ScnnParams

__all__ = [
    "MAX_REGIONS",
    "Site",
    "candidates",
    "group_sizes",
    "is_whole",
    "site_of",
    "site_plans",
    "strides",
]

_MAX_GROUPS = (1 << 12) - 1
MAX_REGIONS = 1 << 14
"""Parts of a plane."""
_BANK_MARGIN = 4


def strides(
    wo: int,
    ho: int,
    room: Room,
    params: ScnnParams,
    least_y: int = 1,
    *,
    alone: tuple[bool, bool] = (False, False),
) -> tuple[int, int] | None:
    """Find strides (k, y) that keep accumulators apart, and neighbouring channels' banks, too.

    Parameters
    ----------
    wo, ho, room, params : of a tile.
    least_y : the least row stride.
    alone : whether a PE has no neighbours down, and across: sums beside its outputs are read by
        nobody, and may lie on top of each other.

    Returns
    -------
    None if the row stride is too long for a run of zeros, or the accumulators too few.
    """
    beside, above = (
        (max if single else add)(*some)
        for single, some in zip(
            reversed(alone), ((room.left, room.right), (room.top, room.bottom)), strict=True
        )
    )
    y_stride = max(wo + beside, least_y)
    if y_stride - wo > params.max_run or y_stride >= params.accs:
        return None
    plane = (ho + above - 1) * y_stride + wo + beside
    if plane > params.accs or ho >= params.accs:
        return None
    return _channel_stride(plane, params), y_stride


def _channel_stride(plane: int, params: ScnnParams) -> int:
    """Choose the accumulators of an output channel, of which ``plane`` are used.

    Where products of neighbouring channels meet in one bank, they wait for each other; what the
    stride must stay away from is said in docs/scnn.md. Of strides that do, and with which as many
    channels fit, it has one that keeps channels furthest apart.
    """
    half = params.banks // 2
    margin = min(_BANK_MARGIN, half)

    def distance(stride: int) -> int:
        return min(stride % params.banks, -stride % params.banks)

    def clear(stride: int) -> bool:
        return distance(stride) >= margin and (half == margin or distance(stride) < half)

    least = next(stride for stride in count(plane) if clear(stride))
    channels = (params.accs - plane) // least
    # The next channel counts most, others less.
    caps = (2 * margin, margin, margin // 2, margin // 2)[:channels]

    def apart(stride: int) -> int:
        return sum(min(distance(n * stride), cap) for n, cap in enumerate(caps, 1))

    more = range(least, least + 2 * _BANK_MARGIN)
    fits = [one for one in more if clear(one) and (params.accs - plane) // one == channels]
    return max(fits, key=lambda stride: (apart(stride), -stride))


@dataclass(frozen=True)
class Site:
    """A block and a cut of the plane, with what follows from them.

    ``words``: of a channel (phase), inputs or outputs, if no activation is 0.
    """

    mapping: Mapping
    region: tuple[int, int]
    kernel_step: tuple[int, int]
    in_parts: bool
    streams: int
    room: Room
    words: int

    def most_kc(self, params: ScnnParams) -> int:
        """Count the output channels of a group that the accumulators hold."""
        first = self.mapping.accumulators(self.room)
        return (params.accs - first) // self.mapping.k_stride + 1

    def plan(self, kc: int, k_step: int, c_step: int) -> LayerPlan:
        """Plan a layer with groups of ``kc`` output channels here."""
        return LayerPlan(
            mapping=replace(self.mapping, kc=kc),
            region_h=self.region[0],
            region_w=self.region[1],
            k_step=k_step,
            c_step=c_step,
            kernel_step=self.kernel_step,
        )


def candidates(
    conv: QuantConv, params: ScnnParams, kernel_step: tuple[int, int]
) -> Iterator[LayerPlan]:
    """Go through all mappings that the memories allow."""
    if kernel_step[0] * kernel_step[1] > params.num_taps:
        return
    _, rows, columns = conv.out_shape
    for block_y in range((params.pes_y - 1).bit_length() + 1):
        for block_x in range((params.pes_x - 1).bit_length() + 1):
            start = Mapping(
                block_x=block_x, block_y=block_y, wo=1, ho=1, kc=1, k_stride=1, y_stride=1
            )
            if start.blocks(params) > params.num_streams:
                continue
            for region_h in _parts(rows):
                for region_w in _parts(columns):
                    if -(-rows // region_h) * -(-columns // region_w) > MAX_REGIONS:
                        continue
                    site = site_of(conv, start, (region_h, region_w), kernel_step, params)
                    if site is None:
                        continue
                    plans = list(site_plans(conv, site, params))
                    yield from plans
                    # Narrower regions only make more of the same halos.
                    if any(is_whole(conv, plan) for plan in plans):
                        break


def is_whole(conv: QuantConv, plan: LayerPlan) -> bool:
    """Return whether a run has all input and all output channels."""
    return plan.c_step == conv.in_shape[0] and plan.k_step == conv.out_shape[0]


def _parts(count: int) -> list[int]:
    """List the sizes that a plane is cut into: few large ones, all small ones."""
    sizes = {-(-count // parts) for parts in range(1, count + 1)}
    large = sorted(sizes, reverse=True)
    return large[:10] + large[10::3]


def site_of(
    conv: QuantConv,
    start: Mapping,
    region_size: tuple[int, int],
    kernel_step: tuple[int, int],
    params: ScnnParams,
    *,
    spills: bool = False,
) -> Site | None:
    """Find tile and strides, at least those of ``start``; None if the accumulators are too few.

    ``spills``: the last PE of a block may hold more inputs than its outputs stand for. What these
    make beyond the plane is read by nobody, but needs accumulators of its own.
    """
    block = start.height(params), start.width(params)
    room, (ho, wo), (rows, columns) = Room.of_parts(
        conv, region_size, kernel_step, block, spills=spills
    )
    ho, wo = max(ho, start.ho), max(wo, start.wo)
    alone = block[0] == 1, block[1] == 1
    if spills:
        room = replace(
            room,
            bottom=room.bottom + spilled(rows, ho, block[0]),
            right=room.right + spilled(columns, wo, block[1]),
        )
    found = strides(wo, ho, room, params, start.y_stride, alone=alone)
    if found is None:
        return None
    mapping = replace(start, wo=wo, ho=ho, k_stride=found[0], y_stride=found[1])
    streams = start.num_streams(params)
    in_parts = any(
        taps > step for taps, step in zip(conv.weight.shape[2:], kernel_step, strict=True)
    )
    held = max(ho, rows) if alone[0] else ho, max(wo, columns) if alone[1] else wo
    words = -(-held[0] * held[1] // params.mult_i)
    site = Site(mapping, region_size, kernel_step, in_parts, streams, room, words)
    return site if site.most_kc(params) else None


def site_plans(conv: QuantConv, site: Site, params: ScnnParams) -> Iterator[LayerPlan]:
    """Choose groups, and cut channels so that the memories hold what a run needs."""
    of_group, per_group = conv.out_shape[0] // conv.groups, conv.weight.shape[1]
    phases = conv.stride[0] * conv.stride[1]
    # Channels (phases) that are there at once, of inputs and outputs. Outputs get half of them, or
    # what they need; the inputs may have the rest.
    room = min(params.act_words // site.words, params.num_channels)
    outputs = max(1, min(-(-conv.out_shape[0] // site.streams), room // 2))
    fit = max((room - outputs) // phases, int(phases < room))
    most_kc = site.most_kc(params)
    if not fit:
        return
    whole_groups = min(fit // per_group, conv.groups)
    if whole_groups:
        # All input channels of some groups are there at once.
        taken = _even(conv.groups, whole_groups)
        slots = min(room - taken * per_group * phases, params.num_biases)
        k_step = taken * of_group
        k_step = _even(k_step, slots * site.streams)
        if site.in_parts:
            # Sums stay from part to part of the kernel, and so there is one group.
            k_step = _even(k_step, min(most_kc, slots) * site.streams)
            yield site.plan(-(-k_step // site.streams), k_step, conv.in_shape[0])
            return
        for kc in group_sizes(-(-k_step // site.streams), most_kc):
            yield site.plan(kc, k_step, conv.in_shape[0])
        return
    c_step = _even(per_group, fit)
    slots = min(room - c_step * phases, params.num_biases)
    least = -(-of_group // (min(most_kc, slots) * site.streams))
    for parts in (least, least + 1):
        kc = -(-of_group // (parts * site.streams))
        k_step = min(kc * site.streams, of_group)
        yield site.plan(kc, k_step, c_step)


def group_sizes(each: int, most: int) -> Iterator[int]:
    """Give numbers of output channels of a group, of ``each`` that a stream has, at most ``most``.

    Few groups make full vectors of weights, small ones a short drain at the end.
    """
    least = -(-each // most)
    for groups in sorted({least, least + 1, least + 2, 2 * least, 3 * least, 4 * least}):
        if groups <= min(each, _MAX_GROUPS):
            yield -(-each // groups)


def _even(count: int, most: int) -> int:
    """Find the size of the fewest parts of at most ``most`` if they are made equal."""
    return -(-count // -(-count // most))
