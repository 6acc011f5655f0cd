"""Tables of what compression did: to accuracy by stage, and to the weights of each layer."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from zeroskip.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from zeroskip.compiler.compress.auto import Result
    from zeroskip.compiler.compress.pack import PackReport

__all__ = ["percent", "print_result", "print_sizes"]


def percent(share: float | None) -> str:
    """Write an accuracy with two places."""
    return "-" if share is None else f"{100 * share:.2f} %"


def print_result(result: "Result", file: Path, *, as_json: bool) -> None:
    """Print what all stages did, and the file that has it."""
    if as_json:
        print_json({"model": str(file), **asdict(result)})
        return
    scores = result.scores.items()
    print_table(
        f"Stages (measured on {next(iter(result.scores.values())).samples} samples)",
        ["stage", "loss", "accuracy"],
        [[stage, f"{score.loss:.4g}", percent(score.accuracy)] for stage, score in scores],
    )
    print_sizes(result.sizes)
    best = result.attempt
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
