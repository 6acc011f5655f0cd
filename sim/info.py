"""Describe what is in an image: layers, formats, and what each array keeps of them."""

import math
from dataclasses import asdict
from typing import Any

from zeroskip.base.tables import Table
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantConv, QuantLayer, dense_macs
from zeroskip.compiler.passes.fixed_point import limits
from zeroskip.sim.machine import Description, machine
from zeroskip.sim.metrics import nonzero_weights

__all__ = ["describe_arrays", "describe_image", "format_lines", "format_tables", "image_document"]


def describe_arrays(image: Image) -> str:
    """Say which arrays an image is for."""
    found = [
        f"{part.engine.upper()}: {machine(part.engine).describe(part).array}"
        for part in image.parts
    ]
    return "; ".join(dict.fromkeys(found))


def describe_image(image: Image) -> list[tuple[str, Description]]:
    """Return, part by part, the engine and what its machine says of it."""
    return [(part.engine, machine(part.engine).describe(part)) for part in image.parts]


def image_document(image: Image) -> dict[str, Any]:
    """Return what is in an image, as JSON has it."""
    parts: list[dict[str, Any]] = []
    for part in image.parts:
        about = machine(part.engine).describe(part).document
        layers = about["layers"]
        parts.append({
            "engine": part.engine,
            "params": asdict(part.params),
            **about,
            "layers": [_layer(layer) | layers[layer.name] for layer in part.graph.layers],
        })
    return {
        "name": image.name,
        "sample_shape": list(image.sample_shape),
        "input_shape": list(image.graph.input_shape),
        "outputs": list(image.graph.outputs),
        "on_chip": bool(image.links),
        "parts": parts,
        "report": image.report,
    }


def _layer(layer: QuantLayer) -> dict[str, Any]:
    nnz = nonzero_weights(layer)
    fields: dict[str, Any] = {
        "name": layer.name,
        "kind": layer.kind,
        "inputs": list(layer.inputs),
        "in_shape": list(layer.in_shape),
        "out_shape": list(layer.out_shape),
        "weights": layer.num_weights,
        "nnz": nnz,
        "density": nnz / layer.num_weights,
        "dense_macs": dense_macs(layer),
        "relu": bool(layer.relu),
        "in_frac": layer.in_frac,
        "weight_frac": layer.weight_frac,
        "out_frac": layer.out_frac,
        "shift": layer.shift,
    }
    if isinstance(layer, QuantConv):
        fields |= {
            "kernel": list(layer.kernel),
            "dilation": list(layer.dilation),
            "stride": list(layer.stride),
            "padding": list(layer.padding),
            "groups": layer.groups,
            "areas": [asdict(area) for area in layer.areas],
        }
    return fields


def format_tables(image: Image) -> list[Table]:
    """Return what quantization chose and lost, layer by layer."""
    quantization: Any = image.report.get("quantization")
    if not quantization:
        return []
    known = {layer["name"]: layer for layer in quantization["layers"]}
    rows: list[list[object]] = []
    for layer in image.graph.layers:
        if layer.name not in known:
            continue
        told = known[layer.name]
        shared = told.get("codebook", True)
        values = str(told["values"]) if shared else "plain"
        rows.append([
            layer.name,
            layer.kind,
            " x ".join(map(str, layer.out_shape if layer.out_shape[1:] != (1, 1)
                           else layer.out_shape[:1])),
            layer.num_weights,
            nonzero_weights(layer),
            f"{100 * told['density']:.1f} %",
            f"{values}{' (clustered)' if told['clustered'] else ''}",
            *_rounding(told),
        ])  # fmt: skip
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


def format_lines(image: Image) -> list[str]:
    """Say what inputs may be, and what to be warned of."""
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
