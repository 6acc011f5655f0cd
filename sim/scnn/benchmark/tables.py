"""What SCNN's evaluation shows."""

from collections.abc import Iterator

from zeroskip.base.tables import Table, percent
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.scnn.benchmark.layers import NETWORK_NAMES
from zeroskip.sim.scnn.benchmark.result import ConvBench, NetworkBench, ScnnBench
from zeroskip.sim.scnn.benchmark.total import PORT

__all__ = ["bench_tables"]


def bench_tables(result: ScnnBench) -> Iterator[Table | str]:
    """Give cycles from memory to memory, then those of the array alone, and the memories."""
    yield from _totals(result)
    for network in result.networks.values():
        yield from _network(network)
    if result.merged:
        yield from _cycles(
            "Layers of GoogLeNet that read the same tensor, as one layer", result.merged
        )
    if result.networks:
        yield from _summary(result)
    yield Table(
        "Memories in bits, beside the paper's PE",
        ["memory", "of each PE", "paper", "here", "how"],
        [
            [
                storage.name,
                "yes" if storage.per_pe else "no",
                "-" if storage.paper is None else f"{storage.paper:,}",
                f"{storage.here:,}",
                storage.about,
            ]
            for storage in result.storage
        ],
    )
    for run in result.rtl:
        yield (
            f"{run.name} on RTL: {run.cycles:,} cycles, {run.words} words compared, {run.differ} "
            f"differ, {run.cycles_differ} counters differ from the cycle model's; "
            f"{run.cycles_per_second:,.0f} cycles/s; host commands between runs: "
            f"{run.reload_cycles:,}"
        )
    for run in result.whole_rtl:
        yield (
            f"{NETWORK_NAMES[run.name]} on RTL, whole, from one START: {run.cycles:,} cycles in "
            f"{run.runs} runs; {run.words:,} words that layers made, {run.memory_bytes:,} bytes of "
            f"memory and {run.times} times compared, {run.differ} differ; "
            f"{run.cycles_per_second:,.0f} cycles/s"
        )
        yield from run.problems
    if result.rtl or result.whole_rtl:
        yield "bit-exact" if result.exact else "NOT bit-exact"


def _totals(result: ScnnBench) -> Iterator[Table | str]:
    if not result.totals:
        return
    yield Table(
        f"From memory to memory, one START, over a port of {PORT.data_bits} bits "
        f"({PORT.beat_bytes} bytes a cycle)",
        [
            "network",
            "cycles",
            "of these computing",
            "loading",
            "storing",
            "runs",
            "bytes moved",
            "dense",
            "over dense",
        ],
        [
            [
                NETWORK_NAMES[name],
                f"{total.cycles:,}",
                f"{sum(run.cycles for run in total.runs):,}",
                f"{total.input_cycles:,}",
                f"{total.output_cycles:,}",
                len(total.runs),
                f"{total.dram_bytes:,}",
                f"{total.dense_cycles:,}",
                f"{total.speedup:.2f}",
            ]
            for name, total in result.totals.items()
        ],
    )
    yield (
        "weights stream in while the array runs; the picture, what crosses runs, and outputs go "
        "over the port, too; the dense machine is behind the same port, and overlaps perfectly"
    )
    yield Table(
        "Runs of these networks, and what bounds them",
        ["network", "layers", "cycles", "compute", "port", "bus", "bound"],
        [
            [
                NETWORK_NAMES[name],
                run.layers[0] if len(run.layers) == 1 else f"{run.layers[0]} to {run.layers[-1]}",
                f"{run.cycles:,}",
                f"{run.computing:,.0f}",
                f"{run.weight_beats:,}",
                f"{run.bus_words:,}",
                run.bound,
            ]
            for name, total in result.totals.items()
            for run in total.runs
        ],
    )


def _network(network: NetworkBench) -> Iterator[Table | str]:
    name = NETWORK_NAMES[network.name]
    yield from _cycles(f"{name}: cycles at 64 PEs of 4 x 4 multipliers", network.layers)
    yield Table(
        f"{name}: where the multiplier-cycles went",
        ["layer", "block", "tile", "kc", "runs", *(stall.name.lower() for stall in StallClass)],
        [
            [
                layer.name,
                f"{1 << layer.plan['block_x']} x {1 << layer.plan['block_y']}",
                f"{layer.plan['wo']} x {layer.plan['ho']}",
                layer.plan["kc"],
                layer.runs,
                *(percent(share) for share in layer.stalls.values()),
            ]
            for layer in network.layers
        ],
    )


def _cycles(title: str, layers: tuple[ConvBench, ...]) -> Iterator[Table | str]:
    yield Table(
        title,
        [
            "layer", "act / weight", "dense machine", "SCNN", "speed-up", "useful", "of issued",
            "conflicts", "W only", "A only", "no zeros", "oracle",
        ],
        [
            [
                layer.name,
                f"{layer.act_density:.3g} / {layer.weight_density:.3g}{' *' * bool(layer.assumed)}",
                layer.dense_cycles,
                layer.cycles,
                f"{layer.speedup:.2f}",
                percent(layer.utilisation),
                percent(layer.utilisation_issuing),
                f"{100 * layer.conflict:.2f} %",
                *(
                    "-" if cycles is None else cycles
                    for cycles in (
                        layer.sparse_w_cycles, layer.sparse_a_cycles, layer.dense_operand_cycles,
                    )
                ),
                round(layer.oracle_cycles),
            ]
            for layer in layers
        ],
    )  # fmt: skip
    if any(layer.assumed for layer in layers):
        yield "* not published: between those of 3a and 5b, or of layers like it"


def _summary(result: ScnnBench) -> Iterator[Table | str]:
    def times(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    yield Table(
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
            for name, document in ((n, network.to_dict()) for n, network in result.networks.items())
        ],
    )  # fmt: skip
    yield "act / weight: densities; W only, A only: the array if it compresses weights, or"
    yield "activations, only; no zeros: the array if no operand is 0"
    for name, network in result.networks.items():
        if (late := network.late_1x1) is not None:
            yield (
                f"{NETWORK_NAMES[name]} 5b, its 1 x 1 layers together: "
                f"{100 * late['utilisation']:.1f} % of all multiplier-cycles useful, "
                f"{100 * late['utilisation_issuing']:.1f} % of those that issue (paper: below 20 %)"
            )
    yield (f"cycles with a pair that were lost to bank conflicts: {100 * result.conflict:.3f} %")
