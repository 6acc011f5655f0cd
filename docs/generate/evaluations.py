"""Tables and numbers of the evaluations, from what ``generate.renew`` stored."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from generate.renew import COMMANDS, stored

__all__ = [
    "cycles_over_bound", "eie_bits", "eie_cycles", "eie_exact", "eie_reload", "eie_stalls",
    "eie_steps", "eie_total", "eie_totals", "made_by", "scnn_conflict", "scnn_late",
    "scnn_layers", "scnn_rtl", "scnn_speedup", "scnn_speedups", "scnn_stalls", "scnn_storage",
    "scnn_totals",
]  # fmt: skip

_NAMES = {
    "alexnet": "AlexNet",
    "googlenet": "GoogLeNet",
    "vgg16": "VGG-16",
    "squeezenet": "SqueezeNet 1.0",
}


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _result(name: str) -> Any:
    return stored(name)["runs"]["all"]["result"]


def made_by(name: str) -> str:
    """Return the sentence that says which command made the numbers, on which commit."""
    document = stored(name)
    runs = document["runs"]
    command = next(iter(runs.values()))["command"]
    more = f" and {len(runs) - 1} like it" if len(runs) > 1 else ""
    again = f"`.venv/bin/python docs/generate/renew.py {name}`"
    return f"Made by `{command}`{more}, on commit {document['commit']}; {again} measures again."


def eie_cycles() -> str:
    """Return the cycles of the nine layers beside the paper's."""
    rows = [
        [
            record["name"],
            f"{record['paper_actual_cycles']:,}",
            f"{record['bound_no_padding']:,.0f}",
            f"{record['paper']['cycles']:,}",
            f"{record['best']['cycles']:,}",
            f"{record['best']['cycles'] / record['bound_no_padding']:.3f}",
        ]
        for record in _result("eie")["layers"]
    ]
    header = ["layer", "paper, actual", "bound", "`paper` preset", "`best` preset", "best / bound"]
    return _table(header, rows)


def eie_totals() -> str:
    """Return what the nine layers take from DRAM to DRAM, beside a dense machine."""
    rows = [
        [
            record["name"],
            f"{(best := record['best'])['cycles']:,}",
            f"{best['latency_cycles']:,}",
            f"{best['latency_cycles'] / best['cycles']:.3f}",
            f"{best['interval_cycles']:,}",
            f"{best['interval_cycles'] / best['cycles']:.3f}",
            f"{best['dram_bytes']:,}",
            f"{record['dense']['compute_cycles']:,}",
            f"{record['dense']['total_cycles']:,}",
        ]
        for record in _result("eie")["layers"]
    ]
    header = [
        "layer", "compute", "alone", "/ compute", "queued", "/ compute", "DRAM bytes",
        "dense: compute", "dense, behind the port",
    ]  # fmt: skip
    return _table(header, rows)


def eie_total(preset: str, what: str) -> str:
    """Return the geometric mean of the cycles from DRAM to DRAM over compute alone."""
    return f"{_result('eie')[f'{what}_over_compute'][preset]:.3f}"


def cycles_over_bound(preset: str) -> str:
    """Return the geometric mean over the layers of cycles over the bound."""
    return f"{_result('eie')['cycles_over_bound'][preset]:.3f}"


def eie_bits(preset: str, what: str) -> str:
    """Return stored bits per non-zero weight: ``entries``, ``pointers`` or their ``sum``."""
    return f"{_result('eie')['stored_bits_per_nonzero'][preset][what]:.2f}"


def eie_reload(layer: str) -> str:
    """Return the cycles in which the host loads, between runs, what did not fit at once."""
    (found,) = (record for record in _result("eie")["layers"] if record["name"] == layer)
    return f"{found['best']['reload_cycles']:,}"


def eie_stalls(preset: str) -> str:
    """Return where the cycles of the PEs went, by layer."""
    layers = _result("eie")["layers"]
    classes = list(layers[0][preset]["stalls"])
    rows = [
        [record["name"], *(f"{100 * record[preset]['stalls'][name]:.1f} %" for name in classes)]
        for record in layers
    ]
    return _table(["layer", *classes], rows)


def eie_steps() -> str:
    """Return what each idea buys: cycles over the bound, and bits of entries."""
    rows = []
    for title in COMMANDS["eie-steps"]:
        layers = stored("eie-steps")["runs"][title]["result"]
        over = {
            record["layer"]: record["cycles"] / record["bound_no_padding_cycles"]
            for record in layers
        }
        bits = sum(record["entry_bits_per_nonzero"] * record["nonzeros"] for record in layers)
        rows.append([
            title,
            f"{np.exp(np.mean(np.log(list(over.values())))):.3f}",
            f"{over['NT-We']:.3f}",
            f"{bits / sum(record['nonzeros'] for record in layers):.2f}",
        ])
    return _table(["change", "all nine", "NT-We", "entry bits / non-zero"], rows)


def eie_exact() -> str:
    """Return what the comparison of the RTL with golden and the cycle model gave."""
    result = _result("eie-rtl")
    runs = [record[preset] for record in result["layers"] for preset in ("paper", "best")]
    words, differ, cycles = (
        sum(run[key] for run in runs) for key in ("words", "differ", "cycles_differ")
    )
    return f"{words:,} output words compared, {differ} differ; {cycles} cycle counters differ"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def scnn_speedup(network: str, key: str = "speedup") -> str:
    """Return a speed-up of a network over the dense machine; ``key`` as in the JSON document."""
    return _times(_result("scnn")["networks"][network][key])


def scnn_speedups() -> str:
    """Return the speed-ups of all networks and machines."""
    keys = (
        "speedup_paper", "speedup", "speedup_sparse_w", "speedup_sparse_a", "dense_operands",
        "speedup_oracle",
    )  # fmt: skip
    header = [
        "network", "paper", "here", "weight-only", "activation-only", "dense operands", "oracle",
    ]  # fmt: skip
    rows = [
        [f"{_NAMES[name]}, {len(record['layers'])} layers", *(_times(record[key]) for key in keys)]
        for name, record in _result("scnn")["networks"].items()
    ]
    return _table(header, rows)


def scnn_totals() -> str:
    """Return the cycles of whole networks from memory to memory."""
    result = _result("scnn")
    rows = [
        [
            _NAMES[name],
            str(record["runs"] if isinstance(record["runs"], int) else len(record["runs"])),
            f"{record['total_cycles']:,}",
            f"{record['input_cycles']:,}",
            f"{record['output_cycles']:,}",
            f"{record['dense_total_cycles']:,}",
            _times(record["speedup_total"]),
            f"{record['dram_bytes'] / 1e6:.1f} MB",
        ]
        for name, record in (result["networks"] | result["others"]).items()
    ]
    header = ["network", "runs", "cycles", "loading planes", "storing planes", "dense machine"]
    header += ["speed-up", "DRAM traffic"]
    return _table(header, rows)


def scnn_layers(network: str) -> str:
    """Return the layers of a network, beside the dense machine and the oracle."""
    star = " \\*"
    rows = [
        [
            record["name"],
            f"{record['act_density']:.3g} / {record['weight_density']:.3g}"
            + star * bool(record["assumed"]),
            f"{record['dense_cycles']:,}",
            f"{record['cycles']:,}",
            f"{record['speedup']:.2f}",
            f"{100 * record['utilisation']:.1f} %",
            f"{record['oracle_cycles']:,.0f}",
        ]
        for record in _result("scnn")["networks"][network]["layers"]
    ]
    header = [
        "layer", "density of activations / weights", "dense machine", "SCNN", "speed-up",
        "utilisation", "oracle",
    ]  # fmt: skip
    return _table(header, rows)


def scnn_stalls(network: str) -> str:
    """Return where the multiplier-cycles of a network's layers went."""
    layers = _result("scnn")["networks"][network]["layers"]
    classes = list(layers[0]["stalls"])
    rows = [
        [record["name"], *(f"{100 * record['stalls'][name]:.1f} %" for name in classes)]
        for record in layers
    ]
    return _table(["layer", *classes], rows)


def scnn_conflict(network: str) -> str:
    """Return the share of cycles with a pair of vectors that bank conflicts cost, in percent."""
    layers = _result("scnn")["networks"][network]["layers"]
    lost = issued = 0.0
    for record in layers:
        stalls = record["stalls"]
        lost += stalls["conflict"] * record["cycles"]
        issued += (stalls["useful"] + stalls["fragmentation"]) * record["cycles"]
    return f"{100 * lost / (lost + issued):.2f} %"


def scnn_late(key: str) -> str:
    """Return the utilisation of the 1 x 1 layers of GoogLeNet's module 5b, in percent."""
    return f"{100 * _result('scnn')['networks']['googlenet']['5b_1x1'][key]:.1f} %"


def scnn_storage() -> str:
    """Return the bits of the memories beside the paper's."""
    rows = [
        [
            record["name"],
            "yes" if record["per_pe"] else "no",
            "-" if record["paper"] is None else f"{record['paper']:,}",
            f"{record['here']:,}",
        ]
        for record in _result("scnn")["storage"]
    ]
    return _table(["memory", "of each PE", "paper, bits", "here, bits"], rows)


def scnn_rtl() -> str:
    """Return the layers that ran on the RTL of the 64 PEs, each word and counter compared."""
    rows = [
        [
            record["name"],
            f"{record['words']:,}",
            record["differ"],
            f"{record['cycles']:,}",
            record["cycles_differ"],
            f"{record['cycles_per_second']:,.0f}",
        ]
        for record in _result("scnn-rtl")["rtl"]
    ]
    header = ["layer", "words", "differ", "cycles", "counters that differ", "cycles/s"]
    return _table(header, rows)
