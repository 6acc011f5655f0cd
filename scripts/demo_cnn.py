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
from zeroskip.cli.cnn_run import cnn_verify_document, print_cnn_verification
from zeroskip.cli.output import Steps, print_json, print_line
from zeroskip.compiler import EieParams, compile_pt2
from zeroskip.compiler.api import DEFAULT_SCNN_PRESET
from zeroskip.compiler.scnn.image import CnnImage, load_image
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.scnn.metrics import measure_cnn
from zeroskip.sim.scnn.run import run_cnn
from zeroskip.sim.scnn.verify import verify_cnn

__all__ = ["run_cnn_demo"]


def run_cnn_demo(params: EieParams, images: int, folder: Path, seed: int, *, as_json: bool) -> int:
    """Train, compress, compile and run the digits' CNN; compare golden and RTL in every word.

    Parameters
    ----------
    params : of the EIE array; SCNN's is the default of :func:`compiler.compile`.
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
            params,
            scnn=PRESETS[DEFAULT_SCNN_PRESET],
            placement="balance",
            name="cnn",
            progress=steps,
        ).save(target)
        image = load_image(target)
        assert isinstance(image, CnnImage)
        fixed = run_cnn(image, test_x)
        result = verify_cnn(image, test_x[:images], progress=steps)
    metrics = measure_cnn(image, test_x[:images], result)
    accuracy = accuracies(made, fixed.outputs, result.rtl.outputs, test_y)
    failed = not result.ok or bool(metrics.problems)
    if as_json:
        document = cnn_verify_document(target, image, result, metrics)
        print_json({
            "net": "cnn", "accuracy": accuracy, "compress": asdict(made.result), **document,
        })  # fmt: skip
        return int(failed)
    print_line()
    print_accuracies(accuracy, len(test_y), metrics.inputs)
    print_by_hand(files, target)
    print_cnn_verification(image, result, metrics)
    return int(failed)
