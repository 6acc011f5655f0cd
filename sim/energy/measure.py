"""Energy of inferences of a compiled network."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress, silent
from zeroskip.base.tables import to_html
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.system.build import find_system
from zeroskip.sim.energy.activity import Array, Event, LayerActivity, Unit
from zeroskip.sim.energy.technology import Technology, read_technology
from zeroskip.sim.machine import machine
from zeroskip.sim.run import counts_of, run

__all__ = [
    "LEAKAGE", "Energy", "EventEnergy", "LayerEnergy", "draw_input", "energy", "priced",
]  # fmt: skip

LEAKAGE = "leakage"
"""Name, beside units, of the energy of an array at rest for as long as it runs."""

_SEED = 1


@dataclass(frozen=True)
class EventEnergy:
    """An access or an operation with its energy.

    Parameters
    ----------
    unit, what, count : see :class:`.Event`.
    pj : of one.
    """

    unit: str
    what: str
    count: float
    pj: float

    @property
    def total_pj(self) -> float:
        """Of all."""
        return self.count * self.pj


@dataclass(frozen=True)
class LayerEnergy:
    """Energy of a layer.

    Parameters
    ----------
    name, engine : of the layer, and of the array that computes it.
    cycles, useful : see :class:`.LayerActivity`.
    events : accesses and operations.
    leakage_pj : of the array at rest in the layer's time.
    """

    name: str
    engine: str
    cycles: float
    useful: float
    events: tuple[EventEnergy, ...]
    leakage_pj: float

    @cached_property
    def units(self) -> dict[str, float]:
        """Energy by unit, in pJ, and :data:`LEAKAGE`."""
        found = {unit.value: 0.0 for unit in Unit}
        for event in self.events:
            found[event.unit] += event.total_pj
        return {**found, LEAKAGE: self.leakage_pj}

    @property
    def pj(self) -> float:
        """Energy of the layer."""
        return sum(self.units.values())

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints of it."""
        return {
            "name": self.name,
            "engine": self.engine,
            "cycles": self.cycles,
            "useful_macs": self.useful,
            "pj": self.pj,
            "units_pj": self.units,
            "events": [{**asdict(event), "total_pj": event.total_pj} for event in self.events],
        }


@dataclass(frozen=True)
class Energy:
    """Energy of an inference: mean of the inputs.

    Parameters
    ----------
    name : of the network.
    technology : name of the constants.
    inputs : how many were counted; 0 if one was drawn.
    layers : in order.
    dram_bytes, dram_pj : moved between memory and chip, where one START runs the network; None
        where no command list can.
    machines : by array and machine, its energy of each layer: ``dense`` multiplies zeros,
        ``weights`` and ``activations`` skip those of only these. Without DRAM.
    """

    name: str
    technology: str
    inputs: int
    layers: tuple[LayerEnergy, ...]
    dram_bytes: int | None
    dram_pj: float | None
    machines: Mapping[str, tuple[LayerEnergy, ...]]

    @property
    def on_chip_pj(self) -> float:
        """Energy of the arrays."""
        return sum(layer.pj for layer in self.layers)

    @property
    def uj(self) -> float:
        """Energy of an inference, that of DRAM with it."""
        return (self.on_chip_pj + (self.dram_pj or 0)) / 1e6

    @property
    def useful(self) -> float:
        """Products of two non-zeros of an inference."""
        return sum(layer.useful for layer in self.layers)

    @property
    def pj_per_mac(self) -> float:
        """Energy of an inference over its useful products; 0 if it has none."""
        return self.uj * 1e6 / self.useful if self.useful else 0.0

    @property
    def inferences_per_joule(self) -> float:
        """How many inferences a joule is enough for."""
        return 1e6 / self.uj

    @cached_property
    def units(self) -> dict[str, float]:
        """Energy of all layers by unit, in pJ; with ``dram``."""
        found: dict[str, float] = {}
        for layer in self.layers:
            for unit, pj in layer.units.items():
                found[unit] = found.get(unit, 0.0) + pj
        return {**found, "dram": self.dram_pj or 0.0}

    @cached_property
    def machine_pj(self) -> dict[str, float]:
        """Energy of the machines beside the arrays."""
        return {name: sum(layer.pj for layer in layers) for name, layers in self.machines.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "name": self.name,
            "technology": self.technology,
            "inputs": self.inputs,
            "uj": self.uj,
            "pj_per_mac": self.pj_per_mac,
            "inferences_per_joule": self.inferences_per_joule,
            "useful_macs": self.useful,
            "units_pj": self.units,
            "dram_bytes": self.dram_bytes,
            "layers": [layer.to_dict() for layer in self.layers],
            "machines": {
                name: {"uj": self.machine_pj[name] / 1e6, "layers": [x.to_dict() for x in layers]}
                for name, layers in self.machines.items()
            },
        }

    def _repr_html_(self: Any) -> str:
        # Here, since the report is of energies.
        from zeroskip.sim.energy.report import energy_report

        return to_html(energy_report(self))


def energy(
    image: Image,
    x: ArrayLike | None = None,
    technology: Technology | Path | None = None,
    *,
    progress: Progress | None = None,
) -> Energy:
    """Count what an inference does, and what that costs.

    Counts are those of the cycle model, which are those of the RTL. There are no wires: broadcasts
    to PEs and the clock's tree cost nothing.

    Parameters
    ----------
    image : the compiled network.
    x : inputs as for :func:`.run`; unless given, one is drawn, evenly over what the format holds.
    technology : constants, or a file of them, see :func:`.read_technology`; unless given, those of
        45 nm that come with the package.
    progress : see :data:`.Progress`.

    Raises
    ------
    InputError
        If an argument is unusable, or nothing counts the accesses of an array.

    Examples
    --------
    >>> per_joule = zs.energy(image, x).inferences_per_joule
    """
    report = progress or silent
    constants = technology if isinstance(technology, Technology) else read_technology(technology)
    for part in image.parts:
        if machine(part.engine).energy is None:
            raise InputError(
                f"nothing counts the accesses of engine {part.engine!r}: its folder sim has no "
                "module energy"
            )
    drawn = x is None
    result = run(image, draw_input(image) if x is None else x, "cycles", progress=progress)
    tensors = {INPUT: result.planes}
    layers: list[LayerEnergy] = []
    others: dict[str, list[LayerEnergy]] = {}
    for number, (part, counted) in enumerate(zip(image.parts, result.parts, strict=True)):
        report("count accesses", number, len(image.parts))
        tensors |= counted.tensors
        model = machine(part.engine).energy
        assert model is not None
        array = model.array(part.params)
        for activity in model.layers(part, tensors, counts_of(counted)):
            events = [*activity.events, *array.clock(activity.cycles)]
            layers.append(priced(activity, part.engine, array, constants, events))
        for name, activities in model.machines(part, tensors).items():
            others.setdefault(name, []).extend(
                priced(one, part.engine, array, constants) for one in activities
            )
        report("count accesses", number + 1, len(image.parts))
    system = find_system(image)
    traffic = None if system is None else system.map.traffic("infer_0")
    moved = None if traffic is None else traffic["read"] + traffic["written"]
    return Energy(
        name=image.name,
        technology=constants.name,
        inputs=0 if drawn else result.inputs,
        layers=tuple(layers),
        dram_bytes=moved,
        dram_pj=None if moved is None else 8 * moved * constants.dram.pj_per_bit,
        machines={
            name: tuple(found) for name, found in others.items() if len(found) == len(layers)
        },
    )


def priced(
    activity: LayerActivity,
    engine: str,
    array: Array,
    technology: Technology,
    events: Sequence[Event] | None = None,
) -> LayerEnergy:
    """Give what a layer does its energies.

    Parameters
    ----------
    activity, engine : of the layer, and of the array that it is for.
    array : which leaks as long as the layer takes.
    technology : the constants.
    events : unless those of ``activity``.
    """
    seconds = activity.cycles / (technology.clock_mhz * 1e6)
    found = activity.events if events is None else events
    return LayerEnergy(
        activity.name,
        engine,
        activity.cycles,
        activity.useful,
        tuple(
            EventEnergy(one.unit.value, one.what, one.count, one.cost.pj(technology))
            for one in found
            if one.count
        ),
        array.leakage_uw(technology) * seconds * 1e6,
    )


def draw_input(image: Image) -> NDArray[np.float64]:
    """Draw one input evenly over what its format holds, the same each time."""
    half = 2.0 ** (image.act_bits - 1 - image.in_frac)
    return np.random.default_rng(_SEED).uniform(-half, half, (1, *image.sample_shape))
