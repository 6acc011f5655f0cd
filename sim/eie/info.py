"""Describe what an image keeps in EIE's memories, and how evenly."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from zeroskip.base.tables import Table
from zeroskip.compiler.eie.choose import Pattern, RunChoice, run_choices
from zeroskip.compiler.eie.matrices import matrices
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.eie.place import local_rows
from zeroskip.compiler.eie.recurrent import row_positions
from zeroskip.sim.eie.balance import LayerBalance, layer_balance
from zeroskip.sim.eie.storage import (
    LayerStorage,
    describe_bits,
    layer_storage,
    memory_use,
    per_nonzero,
    reload_cycles,
    stored_bits,
)
from zeroskip.sim.machine import Description
from zeroskip.sim.memories import memory_document, memory_table, spread

__all__ = ["describe_part"]


def describe_part(part: EiePart) -> Description:
    """Describe layers in the Spmat SRAMs, balance between PEs, and use of the memories."""
    storage, use, bits = layer_storage(part), memory_use(part), stored_bits(part)
    balances, choices = layer_balance(part, storage), _choices(part)
    nnz = sum(layer.nnz for layer in storage)
    first, later = reload_cycles(part, 2).tolist()
    rows = list(zip(storage, balances, strict=True))
    tables = [
        _layer_table(rows),
        *_choice_tables(choices),
        memory_table("PE (num_descriptors: of the array)", use),
    ]
    lines = [
        (
            "bound: non-zero weights per PE, if all had the same and no padding; balance: mean / "
            "max entries per PE, with interleaved rows and as placed"
        )
    ]
    if nnz:
        lines.append(f"stored bits per non-zero weight: {describe_bits(per_nonzero(bits, nnz))}")
    lines.append(
        f"host's moves between the {len(part.segments)} runs of an input: {first} cycles, "
        f"{later} from the second input on"
        if later
        else "host's moves between runs: none"
    )
    document = {
        "layers": {
            layer.name: {
                "entries": int(layer.entries.sum()),
                "padding": int(layer.padding.sum()),
                "entries_per_pe": spread(layer.entries),
                "balance": layer.balance,
                "balance_interleaved": even.before,
                "entries_per_pe_bound": even.bound,
            }
            for layer, even in rows
        },
        "memories": memory_document(use),
        "run_choices": [asdict(choice) for choice in choices],
        "stored_bits": bits,
        "stored_bits_per_nonzero": per_nonzero(bits, nnz) if nnz else None,
        "reload_cycles": {"first": first, "later": later},
    }
    array = f"{part.params.num_pes} PEs"
    return Description(array=array, document=document, tables=tables, lines=lines)


def _layer_table(rows: Sequence[tuple[LayerStorage, LayerBalance]]) -> Table:
    """Return entries and balance of each layer."""
    return Table(
        "Layers in the Spmat SRAMs",
        [
            "layer", "rows x cols", "non-zero", "entries", "padding", "per PE: min", "mean",
            "max", "bound", "balance: interleaved", "as placed",
        ],
        [
            [
                layer.name,
                f"{layer.rows} x {layer.cols}",
                layer.nnz,
                layer.entries.sum(),
                f"{layer.padding.sum()} ({_share(layer.padding.sum(), layer.entries.sum())})",
                layer.entries.min(),
                f"{layer.entries.mean():.1f}",
                layer.entries.max(),
                even.bound,
                "-" if even.before is None else f"{100 * even.before:.1f} %",
                f"{100 * even.after:.1f} %",
            ]
            for layer, even in rows
        ],
    )  # fmt: skip


def _choices(part: EiePart) -> tuple[RunChoice, ...]:
    """Count what the part takes with its runs, and with wider ones until no padding is left."""
    patterns: list[Pattern] = []
    heights: list[int] = []
    for number, (layer, outputs) in enumerate(zip(part.layers, part.placement[1:], strict=True)):
        rows = row_positions(layer, outputs, part.params.num_pes)
        for matrix in matrices(layer, number):
            patterns.append(Pattern.of(matrix.codes, rows))
            heights.append(local_rows(rows, part.params))
    found = run_choices(patterns, heights, part.params)
    done = next(
        (number for number, choice in enumerate(found) if not choice.padding), len(found) - 1
    )
    return found[: done + 1]


def _choice_tables(choices: tuple[RunChoice, ...]) -> list[Table]:
    """Return the choices if there is padding that wider runs would save."""
    if len(choices) < 2:
        return []
    rows = [
        [
            choice.run_bits,
            choice.entries,
            choice.padding,
            _share(choice.padding, choice.entries),
            choice.bits,
        ]
        for choice in choices
    ]
    columns = ["run_bits", "entries", "padding", "of entries", "bits of Spmat words"]
    return [Table("Runs of this width (run_bits), and of wider ones", columns, rows)]


def _share(count: Any, whole: Any) -> str:
    return f"{100 * count / whole:.1f} %" if whole else "0 %"
