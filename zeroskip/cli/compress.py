"""``zeroskip compress``: prune, share and fine-tune a model."""

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import InputError
from zeroskip.base.staging import check_output_file
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import JsonOption, number, whole_number
from zeroskip.cli.output import Steps, print_json, print_line, print_table

__all__ = ["EXAMPLES", "compress_model"]

EXAMPLES = """Examples:

zeroskip compress --model model.pt2 --data x.npy --labels y.npy --density 0.1 -o small.pt2

zeroskip compress --model model.pt2 --data x.npy --density 0.08,0.09,0.26 --epochs 30 -o small.pt2
"""


def compress_model(
    model: Annotated[
        Path,
        typer.Option(
            metavar="MODEL", help="A .pt2 file, written by torch.export.save, or a .zsk file."
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(metavar="X.npy", help="Samples to train with, (samples, *input shape)."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="X.pt2", help="The compressed model.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="Y.npy",
            help="Classes, whole numbers (samples,); without them the result learns to compute "
            "what the model computes.",
        ),
    ] = None,
    density: Annotated[
        str, typer.Option(metavar="D", help="Share of weights to keep, or one per layer: 0.1,0.2.")
    ] = "0.1",
    codes: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=whole_number,
            help="Shared values per layer besides 0; 15 fit 4 bits.",
        ),
    ] = 15,
    epochs: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=whole_number,
            help="Passes over the data in each round of fine-tuning.",
        ),
    ] = 20,
    learning_rate: Annotated[
        float, typer.Option(metavar="R", parser=number, help="At the start.")
    ] = 1e-3,
    seed: Annotated[
        int, typer.Option(metavar="N", parser=whole_number, help="Of the order of samples.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Prune a model, share its weights, fine-tune after each step (Deep Compression)."""
    check_output_file(output)
    if output.suffix != ".pt2":
        raise InputError(f"the model file must end in .pt2, not {output.name!r}")
    x = read_npy(data, "data")
    y = None if labels is None else read_npy(labels, "labels")
    densities = _densities(density)
    # torch takes seconds to import; mistakes above are told at once.
    import torch

    from zeroskip.compiler.compress.module import export
    from zeroskip.compiler.compress.pipeline import compress

    with Steps() as steps:
        result, report = compress(
            model,
            x,
            y,
            density=densities,
            codes=codes,
            epochs=epochs,
            seed=seed,
            learning_rate=learning_rate,
            progress=lambda name, done: steps(name, round(100 * done), 100),
        )
    export(result, torch.from_numpy(x[:1]).float(), output)
    if as_json:
        print_json({"model": str(output), **report.to_dict()})
        return
    print_table(
        f"Steps (measured on {len(x)} samples of training data)",
        ["step", "loss", "accuracy"],
        [
            [
                step.name,
                f"{step.loss:.4g}",
                "-" if step.accuracy is None else f"{100 * step.accuracy:.2f} %",
            ]
            for step in report.steps
        ],
    )
    print_table(
        "Layers",
        ["layer", "rows x cols", "non-zero", "density", "values"],
        [
            [
                layer.name,
                f"{layer.rows} x {layer.cols}",
                layer.nnz,
                f"{100 * layer.density:.1f} %",
                layer.values,
            ]
            for layer in report.layers
        ],
    )
    print_line(f"compressed model in {output}")


def _densities(text: str) -> float | list[float]:
    """Read one number, or several with commas between them."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(
            f"--density must be a number or numbers with commas between them, not {text!r}"
        ) from error
    return values[0] if len(values) == 1 else values
