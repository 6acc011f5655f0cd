"""Energy of SCNN: what its accesses are, and the machines beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.fixed import concatenate
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.hw.scnn.act_read import ACT_QUEUE_DEPTH, acts_layout
from zeroskip.hw.scnn.formats import (
    act_word_layout,
    bus_word_layout,
    directory_layout,
    item_layout,
)
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.products import addend_layout
from zeroskip.sim.energy.activity import (
    Access,
    Add,
    Array,
    Cost,
    Event,
    LayerActivity,
    Machines,
    Multiply,
    Operands,
    Select,
    Sram,
    Unit,
    Write,
)
from zeroskip.sim.energy.flip_flops import make_array
from zeroskip.sim.energy.model import EnergyModel
from zeroskip.sim.machine import Counts, Tensors
from zeroskip.sim.metrics import useful_macs
from zeroskip.sim.scnn.cycles.image import cnn_writes
from zeroskip.sim.scnn.cycles.references import References, Writes
from zeroskip.sim.scnn.job import fused_layers
from zeroskip.sim.scnn.operands import scnn_operands

__all__ = ["ENERGY", "access_events", "dense_activity", "dense_array"]

_UNITS = {
    "weight_fifo": Unit.QUEUES,
    "act_read": Unit.QUEUES,
    "multiplier_array": Unit.ARITHMETIC,
    "scatter": Unit.QUEUES,
    "accumulators": Unit.ACCUMULATORS,
    "ppu": Unit.ACTIVATIONS,
    "act_ram": Unit.ACTIVATIONS,
    "act_bus": Unit.QUEUES,
}
"""Units by the name of a module of the PE, or around the PEs; streams are weights, others
control."""

_NOT_DENSE = ("scatter", "accumulators", "act_bus")
"""Modules that a dense machine has not: its sums are made by trees, one a cycle."""

_BOTH: tuple[Access, Access] = ("write", "read")

_DENSE_GROUP = 8
"""Output channels for which a dense machine holds its activations: the paper's group."""


class _ScnnEnergy(EnergyModel[ScnnPart]):
    def unit_of(self, module: str) -> Unit:
        return _unit_of(module)

    def array(self, params: ScnnParams) -> Array:
        return make_array("scnn", replace(params, counters=False), _unit_of)

    def layers(self, part: ScnnPart, tensors: Tensors, counts: Counts) -> Sequence[LayerActivity]:
        p, counted = part.params, cnn_writes(part, tensors)
        # Of a recurrent network, samples are steps of its inputs.
        samples, steps = len(counts.run_cycles), part.graph.steps or 1
        cycles = counts.counters.sum(axis=(2, 3)).mean(axis=0) / (p.num_pes * p.mults)
        return [
            LayerActivity(
                name=layer.name,
                cycles=float(spent),
                useful=products,
                events=list(access_events(p, *found, samples)),
            ).times(steps)
            for layer, found, spent, products in zip(
                part.layers, counted, cycles, _useful(part, tensors), strict=True
            )
        ]

    def operands(self, part: ScnnPart, tensors: Tensors) -> Operands | None:
        return scnn_operands(part, tensors)

    def machines(self, part: ScnnPart, tensors: Tensors) -> Machines:
        array = self.array(part.params)
        beside = dense_array(part.params)
        first = {name: values[:1] for name, values in tensors.items()}
        full = {name: np.ones_like(values) for name, values in first.items()}
        steps = part.graph.steps or 1
        useful = [steps * products for products in _useful(part, tensors)]
        # The dense machine fuses the poolings that our array fuses.
        fused = fused_layers(part)
        behind = {conv: part.layers[pool] for pool, conv in fused.items()}
        found = {
            "dense": [
                LayerActivity(layer.name, 0.0, 0.0, [])
                if number in fused
                else dense_activity(
                    part.params, layer, products / steps, beside, behind.get(number)
                ).times(steps)
                for number, (layer, products) in enumerate(zip(part.layers, useful, strict=True))
            ],
            "weights": self._variant(part, full, useful, array),
        }
        if (filled := _fill(part)) is not None:
            found["activations"] = self._variant(filled, first, useful, array)
        return found

    def _variant(
        self, part: ScnnPart, tensors: Tensors, useful: Sequence[float], array: Array
    ) -> list[LayerActivity]:
        """Count what the array does with other operands."""
        # Here, since the machine finds this module.
        from zeroskip.sim.scnn.machine import MACHINE

        counts = MACHINE.count(part, tensors, lambda done, total: None)
        return [
            replace(layer, useful=products, events=[*layer.events, *array.clock(layer.cycles)])
            for layer, products in zip(self.layers(part, tensors, counts), useful, strict=True)
        ]


def dense_array(params: ScnnParams) -> Array:
    """Return what the dense machine of as many multipliers is made of."""
    return make_array("scnn", replace(params, counters=False), _unit_of, _NOT_DENSE)


def _unit_of(name: str) -> Unit:
    return Unit.WEIGHTS if name.startswith("stream_") else _UNITS.get(name, Unit.CONTROL)


def _useful(part: ScnnPart, tensors: Tensors) -> list[float]:
    """Count each layer's products of two non-zeros; a fused pooling multiplies nothing."""
    fused = fused_layers(part)
    return [
        0.0
        if number in fused
        else float(useful_macs(layer, concatenate(tensors, layer.inputs)).mean())
        for number, layer in enumerate(part.layers)
    ]


def _fill(part: ScnnPart) -> ScnnPart | None:
    """Compile the layers of a part without zeros among their weights; None if they do not fit."""
    layers = [_filled(layer) for layer in part.layers]
    graph = replace(part.graph, layers=tuple(layers))
    try:
        image: Image = compile_quantized(graph, {part.engine: part.params}, name="dense weights")
    except CompileError:
        return None
    (found,) = image.parts
    assert isinstance(found, ScnnPart)
    return found


def _filled(layer: QuantConv) -> QuantConv:
    """Give each weight of the network that is 0 the smallest that is not."""
    there: NDArray[np.int64] = np.abs(layer.weight[layer.weight != 0])
    least = int(there.min()) if there.size else 1
    least = least if least in layer.weight else -least
    book = layer.codebook
    if book is not None and least not in book:
        book = np.append(book, least)
    pruned = layer.weight_places & (layer.weight == 0)
    return replace(layer, weight=np.where(pruned, least, layer.weight), codebook=book)


def access_events(
    p: ScnnParams, read: References, written: Writes, samples: int = 1
) -> Iterator[Event]:
    """Give every access of an array with its cost.

    Parameters
    ----------
    p : of the array.
    read, written : counts, of so many ``samples``.
    """
    act_word, directory = _width(act_word_layout(p)), _width(directory_layout(p))
    item, acts, bus = (_width(layout(p)) for layout in (item_layout, acts_layout, bus_word_layout))
    weights = _width(item_layout(p)["weights"].shape)
    addend = _width(addend_layout(p))
    activations = acts - _width(acts_layout(p)["place"].shape)

    def event(unit: Unit, what: str, cost: Cost, count: float) -> Event:
        return Event(unit, what, cost, count / samples)

    def acc(what: Access) -> Sram:
        return Sram(what, p.bank_entries, p.acc_bits, two_ports=True)

    def act(what: Access) -> Sram:
        return Sram(what, p.act_words, act_word, two_ports=True)

    def entry(what: Access) -> Sram:
        return Sram(what, p.num_channels, directory, two_ports=True)

    beat = Packing.of(p).beat
    keep, take = (Sram(what, p.stream_beats, beat, two_ports=True) for what in _BOTH)
    yield event(Unit.WEIGHTS, "beats kept", keep, written.beats)
    yield event(Unit.WEIGHTS, "beats taken", take, written.beats)
    codebook = Sram("read", p.num_codebooks * p.num_codes, p.weight_bits)
    yield event(Unit.WEIGHTS, "weights looked up", codebook, written.lookups)
    taps = Sram("read", p.num_taps, p.acc_addr_bits)
    yield event(Unit.WEIGHTS, "taps looked up", taps, written.lookups)
    yield event(Unit.POINTERS, "directory entries read", entry("read"), read.directory)
    yield event(Unit.POINTERS, "directory entries written", entry("write"), written.entries)
    yield event(Unit.ACTIVATIONS, "words read", act("read"), read.act_ram)
    yield event(Unit.ACTIVATIONS, "words written", act("write"), written.words)
    yield event(
        Unit.ACTIVATIONS, "biases read", Sram("read", p.num_biases, p.acc_bits), written.biases
    )
    # The bias, and what rounds.
    yield event(Unit.ACTIVATIONS, "additions", Add(p.acc_bits), 2 * written.outputs)
    yield event(Unit.ACTIVATIONS, "outputs compared", Add(p.act_bits), written.compared)
    yield event(Unit.QUEUES, "vectors kept", Write(item, row=True), read.weight_fifo_writes)
    yield event(
        Unit.QUEUES, "vectors taken", Select(p.weight_depth, weights), read.weight_fifo_reads
    )
    yield event(Unit.QUEUES, "words queued", Write(acts, row=True), read.act_ram)
    yield event(Unit.QUEUES, "words taken", Select(ACT_QUEUE_DEPTH, acts), read.act_ram)
    if p.act_fifo_words:
        for what in ("write", "read"):
            fifo = Sram(what, p.act_fifo_words, bus, two_ports=True)
            yield event(Unit.QUEUES, f"words of the bus, {what}", fifo, read.act_fifo)
        yield event(Unit.QUEUES, "words of the bus, queued", Write(bus, row=True), written.bus_hops)
        # A place of a line chooses among its owners; its queue has two rows.
        chosen = Select(2 * max(p.pes_x, p.pes_y), bus)
        yield event(Unit.QUEUES, "words of the bus, chosen", chosen, written.bus_hops)
    # A product is kept before the scatter network, chosen by its bank, queued, and chosen again.
    product = addend + p.bank_bits
    yield event(Unit.QUEUES, "products kept", Write(product), read.accumulators)
    yield event(Unit.QUEUES, "products queued", Write(addend, row=True), read.accumulators)
    scattered = Select(p.mults * p.scatter_depth, addend)
    yield event(Unit.QUEUES, "products scattered", scattered, read.accumulators)
    operands = Write(2 * (weights + activations))  # two sets of registers
    yield event(Unit.ARITHMETIC, "operands kept", operands, read.weight_fifo_reads)
    products = Multiply(p.weight_bits, p.act_bits)
    yield event(Unit.ARITHMETIC, "products", products, read.accumulators)
    yield event(Unit.ARITHMETIC, "addresses", Add(p.acc_addr_bits), read.accumulators)
    kept = Write(addend + p.acc_bits)
    yield event(Unit.ACCUMULATORS, "products and sums kept", kept, read.accumulators)
    yield event(Unit.ACCUMULATORS, "additions", Add(p.acc_bits), read.accumulators)
    # A maximum is found whether it is wanted or not.
    yield event(Unit.ACCUMULATORS, "comparisons", Add(p.acc_bits), read.accumulators)
    # A set; what was read, or the sum before; the greater, and it or the sum; that, or what is
    # written where nothing is added.
    choice = Select(2, p.acc_bits)
    yield event(Unit.ACCUMULATORS, "sums chosen", choice, 5 * read.accumulators)
    yield event(Unit.ACCUMULATORS, "sums read", acc("read"), read.accumulators)
    yield event(Unit.ACCUMULATORS, "sums written", acc("write"), read.accumulators)
    yield event(Unit.ACCUMULATORS, "sums drained", acc("read"), read.drained)
    yield event(Unit.ACCUMULATORS, "sums compared", Add(p.acc_bits), written.pairs)
    yield event(Unit.ACCUMULATORS, "sums cleared", acc("write"), read.drained + written.wiped)


def dense_activity(
    p: ScnnParams, layer: QuantConv, useful: float, array: Array, pooling: QuantConv | None = None
) -> LayerActivity:
    """Count what the paper's dense machine does: PEs of as many multipliers, one dot product each.

    A PE makes the outputs of its tile, of which it multiplies ``F x I`` operands a cycle and adds
    the products in a tree. Activations are held for :data:`_DENSE_GROUP` output channels (input
    stationary), weights come from a FIFO in each cycle, and each part of a dot product is added to
    a sum in memory. Its activation RAM is twice ours, and holds no runs.

    Parameters
    ----------
    p : of our array.
    layer, useful : whose work it is, and its products of two non-zeros.
    array : its flip-flops.
    pooling : that is fused, so that only its outputs are written.
    """
    outs, rows, columns = layer.out_shape
    kept = prod((pooling or layer).out_shape)
    depth = layer.num_weights // outs
    parts = -(-depth // p.mults)
    cycles = outs * parts * -(-rows // p.pes_y) * -(-columns // p.pes_x)
    outputs = outs * rows * columns
    products, dots = outputs * depth, outputs * parts
    brought = -(-outs * depth // p.mult_f)
    vector = p.mult_f * p.weight_bits
    word = p.mult_i * p.act_bits
    stored = 2 * p.act_words
    weights = Sram("read", p.stream_beats, vector, two_ports=True)
    read = Sram("read", stored, word, two_ports=True)
    written = Sram("write", stored, word, two_ports=True)
    groups = min(_DENSE_GROUP, outs)
    events = [
        Event(Unit.WEIGHTS, "vectors read", weights, brought),
        Event(Unit.QUEUES, "vectors kept", Write(vector, row=True), brought * p.num_pes),
        Event(
            Unit.QUEUES, "vectors taken", Select(p.weight_depth, vector), dots * p.mult_i
        ),
        Event(Unit.ACTIVATIONS, "words read", read, dots * p.mult_f / groups),
        Event(Unit.ACTIVATIONS, "words written", written, kept / p.mult_i),
        Event(Unit.ACTIVATIONS, "additions", Add(p.acc_bits), 2 * outputs),
        Event(Unit.ARITHMETIC, "operands kept", Write(vector * p.mult_i + word), dots),
        Event(Unit.ARITHMETIC, "products", Multiply(p.weight_bits, p.act_bits), products),
        Event(Unit.ARITHMETIC, "additions", Add(p.acc_bits), products),
        Event(
            Unit.ACCUMULATORS, "sums read", Sram("read", p.accs, p.acc_bits, two_ports=True),
            dots + outputs,
        ),
        Event(
            Unit.ACCUMULATORS, "sums written", Sram("write", p.accs, p.acc_bits, two_ports=True),
            dots,
        ),
    ]  # fmt: skip
    return LayerActivity(layer.name, cycles, useful, [*events, *array.clock(cycles)])


def _width(layout: Any) -> int:
    return Shape.cast(layout).width


ENERGY = _ScnnEnergy()
"""What is found of SCNN, see :mod:`zeroskip.sim.energy.model`."""
