"""EIE's energy again: table II by module, table V, and the factors of figure 7."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import exp, log
from typing import Any

import numpy as np

from zeroskip.base.progress import Progress, silent
from zeroskip.base.tables import Table, percent
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.eie.presets import PRESETS
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.sim.eie.benchmark.layers import EIE_LAYERS, PAPER_MHZ, EieLayer
from zeroskip.sim.eie.energy import ENERGY
from zeroskip.sim.energy.activity import Add, Event, Sram, Unit
from zeroskip.sim.energy.measure import LayerEnergy, priced
from zeroskip.sim.energy.technology import Technology, read_technology
from zeroskip.sim.machine import machine
from zeroskip.sim.run import run_planes

__all__ = ["EieEnergyBench", "LayerCost", "bench_energy"]

PAPER_WATTS = 0.59
"""Table V: power of 64 PEs; table II has 9.157 mW for one."""

PAPER_UNITS_MW = {
    "memory": 5.416,
    "Act_queue": 0.112,
    "PtrRead": 1.807,
    "SpmatRead": 4.955,
    "ArithmUnit": 1.162,
    "ActRW": 1.122,
}
"""Table II: power of the memories of a PE, and of its modules, these with their memories."""

_MODULES = {
    "Act_queue": ("queues",),
    "PtrRead": ("pointers",),
    "SpmatRead": ("weights",),
    "ArithmUnit": ("arithmetic",),
    # The paper's accumulators are its destination registers.
    "ActRW": ("activations", "accumulators"),
}

PAPER_CLOCK_FJ = 1.874 / (0.8 * 9465 / 4.522) * 1000
"""Table II: mW of a PE's clock at 0.8 GHz, over its flip-flops: of its 9,465 um2 of registers, each
has 4.522 if it is the smallest of the usual open 45 nm library, whose clock we count."""

PAPER_PRODUCT_PJ = 3.1 / 5
"""Of 16 bits: table I has 3.1 pJ for one of 32 bits, of which section VI says it takes a fifth."""

PAPER_CYCLES_A_READ = 8
"""Section IV: cycles for a read of Spmat, and for one of both banks of pointers."""

PAPER_SUM_BITS = 16
"""Section IV: width of a destination register."""

PAPER_SAVED = 0.6516
"""Section I: share of the energy that skipping zero activations saves."""

PAPER_FRAMES_PER_JOULE = 138_927
"""Table V: of AlexNet's FC7."""

PAPER_FACTORS = {"cpu": 24_207, "gpu": 3_553, "mobile gpu": 2_717}
"""Figure 7 over a CPU; derived, with the powers below, over the others (text: 3,400 and 2,700)."""

WATTS = {"cpu": 73.0, "gpu": 159.0, "mobile gpu": 5.1}
"""Table V: i7-5930K, Titan X, Tegra K1."""

DENSE_US = {
    "cpu": (7516.2, 6187.1, 1134.9, 35022.8, 5372.8, 774.2, 605.0, 1361.4, 470.5),
    "gpu": (541.5, 243.0, 80.5, 1467.8, 243.0, 80.5, 65.0, 90.1, 51.9),
    "mobile gpu": (12437.2, 5765.0, 2252.1, 35427.0, 5544.3, 2243.1, 1316.0, 2565.5, 956.9),
}
"""Table IV: time of dense layers at batch 1, in the order of :data:`.EIE_LAYERS`."""

_TABLE_V = "Alex-7"


@dataclass(frozen=True)
class LayerCost:
    """A layer on an array.

    Parameters
    ----------
    name, preset : of the layer and the array.
    cycles : of an inference.
    uj, dense_uj : energy of the array, and of a dense machine of as many multipliers.
    saved : share of the energy that skipping zero activations saves.
    pj_per_mac : energy over useful products.
    units_mw : power of a PE by unit of the array, at the paper's clock.
    memory_mw : power of the memories of a PE.
    as_paper_mw : power by module of table II with the paper's clock, products, sums and reads.
    words_per_cycle, pointers_per_cycle : reads of Spmat, and of pointers (of both banks), a PE.
    """

    name: str
    preset: str
    cycles: float
    uj: float
    dense_uj: float
    saved: float
    pj_per_mac: float
    units_mw: Mapping[str, float]
    memory_mw: float
    as_paper_mw: Mapping[str, float]
    words_per_cycle: float
    pointers_per_cycle: float


@dataclass(frozen=True)
class EieEnergyBench:
    """Layers on both arrays, beside the paper.

    Parameters
    ----------
    layers : of the paper, in its order.
    costs : by preset, of each.
    technology : name of the constants.
    """

    layers: tuple[EieLayer, ...]
    costs: Mapping[str, tuple[LayerCost, ...]]
    technology: str

    exact = True

    def paper_uj(self, layer: EieLayer) -> float:
        """Return the energy of the paper's EIE: its power for the time of table IV."""
        return PAPER_WATTS * layer.actual_us

    def factor(self, platform: str, energies: Sequence[float]) -> float:
        """Return the geometric mean of a platform's energy over those of EIE in uJ."""
        times = dict(zip((layer.name for layer in EIE_LAYERS), DENSE_US[platform], strict=True))
        ratios = [
            WATTS[platform] * times[layer.name] / uj
            for layer, uj in zip(self.layers, energies, strict=True)
        ]
        return exp(sum(map(log, ratios)) / len(ratios))

    def modules_mw(self, cost: LayerCost) -> dict[str, float]:
        """Return the power of table II's modules of a PE."""
        return {"memory": cost.memory_mw, **_by_module(cost.units_mw)}

    @property
    def saved(self) -> float:
        """Share of the energy of all layers together that skipping zero activations saves."""
        costs = self.costs["paper"]
        every = sum(cost.uj / (1 - cost.saved) for cost in costs)
        return 1 - sum(cost.uj for cost in costs) / every

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        paper = [self.paper_uj(layer) for layer in self.layers]
        ours = {name: [cost.uj for cost in costs] for name, costs in self.costs.items()}
        return {
            "technology": self.technology,
            "layers": {
                name: [{**asdict(cost), "modules_mw": self.modules_mw(cost)} for cost in costs]
                for name, costs in self.costs.items()
            },
            "paper": {
                "uj": dict(zip((layer.name for layer in self.layers), paper, strict=True)),
                "modules_mw": PAPER_UNITS_MW,
                "clock_fj": PAPER_CLOCK_FJ,
                "product_pj": PAPER_PRODUCT_PJ,
                "frames_per_joule": PAPER_FRAMES_PER_JOULE,
                "saved": PAPER_SAVED,
                "factors": PAPER_FACTORS,
            },
            "saved": self.saved,
            "factors": {
                "paper's constants": {name: self.factor(name, paper) for name in WATTS},
                **{
                    preset: {name: self.factor(name, energies) for name in WATTS}
                    for preset, energies in ours.items()
                },
            },
            "exact": self.exact,
        }

    def report(self) -> Iterator[Table | str]:
        """Give the tables."""
        about = f"constants: {self.technology}"
        yield Table(
            f"Energy of a layer, uJ; {about}",
            [
                "layer", "paper", *(f"{name}" for name in self.costs), "dense machine",
                "dense / ours", "saved by zero activations", "pJ / MAC",
            ],
            [
                [
                    layer.name,
                    f"{self.paper_uj(layer):.2f}",
                    *(f"{costs[number].uj:.2f}" for costs in self.costs.values()),
                    f"{first.dense_uj:.2f}",
                    f"{first.dense_uj / first.uj:.1f}",
                    percent(first.saved),
                    f"{first.pj_per_mac:.2f}",
                ]
                for number, layer in enumerate(self.layers)
                for first in [self.costs["paper"][number]]
            ],
        )  # fmt: skip
        yield (
            f"skipping zero activations saves {percent(self.saved)} of all these together; the "
            f"paper has {percent(PAPER_SAVED)}"
        )
        yield self._modules()
        yield self._factors()

    def _modules(self) -> Table:
        every = [self.modules_mw(cost) for cost in self.costs["paper"]]
        names = [layer.name for layer in self.layers]
        # The paper does not say of which layer its figures are.
        shown = _TABLE_V if _TABLE_V in names else names[0]
        ours, same = (
            row[names.index(shown)]
            for row in (every, [cost.as_paper_mw for cost in self.costs["paper"]])
        )
        return Table(
            f"Power of a PE in mW, table II ({PAPER_MHZ} MHz), preset paper",
            [
                "module", "paper", shown, "over the paper", "with the paper's constants",
                "over the paper's", "least", "mean", "most",
            ],
            [
                [
                    name,
                    f"{paper:.3f}",
                    f"{ours[name]:.3f}",
                    f"{ours[name] / paper - 1:+.0%}",
                    f"{same[name]:.3f}",
                    f"{same[name] / paper - 1:+.0%}",
                    *(f"{one([row[name] for row in every]):.3f}" for one in (min, np.mean, max)),
                ]
                for name, paper in PAPER_UNITS_MW.items()
            ],
        )  # fmt: skip

    def _factors(self) -> Table:
        names = [layer.name for layer in self.layers]
        paper = [self.paper_uj(layer) for layer in self.layers]
        rows = [["paper, as printed", f"{PAPER_FRAMES_PER_JOULE:,}",
                 *(f"{factor:,}" for factor in PAPER_FACTORS.values())]]  # fmt: skip
        every = {"paper's constants": paper}
        every |= {name: [cost.uj for cost in costs] for name, costs in self.costs.items()}
        for name, energies in every.items():
            frames = f"{1e6 / energies[names.index(_TABLE_V)]:,.0f}" if _TABLE_V in names else "-"
            rows.append([name, frames, *(f"{self.factor(one, energies):,.0f}" for one in WATTS)])
        return Table(
            "Frames a joule of Alex-7 (table V), and geometric means of energy over EIE's",
            ["machine", "frames a joule", *WATTS],
            rows,
        )


def bench_energy(
    layers: Sequence[EieLayer] = EIE_LAYERS,
    technology: Technology | None = None,
    presets: Sequence[str] = ("paper", "best"),
    progress: Progress | None = None,
) -> EieEnergyBench:
    """Count the energy of layers on both arrays.

    Parameters
    ----------
    layers : see :data:`.EIE_LAYERS`.
    technology : constants; those of 45 nm unless given.
    presets : arrays.
    progress : see :data:`.Progress`.
    """
    report = progress or silent
    constants = technology or read_technology()
    costs: dict[str, list[LayerCost]] = {name: [] for name in presets}
    for number, layer in enumerate(layers):
        for name in presets:
            report("layers", number, len(layers))
            costs[name].append(_cost(layer, name, constants))
    report("layers", len(layers), len(layers))
    return EieEnergyBench(
        tuple(layers), {name: tuple(found) for name, found in costs.items()}, constants.name
    )


def _cost(layer: EieLayer, name: str, technology: Technology) -> LayerCost:
    preset = PRESETS[name]
    network, x = layer.draw()
    image = compile_quantized(
        network, {"eie": preset.params}, options=preset.options, name=layer.name
    )
    planes = x.astype(np.int64)[:, :, None, None]
    part = image.part("eie")
    golden = run_planes(image, planes, "golden")
    tensors = {INPUT: planes, **golden.parts[0].tensors}
    counts = machine("eie").count(part, tensors, lambda done, total: None)
    array = ENERGY.array(preset.params)
    (activity,) = ENERGY.layers(part, tensors, counts)
    events = [*activity.events, *array.clock(activity.cycles)]
    ours = priced(activity, "eie", array, technology, events)
    others = {
        what: priced(activities[0], "eie", array, technology)
        for what, activities in ENERGY.machines(part, tensors).items()
    }
    pes, us = preset.params.num_pes, activity.cycles / PAPER_MHZ
    paper_events = [_as_paper(event, activity.cycles * pes) for event in events]
    constants = _paper_constants(technology)
    as_paper = _milliwatts(priced(activity, "eie", array, constants, paper_events), pes, us)
    reads = {event.what: event.count / activity.cycles / pes for event in activity.events}
    return LayerCost(
        name=layer.name,
        preset=name,
        cycles=activity.cycles,
        uj=ours.pj / 1e6,
        dense_uj=others["dense"].pj / 1e6,
        saved=1 - ours.pj / others["weights"].pj,
        pj_per_mac=ours.pj / ours.useful,
        units_mw=_milliwatts(ours, pes, us),
        memory_mw=_memories_pj(events, technology) / pes / us / 1000,
        as_paper_mw={
            "memory": _memories_pj(paper_events, constants) / pes / us / 1000,
            **_by_module(as_paper),
        },
        words_per_cycle=reads["Spmat words read"],
        pointers_per_cycle=reads["pointers read"],
    )


def _memories_pj(events: Sequence[Event], technology: Technology) -> float:
    """Return what the accesses to memories among events take."""
    return sum(
        event.count * event.cost.pj(technology) for event in events if isinstance(event.cost, Sram)
    )


def _as_paper(event: Event, cycles: float) -> Event:
    """Return an event as the paper has it: its rates of reads, the widths of its sums.

    Parameters
    ----------
    event : of an array.
    cycles : of all PEs together.
    """
    banks = {"Spmat words read": 1, "pointers read": 2}
    if event.what in banks:
        return replace(event, count=banks[event.what] * cycles / PAPER_CYCLES_A_READ)
    if event.unit is Unit.ACCUMULATORS and isinstance(event.cost, Sram | Add):
        return replace(event, cost=replace(event.cost, bits=PAPER_SUM_BITS))
    return event


def _paper_constants(technology: Technology) -> Technology:
    """Return constants with what the paper's tables say of its flip-flops and products."""
    product = technology.multiply
    factor = PAPER_PRODUCT_PJ / product.at(16)
    return technology.model_copy(
        update={
            "multiply": product.model_copy(update={"pj": [factor * pj for pj in product.pj]}),
            "flip_flop": technology.flip_flop.model_copy(update={"clock_fj": PAPER_CLOCK_FJ}),
        }
    )


def _by_module(units_mw: Mapping[str, float]) -> dict[str, float]:
    """Add up powers of units by module of table II."""
    return {name: sum(units_mw[unit] for unit in units) for name, units in _MODULES.items()}


def _milliwatts(layer: LayerEnergy, pes: int, us: float) -> dict[str, float]:
    """Return the power of a PE by unit: pJ over us are uW."""
    return {unit: pj / pes / us / 1000 for unit, pj in layer.units.items()}
