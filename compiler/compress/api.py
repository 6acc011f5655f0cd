"""Compress a network in one call: a preset of the stages, from arrays to a small network."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zeroskip.base.progress import Progress, silent
from zeroskip.base.tables import to_html
from zeroskip.compiler.compress.arrays import array_task
from zeroskip.compiler.compress.auto import Result, auto
from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.config_file import common_settings, override, preset
from zeroskip.compiler.compress.module import Model, export
from zeroskip.compiler.compress.pack import pack, state_of_zsk
from zeroskip.compiler.compress.run_folder import RunFolder
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.tables import result_report
from zeroskip.compiler.compress.task import Task

__all__ = ["Compressed", "compress", "compress_task", "compressed_of"]


@dataclass(frozen=True, eq=False)
class Compressed:
    """A network that was compressed.

    Parameters
    ----------
    module : the network, in float32 and eval mode, on the CPU; ``zeroskip.compile`` takes it.
    result : what each stage and each layer came to.
    task : what it was compressed on.
    """

    module: nn.Module
    result: Result
    task: Task

    def save(self, path: Path | str) -> None:
        """Write the network to a ``.pt2`` file, or Huffman coded to a ``.zsk`` file.

        Raises
        ------
        InputError
            If the name ends otherwise, or the file cannot be written.
        """
        example = self.task.example()
        if Path(path).suffix == ".zsk":
            pack(self.module, path, example, self.result.meta(self.task.name))
        else:
            export(self.module, example, path)

    def _repr_html_(self) -> str:
        return to_html([repr(self), *result_report(self.result)])

    def __repr__(self) -> str:
        attempt, sizes = self.result.attempt, self.result.sizes
        kept = sum(layer.kept for layer in sizes.layers)
        weights = sum(layer.weights for layer in sizes.layers)
        return (
            f"Compressed: {len(sizes.layers)} layers, {kept:,} of {weights:,} weights kept\n"
            f"  error {attempt.base_error:.4g} -> {attempt.error:.4g}\n"
            f"  {4 * sizes.parameters:,} -> {sizes.file_bytes:,} bytes as .zsk, "
            f"{sizes.ratio:.1f}x smaller"
        )


def compress(
    model: Model,
    data: Any,
    labels: Any = None,
    *,
    test: Any = None,
    density: float | Sequence[float] | None = None,
    codes: int | Sequence[int] | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    folder: Path | str | None = None,
    progress: Progress | None = None,
) -> Compressed:
    """Prune a network, share its weights and fine-tune after each (Han et al., ICLR 2016).

    ``model`` is left as it was. The result is the same for the same arguments, version of torch and
    number of threads, and the same that ``zeroskip compress`` and its stages give.

    >>> import zeroskip as zs
    >>> small = zs.compress(model, x, y, density=0.1)
    >>> image = zs.compile(small.module, x[:1], x)

    Parameters
    ----------
    model : a trained module, an exported program, the path of a ``.pt2`` or ``.zsk`` file, or
        ``"net.py:make"``, a function of a Python file, which is run.
    data : (samples, *input_shape) floats to train with, an array or a tensor; or a ``DataLoader``
        of inputs and targets.
    labels : (samples,) whole numbers, the classes; without them the result learns to compute what
        ``model`` computes.
    test : to measure with: samples and their labels (or None), a pair; or a ``DataLoader``. Unless
        given, ``data``.
    density : share of weights to keep, 0 to 1, one for all layers or one for each in order; 0.1.
    codes : shared values besides 0, 1 to 255, alike; 15, which fit codes of 4 bits.
    epochs : passes over the data while pruning, 20; half as many after sharing.
    learning_rate : the highest while pruning, 0.002; half of it after sharing.
    seed : of the order of samples, and of noise.
    settings : others by name, as ``{"prune.granularity": "vector"}``; all are in docs/compress.md.
    folder : for checkpoints and ``model.zsk``; a run that was stopped there goes on. Unless given,
        a temporary one.
    progress : see :data:`.Progress`; steps are those of training.

    Returns
    -------
    The network, and what each stage did: ``result.scores``, ``result.sizes``.

    Raises
    ------
    InputError
        If an argument is unusable, or a target of ``settings`` was not reached.
    CompileError
        If the network of a file is not of the supported kind.
    TrainingError
        If a loss becomes no number.
    """
    common = common_settings(
        density=density, codes=codes, epochs=epochs, learning_rate=learning_rate, seed=seed
    )
    config = override(preset("short"), {**common, **(settings or {})})
    return compress_task(array_task(model, data, labels, test), config, folder, progress)


def compress_task(
    task: Task,
    config: Config,
    folder: Path | str | None = None,
    progress: Progress | None = None,
    **callbacks: Any,
) -> Compressed:
    """Compress the network of a task, as :func:`compress` does.

    Parameters
    ----------
    task, config : what, and how.
    folder, progress : as there.
    callbacks : ``on_stage`` and ``on_note`` of :class:`.Stages`.
    """
    show = progress or silent
    with tempfile.TemporaryDirectory() as temporary, torch.random.fork_rng(devices=[]):
        stages = Stages(
            task,
            config,
            RunFolder(folder or temporary),
            progress=lambda step: show(step.stage, step.done, step.total),
            **callbacks,
        )
        stages.begin({"task": task.name}, resume=True)
        return compressed_of(stages, auto(stages))


def compressed_of(stages: Stages, result: Result) -> Compressed:
    """Return the network in the ``model.zsk`` of a run's folder."""
    path = stages.folder.path / "model.zsk"
    module = stages.network.holding(state_of_zsk(path), str(path)).cpu().eval()
    return Compressed(module, result, stages.task)
