"""Choose how a layer is laid on the array: the mapping with the fewest estimated cycles."""

from dataclasses import replace
from typing import NoReturn

from compiler.errors import ScnnCompileError
from compiler.graph import QuantConv
from compiler.scnn.candidates import candidates, is_whole, site_of, site_plans
from compiler.scnn.clear import keeps_clear
from compiler.scnn.cost import Expected, load_cycles, rough
from compiler.scnn.cost import estimate as _estimate
from compiler.scnn.geometry import kernel_pieces, least_tile, sample_regions
from compiler.scnn.layer import LayerPlan
from compiler.scnn.mapping import Mapping, Room
from hw.scnn.params import ScnnParams

__all__ = ["estimate", "plan_layer", "plan_tile"]

_CANDIDATES = 40


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
    best, loads = _clear_plans(conv, params, expected)
    if not best:
        _refuse(conv, params, expected)
    cycles = {plan: _estimate(conv, plan, params, expected) for plan in best}
    chosen = min(best, key=lambda plan: cycles[plan] + loads[plan])
    return replace(chosen, cycles=cycles[chosen])


def _clear_plans(
    conv: QuantConv, params: ScnnParams, expected: Expected
) -> tuple[list[LayerPlan], dict[LayerPlan, float]]:
    """Return the plans that seem fastest, and the cycles that the loads of each count."""
    step = conv.weight.shape[2], conv.weight.shape[3]
    loads: dict[LayerPlan, float] = {}
    while not loads:
        every = candidates(conv, params, step)
        loads = {plan: load_cycles(conv, plan, params) for plan in every}
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
    return best, loads


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
    site = site_of(conv, mapping, (rows, columns), kernel, params)
    if site is None:
        return None
    expected = Expected.of(conv, act_density)
    plans = [
        replace(plan, cycles=_estimate(conv, plan, params, expected))
        for plan in site_plans(conv, site, params)
        if is_whole(conv, plan) and keeps_clear(conv, plan, params, whole=True)
    ]
    return min(plans, key=lambda plan: plan.cycles, default=None)


def _refuse(conv: QuantConv, params: ScnnParams, expected: Expected) -> NoReturn:
    """Say which memory does not hold the least that a pass needs: one output of one channel.

    And on which array, with one parameter changed, or those that lack, there is a plan.
    """
    _, piece = kernel_pieces(conv, (1, 1))[0]
    regions = sample_regions(piece, 1, 1)
    ho, wo = least_tile(piece, regions, (1, 1))
    room = Room.joint(Room.of(piece, region.padding) for region in regions)
    across, down = room.left + room.right, room.top + room.bottom
    phases = conv.stride[0] * conv.stride[1]
    accs, words = (ho + down) * (wo + across), phases * -(-ho * wo // params.mult_i)
    entries = 1 << (-(-accs // params.banks) - 1).bit_length()
    needs = [
        (accs, params.accs, "accumulators", {"bank_entries": entries}),
        (across, params.max_run, "zeros in a run", {"run_bits": across.bit_length()}),
        (words, params.act_words, "words of activation RAM", {"act_words": words}),
        (phases, params.num_channels, "directory entries", {"num_channels": phases}),
    ]
    lacking = [f"{need} {what} of {there}" for need, there, what, _ in needs if need > there]
    least: dict[str, int] = {}
    for need, there, _, change in needs:
        least |= change if need > there else {}
    if not lacking and params.num_streams < params.num_pes:
        raise ScnnCompileError(
            f"layer {conv.name!r} does not fit the array: one output fits a PE, but not PEs that "
            f"share a plane, as they must with num_streams {params.num_streams}: compile for an "
            f"array with num_streams = {params.num_pes}"
        )
    raise ScnnCompileError(
        f"layer {conv.name!r} does not fit the array: one output needs "
        f"{' and '.join(lacking) or 'more than there is'}: "
        f"{_way_out(conv, params, expected, least)}"
    )


_GROWING = ("act_words", "bank_entries", "num_channels", "run_bits", "num_taps")
"""Parameters of which some layer needs more than the least that is known to lack."""


def _way_out(conv: QuantConv, params: ScnnParams, expected: Expected, least: dict[str, int]) -> str:
    """Name an array that has a plan: the least one, or with one parameter doubled often enough."""
    ranges = ScnnParams.ranges

    def fits(change: dict[str, int]) -> bool:
        if any(value > ranges[name][1] for name, value in change.items()):
            return False
        return bool(_clear_plans(conv, replace(params, **change), expected)[0])

    change = dict(least)
    # Often what lacks is only what is needed at least.
    if not least or not fits(change):
        for name in sorted(_GROWING, key=lambda name: name not in least):
            value, most = int({**vars(params), **least}[name]), ranges[name][1]
            if fits({**least, name: most}):
                while not fits(change := {**least, name: value}):
                    value = min(value + 1 if name == "run_bits" else 2 * value, most)
                break
        else:
            change = {}
    if change:
        given = " and ".join(f"{name} = {value}" for name, value in change.items())
        return f"compile for an array with {given}"
    return (
        "no array has as much, so give the network a smaller input or the layer a smaller kernel "
        "or stride"
    )
