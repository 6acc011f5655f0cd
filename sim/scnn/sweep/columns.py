"""Columns of the table of a sweep over SCNN arrays and densities."""

import polars as pl

from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.scnn.cycles.references import References
from zeroskip.sim.sweep.table import Columns

__all__ = ["SCNN_COLUMNS"]

_REFERENCES = {
    "weight_sram": "vectors of weights that streams read",
    "weight_fifo_writes": "vectors of weights, all PEs",
    "weight_fifo_reads": "vectors of weights, all PEs: one a pair",
    "directory": "entries that are looked up, all PEs",
    "act_ram": "words of activations that are read, all PEs",
    "act_fifo": "words of activations that come over the position bus, all PEs",
    "accumulators": "products that are added, all PEs",
    "drained": "accumulators that the drain reads, all PEs",
}
assert set(_REFERENCES) == set(References.__annotations__)

SCNN_COLUMNS: Columns = {
    "sweep": (pl.String, "fingerprint of the sweep's settings"),
    "network": (pl.String, "name"),
    "layer": (pl.String, "name"),
    "machine": (pl.String, "scnn, or weight-only or activation-only: what it compresses"),
    "act_density": (pl.Float64, "share of activations that are not 0"),
    "weight_density": (pl.Float64, "share of weights that are not 0"),
    "num_streams": (pl.Int64, "of weights; of the array, as are the next ones"),
    "act_words": (pl.Int64, "vectors in a PE's activation RAM"),
    "banks": (pl.Int64, "of accumulators"),
    "scatter_depth": (pl.Int64, "products before a bank"),
    "weight_depth": (pl.Int64, "vectors in a weight FIFO"),
    "block_depth": (pl.Int64, "headers in a weight FIFO"),
    "possible": (pl.Boolean, "whether the layer can be mapped on the array"),
    "reason": (pl.String, "why not"),
    "cycles": (pl.Int64, "of all runs"),
    "dense_cycles": (pl.Int64, "of a dense machine of 64 PEs of 16 multipliers"),
    "oracle_cycles": (pl.Float64, "products that outputs need over all multipliers"),
    "speedup": (pl.Float64, "dense_cycles / cycles"),
    "utilisation": (pl.Float64, "multiplier-cycles with two operands that are not 0, share of all"),
    "utilisation_issuing": (pl.Float64, "the same, share of those in cycles that issue a pair"),
    "conflict": (pl.Float64, "cycles with a pair that waited for banks, share of all with one"),
    **{
        f"{c.name.lower()}_share": (pl.Float64, "of all multiplier-cycles; the classes sum to 1")
        for c in StallClass
    },
    "runs": (pl.Int64, "of the array; between them the host loads memories"),
    **{f"{name}_references": (pl.Int64, what) for name, what in _REFERENCES.items()},
    "model_seconds": (pl.Float64, "to compile the layer and to count its cycles"),
}
"""Columns; where a layer cannot be mapped, those after ``reason`` are empty. To a machine that does
not compress an operand, its zeros are operands like others."""
