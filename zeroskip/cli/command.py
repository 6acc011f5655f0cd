"""A command: words errors as its options, and shows in its help which array is in force."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from typer.core import TyperCommand, TyperGroup

from zeroskip.base.errors import ParameterError
from zeroskip.cli.arrays import ENGINES, describe_arrays
from zeroskip.sim.machine import machine

__all__ = ["Command", "Group", "Stage"]


@contextmanager
def _wording(options: Sequence[Any]) -> Iterator[None]:
    """Call parameters in errors by the option that sets them."""
    try:
        yield
    except ParameterError as error:
        for option in options:
            if option.name == error.field:
                raise error.renamed(max(option.opts, key=len)) from error
        raise


class Group(TyperGroup):
    """A command that has others below it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; parameters in errors are called by the option that sets them."""
        with _wording(self.params):
            return super().invoke(ctx)


class Stage(TyperCommand):
    """A command whose help is as it stands."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; parameters in errors are called by the option that sets them."""
        with _wording(self.params):
            return super().invoke(ctx)


class Command(Stage):
    """A command of ``zeroskip``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the arguments for the help, which is asked for before they are read."""
        ctx.meta[__name__] = list(args)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help, and at its end what is in force, or what can be swept."""
        kept = self.help, self.epilog
        # The library keeps the ends of lines of all paragraphs but the first.
        self.help = "\n\n".join(" ".join(part.split()) for part in (self.help or "").split("\n\n"))
        self.epilog = "\n\n".join([*self._notes(ctx), self.epilog or ""])
        super().format_help(ctx, formatter)
        self.help, self.epilog = kept

    def _notes(self, ctx: Any) -> list[str]:
        options = {option.name: option for option in self.params}
        given = _values(ctx.meta.get(__name__, []))
        engines = list(ENGINES)
        if "engine" in options:
            names = given.get("--engine", [str(options["engine"].default)])
            engines = [name for name in names if name in ENGINES] or engines
        if "axes" in options:
            evaluations = {name: machine(name).evaluation for name in engines}
            return [
                f"Values of {name} to go through: {', '.join(found.axes)}"
                for name, found in evaluations.items()
                if found is not None
            ]
        return describe_arrays(given.get("--preset", []), engines) if "settings" in options else []


def _values(arguments: list[str]) -> dict[str, list[str]]:
    """Return the values of each option, whatever else is there."""
    found: dict[str, list[str]] = {}
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if equals:
            found.setdefault(name, []).append(value)
        elif argument.startswith("--") and index + 1 < len(arguments):
            found.setdefault(argument, []).append(arguments[index + 1])
    return found
