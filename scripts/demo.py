"""The main job: a real network from PyTorch to bit-exact RTL, on an embedded default."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.demo_parts import (
    DemoFiles,
    accuracies,
    print_accuracies,
    print_by_hand,
    train_digits,
)
from zeroskip import EieParams, compile_pt2, run, verify
from zeroskip.base.errors import InputError
from zeroskip.cli.guard import exit_with
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.compiler.image.image import Image, load
from zeroskip.sim.metrics import measure
from zeroskip.sim.report import is_exact, metric_tables, verdict

__all__ = ["main", "run_demo"]

NETS = ("digits", "cnn")

PARAMS = EieParams(num_pes=8)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run_demo(
    net: Annotated[str, typer.Option(metavar="NET", help=f"One of {', '.join(NETS)}.")] = "digits",
    images: Annotated[int, typer.Option(min=1, metavar="N", help="Inputs to run on RTL.")] = 64,
    folder: Annotated[Path, typer.Option("-o", "--output", help="Where files go.")] = Path("out"),
    seed: Annotated[int, typer.Option(help="Of the training.")] = 0,
    as_json: JsonOption = False,
) -> int:
    """Train, compress, compile and run a network; compare golden and RTL in every word."""
    if net not in NETS:
        raise InputError(f"NET must be one of {', '.join(NETS)}, not {net!r}")
    folder.mkdir(parents=True, exist_ok=True)
    if net == "cnn":
        from scripts.demo_cnn import run_cnn_demo

        return run_cnn_demo(PARAMS, images, folder, seed, as_json=as_json)

    def say(text: str) -> None:
        if not as_json:
            steps.print(text)

    with Steps() as steps:
        say("Digits: 1,437 scans of 8 x 8 to train with, 360 to test; MLP 64-300-100-10")
        made, data = train_digits(net, steps, seed, say)
        target, files = folder / net, DemoFiles.of(folder, net)
        files.write(made, data, images)
        test_x, test_y = data.test_x.numpy(), data.test_y.numpy()
        # From the file, as a user's own model would come.
        compile_pt2(
            files.model,
            data.train_x.numpy(),
            PARAMS,
            options={"placement": "balance"},
            name=net,
            progress=steps,
        ).save(target)
        image = load(target)
        fixed = run(image, test_x, "golden")
        result = verify(image, test_x[:images], progress=steps)
    metrics = measure(result)
    accuracy = accuracies(made, fixed.outputs, result.rtl.outputs, test_y)
    failed = not is_exact(result, metrics)
    if as_json:
        print_json(_document(net, image, target, accuracy, result, metrics, made.result))
        return int(failed)
    print_line()
    print_report(metric_tables(metrics))
    print_accuracies(accuracy, len(test_y), metrics.inputs)
    print_by_hand(files, target)
    print_report(verdict(result, metrics))
    return int(failed)


def _document(
    net: str,
    image: Image,
    target: Path,
    accuracy: dict[str, float | None],
    result: Any,
    metrics: Any,
    report: Any,
) -> dict[str, Any]:
    return {
        "net": net,
        "image": str(target),
        "num_pes": image.part("eie").params.num_pes,
        "accuracy": accuracy,
        "compress": dataclasses.asdict(report),
        "words": result.words,
        "differ": result.differ,
        "differences": [str(difference) for difference in result.differences],
        "metrics": metrics.to_dict(),
    }


def main() -> None:
    """Run the demonstration and exit."""
    exit_with(app, "make sim")


if __name__ == "__main__":
    main()
