"""``zeroskip compress prune | share | finetune | pack``: one stage of a run."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.compress_options import ResumeOption, RunOptions, with_fields
from zeroskip.cli.compress_run import Training, open_run
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import print_json, print_line, print_report

__all__ = ["EXAMPLES", "compress_finetune", "compress_pack", "compress_prune", "compress_share"]

EXAMPLES = """Examples, one after the other:

zeroskip compress prune --hooks hooks.py -o out/mine --set prune.density=0.1

zeroskip compress share --hooks hooks.py -o out/mine --set share.codes=15

zeroskip compress finetune --hooks hooks.py -o out/mine

zeroskip compress pack --hooks hooks.py -o out/mine
"""


@with_fields(RunOptions)
def compress_prune(
    options: RunOptions, resume: ResumeOption = False, as_json: JsonOption = False
) -> None:
    """Train if need be, then prune while training: step by step, what is gone stays gone."""
    _stage("prune", options, resume=resume, as_json=as_json)


@with_fields(RunOptions)
def compress_share(options: RunOptions, as_json: JsonOption = False) -> None:
    """Cluster the weights of each layer; a network that was not pruned here is taken as it is."""
    _stage("share", options, resume=False, as_json=as_json)


@with_fields(RunOptions)
def compress_finetune(
    options: RunOptions, resume: ResumeOption = False, as_json: JsonOption = False
) -> None:
    """Train the shared values, each by the sum of its weights' gradients."""
    _stage("finetune", options, resume=resume, as_json=as_json)


@with_fields(RunOptions)
def compress_pack(
    options: RunOptions,
    file: Annotated[
        Path | None,
        typer.Option(metavar="X.zsk", help="The file to write; else model.zsk in the folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the last stage that is done to a .zsk file, Huffman coded, and print what it takes."""
    target = file or options.output / "model.zsk"
    if target.suffix != ".zsk":
        raise InputError(f"the file must end in .zsk, not {target.name!r}")
    with Training() as training:
        stages = open_run(options, training, part=True)
        from zeroskip.compiler.compress.pack import pack
        from zeroskip.compiler.compress.run_folder import STAGES
        from zeroskip.compiler.compress.tables import sizes_report
        from zeroskip.compiler.compress.task import evaluate

        module = stages.result(*STAGES)
        if module is None:
            raise InputError(f"{options.output} has no stage that is done: prune or share first")
        error = evaluate(module, stages.task).error
        base = evaluate(stages.base(), stages.task).error
        meta = {"task": stages.task.name, "float_error": base, "error": error}
        report = pack(module, target, stages.task.example(), meta)
    if as_json:
        print_json({"model": str(target), "error": error, **report.to_dict()})
        return
    print_report([*sizes_report(report), f"error {error:.4g}: {target}"])


def _stage(stage: str, options: RunOptions, *, resume: bool, as_json: bool) -> None:
    with Training() as training:
        stages = open_run(options, training, part=True)
        if not resume:
            stages.folder.forget(stage)
        if stage == "prune":
            stages.run_base()
        module = stages.run(stage)
        from zeroskip.compiler.compress.layers import density_of, layers_of

        score = stages.scores()[stage]
        layers = layers_of(module)
        densities = {name: density_of([layer]) for name, layer in layers.items()}
    if as_json:
        print_json({"stage": stage, **asdict(score), "densities": densities})
        return
    shown = ", ".join(f"{name} {100 * density:.1f} %" for name, density in densities.items())
    print_line(f"{stage} done, error {score.error:.4g}; densities: {shown}")
    print_line(f"checkpoint {options.output / f'{stage}.pt'}")
