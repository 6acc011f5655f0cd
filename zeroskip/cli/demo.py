"""``zeroskip demo``: a real network from PyTorch to bit-exact RTL."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from zeroskip.cli.compile import compile_for
from zeroskip.cli.demo_network import (
    NETWORKS,
    DemoFiles,
    accuracies,
    accuracy_lines,
    load_task,
    network_of,
    train,
)
from zeroskip.cli.options import JsonOption, whole_number
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.compiler.image.files import check_target
from zeroskip.compiler.image.image import load
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.metrics import measure
from zeroskip.sim.report import is_exact, verify_document, verify_report
from zeroskip.sim.rtl.tools import tool_environment
from zeroskip.sim.run import run
from zeroskip.sim.system.report import run_lines, verified_document, verified_lines
from zeroskip.sim.system.verify import verify_system
from zeroskip.sim.verify import verify

__all__ = ["EXAMPLES", "run_demo"]

EXAMPLES = """Examples:

zeroskip demo digits

zeroskip demo cnn -o out/try

zeroskip demo lstm --first 1 --json
"""

_STARTED = 2
"""Images that a chip takes from memory, the second queued behind the first."""


def run_demo(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"The network: one of {', '.join(NETWORKS)}.")
    ],
    folder: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder of the network, its data and the image."
        ),
    ] = Path("out"),
    first: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Run the first N test images on RTL; of lstm at most 4."
        ),
    ] = 64,
    seed: Annotated[
        int, typer.Option(metavar="N", parser=whole_number, help="Of the training.")
    ] = 0,
    as_json: JsonOption = False,
) -> int:
    """Train, compress, compile and run a network; compare golden and RTL in every word.

    The images are scikit-learn's handwritten digits. Each array is verified by itself; then a chip
    with all of them takes two images from a memory, with one START each. The network and its data
    stay in files, and what is printed says which commands do each step by hand.

    Exits with 1 if a word or a counter differs, or the hardware does not come to an end.
    """
    network, target, files = network_of(name), folder / name, DemoFiles.of(folder, name)
    # What would end this after a minute of training ends it now.
    check_target(target.resolve(), replace=True)
    tool_environment()
    first = min(first, network.most or first)

    def say(text: str) -> None:
        if not as_json:
            steps.print(text)

    with Steps() as steps:
        task, data = load_task(network.task, steps)
        folder.mkdir(parents=True, exist_ok=True)
        for line in network.about:
            say(line)
        made = train(task, steps, seed, say)
        files.write(made, data, first)
        test_x, test_y = data.test_x.numpy(), data.test_y.numpy()
        # From the files, as a user's own model would come.
        compile_for(
            network.arrays, files.model, data.train_x.numpy(), name=name, progress=steps
        ).save(target)
        image = load(target)
        fixed = run(image, test_x)
        result = verify(image, test_x[:first], progress=steps)
        started = verify_system(image, test_x[:_STARTED], SystemParams(), progress=steps)
    metrics = measure(result)
    accuracy = accuracies(made, fixed.outputs, result.rtl.outputs, test_y)
    if as_json:
        print_json({
            "name": name,
            "image": str(target),
            "accuracy": accuracy,
            "compress": asdict(made.result),
            **verify_document(result, metrics),
            "from_one_start": verified_document(started),
        })
    else:
        print_line()
        print_report(accuracy_lines(accuracy, len(test_y), len(result.rtl.outputs)))
        print_line("\nEach step again, by hand:")
        print_report([f"  {line}" for line in files.by_hand(network, target)])
        print_line()
        print_report(verify_report(result, metrics))
        print_report([*run_lines(started.run), *verified_lines(started)])
    return int(not (is_exact(result, metrics) and started.ok))
