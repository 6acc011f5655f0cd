"""The main job: a real network from PyTorch to bit-exact RTL, on an embedded default."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from compiler import EieParams, Image, compile_pt2
from compiler.errors import InputError
from scripts.cli.files import write_npy
from scripts.cli.guard import exit_with
from scripts.cli.options import JsonOption
from scripts.cli.output import Steps, print_json, print_line
from scripts.cli.tables import print_metrics
from scripts.cli.verify import verdict
from sim import run, verify
from sim.metrics import measure

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
        # torch takes seconds to import.
        steps("import torch", 0, 1)
        import torch

        from compiler.compress.digits import compress_digits
        from compiler.compress.module import export

        # Layers this small gain nothing from a second thread, and lose much where cores are busy;
        # and with one, every machine prints the same.
        torch.set_num_threads(1)
        steps("import torch", 1, 1)
        say("Digits: 1,437 scans of 8 x 8 to train with, 360 to test; MLP 64-300-100-10")
        made = compress_digits(
            seed=seed,
            progress=lambda name, done: steps("train and compress", round(100 * done), 100),
            on_step=lambda step: say(f"  {step.name:28s} accuracy {_percent(step.accuracy)}"),
        )
        data, target = made.data, folder / net
        model, inputs, calibration = (
            folder / f"{net}{end}" for end in (".pt2", "_input.npy", "_calibration.npy")
        )
        export(made.model, torch.from_numpy(data.train_x[:1]), model)
        write_npy(inputs, data.test_x[:images])
        write_npy(calibration, data.train_x)
        # From the file, as a user's own model would come.
        compile_pt2(
            model, data.train_x, PARAMS, placement="balance", name=net, progress=steps
        ).save(target)
        image = Image.load(target)
        fixed = run(image, data.test_x, "golden")
        result = verify(image, data.test_x[:images], progress=steps)
    metrics = measure(image, data.test_x[:images], result)
    count = metrics.inputs
    accuracy = {
        "float": made.report.steps[0].accuracy,
        "compressed": made.report.steps[-1].accuracy,
        "fixed_point": _accuracy(fixed.outputs, data.test_y),
        "rtl": _accuracy(result.rtl.outputs, data.test_y[:count]),
        "fixed_point_of_rtl_inputs": _accuracy(fixed.outputs[:count], data.test_y[:count]),
    }
    failed = not result.ok or bool(metrics.problems)
    if as_json:
        print_json(_document(net, image, target, accuracy, result, metrics, made.report))
        return int(failed)
    print_line()
    print_metrics(metrics)
    print_line(
        f"Accuracy on {len(data.test_y)} test images: float {_percent(accuracy['float'])}, "
        f"compressed {_percent(accuracy['compressed'])}, "
        f"fixed-point {_percent(accuracy['fixed_point'])}"
    )
    print_line(
        f"Accuracy on the first {count}: RTL {_percent(accuracy['rtl'])}, "
        f"fixed-point {_percent(accuracy['fixed_point_of_rtl_inputs'])}"
    )
    print_line("\nEach step again, by hand:")
    for line in (
        f"zeroskip compile {model} --calibration {calibration} --placement balance -o {target}",
        f"zeroskip info {target}",
        f"zeroskip run {target} --input {inputs} --on golden",
        f"zeroskip verify {target} --input {inputs}",
    ):
        print_line(f"  {line}")
    print_line()
    for line in verdict(result, metrics):
        print_line(line)
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
        "num_pes": image.params.num_pes,
        "accuracy": accuracy,
        "compress": report.to_dict(),
        "words": result.words,
        "differ": result.differ,
        "differences": [str(one) for one in result.differences],
        "metrics": metrics.to_dict(),
    }


def _accuracy(outputs: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float(np.mean(outputs.argmax(axis=1) == labels))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def main() -> None:
    """Run the demonstration and exit."""
    exit_with(app, "make sim")


if __name__ == "__main__":
    main()
