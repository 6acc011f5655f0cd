"""``zeroskip compress analyze``: how much each layer can be pruned alone."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.compress_options import RunOptions, with_fields
from zeroskip.cli.compress_run import Training, open_run
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import Steps, others_to_stderr, print_json, print_line, print_table

if TYPE_CHECKING:
    from zeroskip.compiler.compress.sensitivity import Sensitivity

__all__ = ["EXAMPLES", "compress_analyze"]

EXAMPLES = """Examples:

zeroskip compress analyze --task digits -o out/digits

zeroskip compress analyze --hooks hooks.py -o out/mine --plot sensitivity.svg
"""


@with_fields(RunOptions)
def compress_analyze(
    options: RunOptions,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="P", help="Where the plot goes (.svg, .png, .pdf); else to the run."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prune each layer alone, without retraining, and show what it costs: a table and a plot.

    Measured on training data, so that densities chosen by it are not chosen for the test data.
    """
    if plot is not None and plot.suffix not in (".svg", ".png", ".pdf"):
        raise InputError(f"the plot must end in .svg, .png or .pdf, not {plot.name!r}")
    with Training() as training:
        stages = open_run(options, training, part=True)
        from zeroskip.compiler.compress.run_folder import write_file
        from zeroskip.compiler.compress.sensitivity import analyze, scale_densities

        module = stages.run_base() if stages.config.train.epochs else stages.base()
    with others_to_stderr(), Steps() as steps:
        base, found = analyze(
            module,
            stages.task,
            stages.config.analyze,
            seed=stages.config.seed,
            granularity=stages.config.prune.granularity,
            progress=lambda done, total: steps("prune and measure", done, total),
        )
    document = {
        "base": asdict(base),
        "layers": [{**asdict(layer), "quality": layer.quality} for layer in found],
        "proposed": scale_densities(found, stages.config.prune.density),
    }
    write_file(options.output / "analysis.json", json.dumps(document, indent=1).encode())
    target = plot or options.output / "sensitivity.svg"
    _plot(found, target)
    if as_json:
        print_json({**document, "plot": str(target)})
        return
    _print(found, document["proposed"], stages.config.prune.density)
    print_line(f"plot in {target}")


def _print(found: "Sequence[Sensitivity]", proposed: dict[str, float], density: float) -> None:
    classes = found[0].accuracies[0] is not None
    rows: list[list[object]] = []
    for layer in found:
        values = layer.accuracies if classes else layer.losses
        rows.append([
            layer.name,
            layer.weights,
            *(f"{100 * v:.1f}" if classes and v is not None else f"{v:.3g}" for v in values),
            f"{100 * layer.density:.1f} %",
            f"{layer.quality:.2f}",
            f"{100 * proposed[layer.name]:.1f} %",
        ])
    print_table(
        f"{'Accuracy in %' if classes else 'Loss'} when one layer alone keeps that share of its "
        "weights (threshold: in standard deviations)",
        [
            "layer", "weights", *(f"{100 * d:g} %" for d in found[0].densities), "bears",
            "threshold", f"for {100 * density:g} %",
        ],
        rows,
    )  # fmt: skip


def _plot(found: "Sequence[Sensitivity]", path: Path) -> None:
    # Without pyplot, which would look for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    classes = found[0].accuracies[0] is not None
    for layer in found:
        values = [100 * (v or 0) for v in layer.accuracies] if classes else layer.losses
        axes.plot([100 * d for d in layer.densities], values, marker="o", label=layer.name)
    axes.set_xscale("log")
    axes.set_xlabel("weights kept in the layer (%)")
    axes.set_ylabel("accuracy (%)" if classes else "loss")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
