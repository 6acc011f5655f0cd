"""Tables of what quantization chose and lost, and words for arrays."""

import math
from typing import Any

from zeroskip.cli.output import print_line, print_table
from zeroskip.compiler import Image
from zeroskip.compiler.passes.fixed_point import limits
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
    if isinstance(image, Image):
        _print_linear(quantization)
    else:
        _print_conv(quantization)
        if quantization["tail"]:
            _print_linear(quantization["tail"])
    _print_input(quantization, image.params.act_bits)


def _print_input(quantization: Any, act_bits: int) -> None:
    """Print what inputs may be, and what to be warned of."""
    ends = [math.ldexp(end, -quantization["input_frac"]) for end in limits(act_bits)]
    print_line(
        f"inputs: {ends[0]:.6g} to {ends[1]:.6g} are not clipped; calibration data are "
        f"{quantization['input_low']:.6g} to {quantization['input_high']:.6g}"
    )
    # Images of before have none.
    for warning in quantization.get("warnings", ()):
        print_line(f"warning: {warning}")


def _print_conv(quantization: Any) -> None:
    rows: list[list[object]] = []
    for layer in quantization["layers"]:
        values = str(layer["values"]) if layer["codebook"] else "plain"
        rows.append([
            layer["name"],
            layer["kind"],
            " x ".join(map(str, layer["out_shape"])),
            f"{100 * layer['density']:.1f} %",
            f"{values}{' (clustered)' if layer['clustered'] else ''}",
            *_rounding(layer),
        ])
    print_table(
        f"Fixed point (errors against float on {quantization['samples']} calibration samples)",
        [
            "layer", "kind", "output", "density", "values", "to zero", "in frac",
            "w frac", "out frac", "shift", "acc bits", "max error", "SNR dB", "saturated",
        ],
        rows,
    )  # fmt: skip


def _print_linear(quantization: Any) -> None:
    rows: list[list[object]] = []
    for layer in quantization["layers"]:
        rows.append([
            layer["name"],
            f"{layer['rows']} x {layer['cols']}",
            f"{100 * layer['density']:.1f} %",
            f"{layer['values']}{' (clustered)' if layer['clustered'] else ''}",
            *_rounding(layer),
        ])
    print_table(
        f"Fixed point (errors against float on {quantization['samples']} calibration samples)",
        [
            "layer", "rows x cols", "density", "values", "to zero", "in frac", "w frac",
            "out frac", "shift", "acc bits", "max error", "SNR dB", "saturated",
        ],
        rows,
    )  # fmt: skip


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
