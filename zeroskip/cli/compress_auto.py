"""``zeroskip compress auto``: all stages, to a target."""

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from zeroskip.cli.compress_options import ResumeOption, RunOptions, with_run
from zeroskip.cli.compress_run import Training, open_run
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from zeroskip.compiler.compress.auto import Attempt
    from zeroskip.compiler.compress.pack import PackReport

__all__ = ["EXAMPLES", "compress_auto", "print_sizes"]

EXAMPLES = """Examples:

zeroskip compress auto --task lenet300 --data mnist -o out/bench/lenet300

zeroskip compress auto --hooks hooks.py --max-error-increase 0.2 --target-ratio 30 -o out/mine

zeroskip compress auto --task digits --set share.codes=7 -o out/digits --resume
"""


@with_run
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
    given = list(options.settings or [])
    if max_error_increase is not None:
        given.append(f"auto.max_error_increase={max_error_increase}")
    if target_ratio is not None:
        given.append(f"auto.target_ratio={target_ratio}")
    options = replace(options, settings=given)
    with Training() as training:
        training.print("import torch")
        from zeroskip.compiler.compress.auto import auto

        stages = open_run(options, training, resume=resume, part=False)
        reports: list[PackReport] = []

        def on_attempt(attempt: "Attempt") -> None:
            training.print(
                f"attempt    scale {attempt.scale:.3f}: {attempt.ratio:.1f}x, error "
                f"{attempt.error:.4g} ({attempt.increase:+.4g})"
            )

        best = auto(stages, on_attempt=on_attempt, on_pack=reports.append)
    file = options.output / "model.zsk"
    if as_json:
        # A run that was finished before packs nothing, but its report is there.
        report = json.loads((options.output / "report.json").read_text())
        print_json({"model": str(file), **asdict(best), **report})
        return
    if reports:
        print_sizes(reports[-1])
    print_line(
        f"error {best.base_error:.4g} -> {best.error:.4g}, {best.ratio:.1f}x smaller: {file}"
    )


def print_sizes(report: "PackReport") -> None:
    """Print the paper's table of what the weights of each layer take."""
    weights = sum(layer.weights for layer in report.layers)
    kept = sum(layer.kept for layer in report.layers)
    rows: list[list[object]] = [
        [
            layer.name,
            layer.weights,
            f"{100 * layer.kept / layer.weights:.1f} %",
            layer.values,
            f"{layer.code_bits:g} -> {layer.coded_code_bits:.2f}",
            f"{layer.run_bits:g} -> {layer.coded_run_bits:.2f}",
            f"{100 * layer.rate_shared:.2f} %",
            f"{100 * layer.rate_coded:.2f} %",
        ]
        for layer in report.layers
    ]
    rows.append(["total", weights, f"{100 * kept / weights:.1f} %", "", "", "", "", ""])
    print_table(
        "Weights (bits of a code and of a run: before -> after Huffman coding)",
        ["layer", "weights", "kept", "values", "code bits", "run bits", "P+Q", "P+Q+H"],
        rows,
    )
    print_line(
        f"{report.parameters} parameters of 4 bytes: {4 * report.parameters} bytes; file: "
        f"{report.file_bytes} bytes, {report.ratio:.2f}x smaller"
    )
    for warning in report.warnings:
        print_line(f"warning: {warning}")
