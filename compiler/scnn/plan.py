"""Choose how a layer is laid on the array: the mapping with the fewest estimated cycles."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import add
from typing import NoReturn

from zeroskip.base.errors import CompileError, ParameterError
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.candidates import (
    MAX_REGIONS,
    candidates,
    group_sizes,
    site_of,
)
from zeroskip.compiler.scnn.clear import keeps_clear
from zeroskip.compiler.scnn.cost import Expected, count_runs, estimate, load_cycles, rough
from zeroskip.compiler.scnn.geometry import phase_taps
from zeroskip.compiler.scnn.layer import LayerPlan
from zeroskip.compiler.scnn.mapping import Mapping
from zeroskip.hw.scnn.params import PRESETS, ScnnParams

__all__ = ["MAX_RUNS", "pass_plans", "plan_layer"]

_BEST = 40

_SMALL = 3
"""Groups of up to so many output channels are looked at in any case, but not those of one, whose
vectors of weights are not full. Where the drain takes longer than products, the products of the
first group are all that it does not hide."""

MAX_RUNS = 1 << 16
"""Runs of one layer; each has files of its own, and the host loads each by itself."""


def plan_layer(
    conv: QuantConv, params: ScnnParams, act_density: float = 1.0, *, loads_beside: bool = False
) -> LayerPlan:
    """Choose the mapping of a layer that has the array for itself.

    Cycles count as estimated, and so do those in which a host loads activations, see
    :func:`.load_cycles`. What the memories hold is taken at its worst, with all activations
    non-zero: a plan is good for any input.

    Parameters
    ----------
    conv : the layer.
    params : of the array.
    act_density : share of the inputs that are expected not to be 0.
    loads_beside : activations are loaded while the array computes, so that the slower of both
        counts, not their sum.

    Raises
    ------
    CompileError
        If not even one output channel of one output fits the array, or if the layer must be cut
        into more than ``MAX_RUNS`` runs; what is too small is named.
    """
    chosen = _choose(conv, params, act_density, loads_beside=loads_beside)
    if chosen is None:
        _refuse(conv, params)
    _check_runs(conv, chosen, params, act_density)
    return chosen


def _choose(
    conv: QuantConv, params: ScnnParams, act_density: float, *, loads_beside: bool = False
) -> LayerPlan | None:
    """Choose the mapping in however many runs; None if there is none."""
    expected = Expected.of(conv, act_density)
    joined = max if loads_beside else add
    best, loads = _clear_plans(conv, params, expected, joined)
    cycles = {plan: estimate(conv, plan, params, expected) for plan in best}
    chosen = min(best, key=lambda plan: joined(cycles[plan], loads[plan]), default=None)
    return None if chosen is None else replace(chosen, cycles=cycles[chosen])


def _clear_plans(
    conv: QuantConv,
    params: ScnnParams,
    expected: Expected,
    joined: Callable[[float, float], float],
) -> tuple[list[LayerPlan], dict[LayerPlan, float]]:
    """Return the plans that seem fastest, and the cycles that the loads of each count.

    ``joined``: what cycles and those of loads make together.
    """
    every = _candidates(conv, params)
    loads = {plan: load_cycles(conv, plan, params) for plan in every}
    found = {
        plan: joined(rough(conv, plan, params, expected), more) for plan, more in loads.items()
    }
    best: list[LayerPlan] = []
    for plan in sorted(found, key=found.__getitem__):
        if keeps_clear(conv, plan, params):
            best.append(plan)
        if len(best) == _BEST:
            break
    return best, loads


def _candidates(conv: QuantConv, params: ScnnParams) -> Iterator[LayerPlan]:
    """Go through the mappings with the fewest parts of the kernel that the memories allow."""
    step = conv.weight.shape[2], conv.weight.shape[3]
    while True:
        plan = None
        for plan in candidates(conv, params, step):
            yield plan
        if plan is not None or step == (1, 1):
            return
        # A kernel that reaches too far, or has too many taps, is cut into parts.
        down = step[0] >= step[1]
        step = (-(-step[0] // 2), step[1]) if down else (step[0], -(-step[1] // 2))


def _has_plan(conv: QuantConv, params: ScnnParams) -> bool:
    """Return whether there is any mapping."""
    return any(keeps_clear(conv, plan, params) for plan in _candidates(conv, params))


def pass_plans(
    conv: QuantConv, params: ScnnParams, act_density: float, start: Mapping, each: int
) -> list[LayerPlan]:
    """List numbers of output channels of a group where all else is given.

    The layer is computed in one pass, or in one for each tensor that it goes along with.

    Parameters
    ----------
    conv, params, act_density : as for :func:`plan_layer`.
    start : block, tile and row stride.
    each : output channels of a stream in a pass, at most.

    Returns
    -------
    Plans with rough estimates, the one with the fewest cycles first; none if the accumulators or
    the weight FIFO do not hold that.
    """
    kernel = conv.weight.shape[2], conv.weight.shape[3]
    if kernel[0] * kernel[1] > params.num_taps:
        return []
    site = site_of(conv, start, conv.out_shape[1:], kernel, params, spills=True)
    if site is None or (site.mapping.ho, site.mapping.wo) != (start.ho, start.wo):
        return []
    expected = Expected.of(conv, act_density)
    most = _waiting_kc(conv, params, min(each, site.most_kc(params)))
    if not most:
        return []
    sizes = {*group_sizes(each, most), *range(2, min(_SMALL, each, most) + 1)}
    plans = [site.plan(kc, conv.out_shape[0], conv.in_shape[0]) for kc in sorted(sizes)]
    plans = [plan for plan in plans if keeps_clear(conv, plan, params, whole=True)]
    rated = [replace(plan, cycles=rough(conv, plan, params, expected)) for plan in plans]
    return sorted(rated, key=lambda plan: plan.cycles)


def _waiting_kc(conv: QuantConv, params: ScnnParams, most: int) -> int:
    """Find the output channels of a group of which the weight FIFO holds a channel's weights.

    Zeros between taps are stored once for each run that ends.
    """
    phases = phase_taps(conv.weight.shape[2:], conv.stride, conv.padding)
    taps = max(map(len, phases))
    for kc in range(most, 0, -1):
        gap = (1 << (kc - 1).bit_length()) - kc
        entries = taps * kc + (taps - 1) * (gap // (params.max_run + 1))
        if -(-entries // params.mult_f) <= params.weight_depth:
            return kc
    return 0


def _refuse(conv: QuantConv, params: ScnnParams) -> NoReturn:
    """Say which memory does not hold the least that a pass needs: one output of one channel.

    And on which array, with one parameter changed, or those that lack, there is a plan. Of
    accumulators and runs of zeros there are always enough for one output and one tap.
    """
    phases = conv.stride[0] * conv.stride[1]
    needs = [
        (phases + 1, params.act_words, "words of activation RAM", "act_words"),
        (phases + 1, params.num_channels, "directory entries", "num_channels"),
    ]
    lacking = [f"{need} {what} of {there}" for need, there, what, _ in needs if need > there]
    least = {name: need for need, there, _, name in needs if need > there}
    _, rows, columns = conv.out_shape
    why = (
        f"one output needs {' and '.join(lacking)}"
        if lacking
        else f"its {rows} x {columns} outputs would have to be cut into more than {MAX_REGIONS} "
        "regions"
    )
    out = _way_out(params, least, lambda other: _has_plan(conv, other))
    raise CompileError(f"layer {conv.name!r} does not fit the array: {why}: {out}")


def _check_runs(conv: QuantConv, plan: LayerPlan, params: ScnnParams, act_density: float) -> None:
    """Refuse a layer in more runs than an image may have."""
    runs = count_runs(conv, plan, params)
    if runs > MAX_RUNS:

        def fits(other: ScnnParams) -> bool:
            cut = _choose(conv, other, act_density)
            return cut is not None and count_runs(conv, cut, other) <= MAX_RUNS

        raise CompileError(
            f"layer {conv.name!r} would be cut into about {runs} runs of the array, and more than "
            f"{MAX_RUNS} are not built: {_way_out(params, {}, fits)}"
        )


_GROWING = ("act_words", "bank_entries", "num_channels", "run_bits", "num_taps")
"""Parameters of which some layer needs more than the least that is known to lack."""


def _way_out(
    params: ScnnParams, least: dict[str, int], enough: Callable[[ScnnParams], bool]
) -> str:
    """Name an array that is enough: the least, one parameter doubled often enough, or a preset."""
    ranges = ScnnParams.ranges

    def array(change: dict[str, int]) -> ScnnParams | None:
        try:
            return replace(params, **change)
        except ParameterError:  # beyond its range, or too much beside the other parameters
            return None

    def fits(change: dict[str, int]) -> bool:
        other = array(change)
        return other is not None and enough(other)

    change = dict(least)
    # Often what lacks is only what is needed at least.
    if not least or not fits(change):
        for name in sorted(_GROWING, key=lambda name: name not in least):
            value, most = int({**vars(params), **least}[name]), ranges[name][1]
            while most > value and array({**least, name: most}) is None:
                most //= 2
            if fits({**least, name: most}):
                while not fits(change := {**least, name: value}):
                    value = min(value + 1 if name == "run_bits" else 2 * value, most)
                break
        else:
            change = {}
            for name, preset in PRESETS.items():
                if enough(preset):
                    return f"compile for an array as large as that of preset {name!r}"
    if change:
        given = " and ".join(f"{name} = {value}" for name, value in change.items())
        return f"compile for an array with {given}"
    return (
        "neither one parameter more nor a preset's array is enough, so give the network a smaller "
        "input or the layer a smaller kernel or stride"
    )
