"""Choose how a layer is laid on the array: the mapping with the fewest estimated cycles."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from compiler.errors import CompileError
from compiler.graph import QuantConv
from compiler.scnn.clear import keeps_clear
from compiler.scnn.cost import Expected, load_cycles, rough
from compiler.scnn.cost import estimate as _estimate
from compiler.scnn.geometry import kernel_pieces, least_tile, sample_regions
from compiler.scnn.layer import LayerPlan
from compiler.scnn.mapping import Mapping, Room
from hw.scnn.params import ScnnParams

__all__ = ["estimate", "plan_layer", "plan_tile", "strides"]

_MAX_GROUPS = (1 << 12) - 1
_MAX_REGIONS = 1 << 14
_CANDIDATES = 40
_BANK_MARGIN = 4


def plan_layer(conv: QuantConv, params: ScnnParams, act_density: float = 1.0) -> LayerPlan:
    """Choose the mapping of a layer that has the array for itself.

    Cycles count as estimated, and activations that the host loads a little. What the memories hold
    is taken at its worst, with all activations non-zero: a plan is good for any input.

    Parameters
    ----------
    conv : the layer.
    params : of the array.
    act_density : share of the inputs that are expected not to be 0.

    Raises
    ------
    CompileError
        If not even one output channel of one output fits the array; what is too small is named.
    """
    expected = Expected.of(conv, act_density)
    step = conv.weight.shape[2], conv.weight.shape[3]
    loads: dict[LayerPlan, float] = {}
    while not loads:
        candidates = _candidates(conv, params, step)
        loads = {plan: load_cycles(conv, plan, params) for plan in candidates}
        if step == (1, 1):
            break
        # A kernel that reaches too far, or has too many taps, is cut into parts.
        down = step[0] >= step[1]
        step = (-(-step[0] // 2), step[1]) if down else (step[0], -(-step[1] // 2))
    found = {plan: more + rough(conv, plan, params, expected) for plan, more in loads.items()}
    best: list[LayerPlan] = []
    for plan in sorted(found, key=found.__getitem__):
        if keeps_clear(conv, plan, params):
            best.append(plan)
        if len(best) == _CANDIDATES:
            break
    if not best:
        _refuse(conv, params)
    cycles = {plan: _estimate(conv, plan, params, expected) for plan in best}
    chosen = min(best, key=lambda plan: cycles[plan] + loads[plan])
    return replace(chosen, cycles=cycles[chosen])


def estimate(
    conv: QuantConv, plan: LayerPlan, params: ScnnParams, act_density: float = 1.0
) -> float:
    """Estimate the cycles of a layer; see :func:`compiler.scnn.estimate.estimate_pass`."""
    return _estimate(conv, plan, params, Expected.of(conv, act_density))


def plan_tile(
    conv: QuantConv,
    params: ScnnParams,
    act_density: float,
    tile: tuple[int, int],
    y_stride: int,
) -> LayerPlan | None:
    """Choose the output channels of a group where all else is given.

    The array is one block, and computes the whole layer in one pass.

    Parameters
    ----------
    conv, params, act_density : as for :func:`plan_layer`.
    tile : outputs of a PE, (down, across).
    y_stride : row stride.

    Returns
    -------
    None if the memories do not hold that.
    """
    mapping = Mapping(
        block_x=(params.pes_x - 1).bit_length(),
        block_y=(params.pes_y - 1).bit_length(),
        wo=tile[1],
        ho=tile[0],
        kc=1,
        k_stride=1,
        y_stride=y_stride,
    )
    _, rows, columns = conv.out_shape
    kernel = conv.weight.shape[2], conv.weight.shape[3]
    if kernel[0] * kernel[1] > params.num_taps:
        return None
    site = _site(conv, mapping, (rows, columns), kernel, params)
    if site is None:
        return None
    expected = Expected.of(conv, act_density)
    plans = [
        replace(plan, cycles=_estimate(conv, plan, params, expected))
        for plan in _plans(conv, site, params)
        if _is_ample(conv, plan) and keeps_clear(conv, plan, params, whole=True)
    ]
    return min(plans, key=lambda plan: plan.cycles, default=None)


def strides(
    wo: int, ho: int, room: Room, params: ScnnParams, least_y: int = 1
) -> tuple[int, int] | None:
    """Find strides (k, y) that keep accumulators apart, and neighbouring channels' banks, too.

    Returns
    -------
    None if the row stride is too long for a run of zeros, or the accumulators too few.
    """
    y_stride = max(wo + room.left + room.right, least_y)
    if y_stride - wo > params.max_run or y_stride >= params.accs:
        return None
    plane = (ho + room.top + room.bottom - 1) * y_stride + wo + room.left + room.right
    if plane > params.accs or ho >= params.accs:
        return None
    # Where products of neighbouring channels meet in one bank, they wait for each other; what the
    # stride must stay away from is said in docs/scnn.md.
    half = params.banks // 2
    margin = min(_BANK_MARGIN, half)
    k_stride = plane
    while not margin <= k_stride % params.banks <= params.banks - margin or (
        half > margin and k_stride % params.banks == half
    ):
        k_stride += 1
    return k_stride, y_stride


@dataclass(frozen=True)
class _Site:
    """A block and a cut of the plane, with what follows from them."""

    mapping: Mapping
    region: tuple[int, int]
    kernel_step: tuple[int, int]
    in_parts: bool
    streams: int
    room: Room

    def most_kc(self, params: ScnnParams) -> int:
        """Count the output channels of a group that the accumulators hold."""
        one = self.mapping.accumulators(self.room)
        return (params.accs - one) // self.mapping.k_stride + 1


def _candidates(
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
                    if -(-rows // region_h) * -(-columns // region_w) > _MAX_REGIONS:
                        continue
                    site = _site(conv, start, (region_h, region_w), kernel_step, params)
                    if site is None:
                        continue
                    plans = list(_plans(conv, site, params))
                    yield from plans
                    # Narrower regions only make more of the same halos.
                    if any(_is_ample(conv, plan) for plan in plans):
                        break


def _is_ample(conv: QuantConv, plan: LayerPlan) -> bool:
    return plan.c_step == conv.in_shape[0] and plan.k_step == conv.out_shape[0]


def _parts(count: int) -> list[int]:
    """List the sizes that a plane is cut into: few large ones, all small ones."""
    sizes = {-(-count // parts) for parts in range(1, count + 1)}
    large = sorted(sizes, reverse=True)
    return large[:10] + large[10::3]


def _site(
    conv: QuantConv,
    start: Mapping,
    region_size: tuple[int, int],
    kernel_step: tuple[int, int],
    params: ScnnParams,
) -> _Site | None:
    """Find tile and strides, at least those of ``start``; None if the accumulators are too few."""
    ho, wo, rooms = start.ho, start.wo, []
    parts = kernel_pieces(conv, kernel_step)
    for _, piece in parts:
        regions = sample_regions(piece, *region_size)
        least = least_tile(piece, regions, (start.height(params), start.width(params)))
        ho, wo = max(ho, least[0]), max(wo, least[1])
        rooms += [Room.of(piece, region.padding) for region in regions]
    room = Room.joint(rooms)
    found = strides(wo, ho, room, params, start.y_stride)
    if found is None:
        return None
    mapping = replace(start, wo=wo, ho=ho, k_stride=found[0], y_stride=found[1])
    streams = len(start.streams(params))
    return _Site(mapping, region_size, kernel_step, len(parts) > 1, streams, room)


def _plans(conv: QuantConv, site: _Site, params: ScnnParams) -> Iterator[LayerPlan]:
    """Cut channels so that the memories hold what a run needs."""
    of_group, per_group = conv.out_shape[0] // conv.groups, conv.weight.shape[1]
    phases = conv.stride[0] * conv.stride[1]
    words = -(-site.mapping.wo * site.mapping.ho // params.mult_i)
    fit = min(params.act_words // (phases * words), params.num_channels // phases)
    slots = min(params.act_words // words, params.num_channels, params.num_biases)
    most_kc = site.most_kc(params)
    if not fit or not slots:
        return
    whole_groups = min(fit // per_group, conv.groups)
    if whole_groups:
        # All input channels of some groups are there at once.
        k_step = _even(conv.groups, whole_groups) * of_group
        k_step = _even(k_step, slots * site.streams)
        if site.in_parts:
            # Sums stay from part to part of the kernel, and so there is one group.
            k_step = _even(k_step, min(most_kc, slots) * site.streams)
            yield _plan(site, -(-k_step // site.streams), k_step, conv.in_shape[0])
            return
        each = -(-k_step // site.streams)
        least = -(-each // most_kc)
        for groups in sorted({least, least + 1, least + 2, 2 * least, 3 * least, 4 * least}):
            if groups <= min(each, _MAX_GROUPS):
                yield _plan(site, -(-each // groups), k_step, conv.in_shape[0])
        return
    least = -(-of_group // (most_kc * site.streams))
    for parts in (least, least + 1):
        kc = -(-of_group // (parts * site.streams))
        if kc <= min(slots, most_kc):
            k_step = min(kc * site.streams, of_group)
            yield _plan(site, kc, k_step, _even(per_group, fit))


def _even(count: int, most: int) -> int:
    """Find the size of the fewest parts of at most ``most`` if they are made equal."""
    return -(-count // -(-count // most))


def _plan(site: _Site, kc: int, k_step: int, c_step: int) -> LayerPlan:
    return LayerPlan(
        mapping=replace(site.mapping, kc=kc),
        region_h=site.region[0],
        region_w=site.region[1],
        k_step=k_step,
        c_step=c_step,
        kernel_step=site.kernel_step,
    )


def _refuse(conv: QuantConv, params: ScnnParams) -> NoReturn:
    """Say which memory does not hold the least that a pass needs: one output of one channel."""
    if params.num_streams < params.num_pes:
        blocks = f"num_streams is {params.num_streams}"
    else:
        blocks = "a PE by itself cannot do it"
    _, piece = kernel_pieces(conv, (1, 1))[0]
    regions = sample_regions(piece, 1, 1)
    ho, wo = least_tile(piece, regions, (1, 1))
    room = Room.joint(Room.of(piece, region.padding) for region in regions)
    across, down = room.left + room.right, room.top + room.bottom
    words = conv.stride[0] * conv.stride[1] * -(-ho * wo // params.mult_i)
    raise CompileError(
        f"layer {conv.name!r} does not fit the array ({blocks}): one output needs "
        f"{(ho + down) * (wo + across)} accumulators of {params.accs}, runs of {across} zeros of "
        f"{params.max_run}, {words} words of activation RAM of {params.act_words}, and "
        f"{conv.stride[0] * conv.stride[1]} directory entries of {params.num_channels}: "
        "compile for an array with more"
    )
