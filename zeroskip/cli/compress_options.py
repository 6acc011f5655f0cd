"""Options of the commands of ``zeroskip compress``: one list, of which each takes its share."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.options import number, set_parameters, whole_number

__all__ = ["ResumeOption", "RunOptions", "SourceOptions", "with_fields"]

_COMMON = "Settings that are changed most"

ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in the folder, where it was stopped.")
]


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """The network and its data: a task, arrays, or a hook file."""

    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="One that comes along: digits, digits_cnn, digits_rows, lenet300, lenet5, topics, "
            "vowels.",
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A .pt2 file (of torch.export), an .onnx, .keras, .caffemodel or .zsk, or "
            "net.py:make, a function of a Python file, which is run, that gives the module.",
        ),
    ] = None
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="X",
            help="With --model: samples, a .npy file of (samples, *input shape). With --task: the "
            "folder with the four idx files of MNIST, or with the two .ts files of vowels.",
        ),
    ] = None
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="Y.npy",
            help="With --model: classes, whole numbers (samples,); without them the result learns "
            "to compute what the model computes.",
        ),
    ] = None
    hooks: Annotated[
        Path | None,
        typer.Option(
            metavar="HOOKS.py",
            help="Your network and data: a Python file, which is run, with model(), "
            "train_loader() and test_loader().",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class RunOptions(SourceOptions):
    """What every command that trains is given."""

    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder of the run: checkpoints, result."
        ),
    ]
    density: Annotated[
        str | None,
        typer.Option(
            metavar="D",
            help="Share of weights to keep, or one for each layer: 0.1,0.2. By default 0.1, or "
            "what the task has.",
            rich_help_panel=_COMMON,
        ),
    ] = None
    codes: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Shared values besides 0, or for each layer; 15, the default, fit 4 bits.",
            rich_help_panel=_COMMON,
        ),
    ] = None
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number,
            help="Passes over the data while pruning; half as many after sharing.",
            rich_help_panel=_COMMON,
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            parser=number,
            help="The highest while pruning; half of it after sharing.",
            rich_help_panel=_COMMON,
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number,
            help="Of everything that is drawn.",
            rich_help_panel=_COMMON,
        ),
    ] = None
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

    def given(self) -> dict[str, Any]:
        """Return the settings that options name.

        Raises
        ------
        InputError
            If a value is of the wrong kind.
        """
        from zeroskip.compiler.compress.config_file import common_settings, parse_settings

        common = common_settings(
            density=_numbers("density", self.density, float),
            codes=_numbers("codes", self.codes, int),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            seed=self.seed,
        )
        return {**common, **parse_settings(self.settings or [])}


def with_fields(group: type[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace the parameter ``options`` of a command by one option per field of ``group``."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        names = [field.name for field in fields(group)]
        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [
            *(parameter for parameter in own if parameter.name != "options"),
            *inspect.signature(group, eval_str=True).parameters.values(),
        ]

        @functools.wraps(command)
        def with_options(**values: Any) -> Any:
            options = group(**{name: values.pop(name) for name in names})
            return command(options=options, **values)

        set_parameters(with_options, parameters)
        return with_options

    return decorate


def _numbers(name: str, text: str | None, kind: Callable[[str], Any]) -> Any:
    """Read one number, or several with commas between them."""
    try:
        values = None if text is None else [kind(value) for value in text.split(",")]
    except ValueError as error:
        raise InputError(
            f"--{name} must be a number or numbers with commas between them, not {text!r}"
        ) from error
    return values[0] if values is not None and len(values) == 1 else values
