"""Tables of what compression did: to accuracy by stage, and to the weights of each layer."""

from pathlib import Path

from zeroskip.base.tables import Report, Table
from zeroskip.compiler.compress.auto import Result
from zeroskip.compiler.compress.pack import PackReport

__all__ = ["result_report", "sizes_report"]


def result_report(result: Result, file: Path | None = None) -> Report:
    """Make the tables of a compression: loss and accuracy after each stage, weights by layer."""
    scores, best = result.scores, result.attempt
    where = "" if file is None else f": {file}"
    return [
        Table(
            f"Stages (measured on {next(iter(scores.values())).samples} samples)",
            ["stage", "loss", "accuracy"],
            [
                [stage, f"{score.loss:.4g}", _accuracy(score.accuracy)]
                for stage, score in scores.items()
            ],
        ),
        *sizes_report(result.sizes),
        f"error {best.base_error:.4g} -> {best.error:.4g}, {best.ratio:.1f}x smaller{where}",
    ]


def sizes_report(report: PackReport) -> Report:
    """Return the paper's table of what the weights of each layer take."""
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
    table = Table(
        "Weights (bits of a code and of a run: before -> after Huffman coding)",
        ["layer", "weights", "kept", "values", "code bits", "run bits", "P+Q", "P+Q+H"],
        rows,
    )
    return [
        table,
        (
            f"{report.parameters} parameters of 4 bytes: {4 * report.parameters} bytes; file: "
            f"{report.file_bytes} bytes, {report.ratio:.2f}x smaller"
        ),
        *(f"warning: {warning}" for warning in report.warnings),
    ]


def _accuracy(share: float | None) -> str:
    """Write an accuracy with two places."""
    return "-" if share is None else f"{100 * share:.2f} %"
