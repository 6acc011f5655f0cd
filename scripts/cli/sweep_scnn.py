"""``zeroskip sweep scnn``: densities and arrays, on the cycle model."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from scripts.cli.axes import read_axes
from scripts.cli.bench_scnn import ScnnLayersOption, choose_layers
from scripts.cli.options import JsonOption
from scripts.cli.output import print_table
from scripts.cli.sweep_run import JobsOption, SchedulerOption, TableOption, measure_points
from sim.benchmarks.scnn_layers import NETWORKS

__all__ = ["SCNN_SWEEP_EXAMPLES", "sweep_scnn"]

SCNN_SWEEP_EXAMPLES = """Examples:

zeroskip sweep scnn --density 0.1,0.2,0.4,0.6,0.8,0.9,1
--machine scnn,weight-only,activation-only -o density.csv

zeroskip sweep scnn --networks vgg16 --scatter-depth 1,2,4,8 -o depth.parquet

zeroskip sweep scnn --layers googlenet/5b/1x1 --num-streams 1,4,16,64 -o streams.csv
"""


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
    density: Annotated[
        str | None,
        typer.Option("--density", metavar="SHARE,...", help="Of weights and of activations."),
    ] = None,
    act_density: Annotated[
        str | None, typer.Option("--act-density", metavar="SHARE,...", help="Of activations.")
    ] = None,
    weight_density: Annotated[
        str | None, typer.Option("--weight-density", metavar="SHARE,...", help="Of weights.")
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option(
            "--machine",
            metavar="NAME,...",
            help="What is compressed: scnn (both), weight-only, activation-only.",
        ),
    ] = None,
    num_streams: Annotated[
        str | None, typer.Option("--num-streams", metavar="N,...", help="Streams of weights.")
    ] = None,
    act_words: Annotated[
        str | None,
        typer.Option("--act-words", metavar="N,...", help="Vectors of an activation RAM."),
    ] = None,
    banks: Annotated[
        str | None,
        typer.Option("--banks", metavar="N,...", help="Of accumulators, which stay as many."),
    ] = None,
    scatter_depth: Annotated[
        str | None,
        typer.Option("--scatter-depth", metavar="N,...", help="Products before a bank."),
    ] = None,
    weight_depth: Annotated[
        str | None,
        typer.Option("--weight-depth", metavar="N,...", help="Vectors of a weight FIFO."),
    ] = None,
    block_depth: Annotated[
        str | None,
        typer.Option("--block-depth", metavar="N,...", help="Headers of a weight FIFO."),
    ] = None,
    jobs: JobsOption = -1,
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure layers of the SCNN paper at every combination of the values given.

    Densities are those published (see ``zeroskip bench scnn``) unless given. Points that cannot
    be mapped have their reason in the table.
    """
    from sim.sweep.scnn import ScnnSweep, scnn_grid

    axes = read_axes(
        density=density,
        act_density=act_density,
        weight_density=weight_density,
        machine=machine,
        num_streams=num_streams,
        act_words=act_words,
        banks=banks,
        scatter_depth=scatter_depth,
        weight_depth=weight_depth,
        block_depth=block_depth,
    )
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
