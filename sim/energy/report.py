"""Word what inferences cost."""

from collections.abc import Iterator

from zeroskip.base.tables import Table, percent
from zeroskip.sim.energy.measure import Energy, LayerEnergy

__all__ = ["MACHINES", "energy_report"]

MACHINES = {
    "dense": "multiplies all zeros",
    "weights": "skips zero weights only",
    "activations": "skips zero activations only",
}
"""What machines beside an array do, by name."""

_MOST_EVENTS = 12


def energy_report(energy: Energy) -> Iterator[Table | str]:
    """Give energy by layer and unit, by access, and of other machines."""
    what = f"mean of {energy.inputs} inputs" if energy.inputs else "of one drawn input"
    units = list(energy.layers[0].units)
    yield Table(
        f"Energy in nJ ({what})",
        ["layer", "cycles", "useful MACs", *units, "all", "pJ / MAC"],
        [
            *(_row(layer, units) for layer in energy.layers),
            [
                "total",
                f"{sum(layer.cycles for layer in energy.layers):.0f}",
                f"{energy.useful:.0f}",
                *(f"{energy.units[unit] / 1e3:.2f}" for unit in units),
                f"{energy.on_chip_pj / 1e3:.2f}",
                _ratio(energy.on_chip_pj, energy.useful),
            ],
        ],
    )
    every = sum(energy.units.values())
    yield Table(
        "Share by unit",
        ["unit", "nJ", "share"],
        [[unit, f"{pj / 1e3:.2f}", percent(pj / every)] for unit, pj in energy.units.items()],
    )
    yield _events(energy)
    yield Table(
        "Machines of as many multipliers, without DRAM",
        ["machine", "cycles", "uJ", "over ours", "what it does"],
        [
            ["this array", *_machine(energy.layers, energy.on_chip_pj), "skips both"],
            *(
                [name, *_machine(layers, energy.on_chip_pj), MACHINES.get(name, "")]
                for name, layers in energy.machines.items()
            ),
        ],
    )
    if energy.dram_pj is None:
        yield "DRAM is not counted: no command list runs the network from a memory"
    else:
        yield (
            f"DRAM: {energy.dram_bytes:,} bytes an inference, weights of the first load not among "
            "them"
        )
    yield (
        f"{energy.uj:.4g} uJ an inference, {energy.pj_per_mac:.3g} pJ a useful MAC, "
        f"{energy.inferences_per_joule:,.0f} inferences a joule"
    )
    yield f"constants: {energy.technology}; no wires, no clock tree"


def _row(layer: LayerEnergy, units: list[str]) -> list[object]:
    return [
        layer.name,
        f"{layer.cycles:.0f}",
        f"{layer.useful:.0f}",
        *(f"{layer.units[unit] / 1e3:.2f}" for unit in units),
        f"{layer.pj / 1e3:.2f}",
        _ratio(layer.pj, layer.useful),
    ]


def _machine(layers: tuple[LayerEnergy, ...], ours: float) -> list[object]:
    pj = sum(layer.pj for layer in layers)
    cycles = sum(layer.cycles for layer in layers)
    return [f"{cycles:.0f}", f"{pj / 1e6:.4g}", _ratio(pj, ours)]


def _events(energy: Energy) -> Table:
    """Add up what layers do, and give what costs most."""
    counts: dict[tuple[str, str], list[float]] = {}
    for layer in energy.layers:
        for event in layer.events:
            found = counts.setdefault((event.unit, event.what), [0.0, 0.0])
            found[0] += event.count
            found[1] += event.total_pj
    largest = sorted(counts.items(), key=lambda one: -one[1][1])[:_MOST_EVENTS]
    return Table(
        "What costs most",
        ["access", "unit", "count", "pJ each", "nJ"],
        [
            [what, unit, f"{count:.0f}", f"{pj / count:.3g}", f"{pj / 1e3:.2f}"]
            for (unit, what), (count, pj) in largest
        ],
    )


def _ratio(pj: float, of: float) -> str:
    return f"{pj / of:.3g}" if of else "-"
