"""The main job with convolutions: from pixels to classes on both engines of one chip."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compiler import EieParams, compile_pt2
from compiler.api import DEFAULT_SCNN_PRESET
from compiler.scnn.image import CnnImage, load_image
from hw.scnn.params import PRESETS
from scripts.cli.cnn_run import cnn_verify_document, print_cnn_verification
from scripts.cli.files import write_npy
from scripts.cli.output import Steps, print_json, print_line
from sim.scnn.metrics import measure_cnn
from sim.scnn.run import run_cnn
from sim.scnn.verify import verify_cnn

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
        # torch takes seconds to import.
        steps("import torch", 0, 1)
        import torch

        from compiler.compress.digits_cnn import compress_digits_cnn
        from compiler.compress.module import export

        # As in the other network: one thread is fastest, and prints the same everywhere.
        torch.set_num_threads(1)
        steps("import torch", 1, 1)
        say("Digits: 1,437 scans of 8 x 8 to train with, 360 to test; CNN of LeNet-5's shape,")
        say("20 and 50 kernels of 3 x 3, each with ReLU and 2 x 2 pooling, then 200-500-10")
        model, data, report = compress_digits_cnn(
            seed=seed,
            progress=lambda name, done: steps("train and compress", round(100 * done), 100),
            on_step=lambda step: say(f"  {step.name:28s} accuracy {_percent(step.accuracy)}"),
        )
        target = folder / "cnn"
        network, inputs, calibration = (
            folder / f"cnn{end}" for end in (".pt2", "_input.npy", "_calibration.npy")
        )
        export(model, torch.from_numpy(data.train_x[:1]), network)
        write_npy(inputs, data.test_x[:images])
        write_npy(calibration, data.train_x)
        # From the files, as a user's own model would come.
        compile_pt2(
            network,
            data.train_x,
            params,
            scnn=PRESETS[DEFAULT_SCNN_PRESET],
            placement="balance",
            name="cnn",
            progress=steps,
        ).save(target)
        image = load_image(target)
        assert isinstance(image, CnnImage)
        fixed = _accuracy(run_cnn(image, data.test_x).outputs, data.test_y)
        result = verify_cnn(image, data.test_x[:images], progress=steps)
    metrics = measure_cnn(image, data.test_x[:images], result)
    count = metrics.inputs
    golden = _accuracy(result.golden.outputs, data.test_y[:count])
    accuracy = {
        "float": report.steps[0].accuracy,
        "compressed": report.steps[-1].accuracy,
        "fixed_point": fixed,
        "rtl": _accuracy(result.rtl.outputs, data.test_y[:count]),
        "fixed_point_of_rtl_inputs": golden,
    }
    failed = not result.ok or bool(metrics.problems)
    if as_json:
        document = cnn_verify_document(target, image, result, metrics)
        print_json({
            "net": "cnn", "accuracy": accuracy, "compress": report.to_dict(), **document,
        })  # fmt: skip
        return int(failed)
    print_line()
    print_line(
        f"Accuracy on {len(data.test_y)} test images: float {_percent(accuracy['float'])}, "
        f"compressed {_percent(accuracy['compressed'])}, fixed-point {_percent(fixed)}"
    )
    print_line(
        f"Accuracy on the first {count}: RTL {_percent(accuracy['rtl'])}, "
        f"fixed-point {_percent(golden)}"
    )
    print_line("\nEach step again, by hand:")
    for line in (
        f"zeroskip compile {network} --calibration {calibration} --placement balance -o {target}",
        f"zeroskip info {target}",
        f"zeroskip run {target} --input {inputs} --on golden",
        f"zeroskip verify {target} --input {inputs}",
    ):
        print_line(f"  {line}")
    print_line()
    print_cnn_verification(image, result, metrics)
    return int(failed)


def _accuracy(outputs: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float(np.mean(outputs.reshape(len(labels), -1).argmax(axis=1) == labels))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"
