"""SCNN's evaluation: the convolutions of the paper's networks, and sweeps of the array."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from zeroskip.base.errors import InputError, ParameterError, near_name
from zeroskip.base.fields import Field
from zeroskip.base.progress import Progress
from zeroskip.base.tables import Report, Table, percent
from zeroskip.sim.evaluation import Evaluation
from zeroskip.sim.scnn.benchmark.bench import BENCH_PARAMS, bench_scnn
from zeroskip.sim.scnn.benchmark.energy import ScnnEnergyBench, bench_energy
from zeroskip.sim.scnn.benchmark.layers import (
    NETWORKS,
    RTL_LAYERS,
    WHOLE_NETWORKS,
    ConvLayer,
    scnn_layers,
)
from zeroskip.sim.scnn.benchmark.result import ScnnBench
from zeroskip.sim.scnn.benchmark.tables import bench_tables
from zeroskip.sim.scnn.sweep.points import MACHINES, SCNN_AXES, ScnnSweep, scnn_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zeroskip.sim.sweep.run import Sweep

__all__ = ["EVALUATION"]

_SWEPT = "googlenet"
"""The network of sweeps in which nothing is chosen."""


class _ScnnEvaluation(Evaluation):
    axes = SCNN_AXES
    fields = (
        Field("density", (0.0, 1.0), "of weights and of activations; published ones unless given"),
        Field("act_density", (0.0, 1.0), "of activations"),
        Field("weight_density", (0.0, 1.0), "of weights"),
        Field("machine", MACHINES, "what is compressed: scnn is both"),
    )

    figures: Mapping[str, str] = {
        "density": "Speed of SCNN by density of its operands, beside a dense machine: where "
        "sparsity pays."
    }

    def bench(
        self,
        layers: str | None,
        on: Literal["cycles", "rtl"],
        *,
        alone: bool = False,
        progress: Progress | None = None,
    ) -> ScnnBench:
        chosen = _choose(layers, WHOLE_NETWORKS)
        single = [some for network, some in chosen.items() if network in NETWORKS]
        names = [layer.full_name for some in single for layer in some]
        named = {name.strip().lower() for name in (layers or "").split(",")}
        # In full, all layers of a network would take days.
        rtl = [name for name in names if name in RTL_LAYERS or name.lower() in named]
        rtl += chosen.keys() - NETWORKS.keys()
        return bench_scnn(
            chosen, others=not alone, rtl=rtl if on == "rtl" else [], progress=progress
        )

    def bench_energy(
        self, layers: str | None, *, progress: Progress | None = None
    ) -> ScnnEnergyBench:
        chosen = _choose(layers)
        if layers is None:
            return bench_energy(chosen, progress=progress)
        # Densities are those of whole modules.
        return bench_energy(chosen, (), (), progress=progress)

    def report(self, bench: ScnnBench) -> Report:
        return bench_tables(bench)

    def sweep(
        self,
        axes: Mapping[str, Sequence[Any]],
        preset: tuple[Any, Mapping[str, str]] | None,
        layers: str | None,
        image: tuple[Path, NDArray[Any]] | None,
    ) -> ScnnSweep:
        if image is not None:
            raise InputError("sweeps of SCNN are of layers of the paper, not of an image")
        chosen = _choose(layers or _SWEPT)
        names = [layer.full_name for some in chosen.values() for layer in some]
        return ScnnSweep(names, scnn_grid(axes, preset[0] if preset else BENCH_PARAMS))

    def draw(self, figure: str, table: Path) -> "Figure":
        del figure
        from zeroskip.sim.scnn.sweep.columns import SCNN_COLUMNS
        from zeroskip.sim.scnn.sweep.density import draw_density
        from zeroskip.sim.sweep.table import read_table

        return draw_density(read_table(table, SCNN_COLUMNS))

    def impossible(self, sweep: "Sweep", rows: Sequence[Mapping[str, Any]]) -> int:
        return sum(not row["possible"] for row in rows)

    def summary(self, rows: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> Table:
        both = ("act_density", "weight_density")
        names = [name for axis in axes for name in (both if axis == "density" else (axis,))]
        points: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
        for row in rows:
            points.setdefault((row["network"], *(row[name] for name in names)), []).append(row)
        return Table(
            "Layers of each network together, beside the dense machine",
            ["network", *names, "layers", "impossible", "cycles", "speed-up", "utilisation"],
            [[*point, *_together(layers)] for point, layers in points.items()],
        )


EVALUATION = _ScnnEvaluation()


def _together(rows: Sequence[Mapping[str, Any]]) -> list[object]:
    """Return the cells for all layers of a network at a point."""
    done = [row for row in rows if row["possible"]]
    cycles = sum(row["cycles"] for row in done)
    dense = sum(row["dense_cycles"] for row in done)
    useful = sum(row["utilisation"] * row["cycles"] for row in done)
    speed = [f"{dense / cycles:.3f}", percent(useful / cycles)] if cycles else ["-", "-"]
    return [len(rows), len(rows) - len(done), cycles, *speed]


def _choose(
    names: str | None, networks: Mapping[str, tuple[ConvLayer, ...]] = NETWORKS
) -> dict[str, tuple[ConvLayer, ...]]:
    """Read names of networks, and of layers with their network's; None is all."""
    if names is None:
        return dict(networks)
    layers = {name.lower(): layer for name, layer in scnn_layers().items()}
    wanted: set[str] = set()
    for text in names.split(","):
        name = text.strip().lower()
        if name not in layers and name not in networks:
            near = near_name(name, [*networks, *layers])
            rule = f"{', '.join(networks)}, or layers of them, as vgg16/conv5_1"
            raise ParameterError("layers", text.strip(), rule, near and f"did you mean {near!r}?")
        wanted |= {layer.full_name for layer in networks.get(name, ())} or {layers[name].full_name}
    chosen = {
        network: tuple(layer for layer in every if layer.full_name in wanted)
        for network, every in networks.items()
    }
    return {network: some for network, some in chosen.items() if some}
