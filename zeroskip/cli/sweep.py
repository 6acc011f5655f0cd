"""``zeroskip sweep``: many arrays, on the cycle model."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.axes import Axis, with_axes
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import print_table
from zeroskip.cli.sweep_run import JobsOption, SchedulerOption, TableOption, measure_points
from zeroskip.cli.sweep_scnn import SCNN_SWEEP_EXAMPLES, sweep_scnn
from zeroskip.compiler import Image
from zeroskip.compiler.presets import PRESETS
from zeroskip.sim.eie.benchmark.layers import EIE_LAYERS
from zeroskip.sim.sweep.grid import AXES, Memories, Point, grid
from zeroskip.sim.sweep.work import ImageWork, PaperWork, Work

__all__ = ["EXAMPLES", "app"]

EXAMPLES = """Examples:

zeroskip sweep eie --queue-depth 1,2,4,8,16,32,64,128,256 -o depth.parquet

zeroskip sweep eie --pes 1,2,4,8,16,32,64,128,256 --layers NT-We,Alex-7 -o pes.csv

zeroskip sweep eie --image out/model --input x.npy --placement interleave,balance -o mine.csv

zeroskip sweep eie --word-bits 32,64,128 --scheduler tcp://10.0.0.1:8786 -o width.parquet
"""

_AXES = {
    "num_pes": Axis(int, "Numbers of PEs.", "--pes"),
    "queue_depth": Axis(int, "Entries of a queue."),
    "run_bits": Axis(int, "Widths of the zero count."),
    "word_bits": Axis(int, "Widths of a Spmat word."),
    "placement": Axis(str, "interleave, balance, schedule."),
    "pointers_first": Axis(bool, "Read pointers before the queue, or after."),
    "skip_padding": Axis(bool, "Take padding with the next entry, or alone."),
}

app = typer.Typer(help="Measure many arrays on the cycle model.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("eie", epilog=EXAMPLES)
@with_axes(_AXES)
def sweep_eie(
    output: TableOption,
    axes: dict[str, list[Any]],
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="The array and placement for all that is not swept: "
            f"{', '.join(PRESETS)}. Else paper, or that of the image.",
        ),
    ] = None,
    memories: Annotated[
        Memories,
        typer.Option(
            help="total: the array keeps its bits of memory, whatever the number of PEs. per-pe: "
            "each PE keeps its rows."
        ),
    ] = "total",
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers", metavar="NAME,...", help="Layers of the paper; all nine unless given."
        ),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image", metavar="IMAGE", help="Sweep this image's network instead; with --input."
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option("--input", "-i", metavar="X.npy", help="Inputs of the image's network."),
    ] = None,
    jobs: JobsOption = -1,
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure every combination of the values given, and write one table.

    Points that cannot be mapped have their reason in the table.
    """
    from zeroskip.sim.sweep.run import Sweep

    works, base = _works(layers, image, inputs, preset)
    sweep = Sweep(works, grid(base, axes, memories))
    # A point has a row per layer, and is impossible for all of them or none.
    first = {work.layers[0] for work in works}
    measure_points(
        sweep,
        output,
        jobs=jobs,
        scheduler=scheduler,
        as_json=as_json,
        impossible=lambda row: not row["possible"] and row["layer"] in first,
        show=_print,
    )


app.command("scnn", epilog=SCNN_SWEEP_EXAMPLES)(sweep_scnn)


def _works(
    layers: str | None, image: Path | None, inputs: Path | None, preset: str | None
) -> tuple[Sequence[Work], Point]:
    """Find out what to run, and on what unless an axis says otherwise."""
    if preset is not None and preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}")
    if image is None:
        if inputs is not None:
            raise InputError("--input is for --image; layers of the paper have inputs of their own")
        chosen = PRESETS[preset or "paper"]
        return _paper(layers), Point(chosen.params, chosen.placement)
    if layers is not None:
        raise InputError("--layers are of the paper: leave it out with --image")
    if inputs is None:
        raise InputError("--image needs --input, which activations are 0 decides about cycles")
    compiled = Image.load_eie(image)
    base = Point(compiled.params, _placement(compiled))
    if preset is not None:
        # The network is quantized for the widths of the image's arithmetic.
        widths = ("code_bits", "weight_bits", "act_bits", "acc_bits")
        same = {name: getattr(compiled.params, name) for name in widths}
        chosen = PRESETS[preset]
        base = Point(dataclasses.replace(chosen.params, **same), chosen.placement)
    return [ImageWork.of(compiled, read_npy(inputs, "input"))], base


def _placement(image: Image) -> Literal["interleave", "balance", "schedule"]:
    """Return how an image was placed, as far as its report tells."""
    known = image.report.get("placement")
    for name in ("balance", "schedule"):
        if known == name:
            return name
    return "interleave"


def _paper(names: str | None) -> list[Work]:
    known = {layer.name.lower(): layer.name for layer in EIE_LAYERS}
    if names is None:
        return [PaperWork(name) for name in known.values()]
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        if name.lower() not in known:
            raise InputError(f"there is no layer {name!r}; there are {', '.join(known.values())}")
    return [PaperWork(known[name.lower()]) for name in wanted]


def _print(rows: Sequence[dict[str, Any]]) -> None:
    """Print, per layer, the point with the fewest cycles."""
    table: list[list[object]] = []
    for name in dict.fromkeys(row["layer"] for row in rows):
        mine = [row for row in rows if row["layer"] == name]
        done = [row for row in mine if row["possible"]]
        if not done:
            table.append([name, len(mine), len(mine), *["-"] * 6, f"{mine[0]['reason']}"])
            continue
        best = min(done, key=lambda row: row["cycles"])
        table.append([
            name,
            len(mine),
            len(mine) - len(done),
            best["cycles"],
            f"{best['cycles'] / best['bound_no_padding_cycles']:.3f}"
            if best["bound_no_padding_cycles"]
            else "-",
            f"{100 * best['load_balance']:.1f} %",
            *(
                "-" if best[name] is None else f"{best[name]:.2f}"
                for name in (
                    "entry_bits_per_nonzero",
                    "pointer_bits_per_nonzero",
                    "stored_bits_per_nonzero",
                )
            ),
            " ".join(f"{axis}={best[axis]}" for axis in AXES if _varies(rows, axis)) or "the only",
        ])
    print_table(
        "Of each layer, the point with the fewest cycles",
        [
            "layer", "points", "impossible", "cycles", "x bound", "load balance",
            "entry bits / non-zero", "pointer bits / non-zero", "stored bits / non-zero", "point",
        ],
        table,
    )  # fmt: skip


def _varies(rows: Sequence[dict[str, Any]], axis: str) -> bool:
    return len({row[axis] for row in rows}) > 1
