"""Networks to demonstrate: how each is trained, its files, and what is said of its accuracy."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import ParameterError
from zeroskip.cli.arrays import Arrays, choose_arrays
from zeroskip.cli.files import write_npy
from zeroskip.cli.output import Steps

if TYPE_CHECKING:
    from zeroskip.compiler.compress.api import Compressed
    from zeroskip.compiler.compress.images import Samples
    from zeroskip.compiler.compress.task import Task

__all__ = [
    "NETWORKS", "DemoFiles", "DemoNetwork", "accuracies", "accuracy_lines", "load_task",
    "network_of", "percent", "train",
]  # fmt: skip


@dataclass(frozen=True)
class DemoNetwork:
    """A network: the task of ``zeroskip compress`` that has it, its arrays, what is said of it.

    Parameters
    ----------
    task : its name.
    presets, settings : those of ``zeroskip compile``.
    about : lines.
    most : inputs that are run on RTL at most; each step of a sequence is a run.
    """

    task: str
    presets: tuple[str, ...]
    settings: tuple[str, ...]
    about: tuple[str, ...]
    most: int | None = None

    @property
    def arrays(self) -> Arrays:
        """The arrays, as ``zeroskip compile`` chooses them."""
        return choose_arrays(self.presets, self.settings)

    @property
    def options(self) -> str:
        """Options of ``zeroskip compile`` that choose the arrays."""
        presets = [f"--preset {name}" for name in self.presets]
        return " ".join([*presets, *(f"--set {text}" for text in self.settings)])


NETWORKS = {
    "digits": DemoNetwork(
        "digits",
        ("small",),
        ("placement=balance",),
        ("Digits: 1,437 scans of 8 x 8 to train with, 360 to test; MLP 64-300-100-10",),
    ),
    "cnn": DemoNetwork(
        "digits_cnn",
        ("small", "tile"),
        ("placement=balance",),
        (
            "Digits: 1,437 scans of 8 x 8 to train with, 360 to test; CNN of LeNet-5's shape,",
            "20 and 50 kernels of 3 x 3, each with ReLU and 2 x 2 pooling, then 200-500-10",
        ),
    ),
    "lstm": DemoNetwork(
        "digits_rows",
        ("small",),
        ("placement=balance", "cells=yes"),
        ("Digits as sequences of 8 rows of 8; LSTM of 64, Linear of 10",),
        most=4,
    ),
}


def network_of(name: str) -> DemoNetwork:
    """Return a network by its name, one of :data:`NETWORKS`.

    Raises
    ------
    ParameterError
        If there is none.
    """
    if name not in NETWORKS:
        raise ParameterError.of_names("NAME", name, list(NETWORKS))
    return NETWORKS[name]


@dataclass(frozen=True)
class DemoFiles:
    """Where a demonstration leaves a network, as a user's own would come.

    Parameters
    ----------
    model : a ``.pt2`` file.
    inputs, calibration, labels : ``.npy`` files; labels are the classes of the inputs.
    """

    model: Path
    inputs: Path
    calibration: Path
    labels: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> "DemoFiles":
        """Name the files of a network."""
        ends = ".pt2", "_input.npy", "_calibration.npy", "_labels.npy"
        return cls(*(folder / f"{name}{end}" for end in ends))

    def exist(self) -> bool:
        """Return whether all are there."""
        return all(
            path.is_file() for path in (self.model, self.inputs, self.calibration, self.labels)
        )

    def write(self, made: "Compressed", data: "Samples", images: int) -> None:
        """Write the network, the first ``images`` to test with, and all to train with."""
        made.save(self.model)
        write_npy(self.inputs, data.test_x[:images].numpy())
        write_npy(self.calibration, data.train_x.numpy())
        write_npy(self.labels, data.test_y[:images].numpy())

    def by_hand(self, network: DemoNetwork, image: Path) -> list[str]:
        """Return the commands that do from the files on what the demonstration does."""
        model, inputs, calibration, labels, target, page = (
            shlex.quote(str(path))
            for path in (
                self.model, self.inputs, self.calibration, self.labels, image,
                image.with_suffix(".html"),
            )
        )  # fmt: skip
        of_labels = f"--labels {labels} --model {model}"
        return [
            f"zeroskip compile {model} --data {calibration} {network.options} -o {target}",
            f"zeroskip info {target}",
            f"zeroskip run {target} --input {inputs} --on golden",
            f"zeroskip verify {target} --input {inputs}",
            f"zeroskip report {target} --input {inputs} {of_labels} -o {page}",
        ]


def load_task(name: str, steps: Steps) -> "tuple[Task, Samples]":
    """Return a task and its samples; torch, which takes seconds to import, may use one thread.

    Layers this small gain nothing from a second thread, and lose much where cores are busy; and
    with one, every machine prints the same.
    """
    steps("import torch", 0, 1)
    import torch

    from zeroskip.compiler.compress.tasks import samples_of, task_of

    torch.set_num_threads(1)
    steps("import torch", 1, 1)
    return task_of(name), samples_of(name)


def train(
    task: "Task", steps: Steps, seed: int = 0, say: Callable[[str], None] = lambda text: None
) -> "Compressed":
    """Train the network of a task and compress it, as ``zeroskip compress auto --task`` does.

    Parameters
    ----------
    task : one with a preset of its name.
    steps : to show how far it is.
    seed : of initial weights, and of the order of samples.
    say : called with a line when a stage is done.
    """
    from zeroskip.compiler.compress.api import compress_task
    from zeroskip.compiler.compress.config_file import override, preset

    return compress_task(
        task,
        override(preset(task.name), {"seed": seed}),
        progress=steps,
        on_stage=lambda stage, score, _: say(f"  {stage:10s} accuracy {percent(score.accuracy)}"),
    )


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


def accuracy_lines(accuracy: Mapping[str, float | None], images: int, count: int) -> list[str]:
    """Say the accuracy on all test ``images``, and on the first ``count``, which RTL was given.

    ``accuracy`` has that of the network in ``float`` and ``compressed``, too.
    """
    total = (
        f"Accuracy on {images} test images: float {percent(accuracy['float'])}, "
        f"compressed {percent(accuracy['compressed'])}, "
        f"fixed-point {percent(accuracy['fixed_point'])}"
    )
    first = (
        f"Accuracy on the first {count}: RTL {percent(accuracy['rtl'])}, "
        f"fixed-point {percent(accuracy['fixed_point_of_rtl_inputs'])}"
    )
    return [total, first]


def percent(share: float | None) -> str:
    """Write an accuracy with two places."""
    return "-" if share is None else f"{100 * share:.2f} %"
