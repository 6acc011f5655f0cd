"""``zeroskip compress``: all stages in one call, and the commands of the single ones."""

import inspect
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from zeroskip.base.errors import InputError
from zeroskip.base.staging import check_output_file
from zeroskip.cli import (
    compress_analyze,
    compress_auto,
    compress_evaluate,
    compress_hardware,
    compress_stage,
)
from zeroskip.cli.command import Group, Stage
from zeroskip.cli.compress_options import RunOptions, with_fields
from zeroskip.cli.compress_run import Training, open_run, print_result
from zeroskip.cli.options import JsonOption, set_parameters

__all__ = ["app"]

EXAMPLES = """Examples:

zeroskip compress --model model.pt2 --data x.npy --labels y.npy --density 0.1 -o small.pt2

zeroskip compress --model net.py:make --data x.npy --density 0.08,0.09,0.26 -o small.zsk
"""


@with_fields(RunOptions)
def compress_model(options: RunOptions, as_json: JsonOption = False) -> None:
    """Prune a model, share its weights, fine-tune after each step (Deep Compression).

    The stages of "compress auto" in one call, without a folder of the run: -o names the file to
    write, .pt2 or .zsk. The commands below do the stages one by one, in a folder, with more ways.
    """
    output = options.output
    check_output_file(output)
    if output.suffix not in (".pt2", ".zsk"):
        raise InputError(f"the file must end in .pt2 or .zsk, not {output.name!r}")
    with tempfile.TemporaryDirectory() as folder, Training() as training:
        stages = open_run(replace(options, output=Path(folder)), training)
        from zeroskip.compiler.compress.api import compressed_of
        from zeroskip.compiler.compress.auto import auto

        result = auto(stages, on_attempt=training.attempt)
        compressed_of(stages, result).save(output)
    print_result(result, output, as_json=as_json)


def _as_group(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``command`` as a group itself, whose options count where no command is named."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    required = [option.name for option in own if option.default is inspect.Parameter.empty]

    def group(ctx: typer.Context, **values: Any) -> None:
        if ctx.invoked_subcommand is not None:
            return
        for name in required:
            if values[name] is None:
                raise InputError(f"Missing option '--{name}'; see {ctx.command_path} --help")
        command(**values)

    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    optional = [
        option.replace(default=None) if option.name in required else option for option in own
    ]
    set_parameters(group, [context, *optional])
    group.__doc__ = inspect.getdoc(command)
    return group


app = typer.Typer(cls=Group, no_args_is_help=False)
app.callback(invoke_without_command=True, epilog=EXAMPLES)(_as_group(compress_model))
for _name, _command, _examples in (
    ("auto", compress_auto.compress_auto, compress_auto.EXAMPLES),
    ("analyze", compress_analyze.compress_analyze, compress_analyze.EXAMPLES),
    ("prune", compress_stage.compress_prune, compress_stage.EXAMPLES),
    ("share", compress_stage.compress_share, compress_stage.EXAMPLES),
    ("finetune", compress_stage.compress_finetune, compress_stage.EXAMPLES),
    ("pack", compress_stage.compress_pack, compress_stage.EXAMPLES),
    ("compare", compress_hardware.compress_compare, compress_hardware.EXAMPLES),
    ("search", compress_hardware.compress_search, compress_hardware.EXAMPLES),
    ("evaluate", compress_evaluate.compress_evaluate, compress_evaluate.EXAMPLES),
):
    app.command(_name, cls=Stage, epilog=_examples)(_command)
