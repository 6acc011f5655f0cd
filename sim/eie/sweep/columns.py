"""Columns of the table of a sweep over EIE arrays."""

import polars as pl

from zeroskip.hw.eie.host import StallClass
from zeroskip.sim.sweep.table import Columns

__all__ = ["EIE_COLUMNS"]

EIE_COLUMNS: Columns = {
    "sweep": (pl.String, "fingerprint of the sweep's settings"),
    "layer": (pl.String, "name"),
    "num_pes": (pl.Int64, "of the array, as are the next ones"),
    "queue_depth": (pl.Int64, "columns"),
    "run_bits": (pl.Int64, "width of the zero count in an entry"),
    "word_bits": (pl.Int64, "width of a word of the Spmat SRAM"),
    "placement": (pl.String, "of rows and columns"),
    "pointers_first": (pl.Boolean, "pointers are read before the queue"),
    "skip_padding": (pl.Boolean, "padding goes together with the entry after it"),
    "spmat_words": (pl.Int64, "of each PE"),
    "num_pointers": (pl.Int64, "of each PE"),
    "num_acts": (pl.Int64, "of each PE"),
    "num_accs": (pl.Int64, "of each PE"),
    "inputs": (pl.Int64, "that were run; cycles and reads are sums over them"),
    "possible": (pl.Boolean, "whether the layer can be mapped on the array"),
    "reason": (pl.String, "why not"),
    "cycles": (pl.Int64, "from the descriptor to the last output"),
    "bound_no_padding_cycles": (pl.Float64, "useful multiplications per PE"),
    "max_pe_cycles": (pl.Int64, "in which the busiest PE issues an entry, padding included"),
    "mean_pe_cycles": (pl.Float64, "the same, mean of the PEs"),
    "balance": (pl.Float64, "mean_pe_cycles / max_pe_cycles: what no queue can improve"),
    "load_balance": (pl.Float64, "1 - bubbles / all cycles of all PEs; bubbles issue nothing"),
    **{
        f"{c.name.lower()}_pe_cycles": (pl.Int64, "sum over the PEs; the classes sum to all")
        for c in StallClass
    },
    "nonzeros": (pl.Int64, "weights"),
    "entries": (pl.Int64, "stored, over all PEs, padding included"),
    "padding_entries": (pl.Int64, "stored"),
    "spmat_words_read": (pl.Int64, "fetches from the Spmat SRAMs, over all PEs"),
    "entry_bits_per_nonzero": (pl.Float64, "bits of Spmat words in use over non-zero weights"),
    "pointer_bits_per_nonzero": (pl.Float64, "bits of pointers over non-zero weights"),
    "stored_bits_per_nonzero": (pl.Float64, "the two, and the layer's codebook"),
    "segments": (pl.Int64, "runs of the program that the network takes; 1 if all fits"),
    "passes": (pl.Int64, "over the layer's input"),
    "model_seconds": (pl.Float64, "that the cycle model took for the network, all inputs"),
}
