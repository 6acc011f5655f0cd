"""Describe what is in an image: layers, formats, and what each array keeps of them."""

from dataclasses import asdict
from typing import Any

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantLayer, dense_macs
from zeroskip.sim.machine import Description, machine

__all__ = ["describe_arrays", "describe_image", "image_document"]


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
        "parts": parts,
        "report": image.report,
    }


def _layer(layer: QuantLayer) -> dict[str, Any]:
    nnz = layer.nonzeros
    return {
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
        **layer.windows,
    }
