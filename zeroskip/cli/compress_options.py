"""Options that the commands of ``zeroskip compress`` have in common."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from zeroskip.cli.options import set_parameters

__all__ = [
    "DataOption", "HooksOption", "ResumeOption", "RunOption", "RunOptions", "TaskOption",
    "with_run",
]  # fmt: skip

TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="NAME", help="A network that comes along: digits, lenet300, lenet5."
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder with the four idx files of MNIST."),
]
HooksOption = Annotated[
    Path | None,
    typer.Option(
        "--hooks",
        metavar="HOOKS.py",
        help="Your network and data: a Python file, which is run, with model(), train_loader() "
        "and test_loader().",
    ),
]
RunOption = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="DIR", help="Folder of the run: checkpoints, result."),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in the folder, where it was stopped.")
]


@dataclass(frozen=True)
class RunOptions:
    """What every command that trains is given; :func:`with_run` makes options of the fields."""

    output: RunOption
    task: TaskOption = None
    data: DataOption = None
    hooks: HooksOption = None
    config: Annotated[
        Path | None,
        typer.Option(metavar="C.toml", help="Settings; the run's folder gets a file with all."),
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, like prune.density=0.05."),
    ] = None
    device: Annotated[str, typer.Option(metavar="D", help="cpu, cuda, cuda:1 ...")] = "cpu"
    threads: Annotated[
        int, typer.Option(min=0, metavar="N", help="Threads of torch; 0: as many as it wants.")
    ] = 0


def with_run(command: Callable[..., Any]) -> Callable[..., Any]:
    """Replace the parameter ``options`` of a command by one option per field of RunOptions."""
    names = [field.name for field in fields(RunOptions)]
    own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [
        *inspect.signature(RunOptions, eval_str=True).parameters.values(),
        *(one for one in own if one.name != "options"),
    ]

    @functools.wraps(command)
    def with_options(**values: Any) -> Any:
        options = RunOptions(**{name: values.pop(name) for name in names})
        return command(options=options, **values)

    set_parameters(with_options, parameters)
    return with_options
