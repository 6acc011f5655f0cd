"""What the commands of ``zeroskip compress`` share: opening a run, and its progress."""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from zeroskip.base.errors import InputError
from zeroskip.cli.compress_options import RunOptions
from zeroskip.cli.output import Shown, others_to_stderr

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.compiler.compress.stages import Stages
    from zeroskip.compiler.compress.task import Score, Task
    from zeroskip.compiler.compress.train import Step

__all__ = ["Training", "open_run", "task_given"]


class Training(Shown):
    """Show training on stderr: a bar with loss, accuracy, density; without terminal, lines.

    Meanwhile, what a user's code prints goes to stderr, too.
    """

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
        )
        self._epoch: tuple[str, int] = ("", 0)
        self._quiet = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._quiet.enter_context(others_to_stderr())
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._quiet.close()

    def __call__(self, step: "Step") -> None:
        """Show a step of training."""
        accuracy = "" if step.score is None else f"  {_score(step.score)}"
        numbers = f"loss {step.loss:.4f}{accuracy}  density {100 * step.density:.2f} %"
        if self._console.is_terminal:
            if step.stage not in self._tasks:
                self._tasks[step.stage] = self._bars.add_task(
                    step.stage, total=step.total, numbers=""
                )
            self._bars.update(self._tasks[step.stage], completed=step.done, numbers=numbers)
        elif (step.stage, step.epoch) != self._epoch and step.done == step.total * (
            step.epoch / step.epochs
        ):
            self._epoch = step.stage, step.epoch
            self._line(f"{step.stage} {step.epoch}/{step.epochs}  {numbers}")

    def stage(self, name: str, score: "Score", module: "nn.Module") -> None:
        """Print a line when a stage is done."""
        from zeroskip.compiler.compress.layers import density_of, layers_of

        layers = layers_of(module)
        density = density_of(layers.values())
        each = ", ".join(
            f"{one} {100 * density_of([layer]):.1f} %" for one, layer in layers.items()
        )
        self.print(f"{name:<10} {_score(score)}  density {100 * density:.2f} % ({each})")

    def note(self, text: str) -> None:
        """Print what a user should know about a network."""
        self.print(f"note       {text}")

    def print(self, text: str) -> None:
        """Print a line on stderr without disturbing the bars."""
        if self._console.is_terminal:
            self._bars.console.print(text, highlight=False, markup=False)
        else:
            self._line(text)


def task_given(task: str | None, data: Path | None, hooks: Path | None) -> "Task":
    """Return the network and data that ``--task`` or ``--hooks`` names.

    Raises
    ------
    InputError
        If not one of the two is given, or it cannot be used.
    """
    if (task is None) == (hooks is None):
        raise InputError("give one of --task NAME and --hooks HOOKS.py")
    from zeroskip.compiler.compress.hooks import load_hooks
    from zeroskip.compiler.compress.tasks import task_of

    return load_hooks(hooks) if hooks is not None else task_of(task or "", data)


def open_run(options: RunOptions, training: Training, *, resume: bool, part: bool) -> "Stages":
    """Return the stages of a run on its folder.

    Parameters
    ----------
    options : given on the command line.
    training : to show progress with.
    resume : a run that is there is gone on with.
    part : the command does one stage, so that a run that is there is the usual case; its
        configuration changes if other settings are given.
    """
    import torch

    from zeroskip.compiler.compress.config import Config
    from zeroskip.compiler.compress.config_file import load_config, override
    from zeroskip.compiler.compress.run_folder import RunFolder
    from zeroskip.compiler.compress.stages import Stages
    from zeroskip.compiler.compress.tasks import task_config

    task = task_given(options.task, options.data, options.hooks)
    config = Config() if options.task is None else task_config(options.task)
    stored = options.output / "config.toml"
    if options.config is not None:
        config = load_config(options.config)
    elif (part or resume) and stored.exists():
        config = load_config(stored)
    config = override(config, options.settings or [])
    try:
        torch.zeros(1, device=options.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--device {options.device} cannot be used: {reason}") from error
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = RunFolder(options.output)
    identity = {"task": options.task, "hooks": str(options.hooks) if options.hooks else None}
    folder.check(config, identity, resume=resume or part, change=part)
    stages = Stages(
        task,
        config,
        folder,
        device=options.device,
        progress=training,
        on_stage=training.stage,
        on_note=training.note,
    )
    stages.try_batch()
    folder.begin(config, identity, resume=resume or part, change=part)
    return stages


def _score(score: "Score") -> str:
    if score.accuracy is None:
        return f"test loss {score.loss:.4g}"
    return f"accuracy {100 * score.accuracy:.2f} %"
