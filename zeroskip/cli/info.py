"""``zeroskip info``: what is in an image."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cli.cnn_info import cnn_info_document, print_cnn_info
from zeroskip.cli.format_tables import print_image_formats
from zeroskip.cli.options import ImageArgument, JsonOption
from zeroskip.cli.output import print_json, print_line, print_table
from zeroskip.cli.run_table import print_run_choices, run_choice_document
from zeroskip.compiler import Image
from zeroskip.compiler.scnn.image import CnnImage, load_image
from zeroskip.sim.eie.balance import layer_balance
from zeroskip.sim.eie.reload import reload_cycles
from zeroskip.sim.eie.storage import (
    describe_bits,
    layer_storage,
    memory_use,
    per_nonzero,
    stored_bits,
)

__all__ = ["EXAMPLES", "show_image"]

EXAMPLES = """Examples:

zeroskip info out/model

zeroskip info out/model --json
"""


def show_image(image: ImageArgument, as_json: JsonOption = False) -> None:
    """Show layers, formats, use of the memories, padding and balance between PEs."""
    compiled = load_image(image)
    if isinstance(compiled, CnnImage):
        tail = compiled.tail
        if as_json:
            eie = None if tail is None else _document(image / "eie", tail)
            print_json({**cnn_info_document(image, compiled), "eie": eie})
            return
        print_cnn_info(compiled)
        if tail is not None:
            _print_info(tail)
        return
    if as_json:
        print_json(_document(image, compiled))
        return
    _print_info(compiled)


def _document(image: Path, compiled: Image) -> dict[str, Any]:
    storage, use, bits = layer_storage(compiled), memory_use(compiled), stored_bits(compiled)
    balances = layer_balance(compiled, storage)
    nnz, moves = sum(layer.nnz for layer in storage), reload_cycles(compiled, 2)
    return {
        "image": str(image),
        "name": compiled.name,
        "params": asdict(compiled.params),
        "input_shape": list(compiled.network.input_shape),
        "report": compiled.report,
        "layers": [
            {
                "name": layer.name,
                "rows": layer.rows,
                "cols": layer.cols,
                "nnz": layer.nnz,
                "density": layer.nnz / (layer.rows * layer.cols),
                "relu": bool(source.relu),
                "in_frac": source.in_frac,
                "weight_frac": source.weight_frac,
                "out_frac": source.out_frac,
                "shift": source.shift,
                "entries": int(layer.entries.sum()),
                "padding": int(layer.padding.sum()),
                "entries_per_pe": _spread(layer.entries),
                "balance": layer.balance,
                "balance_interleaved": even.before,
                "entries_per_pe_bound": even.bound,
            }
            for layer, even, source in zip(storage, balances, compiled.network.layers, strict=True)
        ],
        "memories": [
            {"name": one.name, "size": one.size, "used": _spread(one.used)} for one in use
        ],
        "run_choices": run_choice_document(compiled),
        "stored_bits": bits,
        "stored_bits_per_nonzero": per_nonzero(bits, nnz) if nnz else None,
        "reload_cycles": {"first": moves[0], "later": moves[1]},
    }


def _print_info(compiled: Image) -> None:
    storage, use, bits = layer_storage(compiled), memory_use(compiled), stored_bits(compiled)
    balances = layer_balance(compiled, storage)
    nnz = sum(layer.nnz for layer in storage)
    p = compiled.params
    shape = " x ".join(map(str, compiled.network.input_shape))
    print_line(f"image {compiled.name!r}: input {shape}, {len(storage)} layers, {p.num_pes} PEs")
    print_image_formats(compiled)
    print_table(
        "Layers in the Spmat SRAMs",
        [
            "layer", "rows x cols", "non-zero", "entries", "padding", "per PE: min", "mean", "max",
            "bound", "balance: interleaved", "as placed",
        ],
        [
            [
                layer.name,
                f"{layer.rows} x {layer.cols}",
                layer.nnz,
                layer.entries.sum(),
                f"{layer.padding.sum()} ({_part(layer.padding.sum(), layer.entries.sum())})",
                layer.entries.min(),
                f"{layer.entries.mean():.1f}",
                layer.entries.max(),
                even.bound,
                "-" if even.before is None else f"{100 * even.before:.1f} %",
                f"{100 * even.after:.1f} %",
            ]
            for layer, even in zip(storage, balances, strict=True)
        ],
    )  # fmt: skip
    print_line(
        "bound: non-zero weights per PE, if all had the same and no padding; balance: mean / max "
        "entries per PE, with interleaved rows and as placed"
    )
    print_run_choices(compiled)
    print_table(
        "Memories, rows of one PE (num_descriptors: of the array)",
        ["memory", "size", "used: min", "mean", "max", "max used"],
        [
            [
                one.name,
                one.size,
                one.used.min(),
                f"{one.used.mean():.1f}",
                one.used.max(),
                _part(one.used.max(), one.size),
            ]
            for one in use
        ],
    )
    if nnz:
        print_line(f"stored bits per non-zero weight: {describe_bits(per_nonzero(bits, nnz))}")
    first, later = reload_cycles(compiled, 2)
    print_line(
        f"host's moves between the {len(compiled.segments)} runs of an input: {first} cycles, "
        f"{later} from the second input on"
        if later
        else "host's moves between runs: none"
    )


def _spread(values: NDArray[np.int64]) -> dict[str, float]:
    return {
        "min": int(values.min()),
        "mean": float(values.mean()),
        "max": int(values.max()),
    }


def _part(part: Any, whole: Any) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"
