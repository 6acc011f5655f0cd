"""``zeroskip compress``: the simple form by itself, and the commands of the whole flow."""

import inspect
from collections.abc import Callable
from typing import Any

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli import (
    compress,
    compress_analyze,
    compress_auto,
    compress_evaluate,
    compress_hardware,
    compress_import,
    compress_stage,
)
from zeroskip.cli.options import set_parameters

__all__ = ["app"]

app = typer.Typer(no_args_is_help=False)


def _simple(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``command`` as the group itself, whose options count where no command is named."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())
    required = [one.name for one in own if one.default is inspect.Parameter.empty]

    def group(ctx: typer.Context, **values: Any) -> None:
        if ctx.invoked_subcommand is not None:
            return
        for name in required:
            if values[name] is None:
                raise InputError(f"Missing option '--{name}'; see zeroskip --help")
        command(**values)

    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    optional = [one.replace(default=None) if one.name in required else one for one in own]
    set_parameters(group, [context, *optional])
    group.__doc__ = (
        f"{inspect.getdoc(command)}\n\nThe options are those of the simple form, in one step and "
        "without a run's folder; the commands below are the whole flow, to a file that is small."
    )
    return group


app.callback(invoke_without_command=True, epilog=compress.EXAMPLES)(
    _simple(compress.compress_model)
)
app.command("auto", epilog=compress_auto.EXAMPLES)(compress_auto.compress_auto)
app.command("analyze", epilog=compress_analyze.EXAMPLES)(compress_analyze.compress_analyze)
app.command("prune", epilog=compress_stage.EXAMPLES)(compress_stage.compress_prune)
app.command("share", epilog=compress_stage.EXAMPLES)(compress_stage.compress_share)
app.command("finetune", epilog=compress_stage.EXAMPLES)(compress_stage.compress_finetune)
app.command("pack", epilog=compress_stage.EXAMPLES)(compress_stage.compress_pack)
app.command("import", epilog=compress_import.EXAMPLES)(compress_import.compress_import)
app.command("compare", epilog=compress_hardware.EXAMPLES)(compress_hardware.compress_compare)
app.command("search", epilog=compress_hardware.EXAMPLES)(compress_hardware.compress_search)
app.command("evaluate", epilog=compress_evaluate.EXAMPLES)(compress_evaluate.compress_evaluate)
