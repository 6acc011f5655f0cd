"""``zeroskip compress auto``: all stages, to a target."""

from dataclasses import replace
from typing import Annotated

import typer

from zeroskip.cli.compress_options import ResumeOption, RunOptions, with_fields
from zeroskip.cli.compress_run import Training, open_run, print_result
from zeroskip.cli.options import JsonOption

__all__ = ["EXAMPLES", "compress_auto"]

EXAMPLES = """Examples:

zeroskip compress auto --task lenet300 --data mnist -o out/bench/lenet300

zeroskip compress auto --hooks hooks.py --max-error-increase 0.2 --target-ratio 30 -o out/mine

zeroskip compress auto --task digits --set share.codes=7 -o out/digits --resume
"""


@with_fields(RunOptions)
def compress_auto(
    options: RunOptions,
    max_error_increase: Annotated[
        float | None,
        typer.Option(metavar="POINTS", help="Points of error that may be lost, like 0.2."),
    ] = None,
    target_ratio: Annotated[
        float | None,
        typer.Option(metavar="R", help="Times smaller than 4 bytes a parameter, like 40."),
    ] = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train if need be, prune, share, fine-tune and pack: model.zsk in the folder of the run.

    With targets, densities are tried until both are reached; if none do, the best is kept and the
    command exits with 2.
    """
    targets = {"max_error_increase": max_error_increase, "target_ratio": target_ratio}
    given = [f"auto.{name}={value}" for name, value in targets.items() if value is not None]
    options = replace(options, settings=[*(options.settings or []), *given])
    with Training() as training:
        stages = open_run(options, training, resume=resume)
        from zeroskip.compiler.compress.auto import auto

        result = auto(stages, on_attempt=training.attempt)
    print_result(result, options.output / "model.zsk", as_json=as_json)
