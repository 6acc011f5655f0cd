"""What EIE's evaluation shows."""

from collections.abc import Iterator

from zeroskip.base.tables import Table, percent
from zeroskip.sim.eie.benchmark.bench import EieBench
from zeroskip.sim.eie.storage import describe_bits, per_nonzero

__all__ = ["bench_tables"]

_TARGETS = {"cycles": "the cycle model", "rtl": "the RTL"}


def bench_tables(result: EieBench) -> Iterator[Table | str]:
    """Give cycles from memory to memory, beside the paper's, bounds, storage, where they went."""
    yield from _totals(result)
    yield Table(
        f"EIE at 64 PEs: cycles of {_TARGETS[result.target]} beside the paper's (us at 800 MHz)",
        [
            "layer", "paper theoretical", "paper actual", "no-padding bound",
            "paper preset", "x bound", "best preset", "x bound", "best / paper actual",
        ],
        [
            [
                layer.name,
                layer.paper_theoretical_cycles,
                layer.paper_actual_cycles,
                round(layer.bound_no_padding),
                layer.paper.cycles,
                f"{layer.paper.cycles / layer.bound_no_padding:.3f}",
                layer.best.cycles,
                f"{layer.best.cycles / layer.bound_no_padding:.3f}",
                f"{layer.best.cycles / layer.paper_actual_cycles:.3f}",
            ]
            for layer in result.layers
        ],
    )  # fmt: skip
    yield from (_preset_table(result, preset) for preset in ("paper", "best"))
    for preset in ("paper", "best"):
        yield (
            f"{preset} preset: {result.over_bound(preset):.3f} x the no-padding bound (geometric "
            f"mean of {len(result.layers)}); stored bits per non-zero weight: "
            f"{describe_bits(result.stored_bits_per_nonzero(preset))}"
        )
    slower = ", ".join(result.slower) or "none"
    yield f"layers on which the best preset is not faster than the paper's EIE: {slower}"
    if result.target == "rtl":
        arrays = [array for layer in result.layers for array in (layer.paper, layer.best)]
        counters = sum(array.cycles_differ for array in arrays)
        words, differ = sum(a.words for a in arrays), sum(a.differ for a in arrays)
        speeds = sorted(array.cycles_per_second or 0.0 for array in arrays)
        yield f"simulation: {speeds[len(speeds) // 2]:,.0f} cycles/s of the RTL (median)"
        yield f"cycle model: {counters} counters differ from the RTL's"
        exact = "NOT bit-exact" if differ else "bit-exact"
        yield f"{exact}: {words} words compared, {differ} differ"


def _preset_table(result: EieBench, preset: str) -> Table:
    """Return bounds, storage and stall classes of a preset."""
    return Table(
        f"The {preset} preset: bounds in cycles, storage, and where the PEs' cycles went",
        [
            "layer", "padded bound", "max-PE bound", "reload", "padding",
            "entry bits / non-zero", "pointer bits / non-zero", "stored bits / non-zero",
            *getattr(result.layers[0], preset).stalls,
        ],
        [
            [
                layer.name,
                round((array := getattr(layer, preset)).bound_padding),
                array.max_pe,
                array.reload_cycles,
                percent(array.padding),
                *(
                    f"{bits[name]:.2f}"
                    for bits in [per_nonzero(array.stored_bits, layer.nonzeros)]
                    for name in ("entries", "pointers", "sum")
                ),
                *(percent(share) for share in array.stalls.values()),
            ]
            for layer in result.layers
        ],
    )  # fmt: skip


def _totals(result: EieBench) -> Iterator[Table | str]:
    port = result.layers[0].best.total.port_bits
    yield Table(
        f"From input to output in DRAM over a port of {port} bits: the best preset with a third "
        "activation file",
        [
            "layer", "compute", "one alone", "x compute", "each queued", "x compute",
            "DRAM bytes", "dense: compute", "behind the port", "/ each queued",
        ],
        [
            [
                layer.name,
                (array := layer.best).cycles,
                (total := array.total).latency_cycles,
                f"{total.latency_cycles / array.cycles:.3f}",
                total.interval_cycles,
                f"{total.interval_cycles / array.cycles:.3f}",
                total.dram_bytes,
                layer.dense.compute_cycles,
                layer.dense.total_cycles,
                f"{layer.dense.total_cycles / total.interval_cycles:.1f}",
            ]
            for layer in result.layers
        ],
    )  # fmt: skip
    for preset in ("paper", "best"):
        yield (
            f"{preset} preset, from DRAM to DRAM over compute alone (geometric mean): "
            f"{result.over_compute(preset, 'interval_cycles'):.3f} x where inferences are queued, "
            f"{result.over_compute(preset, 'latency_cycles'):.3f} x for one alone, whose outputs "
            "nothing overlaps"
        )
