"""EIE's evaluation: the nine layers of the paper, and sweeps of the array."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from numpy.typing import NDArray

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.fields import Field
from zeroskip.base.progress import Progress
from zeroskip.base.tables import Report, Table, percent
from zeroskip.compiler.eie.place import Strategy
from zeroskip.compiler.eie.presets import PRESETS
from zeroskip.compiler.image.image import load
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.benchmark.bench import EieBench, bench_eie
from zeroskip.sim.eie.benchmark.changes import ChangesBench, bench_changes
from zeroskip.sim.eie.benchmark.energy import EieEnergyBench, bench_energy
from zeroskip.sim.eie.benchmark.layers import EIE_LAYERS
from zeroskip.sim.eie.benchmark.recurrent import RecurrentBench, bench_recurrent
from zeroskip.sim.eie.benchmark.tables import bench_tables
from zeroskip.sim.eie.sweep.grid import AXES, Memories, Point, grid
from zeroskip.sim.eie.sweep.sweep import EieSweep
from zeroskip.sim.eie.sweep.work import ImageWork, PaperWork
from zeroskip.sim.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zeroskip.sim.sweep.run import Sweep

__all__ = ["EVALUATION"]

_WIDTHS = ("code_bits", "weight_bits", "act_bits", "acc_bits")


class _EieEvaluation(Evaluation):
    axes = AXES
    fields = (
        Field(
            "memories",
            get_args(Memories),
            "total: the array keeps its bits of memory, whatever the number of PEs. per-pe: each "
            "PE keeps its rows.",
        ),
    )

    figures: Mapping[str, str] = {
        "fig8": "Load balance by queue depth, as the paper's figure 8.",
        "fig9": "Spmat reads by width of a word, as the paper's figure 9 counts them.",
        "fig11": "Speed by number of PEs, as the paper's figure 11.",
        "fig12": "Share of work that is no padding by number of PEs, as the paper's figure 12.",
        "fig13": "Load balance by number of PEs, as the paper's figure 13.",
    }

    def bench(
        self,
        layers: str | None,
        on: Literal["cycles", "rtl"],
        *,
        alone: bool = False,
        progress: Progress | None = None,
    ) -> EieBench:
        if alone:
            raise InputError("EIE's evaluation has no other machines to leave out (alone)")
        names = _names(layers)
        return bench_eie([layer for layer in EIE_LAYERS if layer.name in names], on, progress)

    def bench_energy(
        self, layers: str | None, *, progress: Progress | None = None
    ) -> EieEnergyBench:
        names = _names(layers)
        chosen = [layer for layer in EIE_LAYERS if layer.name in names]
        return bench_energy(chosen, progress=progress)

    def bench_recurrent(self) -> RecurrentBench:
        return bench_recurrent()

    def bench_changes(
        self, task: str, data: Path | None, folder: Path | None, progress: Progress | None = None
    ) -> ChangesBench:
        return bench_changes(task, data, folder, progress=progress)

    def report(self, bench: EieBench) -> Report:
        return bench_tables(bench)

    def sweep(
        self,
        axes: Mapping[str, Sequence[Any]],
        preset: tuple[Any, Mapping[str, str]] | None,
        layers: str | None,
        image: tuple[Path, NDArray[Any]] | None,
    ) -> EieSweep:
        others = dict(axes)
        memories, *more = others.pop("memories", ["total"])
        if more:
            raise ParameterError("memories", more[0], "one value", "it is no axis")
        chosen = None if preset is None else Point(preset[0], _strategy(preset[1]["placement"]))
        if image is None:
            base = chosen or Point(PRESETS["paper"].params, "interleave")
            return EieSweep(
                [PaperWork(name) for name in _names(layers)], grid(base, others, memories)
            )
        if layers is not None:
            raise InputError("layers are of the paper, and exclude the network of an image")
        compiled = load(image[0])
        array: EieParams = compiled.alone("eie").params
        base = Point(array, _strategy(compiled.report.get("placement")))
        if chosen is not None:
            # The network is quantized for the widths of the image's arithmetic.
            same = {name: getattr(array, name) for name in _WIDTHS}
            base = Point(dataclasses.replace(chosen.params, **same), chosen.placement)
        return EieSweep([ImageWork.of(compiled, image[1])], grid(base, others, memories))

    def draw(self, figure: str, table: Path) -> "Figure":
        from zeroskip.sim.eie.sweep.columns import EIE_COLUMNS
        from zeroskip.sim.eie.sweep.curves import draw_figure
        from zeroskip.sim.sweep.table import read_table

        return draw_figure(figure, read_table(table, EIE_COLUMNS))

    def impossible(self, sweep: "Sweep", rows: Sequence[Mapping[str, Any]]) -> int:
        eie: Any = sweep
        # A point has a row per layer, and is impossible for all of them or none.
        first = {work.layers[0] for work in eie.works}
        return sum(not row["possible"] and row["layer"] in first for row in rows)

    def summary(self, rows: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> Table:
        varied = [axis for axis in AXES if len({row[axis] for row in rows}) > 1]
        return Table(
            "Of each layer, the point with the fewest cycles",
            [
                "layer", "points", "impossible", "cycles", "x bound", "load balance",
                "entry bits / non-zero", "pointer bits / non-zero", "stored bits / non-zero",
                "point",
            ],
            [
                _best([row for row in rows if row["layer"] == name], varied)
                for name in dict.fromkeys(row["layer"] for row in rows)
            ],
        )  # fmt: skip


EVALUATION = _EieEvaluation()


def _best(rows: Sequence[Mapping[str, Any]], varied: Sequence[str]) -> list[object]:
    """Return a row for the point with the fewest cycles of a layer's."""
    name, done = rows[0]["layer"], [row for row in rows if row["possible"]]
    if not done:
        return [name, len(rows), len(rows), *["-"] * 6, f"{rows[0]['reason']}"]
    best = min(done, key=lambda row: row["cycles"])
    bound = best["bound_no_padding_cycles"]
    bits = [best[f"{kind}_bits_per_nonzero"] for kind in ("entry", "pointer", "stored")]
    return [
        name,
        len(rows),
        len(rows) - len(done),
        best["cycles"],
        f"{best['cycles'] / bound:.3f}" if bound else "-",
        percent(best["load_balance"]),
        *("-" if value is None else f"{value:.2f}" for value in bits),
        " ".join(f"{axis}={best[axis]}" for axis in varied) or "the only",
    ]


def _names(text: str | None) -> list[str]:
    """Return names of layers of the paper, as they are written there."""
    known = {layer.name.lower(): layer.name for layer in EIE_LAYERS}
    if text is None:
        return list(known.values())
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name.lower() not in known:
            raise ParameterError.of_names("layers", name, list(known.values()))
    return [known[name.lower()] for name in names]


def _strategy(name: object) -> Strategy:
    """Return how an image was placed, as far as its report tells."""
    return next((known for known in get_args(Strategy) if known == name), "interleave")
