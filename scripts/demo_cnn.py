"""The main job with convolutions: from pixels to classes on both engines of one chip."""

from dataclasses import asdict
from pathlib import Path

from scripts.demo_parts import (
    DemoFiles,
    accuracies,
    print_accuracies,
    print_by_hand,
    train_digits,
)
from zeroskip import EieParams, compile_pt2
from zeroskip.cli.output import Steps, print_json, print_line
from zeroskip.cli.verify import print_verification
from zeroskip.compiler.image.image import load
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.metrics import measure
from zeroskip.sim.report import is_exact, verify_document
from zeroskip.sim.run import run
from zeroskip.sim.verify import verify

__all__ = ["run_cnn_demo"]


def run_cnn_demo(params: EieParams, images: int, folder: Path, seed: int, *, as_json: bool) -> int:
    """Train, compress, compile and run the digits' CNN; compare golden and RTL in every word.

    Parameters
    ----------
    params : of the EIE array; SCNN's is the default of :func:`.compile`.
    images : test images to run on RTL.
    folder : where files go; it exists.
    seed : of the training.
    as_json : print one document instead of tables.

    Returns
    -------
    0, or 1 if a word or a counter differs.
    """

    def say(text: str) -> None:
        if not as_json:
            steps.print(text)

    with Steps() as steps:
        say("Digits: 1,437 scans of 8 x 8 to train with, 360 to test; CNN of LeNet-5's shape,")
        say("20 and 50 kernels of 3 x 3, each with ReLU and 2 x 2 pooling, then 200-500-10")
        made, data = train_digits("digits_cnn", steps, seed, say)
        target, files = folder / "cnn", DemoFiles.of(folder, "cnn")
        files.write(made, data, images)
        test_x, test_y = data.test_x.numpy(), data.test_y.numpy()
        # From the files, as a user's own model would come.
        compile_pt2(
            files.model,
            data.train_x.numpy(),
            [params, PRESETS["tile"]],
            options={"placement": "balance"},
            name="cnn",
            progress=steps,
        ).save(target)
        image = load(target)
        fixed = run(image, test_x)
        result = verify(image, test_x[:images], progress=steps)
    metrics = measure(result)
    accuracy = accuracies(made, fixed.outputs, result.rtl.outputs, test_y)
    failed = not is_exact(result, metrics)
    if as_json:
        print_json({
            "net": "cnn",
            "image": str(target),
            "accuracy": accuracy,
            "compress": asdict(made.result),
            **verify_document(result, metrics),
        })
        return int(failed)
    print_line()
    print_accuracies(accuracy, len(test_y), metrics.inputs)
    print_by_hand(files, target)
    print_verification(result, metrics)
    return int(failed)
