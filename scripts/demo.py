"""The main job: a real network from PyTorch to bit-exact RTL, on an embedded default."""

from dataclasses import asdict, dataclass
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
from zeroskip import EieParams, compile_file, load, run, verify
from zeroskip.base.errors import InputError
from zeroskip.cli.guard import exit_with
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.metrics import measure
from zeroskip.sim.report import is_exact, verify_document, verify_report
from zeroskip.sim.system.report import run_lines, verified_document, verified_lines
from zeroskip.sim.system.verify import verify_system

__all__ = ["NETS", "main", "run_demo"]

_STARTED = 2
"""Images that a chip takes from memory, the second queued behind the first."""


@dataclass(frozen=True)
class _Net:
    """A network: the task of ``zeroskip compress`` that has it, its arrays, what is said of it.

    Of sequences, each of whose steps is a run on RTL, ``most`` are run.
    """

    task: str
    arrays: tuple[Any, ...]
    about: tuple[str, ...]
    most: int | None = None


NETS = {
    "digits": _Net(
        "digits",
        (EieParams(num_pes=8),),
        ("Digits: 1,437 scans of 8 x 8 to train with, 360 to test; MLP 64-300-100-10",),
    ),
    "cnn": _Net(
        "digits_cnn",
        (EieParams(num_pes=8), PRESETS["tile"]),
        (
            "Digits: 1,437 scans of 8 x 8 to train with, 360 to test; CNN of LeNet-5's shape,",
            "20 and 50 kernels of 3 x 3, each with ReLU and 2 x 2 pooling, then 200-500-10",
        ),
    ),
    "lstm": _Net(
        "digits_rows",
        (EieParams(num_pes=8, cells=True),),
        ("Digits as sequences of 8 rows of 8; LSTM of 64, Linear of 10",),
        most=4,
    ),
}

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
    images = min(images, NETS[net].most or images)

    def say(text: str) -> None:
        if not as_json:
            steps.print(text)

    with Steps() as steps:
        for line in NETS[net].about:
            say(line)
        made, data = train_digits(NETS[net].task, steps, seed, say)
        target, files = folder / net, DemoFiles.of(folder, net)
        files.write(made, data, images)
        test_x, test_y = data.test_x.numpy(), data.test_y.numpy()
        # From the files, as a user's own model would come.
        compile_file(
            files.model,
            data.train_x.numpy(),
            NETS[net].arrays,
            options={"placement": "balance"},
            name=net,
            progress=steps,
        ).save(target)
        image = load(target)
        fixed = run(image, test_x)
        result = verify(image, test_x[:images], progress=steps)
        started = verify_system(image, test_x[:_STARTED], SystemParams(), progress=steps)
    metrics = measure(result)
    accuracy = accuracies(made, fixed.outputs, result.rtl.outputs, test_y)
    if as_json:
        print_json({
            "net": net,
            "image": str(target),
            "accuracy": accuracy,
            "compress": asdict(made.result),
            **verify_document(result, metrics),
            "from_one_start": verified_document(started),
        })
    else:
        print_line()
        print_accuracies(accuracy, len(test_y), len(result.rtl.outputs))
        print_by_hand(files, target)
        print_report(verify_report(result, metrics))
        print_report([*run_lines(started.run), *verified_lines(started)])
    return int(not (is_exact(result, metrics) and started.ok))


def main() -> None:
    """Run the demonstration and exit."""
    exit_with(app, "make sim")


if __name__ == "__main__":
    main()
