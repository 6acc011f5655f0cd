"""Broadcast: which weight stream each PE listens to, and when a stream goes on."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.formats import descriptor_layout, item_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Broadcast", "stream_numbers"]


def stream_numbers(p: ScnnParams, block_x: int, block_y: int) -> list[int]:
    """Give the number of the stream that each PE listens to, with blocks of that size."""
    across = -(-p.pes_x >> block_x)
    return [
        (y >> block_y) * across + (x >> block_x) for y in range(p.pes_y) for x in range(p.pes_x)
    ]


class Broadcast(wiring.Component):
    """Give the items of each stream to the PEs of its block, when all of them are ready.

    Members
    -------
    descriptor : In, of the pass at work, stable from the cycle of ``start`` until the next.
    start : In, the pass begins with the next cycle.
    used : Out, streams that have a block, from the cycle of ``start`` until the next.
    items, biases : In, of each stream, an item and a bias.
    pe_items, pe_biases : Out, of each PE. An item is valid when all PEs of the block are ready, so
        a PE's ``ready`` must not depend on it.
    """

    descriptor: data.View
    start: Signal
    used: Signal
    items: Any
    biases: Any
    pe_items: Any
    pe_biases: Any

    def __init__(self, params: ScnnParams) -> None:
        self._p = p = params
        items = stream.Signature(item_layout(p))
        super().__init__({
            "descriptor": In(descriptor_layout(p)),
            "start": In(1),
            "used": Out(p.num_streams),
            "items": In(items).array(p.num_streams),
            "biases": In(signed(p.acc_bits)).array(p.num_streams),
            "pe_items": Out(items).array(p.num_pes),
            "pe_biases": Out(signed(p.acc_bits)).array(p.num_pes),
        })

    def elaborate(self, platform: object) -> Module:
        p, d = self._p, self.descriptor
        m = Module()
        # Larger blocks than the grid are the grid.
        whole_x, whole_y = (p.pes_x - 1).bit_length(), (p.pes_y - 1).bit_length()
        ways = {
            (x, y): stream_numbers(p, x, y)
            for x in range(whole_x + 1)
            for y in range(whole_y + 1)
            if max(stream_numbers(p, x, y)) < p.num_streams
        }
        chosen = {
            way: _is_size(d.block_x, way[0], whole_x) & _is_size(d.block_y, way[1], whole_y)
            for way in ways
        }
        for (x, y), numbers in ways.items():
            with m.If(chosen[x, y]):
                m.d.comb += self.used.eq((2 << max(numbers)) - 1)

        waits: list[list[Any]] = [[] for _ in range(p.num_streams)]
        for pe in range(p.num_pes):
            to, bias = self.pe_items[pe], self.pe_biases[pe]
            numbers = sorted({way[pe] for way in ways.values()})
            listens = Signal(len(numbers), name=f"listens_{pe}")
            for at, number in enumerate(numbers):
                here = [chosen[way] for way, of_pes in ways.items() if of_pes[pe] == number]
                with m.If(self.start):
                    m.d.sync += listens[at].eq(Cat(here).any())
                item = self.items[number]
                with m.If(listens[at]):
                    m.d.comb += [
                        to.payload.eq(item.payload),
                        to.valid.eq(item.valid & item.ready),
                        bias.eq(self.biases[number]),
                    ]
                waits[number].append(listens[at] & ~to.ready)
        for item, some in zip(self.items, waits, strict=True):
            m.d.comb += item.ready.eq(~Cat(some).any())
        return m


def _is_size(field: Value, size: int, whole: int) -> Value:
    """Compare the size of a block with ``size``; ``whole`` is the grid's."""
    if whole == 0:
        return Const(1, 1)
    return field >= size if size == whole else field == size
