"""Tables of what quantization chose and lost, and words for arrays."""

import math
from typing import Any

from zeroskip.cli.output import print_line, print_table
from zeroskip.compiler import Image
from zeroskip.compiler.ir.fixed import limits
from zeroskip.compiler.scnn.image import CnnImage

__all__ = ["describe_arrays", "print_image_formats"]


def describe_arrays(image: Image | CnnImage) -> str:
    """Say which arrays an image is for."""
    if isinstance(image, Image):
        return f"{image.params.num_pes} PEs"
    p = image.params
    multipliers = f"{p.mult_f} x {p.mult_i} multipliers"
    scnn = f"SCNN: {p.pes_x} x {p.pes_y} PEs of {multipliers}"
    return scnn if image.tail is None else f"{scnn}; EIE: {describe_arrays(image.tail)}"


def print_image_formats(image: Image | CnnImage) -> None:
    """Print what quantization chose and lost, layer by layer."""
    quantization: Any = image.report.get("quantization")
    if not quantization:
        return
    print_table(
        f"Fixed point (errors against float on {quantization['samples']} calibration samples)",
        [
            "layer", "kind", "output", "density", "values", "to zero", "in frac", "w frac",
            "out frac", "shift", "acc bits", "max error", "SNR dB", "saturated",
        ],
        [_row(layer) for layer in quantization["layers"]],
    )  # fmt: skip
    ends = [math.ldexp(end, -quantization["input_frac"]) for end in limits(image.params.act_bits)]
    print_line(
        f"inputs: {ends[0]:.6g} to {ends[1]:.6g} are not clipped; calibration data are "
        f"{quantization['input_low']:.6g} to {quantization['input_high']:.6g}"
    )
    for warning in quantization["warnings"]:
        print_line(f"warning: {warning}")


def _row(layer: Any) -> list[object]:
    error = layer["error"] or {}
    snr = error.get("snr_db")
    values = str(layer["values"]) if layer["codebook"] else "plain"
    # A Linear layer makes (rows, 1, 1).
    shape = layer["out_shape"][:1] if layer["kind"] == "linear" else layer["out_shape"]
    return [
        layer["name"],
        layer["kind"],
        " x ".join(map(str, shape)),
        f"{100 * layer['density']:.1f} %",
        f"{values}{' (clustered)' if layer['clustered'] else ''}",
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
