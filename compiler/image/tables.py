"""Tables of what the compiler chose: fixed point layer by layer, and what inputs may be."""

import math
from typing import TYPE_CHECKING, Any

from zeroskip.base.tables import Report, Table
from zeroskip.compiler.passes.fixed_point import limits

if TYPE_CHECKING:
    from zeroskip.compiler.image.image import Image

__all__ = ["image_report"]


def image_report(image: "Image") -> Report:
    """Return what quantization chose and lost, and what to be warned of."""
    return [*_format_tables(image), *_format_lines(image)]


def _format_tables(image: "Image") -> list[Table]:
    quantization: Any = image.report.get("quantization")
    if not quantization:
        return []
    known = {layer["name"]: layer for layer in quantization["layers"]}
    rows: list[list[object]] = []
    for layer in image.graph.layers:
        if layer.name not in known:
            continue
        found = known[layer.name]
        shared = found.get("codebook", True)
        values = str(found["values"]) if shared else "plain"
        shape = layer.out_shape if layer.out_shape[1:] != (1, 1) else layer.out_shape[:1]
        rows.append([
            layer.name,
            layer.kind,
            " x ".join(map(str, shape)),
            layer.num_weights,
            layer.nonzeros,
            f"{100 * found['density']:.1f} %",
            f"{values}{' (clustered)' if found['clustered'] else ''}",
            *_rounding(found),
        ])
    return [
        Table(
            f"Fixed point (errors against float on {quantization['samples']} calibration samples)",
            [
                "layer", "kind", "output", "weights", "non-zero", "density", "values", "to zero",
                "in frac", "w frac", "out frac", "shift", "acc bits", "max error", "SNR dB",
                "saturated",
            ],
            rows,
        )
    ]  # fmt: skip


def _format_lines(image: "Image") -> list[str]:
    quantization: Any = image.report.get("quantization")
    if not quantization:
        return []
    ends = [math.ldexp(end, -quantization["input_frac"]) for end in limits(image.act_bits)]
    return [
        (
            f"inputs: {ends[0]:.6g} to {ends[1]:.6g} are not clipped; calibration data are "
            f"{quantization['input_low']:.6g} to {quantization['input_high']:.6g}"
        ),
        *(f"warning: {warning}" for warning in quantization.get("warnings", ())),
    ]


def _rounding(layer: Any) -> list[object]:
    error = layer["error"] or {}
    snr = error.get("snr_db")
    return [
        layer["rounded_to_zero"],
        layer["in_frac"],
        layer["weight_frac"],
        layer["out_frac"],
        layer["shift"],
        layer["acc_bits_needed"],
        f"{error['max_abs']:.2e}" if error else "-",
        "-" if snr is None else f"{snr:.1f}",
        error.get("saturated", "-"),
    ]
