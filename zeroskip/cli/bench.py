"""``zeroskip bench``: published evaluations, run again."""

from typing import Annotated, Literal

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.bench_scnn import SCNN_EXAMPLES, bench_isca
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import Steps, print_json, print_line, print_table
from zeroskip.cli.tables import describe_bits
from zeroskip.hw.eie.formats import StallClass
from zeroskip.sim.eie.benchmark.bench import EieBench, bench_eie
from zeroskip.sim.eie.benchmark.layers import EIE_LAYERS, EieLayer
from zeroskip.sim.eie.storage import per_nonzero

__all__ = ["EXAMPLES", "app"]

EXAMPLES = """Examples:

zeroskip bench eie

zeroskip bench eie --on cycles

zeroskip bench eie --layers NT-We,NT-Wd --json
"""

app = typer.Typer(help="Run published evaluations again.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("eie", epilog=EXAMPLES)
def bench_paper(
    layers: Annotated[
        str | None,
        typer.Option("--layers", metavar="NAME,...", help="Which layers; all nine unless given."),
    ] = None,
    on: Annotated[
        Literal["rtl", "cycles"],
        typer.Option("--on", help="The RTL, every word compared, or the cycle model alone."),
    ] = "rtl",
    as_json: JsonOption = False,
) -> int:
    """Run the nine layers of the EIE paper at 64 PEs, as published and at our best.

    Weights are random at the paper's sizes and densities, with fixed seeds. Exits with 1 if a
    word or a cycle counter of the RTL differs from the models.
    """
    chosen = _choose(layers)
    with Steps() as steps:
        result = bench_eie(chosen, on, steps)
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result)
    return int(not result.exact)


app.command("scnn", epilog=SCNN_EXAMPLES)(bench_isca)


def _choose(names: str | None) -> tuple[EieLayer, ...]:
    if names is None:
        return EIE_LAYERS
    known = {layer.name.lower(): layer for layer in EIE_LAYERS}
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name.lower() not in known:
            listed = ", ".join(layer.name for layer in EIE_LAYERS)
            raise InputError(f"there is no layer {name!r}; there are {listed}")
    return tuple(known[name.lower()] for name in wanted)


def _print(result: EieBench) -> None:
    print_table(
        f"EIE at 64 PEs: cycles on {result.target} beside the paper's (its us at 800 MHz)",
        [
            "layer", "paper theoretical", "paper actual", "no-padding bound",
            "paper preset", "x bound", "best preset", "x bound", "best / paper actual",
        ],
        [
            [
                one.name,
                one.paper_theoretical_cycles,
                one.paper_actual_cycles,
                round(one.bound_no_padding),
                one.paper.cycles,
                f"{one.paper.cycles / one.bound_no_padding:.3f}",
                one.best.cycles,
                f"{one.best.cycles / one.bound_no_padding:.3f}",
                f"{one.best.cycles / one.paper_actual_cycles:.3f}",
            ]
            for one in result.layers
        ],
    )  # fmt: skip
    for preset in ("paper", "best"):
        print_table(
            f"The {preset} preset: bounds in cycles, storage, and where the PEs' cycles went",
            [
                "layer", "padded bound", "max-PE bound", "reload", "padding",
                "entry bits / non-zero", "pointer bits / non-zero", "stored bits / non-zero",
                *(stall.name.lower() for stall in StallClass),
            ],
            [
                [
                    one.name,
                    round((array := getattr(one, preset)).bound_padding),
                    array.max_pe,
                    array.reload_cycles,
                    f"{100 * array.padding:.1f} %",
                    *(
                        f"{bits[name]:.2f}"
                        for bits in [per_nonzero(array.stored_bits, one.nonzeros)]
                        for name in ("entries", "pointers", "sum")
                    ),
                    *(f"{100 * share:.1f} %" for share in array.stalls.values()),
                ]
                for one in result.layers
            ],
        )  # fmt: skip
    for preset in ("paper", "best"):
        print_line(
            f"{preset} preset: {result.over_bound(preset):.3f} x the no-padding bound (geometric "
            f"mean of {len(result.layers)}); stored bits per non-zero weight: "
            f"{describe_bits(result.stored_bits_per_nonzero(preset))}"
        )
    slower = ", ".join(result.slower) or "none"
    print_line(f"layers on which the best preset is not faster than the paper's EIE: {slower}")
    if result.target == "rtl":
        arrays = [array for one in result.layers for array in (one.paper, one.best)]
        counters = sum(array.cycles_differ for array in arrays)
        words, differ = sum(a.words for a in arrays), sum(a.differ for a in arrays)
        speeds = sorted(array.cycles_per_second or 0.0 for array in arrays)
        print_line(f"simulation: {speeds[len(speeds) // 2]:,.0f} cycles/s of the RTL (median)")
        print_line(f"cycle model: {counters} counters differ from the RTL's")
        exact = "NOT bit-exact" if differ else "bit-exact"
        print_line(f"{exact}: {words} words compared, {differ} differ")
