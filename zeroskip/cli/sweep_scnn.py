"""``zeroskip sweep scnn``: densities and arrays, on the cycle model."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from zeroskip.cli.axes import Axis, with_axes
from zeroskip.cli.bench_scnn import ScnnLayersOption, choose_layers
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import print_table
from zeroskip.cli.sweep_run import JobsOption, SchedulerOption, TableOption, measure_points
from zeroskip.sim.scnn.benchmark.layers import NETWORKS

__all__ = ["SCNN_SWEEP_EXAMPLES", "sweep_scnn"]

SCNN_SWEEP_EXAMPLES = """Examples:

zeroskip sweep scnn --density 0.1,0.2,0.4,0.6,0.8,0.9,1
--machine scnn,weight-only,activation-only -o density.csv

zeroskip sweep scnn --networks vgg16 --scatter-depth 1,2,4,8 -o depth.parquet

zeroskip sweep scnn --layers googlenet/5b/1x1 --num-streams 1,4,16,64 -o streams.csv
"""


_AXES = {
    "density": Axis(float, "Of weights and of activations."),
    "act_density": Axis(float, "Of activations."),
    "weight_density": Axis(float, "Of weights."),
    "machine": Axis(str, "What is compressed: scnn (both), weight-only, activation-only."),
    "num_streams": Axis(int, "Streams of weights."),
    "act_words": Axis(int, "Vectors of an activation RAM."),
    "banks": Axis(int, "Of accumulators, which stay as many."),
    "scatter_depth": Axis(int, "Products before a bank."),
    "weight_depth": Axis(int, "Vectors of a weight FIFO."),
    "block_depth": Axis(int, "Headers of a weight FIFO."),
}


@with_axes(_AXES)
def sweep_scnn(
    output: TableOption,
    networks: Annotated[
        str | None,
        typer.Option(
            "--networks",
            metavar="NAME,...",
            help=f"{', '.join(NETWORKS)}; googlenet unless given, or those of --layers.",
        ),
    ] = None,
    layers: ScnnLayersOption = None,
    *,
    axes: dict[str, list[Any]],
    jobs: JobsOption = -1,
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure layers of the SCNN paper at every combination of the values given.

    Densities are those published (see ``zeroskip bench scnn``) unless given. Points that cannot
    be mapped have their reason in the table.
    """
    from zeroskip.sim.scnn.sweep import ScnnSweep, scnn_grid

    if networks is None and layers is None:
        networks = "googlenet"
    chosen = choose_layers(networks, layers)
    names = [one.full_name for some in chosen.values() for one in some]
    sweep = ScnnSweep(names, scnn_grid(axes))
    measure_points(
        sweep,
        output,
        jobs=jobs,
        scheduler=scheduler,
        as_json=as_json,
        impossible=lambda row: not row["possible"],
        show=lambda rows: _print(rows, list(axes)),
    )


def _print(rows: Sequence[dict[str, Any]], axes: Sequence[str]) -> None:
    """Print, per network and point, the layers together."""
    names = [
        name
        for axis in axes
        for name in (("act_density", "weight_density") if axis == "density" else (axis,))
    ]
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["network"], *(row[name] for name in names)), []).append(row)
    table = []
    for key, mine in found.items():
        done = [row for row in mine if row["possible"]]
        cycles = sum(row["cycles"] for row in done)
        dense = sum(row["dense_cycles"] for row in done)
        useful = sum(row["utilisation"] * row["cycles"] for row in done)
        table.append([
            *key,
            len(mine),
            len(mine) - len(done),
            cycles,
            f"{dense / cycles:.3f}" if cycles else "-",
            f"{100 * useful / cycles:.1f} %" if cycles else "-",
        ])
    print_table(
        "Layers of each network together, beside the dense machine",
        ["network", *names, "layers", "impossible", "cycles", "speed-up", "utilisation"],
        table,
    )
