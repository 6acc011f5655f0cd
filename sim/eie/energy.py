"""Energy of EIE: what its accesses are, and the machines beside it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from amaranth.hdl import Shape
from numpy.typing import NDArray

from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.ir.cells import SUMS
from zeroskip.compiler.ir.graph import QuantCell, QuantLinear
from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.common.multiply import carried_bits
from zeroskip.hw.common.tanh import GATE_BITS, OFFSET_BITS, SEGMENTS, VALUE_FRAC, nodes
from zeroskip.hw.eie.control import SLOTS
from zeroskip.hw.eie.formats import broadcast_layout, pointer_layout, work_layout
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.cycles.accesses import Accesses, program_accesses
from zeroskip.sim.eie.cycles.image import run_image
from zeroskip.sim.eie.machine import vectors
from zeroskip.sim.energy.activity import (
    Access,
    Add,
    Array,
    Cost,
    CounterStep,
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
from zeroskip.sim.products import act_macs, useful_macs
from zeroskip.sim.result import by_layer

__all__ = ["ENERGY", "access_events"]

_Make = Callable[[Unit, str, Cost, float], Event]
"""Makes an event of a unit: name, cost of one, and how many there are in all samples."""

_UNITS = {
    "act_queue": Unit.QUEUES,
    "ptr_read": Unit.POINTERS,
    "spmat_read": Unit.WEIGHTS,
    "arithm": Unit.ARITHMETIC,
    "act_rw": Unit.ACTIVATIONS,
    "cell": Unit.ARITHMETIC,
}
"""Units by the name of a module of the PE; others are control."""

_VALUES, _PRODUCTS, _OF_PEEPHOLES = 5, 3, 3
"""Of the table, and of gates, for a hidden unit of either kind; and products of its peepholes."""
_MORE_READS = 2
"""Of a state, with peepholes."""

_SLOPE_BITS = (nodes()[1] - nodes()[0]).bit_length()
"""Width of the steepest slope of the table, its first."""

_NOT_DENSE = ("ptr_read", "act_queue")
"""Modules that a dense machine has not: it knows where weights are, and all PEs go abreast."""


class _EieEnergy(EnergyModel[EiePart]):
    inside: Mapping[Unit, Unit] = {Unit.ACCUMULATORS: Unit.ARITHMETIC}
    fast_arithmetic = True

    def unit_of(self, module: str) -> Unit:
        return _UNITS.get(module, Unit.CONTROL)

    def array(self, params: EieParams) -> Array:
        found = make_array("eie", replace(params, counters=False), self.unit_of)
        if not params.pointers_first:
            return found
        # Behind the pointers, the next free row of a queue is written in every cycle.
        queue = found.clocks[Unit.QUEUES]
        rows = params.num_pes * Shape.cast(work_layout(params)).width
        always = replace(queue, flip_flops=queue.flip_flops + rows, rows=queue.rows - rows)
        return replace(found, clocks={**found.clocks, Unit.QUEUES: always})

    def layers(self, part: EiePart, tensors: Tensors, counts: Counts) -> Sequence[LayerActivity]:
        read = vectors(part, tensors)
        accesses = program_accesses(part, read)
        # An inference of a recurrent network is a sequence.
        samples = len(read[0]) // (part.graph.steps or 1)
        # Every PE counts every cycle.
        cycles = counts.counters[:, :, 0].sum(axis=(0, 2)) / samples
        return [
            LayerActivity(
                name=layer.name,
                cycles=float(spent),
                useful=found.useful / samples,
                events=list(access_events(part.params, found, samples)),
            )
            for layer, found, spent in zip(part.layers, accesses, cycles, strict=True)
        ]

    def operands(self, part: EiePart, tensors: Tensors) -> Operands | None:
        """Return factors and addends of Linear layers; see :meth:`.EnergyModel.operands`.

        PEs come one after the other.
        """
        found = [
            _operands(layer, x[0], part.params)
            for layer, x in zip(part.layers, vectors(part, tensors), strict=False)
            if isinstance(layer, QuantLinear)
        ]
        if not found:
            return None
        factors, added = (np.concatenate(rows) for rows in zip(*found, strict=True))
        return Operands(factors, added)

    def machines(self, part: EiePart, tensors: Tensors) -> Machines:
        read, steps = vectors(part, tensors), part.graph.steps or 1
        array = self.array(part.params)
        without = replace(part.params, counters=False, delta=False)
        dense_array = make_array("eie", without, self.unit_of, _NOT_DENSE)
        # The array itself on an input without zeros, which alternates between its limits, so that
        # every activation and every change is multiplied.
        ends = np.where(np.arange(steps) % 2, part.params.max_act, part.params.min_act)

        def filling(values: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.ones_like(values[:steps]) * ends.reshape(-1, *(1,) * (values.ndim - 1))

        full = [filling(values) for values in read]
        spent, counters = run_image(part, full)
        counted = by_layer(part.passes, len(part.layers), counters)
        every = Counts(spent[:, None], counted, np.zeros_like(spent))
        taken = part.graph.taken(tensors)
        filled = {name: filling(values) for name, values in taken.items()}
        pairs = [
            (layer, (read[number], read[part.vector(number, past=True)]))
            for number, layer in enumerate(part.layers)
        ]
        useful = [steps * float(useful_macs(layer, *xy).mean()) for layer, xy in pairs]
        kept = [
            steps * float(act_macs(layer, *xy).mean()) / _weight_rows(layer) for layer, xy in pairs
        ]
        return {
            "dense": [
                _dense(without, layer, steps * layer.shape[1], products, dense_array, steps)
                for layer, products in zip(part.layers, useful, strict=True)
            ],
            "weights": [
                replace(layer, useful=products, events=[*layer.events, *array.clock(layer.cycles)])
                for layer, products in zip(self.layers(part, filled, every), useful, strict=True)
            ],
            "activations": [
                _dense(without, layer, columns, products, dense_array, steps)
                for layer, columns, products in zip(part.layers, kept, useful, strict=True)
            ],
        }


def _operands(
    layer: QuantLinear, x: NDArray[np.int64], p: EieParams
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (n, 2) the factors, and products with the sums before them, of a layer's PEs."""
    starts = layer.codes.indptr
    factors: list[tuple[int, int]] = []
    added: list[tuple[int, int]] = []
    for pe in range(p.num_pes):
        sums = dict.fromkeys(range(layer.shape[0]), 0)
        for column in np.flatnonzero(x):
            entries = slice(starts[column], starts[column + 1])
            pairs = zip(layer.codes.indices[entries], layer.codes.data[entries], strict=True)
            for row, code in pairs:
                weight = int(layer.codebook[code])
                if row % p.num_pes == pe and weight:
                    product = int(x[column]) * weight
                    factors.append((int(x[column]), weight))
                    added.append((product, sums[row]))
                    sums[row] += product
    # Where nothing is multiplied there are none, of the same kind.
    rows = np.array([*factors, *added], np.int64).reshape(2, -1, 2)
    return rows[0], rows[1]


def _weight_rows(layer: QuantLinear | QuantCell) -> int:
    """Return how many weights a column has."""
    return layer.weight_rows if isinstance(layer, QuantCell) else layer.shape[0]


def access_events(p: EieParams, found: Accesses, samples: int = 1) -> Iterator[Event]:
    """Give every access of an array with its cost.

    Parameters
    ----------
    p : of the array.
    found : counts, of so many ``samples``.
    """

    def event(unit: Unit, what: str, cost: Cost, count: float) -> Event:
        return Event(unit, what, cost, count / samples)

    yield from _fetch_events(p, found, event)
    yield from _arithmetic_events(p, found, event)
    yield from _drain_events(p, found, event)
    yield from _cell_events(p, found.units, found.peepholes, event)
    yield from _delta_events(p, found, event)
    yield event(Unit.CONTROL, "non-zeros found", Select(p.num_pes, p.value_bits), found.columns)


def _fetch_events(p: EieParams, found: Accesses, event: _Make) -> Iterator[Event]:
    """Give the events of pointers and Spmat: from a queued activation to an entry taken out."""
    pointer = Shape.cast(pointer_layout(p)).width
    queued = Shape.cast(work_layout(p) if p.pointers_first else broadcast_layout(p)).width
    spmat = Sram("read", p.spmat_words, p.word_bits)
    bank = Sram("read", p.num_pointers // 2, pointer)
    taken, row = found.columns * p.num_pes, p.acc_addr_bits
    entry = Select(p.entries_per_word, p.entry_bits)
    yield event(Unit.WEIGHTS, "Spmat words read", spmat, found.words)
    yield event(Unit.WEIGHTS, "entries taken out", entry, found.issued)
    yield event(Unit.WEIGHTS, "activations of columns begun", Write(p.value_bits), found.queued)
    # Three registers count: address of the word, of the next one, and row at the SRAM's output.
    yield event(Unit.WEIGHTS, "addresses of words", CounterStep(), 3 * found.words)
    yield event(Unit.WEIGHTS, "places of entries", CounterStep(), found.issued)
    yield event(Unit.WEIGHTS, "rows of entries kept", Write(row), found.issued)
    # An entry's row is that of the entry before, plus its run, plus 1: two additions.
    yield event(Unit.WEIGHTS, "rows of entries added up", Add(row), 2 * found.issued)
    yield event(Unit.POINTERS, "pointers read", bank, found.pointers)
    yield event(Unit.POINTERS, "rows held", CounterStep(), found.pointers)
    yield event(Unit.POINTERS, "starts told from ends", Select(2, 2 * pointer), taken)
    yield event(Unit.POINTERS, "activations beside them", Write(p.value_bits), taken)
    yield event(Unit.QUEUES, "columns queued", Write(queued, not p.pointers_first), found.queued)
    yield event(Unit.QUEUES, "columns taken", Select(p.queue_depth, queued), found.queued)


def _sums(p: EieParams, what: Access) -> Sram:
    return Sram(what, p.num_accs, p.acc_bits, two_ports=True)


def _arithmetic_events(p: EieParams, found: Accesses, event: _Make) -> Iterator[Event]:
    """Give what an entry does in the arithmetic unit."""
    row = p.acc_addr_bits
    carried = carried_bits(p.value_bits, p.weight_bits)
    product = p.value_bits + p.weight_bits
    # Weight and row; the product between its two cycles, with the row; the product and the row;
    # and the sum, which may be added to next. The activation stays for all entries of a column.
    kept = Write((p.weight_bits + row) + (carried + row) + (product + row) + p.acc_bits)
    if not p.plain:
        lookup = Select(p.num_codes, p.weight_bits)
        yield event(Unit.ARITHMETIC, "weights looked up", lookup, found.issued)
    yield event(Unit.ARITHMETIC, "activations of columns kept", Write(p.value_bits), found.queued)
    yield event(Unit.ARITHMETIC, "weights, products, sums kept", kept, found.useful)
    yield event(Unit.ARITHMETIC, "products", Multiply(p.weight_bits, p.value_bits), found.useful)
    moved = found.useful + found.drained
    yield event(Unit.ACCUMULATORS, "sums read", _sums(p, "read"), moved)
    yield event(Unit.ACCUMULATORS, "sums written", _sums(p, "write"), moved)
    yield event(Unit.ACCUMULATORS, "sums read or kept", Select(2, p.acc_bits), found.useful)
    yield event(Unit.ACCUMULATORS, "additions", Add(p.acc_bits), found.useful)


def _drain_events(p: EieParams, found: Accesses, event: _Make) -> Iterator[Event]:
    """Give what the files of activations do, and what makes outputs of sums."""
    two_ports = p.act_files > 2  # a file may be read and written in one cycle

    def acts(what: Access) -> Sram:
        return Sram(what, p.num_acts, p.act_bits, two_ports=two_ports)

    weights = _OF_PEEPHOLES * found.peepholes
    bias = Sram("read", p.num_biases, p.acc_bits)
    yield event(Unit.ACTIVATIONS, "activations scanned", acts("read"), found.scanned)
    yield event(Unit.ACTIVATIONS, "candidates kept", Write(p.value_bits), found.scanned)
    yield event(Unit.ACTIVATIONS, "outputs written", acts("write"), found.outputs)
    yield event(Unit.ACTIVATIONS, "biases read", bias, found.drained + weights)
    # The bias, and what rounds.
    yield event(Unit.ACTIVATIONS, "additions", Add(p.acc_bits), 2 * found.drained)


def _cell_events(
    p: EieParams,
    units: float,
    peepholes: float,
    event: _Make,
) -> Iterator[Event]:
    """Give what the cells of PEs do for so many hidden units, some with peepholes."""
    if not units:
        return
    values, products = _VALUES * units, _PRODUCTS * units + _OF_PEEPHOLES * peepholes
    lookup = Select(SEGMENTS, VALUE_FRAC + _SLOPE_BITS)
    slope = Multiply(_SLOPE_BITS + 1, OFFSET_BITS + 1)
    yield event(Unit.ARITHMETIC, "segments of functions looked up", lookup, values)
    yield event(Unit.ARITHMETIC, "products of slopes", slope, values)
    yield event(Unit.ARITHMETIC, "values of functions", Add(GATE_BITS), values)
    yield event(Unit.ARITHMETIC, "products of gates", Multiply(GATE_BITS, GATE_BITS), products)
    yield event(Unit.ARITHMETIC, "sums of these", Add(2 * GATE_BITS), products)
    reads = Sram("read", p.num_states, GATE_BITS)
    yield event(Unit.ACTIVATIONS, "states read", reads, units + _MORE_READS * peepholes)
    writes = Sram("write", p.num_states, GATE_BITS)
    yield event(Unit.ACTIVATIONS, "states written", writes, units)


def _delta_events(p: EieParams, found: Accesses, event: _Make) -> Iterator[Event]:
    """Give what PEs do to find changes, and to keep sums."""
    if not found.compared:
        return

    def references(what: Access) -> Sram:
        return Sram(what, p.num_references, p.act_bits, two_ports=True)

    def kept(what: Access) -> Sram:
        return Sram(what, p.num_biases, p.acc_bits, two_ports=True)

    unit = Unit.ACTIVATIONS
    yield event(unit, "references read", references("read"), found.compared)
    yield event(unit, "references written", references("write"), found.renewed)
    # A difference, and a comparison with the threshold.
    yield event(unit, "differences", Add(p.value_bits), 2 * found.compared)
    yield event(unit, "totals read", kept("read"), found.resumed)
    yield event(unit, "totals kept", kept("write"), found.kept)


def _dense(
    p: EieParams,
    layer: QuantLinear | QuantCell,
    columns: float,
    useful: float,
    array: Array,
    steps: int,
) -> LayerActivity:
    """Count what a machine does that multiplies all weights of some columns.

    It has the same memories, with weights of ``weight_bits`` where codes are here.
    """
    rows, outputs = _weight_rows(layer), layer.out_shape[0]
    each = -(-rows // p.num_pes)  # rows of the PE that has most
    cell = layer.cell if isinstance(layer, QuantCell) else CellKind.NONE
    units = 0 if cell == CellKind.NONE else outputs
    drained = SUMS * units or outputs
    products = columns * rows
    per_word = max(1, p.word_bits // p.weight_bits)
    done = Accesses(
        scanned=steps * layer.shape[1],
        words=columns * p.num_pes * -(-each // per_word),
        useful=products,
        drained=steps * drained,
        outputs=steps * outputs,
        units=steps * units,
        peepholes=steps * units if cell == CellKind.PEEPHOLE else 0,
    )
    taken = Event(Unit.WEIGHTS, "weights taken out", Select(per_word, p.weight_bits), products)
    drain = SLOTS.get(cell, 0) * -(-units // p.num_pes) or each
    cycles = columns * each + steps * drain
    events = [taken, *access_events(p, done), *array.clock(cycles)]
    return LayerActivity(layer.name, cycles, useful, events)


ENERGY = _EieEnergy()
"""What is found of EIE, see :mod:`zeroskip.sim.energy.model`."""
