"""``zeroskip info`` of an image that is for both engines."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from zeroskip.cli.format_tables import describe_arrays, print_image_formats
from zeroskip.cli.output import print_line, print_table
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.sim.scnn.metrics import dense_macs
from zeroskip.sim.scnn.storage import layer_mappings, scnn_memory_use

__all__ = ["cnn_info_document", "print_cnn_info"]


def cnn_info_document(path: Path, image: CnnImage) -> dict[str, Any]:
    """Return what is in an image; its tail is left to the caller."""
    graph = image.network.graph
    return {
        "image": str(path),
        "name": image.name,
        "scnn_params": asdict(image.params),
        "input_shape": list(graph.input_shape),
        "outputs": list(graph.outputs),
        "report": image.report,
        "runs": len(image.runs),
        "on_chip": image.handoff is not None,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "inputs": list(layer.inputs),
                "in_shape": list(layer.in_shape),
                "out_shape": list(layer.out_shape),
                "kernel": list(layer.kernel),
                "dilation": list(layer.dilation),
                "stride": list(layer.stride),
                "padding": list(layer.padding),
                "groups": layer.groups,
                "areas": [asdict(area) for area in layer.areas],
                "weights": layer.num_weights,
                "nnz": int(np.count_nonzero(layer.weight)),
                "dense_macs": dense_macs(layer),
                "relu": bool(layer.relu),
                "in_frac": layer.in_frac,
                "weight_frac": layer.weight_frac,
                "out_frac": layer.out_frac,
                "shift": layer.shift,
                "mapping": asdict(mapping),
            }
            for layer, mapping in zip(graph.layers, layer_mappings(image), strict=True)
        ],
        "memories": [
            {
                "name": one.name,
                "size": one.size,
                "used": {"min": int(one.used.min()), "max": int(one.used.max())},
            }
            for one in scnn_memory_use(image)
        ],
    }


def print_cnn_info(image: CnnImage) -> None:
    """Print what is in an image for SCNN."""
    graph = image.network.graph
    shape = " x ".join(map(str, graph.input_shape))
    print_line(
        f"image {image.name!r}: input {shape}, {len(graph.layers)} layers on SCNN in "
        f"{len(image.runs)} runs, {describe_arrays(image)}"
    )
    if image.tail is not None:
        how = "on the chip" if image.handoff is not None else "through the host"
        print_line(f"SCNN's outputs go to EIE {how}")
    words = sum(len(sram.words) for run in image.runs[1:] for sram in run.srams.values())
    print_line(
        f"host's moves between the {len(image.runs)} runs of an input: {words} words of SRAMs, and "
        "activations; `run --on cycles` says how many cycles that is"
        if len(image.runs) > 1
        else "host's moves between runs: none"
    )
    print_image_formats(image)
    print_table(
        "Layers on the SCNN array",
        [
            "layer", "kernel", "stride", "groups", "weights", "non-zero", "dense MACs", "runs",
            "passes", "PEs of a block", "tile", "channels of a group",
        ],
        [
            [
                layer.name,
                "{} {} x {}".format(layer.kind, *layer.kernel)
                + (f", {len(layer.areas)} areas" if layer.areas else ""),
                "{}, {}".format(*layer.stride),
                layer.groups,
                layer.num_weights,
                int(np.count_nonzero(layer.weight)),
                dense_macs(layer),
                mapping.runs,
                mapping.passes,
                "{} x {}".format(*mapping.block),
                "{} x {}".format(*mapping.tile),
                mapping.kc,
            ]
            for layer, mapping in zip(graph.layers, layer_mappings(image), strict=True)
        ],
    )  # fmt: skip
    print_table(
        "Memories, rows of one stream (taps, codebooks and descriptors: of the array)",
        ["memory", "size", "used: min", "max", "max used"],
        [
            [
                one.name,
                one.size,
                one.used.min(),
                one.used.max(),
                f"{100 * one.used.max() / one.size:.1f} %",
            ]
            for one in scnn_memory_use(image)
        ],
    )
