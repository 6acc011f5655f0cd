"""SCNN, as the compiler sees it: convolutions, pooling and additions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from zeroskip.base.fields import Field
from zeroskip.compiler.engine import Engine, Job, Order, Part, Preset, SramData
from zeroskip.compiler.image.runs import check_programs
from zeroskip.compiler.ir.graph import (
    FloatCell,
    FloatLinear,
    FloatNode,
    QuantCell,
    QuantConv,
    QuantGraph,
    QuantLayer,
    QuantLinear,
)
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.compiler.scnn.balance import balance_channels
from zeroskip.compiler.scnn.cost import input_densities
from zeroskip.compiler.scnn.entry import ScnnEntry, ScnnRunEntry
from zeroskip.compiler.scnn.fill import ExpectedFill, Fill, MeasuredFill
from zeroskip.compiler.scnn.moves import run_moves
from zeroskip.compiler.scnn.order import tensor_orders
from zeroskip.compiler.scnn.program import choose_again, choose_both, encode_runs, many_runs
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.compiler.scnn.strides import choose_strides
from zeroskip.compiler.system.moves import Moves, RowTensor
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, descriptor_layout, sram_files
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.hw.system.params import SystemParams

__all__ = ["BOUNDED", "ENGINE", "RAM_MARGIN", "ScnnPart"]

BOUNDED = 100.0
"""As ``ram_margin``: any input fits."""

RAM_MARGIN = 0.25
"""The share that is kept free unless another is given."""

_OPTIONS = {"ram_margin": RAM_MARGIN}

_ABOUT = {
    "tile": "one PE of 4 x 4 multipliers; the default",
    "paper": "64 PEs of 4 x 4 multipliers, as in SCNN's evaluation",
    "tiny": "2 x 2 PEs of 2 x 2 multipliers, for tests",
    "board": "one PE of 2 x 2 multipliers in a chip, for boards with ECP5",
}


@dataclass(frozen=True, eq=False)
class ScnnPart(Part):
    """Convolutions, pooling and additions on one array.

    Parameters
    ----------
    params : of the array.
    graph : the layers.
    runs : what the array does in one go, in order.
    orders : by layer whose output channels are renumbered, of each which it was.
    bounded : runs that have room whatever activations are, which are done again from the beginning
        where those of ``runs`` find none; nothing if ``runs`` always do.
    """

    engine: ClassVar[str] = "scnn"

    params: ScnnParams
    graph: QuantGraph[QuantConv]
    runs: tuple[ScnnRun, ...]
    orders: Mapping[str, Order] = field(default_factory=dict)
    bounded: tuple[ScnnRun, ...] = ()

    @property
    def loads(self) -> tuple[Mapping[str, SramData], ...]:
        """What the host loads before each run, by the SRAM's name, see :func:`.sram_files`."""
        return tuple(run.srams for run in self.runs)

    @property
    def stored_loads(self) -> tuple[Mapping[str, SramData], ...]:
        """What an image has files of: those of the runs, then those of the bounded runs."""
        return tuple(run.srams for run in (*self.runs, *self.bounded))

    @property
    def channel_orders(self) -> dict[str, Order]:
        """By tensor, which channel of the network each channel of the array is: (K,) int64."""
        return tensor_orders(self.graph, self.orders)


class _Scnn(Engine[ScnnParams, ScnnPart]):
    name = "scnn"
    about = "convolutions and pooling: Cartesian products of non-zeros (ISCA 2017)"
    params = ScnnParams
    presets: Mapping[str, Preset[ScnnParams]] = {
        name: Preset(PRESETS[name], about, _OPTIONS) for name, about in _ABOUT.items()
    }
    options = (
        Field(
            "ram_margin",
            (0.0, BOUNDED),
            "share of the activation RAMs' rows that are kept free beside those of the fullest "
            f"calibration input. An input that does not fit is computed again in runs that any "
            f"input fits, which may take longer; {BOUNDED:g}: these only.",
        ),
    )

    def arithmetic(self, params: ScnnParams) -> Arithmetic:
        return replace(super().arithmetic(params), plain_bits=params.field_bits)

    def takes(self, node: FloatNode | QuantLayer) -> bool:
        return not isinstance(node, FloatLinear | QuantLinear | FloatCell | QuantCell)

    def joins(
        self,
        graph: QuantGraph[QuantLayer],
        before: QuantLayer,
        layer: QuantLayer,
    ) -> bool:
        del graph, before, layer
        return True

    def compile(self, graph: QuantGraph[QuantConv], params: ScnnParams, job: Job) -> ScnnPart:
        """Lay layers on an array.

        Kernels that fill their input get the stride that is fastest, and output channels of layers
        are renumbered where that saves cycles, see :func:`.balance_channels`. The report's
        ``many_runs`` says which layers are cut into more than :data:`.MANY_RUNS` runs.
        """
        densities, tell = job.densities, job.progress
        faster = choose_strides(graph, params, densities, tell)
        chosen = choose_both(faster, params, densities, _fill(faster, {}, params, job), tell)
        known = input_densities(faster, densities)
        faster, orders = balance_channels(faster, params, chosen[0], known, tell)
        if orders:
            # Where channels are decides how many rows the fullest PE needs of a tensor.
            fill = _fill(faster, orders, params, job)
            chosen = choose_again(faster, params, densities, fill, chosen, tell)
        runs, bounded = (
            encode_runs(faster, params, densities, segments, tell) for segments in chosen
        )
        job.report["runs"] = job.report.get("runs", 0) + len(runs)
        if many := many_runs(faster, runs):
            job.report["many_runs"] = [*job.report.get("many_runs", []), *many]
        return ScnnPart(params, faster, runs, orders, bounded)

    def describe(self, part: ScnnPart) -> tuple[ScnnEntry, dict[str, bytes]]:
        orders = {name: tuple(order.tolist()) for name, order in part.orders.items()}
        runs, bounded = (
            tuple(ScnnRunEntry.of(run) for run in some) for some in (part.runs, part.bounded)
        )
        return ScnnEntry(runs=runs, bounded=bounded, channel_order=orders), {}

    def restore(
        self,
        raw: str,
        graph: QuantGraph[QuantConv],
        params: ScnnParams,
        srams: Callable[[Sequence[Sequence[str]]], list[dict[str, SramData]]],
        read: Callable[[str], bytes],
    ) -> ScnnPart:
        del read
        entry = ScnnEntry.model_validate_json(raw)
        entry.check(graph, params)
        entries, count = (*entry.runs, *entry.bounded), len(entry.runs)
        loaded = srams([run.srams for run in entries])
        every = tuple(
            run.run(ScnnRun, contents) for run, contents in zip(entries, loaded, strict=True)
        )
        runs, bounded = every[:count], every[count:]
        layout = descriptor_layout(params)
        check_programs(runs, "runs", layout, DESCRIPTOR_WORDS)
        check_programs(bounded, "bounded", layout, DESCRIPTOR_WORDS, first=count)
        orders = {name: np.array(order, np.int64) for name, order in entry.channel_order.items()}
        return ScnnPart(params, graph, runs, orders, bounded)

    def files(self, params: ScnnParams) -> Mapping[str, tuple[int, int]]:
        return sram_files(params)

    def moves(
        self,
        part: ScnnPart,
        port: SystemParams,
        given: Mapping[str, RowTensor] | None = None,
        shared: Collection[str] = (),
    ) -> Moves:
        del given
        orders = part.channel_orders
        return run_moves(part.graph, part.runs, orders, part.params, port, part.bounded, shared)

    def file_names(self, raw: str) -> tuple[Sequence[Sequence[str]], Sequence[str]]:
        entry = ScnnEntry.model_validate_json(raw)
        return [run.srams for run in (*entry.runs, *entry.bounded)], []


def _fill(
    graph: QuantGraph[QuantConv], orders: Mapping[str, Order], params: ScnnParams, job: Job
) -> Fill | None:
    """Say how full tensors are; None if runs are to be for any input, or no inputs are known."""
    margin = job.options.get("ram_margin", BOUNDED)
    names = {*graph.given, *(layer.name for layer in graph.layers)}
    if margin >= BOUNDED:
        return None
    if names <= set(job.nonzero):
        order = tensor_orders(graph, orders)
        there = {
            name: job.nonzero[name][:, order[name]] if name in order else job.nonzero[name]
            for name in names
        }
        return MeasuredFill(params, there, margin)
    if names <= set(job.densities):
        return ExpectedFill(params, job.densities)
    return None


ENGINE = _Scnn()
"""What is found of SCNN, see :mod:`zeroskip.compiler.engine`."""
