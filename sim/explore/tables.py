"""Word what was found of a network: tables and sentences."""

from collections.abc import Iterator, Mapping, Sequence

from zeroskip.base.tables import Report, Table, percent
from zeroskip.compiler.ir.graph import TRAINED
from zeroskip.sim.explore.advice import break_even
from zeroskip.sim.explore.result import ArrayEstimate, Exploration

__all__ = ["exploration_report"]


def exploration_report(found: Exploration) -> Report:
    """Return what the network is made of, what it takes on each array, and what would help."""
    yield _network(found)
    yield from found.refused
    yield from found.notes
    yield _arrays(found)
    for array in found.arrays:
        if array.refusal is not None:
            yield f"{array.engine} {array.name}: {array.refusal}"
        if array.advice:
            yield _layers(array)
            yield from _advice(array)
    cycles = _worst({array.engine: array.error for array in _by_error(found.arrays)})
    priced = [array for array in found.arrays if array.energy]
    energies = _worst({array.engine: array.energy_error for array in priced})
    yield (
        f"cycles are estimated, of {found.inputs} inputs {found.source}: for 95 of 100 networks "
        f"they are within {cycles} of those that arrays take, without what the host moves between "
        "runs; compile, and run --on cycles, to know"
    )
    if priced:
        yield (
            f"energies are estimated: for as many within {energies} of what 'zeroskip energy' "
            "counts of the compiled network, without DRAM"
        )


def _by_error(arrays: Sequence[ArrayEstimate]) -> list[ArrayEstimate]:
    return sorted(arrays, key=lambda array: array.error)


def _worst(errors: Mapping[str, float]) -> str:
    return ", ".join(f"{percent(error)} on {name}" for name, error in errors.items())


def _network(found: Exploration) -> Table:
    rows: list[list[object]] = [
        [
            layer.name,
            layer.kind,
            layer.engine,
            _shape(layer.in_shape),
            _shape(layer.out_shape),
            layer.weights,
            percent(layer.density),
            "> 255" if layer.values is None else layer.values,
            percent(layer.act_density),
            layer.dense_macs,
            f"{layer.useful_macs:.0f}",
        ]
        for layer in found.layers
    ]
    trained = [layer for layer in found.layers if layer.kind in TRAINED]
    weights = sum(layer.weights for layer in trained)
    nnz = sum(layer.nnz for layer in trained)
    dense = sum(layer.dense_macs for layer in found.layers)
    useful = sum(layer.useful_macs for layer in found.layers)
    total = ["total", "", "", "", "", weights, percent(nnz / max(1, weights)), "", ""]
    rows.append([*total, dense, f"{useful:.0f}"])
    return Table(
        f"Network {found.name!r}",
        [
            "layer", "kind", "engine", "input", "output", "weights", "density", "values",
            "acts != 0", "dense MACs", "useful MACs",
        ],
        rows,
    )  # fmt: skip


def _arrays(found: Exploration) -> Table:
    return Table(
        "Arrays (cycles and energy estimated)",
        [
            "array", "multipliers", "cycles", "speed-up", "over W only", "over A only",
            "fullest memory", "most runs", "uJ", "area",
        ],
        [
            [
                f"{array.engine} {array.name}",
                array.multipliers,
                f"{array.cycles:.0f}" if array.layers else "-",
                *(_times(array.over(f"{of}_macs")) for of in ("dense", "weight", "act")),
                _fullest(array),
                max((layer.runs for layer in array.layers), default="-"),
                "-" if array.uj is None else f"{array.uj:.3f}",
                _area(array),
            ]
            for array in found.arrays
        ],
    )  # fmt: skip


def _fullest(array: ArrayEstimate) -> str:
    fullest = array.fullest
    return "-" if fullest is None else f"{fullest[0]} {percent(fullest[1])}"


def _area(array: ArrayEstimate) -> str:
    if array.area is None:
        return "not measured"
    kilo, mega = array.area["logic_ge"] / 1e3, array.area["sram_bits"] / 2**20
    return f"{array.area['of']}: {kilo:.1f} kGE, {mega:.2f} Mbit"


def _layers(array: ArrayEstimate) -> Table:
    pairs = zip(array.layers, array.work, strict=True)
    causes = list(dict.fromkeys(cause for layer in array.layers for cause in layer.spent))
    rows: list[list[object]] = []
    for number, (layer, work) in enumerate(pairs):
        dense = work.dense_macs / array.multipliers
        even = break_even(layer, work, dense)
        rows.append([
            layer.name,
            f"{layer.cycles:.0f}",
            percent(_share(layer.cycles, array.cycles)),
            _times(None if layer.fused else dense / layer.cycles),
            "-" if layer.fused else "never" if even is None else percent(even),
            "fused" if layer.fused else layer.bound,
            layer.runs,
            f"{layer.stored_bits / max(1, work.nnz):.1f}" if layer.stored_bits else "-",
            "-" if array.energy is None else f"{array.energy[number].pj / 1e3:.2f}",
            *(percent(_share(layer.spent.get(cause, 0.0), layer.cycles)) for cause in causes),
        ])
    return Table(
        f"Layers on {array.engine} {array.name} (cycles and energy estimated)",
        [
            "layer", "cycles", "of all", "speed-up", "break-even density", "bound by", "runs",
            "bits / non-zero", "nJ", *causes,
        ],
        rows,
    )  # fmt: skip


def _share(part: float, whole: float) -> float:
    """Return part / whole; 0 of what takes no cycles, such as a fused pooling."""
    return part / whole if whole else 0.0


def _advice(array: ArrayEstimate) -> Iterator[str]:
    yield f"What would help on {array.engine} {array.name}:"
    for advice in array.advice:
        yield f"- {advice.what}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} x"


def _shape(shape: tuple[int, int, int]) -> str:
    return str(shape[0]) if shape[1:] == (1, 1) else " x ".join(map(str, shape))
