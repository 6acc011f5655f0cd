"""``zeroskip bench scnn``: SCNN's evaluation, run again."""

from difflib import get_close_matches
from typing import Annotated

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import Steps, print_json, print_line, print_table
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.scnn.benchmark.bench import bench_scnn
from zeroskip.sim.scnn.benchmark.layers import (
    NETWORK_NAMES,
    NETWORKS,
    RTL_LAYERS,
    ConvLayer,
    scnn_layers,
)
from zeroskip.sim.scnn.benchmark.result import ConvBench, NetworkBench, ScnnBench

__all__ = ["SCNN_EXAMPLES", "ScnnLayersOption", "bench_isca", "choose_layers"]

ScnnLayersOption = Annotated[
    str | None,
    typer.Option(
        "--layers", metavar="NETWORK/LAYER,...", help="Only these layers, as vgg16/conv5_1."
    ),
]

SCNN_EXAMPLES = """Examples:

zeroskip bench scnn

zeroskip bench scnn --networks googlenet --alone

zeroskip bench scnn --layers vgg16/conv5_1,alexnet/conv3 --json

zeroskip bench scnn --layers googlenet/3a/5x5_reduce --alone --rtl
"""


def bench_isca(
    networks: Annotated[
        str | None,
        typer.Option(
            "--networks",
            metavar="NAME,...",
            help=f"Which networks: {', '.join(NETWORKS)}; all unless given.",
        ),
    ] = None,
    layers: ScnnLayersOption = None,
    alone: Annotated[
        bool,
        typer.Option(
            "--alone",
            help="Leave out the runs with dense operands and one-sided machines, which take four "
            "times as long as the rest.",
        ),
    ] = False,
    rtl: Annotated[
        bool,
        typer.Option(
            "--rtl",
            help="Run layers in full on the RTL, too, every word and counter compared: those of "
            "--layers, or of each kind one.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Run the convolutions of the SCNN paper at 64 PEs of 4 x 4 multipliers on the cycle model.

    Weights and activations are random at published densities, with fixed seeds; densities that
    are not published are said to be assumed. Exits with 1 if a word or a cycle counter of the RTL
    differs from the models.
    """
    chosen = choose_layers(networks, layers)
    names = [one.full_name for some in chosen.values() for one in some]
    on_rtl = [name for name in names if layers is not None or name in RTL_LAYERS] if rtl else []
    with Steps() as steps:
        result = bench_scnn(chosen, others=not alone, rtl=on_rtl, progress=steps)
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result)
    return int(not result.exact)


def choose_layers(networks: str | None, layers: str | None) -> dict[str, tuple[ConvLayer, ...]]:
    """Read names of networks and layers, with commas between; None is all.

    Raises
    ------
    InputError
        If there is no such network or layer.
    """
    chosen = dict(NETWORKS)
    if networks is not None:
        wanted = [name.strip().lower() for name in networks.split(",")]
        for name in wanted:
            if name not in NETWORKS:
                raise InputError(f"there is no network {name!r}; there are {', '.join(NETWORKS)}")
        chosen = {name: NETWORKS[name] for name in dict.fromkeys(wanted)}
    if layers is None:
        return chosen
    known = {name.lower(): one for name, one in scnn_layers().items()}
    named = {name.strip().lower() for name in layers.split(",")}
    for name in sorted(named):
        if name not in known:
            near = get_close_matches(name, known, 4, 0.5) or ["vgg16/conv5_1"]
            raise InputError(
                f"there is no layer {name!r}; layers are named with their networks, as in "
                f"{', '.join(near)}"
            )
        if known[name].network not in chosen:
            raise InputError(f"layer {name!r} is of none of the networks {', '.join(chosen)}")
    found = {
        network: tuple(one for one in every if one.full_name.lower() in named)
        for network, every in chosen.items()
    }
    return {network: some for network, some in found.items() if some}


def _print(result: ScnnBench) -> None:
    for network in result.networks.values():
        _print_network(network)
    if result.merged:
        _print_cycles("Layers of GoogLeNet that read the same tensor, as one layer", result.merged)
    _print_summary(result)
    most = {
        "weights": max(o.weight_rows for n in result.networks.values() for o in n.layers),
        "headers of blocks of weights": max(
            o.header_rows for n in result.networks.values() for o in n.layers
        ),
    }
    print_table(
        "Memories in bits, beside the paper's PE",
        ["memory", "of each PE", "paper", "here", "rows of a stream in use", "how"],
        [
            [
                one.name,
                "yes" if one.per_pe else "no",
                "-" if one.paper is None else f"{one.paper:,}",
                f"{one.here:,}",
                most.get(one.name, "-"),
                one.about,
            ]
            for one in result.storage
        ],
    )
    for one in result.rtl:
        print_line(
            f"{one.name} on RTL: {one.cycles:,} cycles, {one.words} words compared, {one.differ} "
            f"differ, {one.cycles_differ} counters differ from the cycle model's; "
            f"{one.cycles_per_second:,.0f} cycles/s; host commands between runs: "
            f"{one.reload_cycles:,}"
        )
    if result.rtl:
        print_line("bit-exact" if result.exact else "NOT bit-exact")


def _print_network(network: NetworkBench) -> None:
    name = NETWORK_NAMES[network.name]
    _print_cycles(f"{name}: cycles at 64 PEs of 4 x 4 multipliers", network.layers)
    print_table(
        f"{name}: where the multiplier-cycles went",
        ["layer", "block", "tile", "kc", "runs", *(stall.name.lower() for stall in StallClass)],
        [
            [
                one.name,
                f"{1 << one.plan['block_x']} x {1 << one.plan['block_y']}",
                f"{one.plan['wo']} x {one.plan['ho']}",
                one.plan["kc"],
                one.runs,
                *(f"{100 * share:.1f} %" for share in one.stalls.values()),
            ]
            for one in network.layers
        ],
    )


def _print_cycles(title: str, layers: tuple[ConvBench, ...]) -> None:
    print_table(
        title,
        [
            "layer", "act / weight", "dense machine", "SCNN", "speed-up", "useful", "of issued",
            "conflicts", "W only", "A only", "no zeros", "oracle",
        ],
        [
            [
                one.name,
                f"{one.act_density:.3g} / {one.weight_density:.3g}{' *' * bool(one.assumed)}",
                one.dense_cycles,
                one.cycles,
                f"{one.speedup:.2f}",
                f"{100 * one.utilisation:.1f} %",
                f"{100 * one.utilisation_issuing:.1f} %",
                f"{100 * one.conflict:.2f} %",
                *(
                    "-" if cycles is None else cycles
                    for cycles in (
                        one.sparse_w_cycles, one.sparse_a_cycles, one.dense_operand_cycles,
                    )
                ),
                round(one.oracle_cycles),
            ]
            for one in layers
        ],
    )  # fmt: skip
    if any(one.assumed for one in layers):
        print_line("* not published: between those of 3a and 5b, or of layers like it")


def _print_summary(result: ScnnBench) -> None:
    def times(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    print_table(
        "Speed-up over the dense machine of as many multipliers",
        [
            "network", "paper", "here", "published densities only", "W only", "A only", "no zeros",
            "oracle",
        ],
        [
            [
                NETWORK_NAMES[name],
                document["speedup_paper"],
                *(
                    times(document[key])
                    for key in (
                        "speedup", "speedup_published_densities", "speedup_sparse_w",
                        "speedup_sparse_a", "dense_operands", "speedup_oracle",
                    )
                ),
            ]
            for name, document in ((n, one.to_dict()) for n, one in result.networks.items())
        ],
    )  # fmt: skip
    print_line("act / weight: densities; W only, A only: the array if it compresses weights, or")
    print_line("activations, only; no zeros: the array if no operand is 0")
    for name, one in result.networks.items():
        if (late := one.late_1x1) is not None:
            print_line(
                f"{NETWORK_NAMES[name]} 5b, its 1 x 1 layers together: "
                f"{100 * late['utilisation']:.1f} % of all multiplier-cycles useful, "
                f"{100 * late['utilisation_issuing']:.1f} % of those that issue (paper: below 20 %)"
            )
    print_line(
        f"cycles with a pair that were lost to bank conflicts: {100 * result.conflict:.3f} %"
    )
