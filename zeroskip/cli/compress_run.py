"""What the commands of ``zeroskip compress`` share: opening a run, and its progress."""

import contextlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from zeroskip.base.errors import InputError
from zeroskip.cli.compress_options import RunOptions, SourceOptions
from zeroskip.cli.files import read_npy
from zeroskip.cli.output import Shown, others_to_stderr, print_json, print_report

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.compiler.compress.auto import Attempt, Result
    from zeroskip.compiler.compress.stages import Stages
    from zeroskip.compiler.compress.task import Score, Task
    from zeroskip.compiler.compress.train import Step

__all__ = ["Training", "open_run", "print_result", "task_given"]


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

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
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
            f"{name} {100 * density_of([layer]):.1f} %" for name, layer in layers.items()
        )
        self.print(f"{name:<10} {_score(score)}  density {100 * density:.2f} % ({each})")

    def attempt(self, attempt: "Attempt") -> None:
        """Print a line when a network is packed."""
        self.print(
            f"attempt    scale {attempt.scale:.3f}: {attempt.ratio:.1f}x, error "
            f"{attempt.error:.4g} ({attempt.increase:+.4g})"
        )

    def note(self, text: str) -> None:
        """Print what a user should know about a network."""
        self.print(f"note       {text}")

    def print(self, text: str) -> None:
        """Print a line on stderr without disturbing the bars."""
        if self._console.is_terminal:
            self._bars.console.print(text, highlight=False, markup=False)
        else:
            self._line(text)


def task_given(options: SourceOptions) -> "Task":
    """Return the network and data that options name.

    Raises
    ------
    InputError
        If they name none or several, or what they name cannot be used.
    """
    ways = [options.task, options.model, options.hooks]
    if sum(way is not None for way in ways) != 1:
        raise InputError("give one of --task NAME, --hooks HOOKS.py and --model MODEL --data X.npy")
    if options.model is None and options.labels is not None:
        raise InputError("--labels belongs to --model MODEL --data X.npy")
    if options.hooks is not None:
        from zeroskip.compiler.compress.hooks import load_hooks

        return load_hooks(options.hooks)
    if options.task is not None:
        from zeroskip.compiler.compress.tasks import task_of

        return task_of(options.task, options.data)
    if options.data is None:
        raise InputError("--model needs samples to train with: --data X.npy")
    x = read_npy(options.data, "data")
    y = None if options.labels is None else read_npy(options.labels, "labels")
    from zeroskip.compiler.compress.arrays import array_task

    return array_task(options.model or "", x, y)


def open_run(
    options: RunOptions, training: Training, *, resume: bool = True, part: bool = False
) -> "Stages":
    """Return the stages of a run on its folder.

    Parameters
    ----------
    options : given on the command line.
    training : to show progress with.
    resume : a run that is there is gone on with.
    part : the command does one stage, so that a run that is there is the usual case; its
        configuration changes if other settings are given.
    """
    given = options.given()
    training.print("import torch")
    import torch

    from zeroskip.compiler.compress.config import Config
    from zeroskip.compiler.compress.config_file import load_config, override, preset
    from zeroskip.compiler.compress.run_folder import RunFolder
    from zeroskip.compiler.compress.stages import Stages

    task = task_given(options)
    stored = options.output / "config.toml"
    if options.config is not None:
        config = load_config(options.config)
    elif (part or resume) and stored.exists():
        config = load_config(stored)
    else:
        name = "short" if options.model is not None else options.task
        config = Config() if name is None else preset(name)
    config = override(config, given)
    try:
        torch.zeros(1, device=options.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--device {options.device} cannot be used: {reason}") from error
    if options.threads:
        torch.set_num_threads(options.threads)
    sources = [field.name for field in fields(SourceOptions)]
    identity = {name: value and str(value) for name, value in vars(options).items()
                if name in sources}  # fmt: skip
    stages = Stages(
        task,
        config,
        RunFolder(options.output),
        device=options.device,
        progress=training,
        on_stage=training.stage,
        on_note=training.note,
    )
    stages.begin(identity, resume=resume or part, change=part)
    return stages


def _score(score: "Score") -> str:
    if score.accuracy is None:
        return f"test loss {score.loss:.4g}"
    return f"accuracy {100 * score.accuracy:.2f} %"


def print_result(result: "Result", file: Path, *, as_json: bool) -> None:
    """Print what all stages did, and the file that has it."""
    if as_json:
        print_json({"model": str(file), **asdict(result)})
        return
    from zeroskip.compiler.compress.tables import result_report

    print_report(result_report(result, file))
