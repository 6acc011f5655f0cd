"""What the demonstrations have in common: files, training, and what is said of accuracy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zeroskip.cli.files import write_npy
from zeroskip.cli.output import Steps, print_line

if TYPE_CHECKING:
    from zeroskip.compiler.compress.api import Compressed
    from zeroskip.compiler.compress.images import Samples

__all__ = [
    "DemoFiles",
    "accuracies",
    "percent",
    "print_accuracies",
    "print_by_hand",
    "train_digits",
]


@dataclass(frozen=True)
class DemoFiles:
    """Where a demonstration leaves a network, as a user's own would come.

    Parameters
    ----------
    model : a ``.pt2`` file.
    inputs, calibration : ``.npy`` files.
    """

    model: Path
    inputs: Path
    calibration: Path

    @classmethod
    def of(cls, folder: Path, net: str) -> "DemoFiles":
        """Name the files of a network."""
        return cls(*(folder / f"{net}{end}" for end in (".pt2", "_input.npy", "_calibration.npy")))

    def exist(self) -> bool:
        """Whether all are there."""
        return all(path.is_file() for path in (self.model, self.inputs, self.calibration))

    def write(self, made: "Compressed", data: "Samples", images: int) -> None:
        """Write the network, the first ``images`` to test with, and all to train with."""
        made.save(self.model)
        write_npy(self.inputs, data.test_x[:images].numpy())
        write_npy(self.calibration, data.train_x.numpy())


def _import_torch(steps: Steps) -> None:
    """Import torch, which takes seconds, and let it use one thread.

    Layers this small gain nothing from a second thread, and lose much where cores are busy; and
    with one, every machine prints the same.
    """
    steps("import torch", 0, 1)
    import torch

    torch.set_num_threads(1)
    steps("import torch", 1, 1)


def train_digits(
    task: str, steps: Steps, seed: int = 0, say: Callable[[str], None] = lambda text: None
) -> "tuple[Compressed, Samples]":
    """Train a network on the digits and compress it, as ``zeroskip compress auto --task`` does.

    Parameters
    ----------
    task : ``digits``, ``digits_cnn`` or ``digits_rows``.
    steps : to show how far it is.
    seed : of initial weights, and of the order of samples.
    say : called with a line when a stage is done.
    """
    _import_torch(steps)
    from zeroskip.compiler.compress.api import compress_task
    from zeroskip.compiler.compress.config_file import override, preset
    from zeroskip.compiler.compress.tasks import samples_of, task_of

    made = compress_task(
        task_of(task),
        override(preset(task), {"seed": seed}),
        progress=steps,
        on_stage=lambda stage, score, _: say(f"  {stage:10s} accuracy {percent(score.accuracy)}"),
    )
    return made, samples_of(task)


def accuracies(
    made: "Compressed",
    fixed: NDArray[np.float64],
    rtl: NDArray[np.float64],
    labels: NDArray[np.int64],
) -> dict[str, float | None]:
    """Return how often the largest output is the label, before compression and after.

    Parameters
    ----------
    made : the network.
    fixed : outputs of the golden model for all test images.
    rtl : outputs of the hardware for the first of them.
    labels : of all of them.
    """

    def share(outputs: NDArray[np.float64]) -> float:
        classes = outputs.reshape(len(outputs), -1).argmax(axis=1)
        return float(np.mean(classes == labels[: len(outputs)]))

    scores = list(made.result.scores.values())
    return {
        "float": scores[0].accuracy,
        "compressed": scores[-1].accuracy,
        "fixed_point": share(fixed),
        "rtl": share(rtl),
        "fixed_point_of_rtl_inputs": share(fixed[: len(rtl)]),
    }


def print_accuracies(accuracy: Mapping[str, float | None], images: int, count: int) -> None:
    """Print the accuracy on all test ``images``, and on the first ``count``, which RTL was given.

    ``accuracy`` has that of the network in ``float`` and ``compressed``, too.
    """
    print_line(
        f"Accuracy on {images} test images: float {percent(accuracy['float'])}, "
        f"compressed {percent(accuracy['compressed'])}, "
        f"fixed-point {percent(accuracy['fixed_point'])}"
    )
    print_line(
        f"Accuracy on the first {count}: RTL {percent(accuracy['rtl'])}, "
        f"fixed-point {percent(accuracy['fixed_point_of_rtl_inputs'])}"
    )


def print_by_hand(files: DemoFiles, image: Path) -> None:
    """Print the commands that do from the files on what the demonstration did."""
    model, inputs, calibration = files.model, files.inputs, files.calibration
    print_line("\nEach step again, by hand:")
    for line in (
        f"zeroskip compile {model} --data {calibration} --set placement=balance -o {image}",
        f"zeroskip info {image}",
        f"zeroskip run {image} --input {inputs} --on golden",
        f"zeroskip verify {image} --input {inputs}",
    ):
        print_line(f"  {line}")
    print_line()


def percent(share: float | None) -> str:
    """Write an accuracy with two places."""
    return "-" if share is None else f"{100 * share:.2f} %"
