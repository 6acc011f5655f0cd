"""Scatter network: from F x I products with any addresses to a queue before every bank."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.memory import NamedMemory
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.products import addend_layout, head_signature, product_signature, value_shape

__all__ = ["Scatter"]


class Scatter(wiring.Component):
    """Bring each product to the queue of its bank, exactly once (SCNN, section IV).

    Products of a pair wait in a register. In a cycle a bank is offered, of each weight's row of I
    products, the first that waits for it; of these at most F, its queue takes as many as there
    is room for, in the order of the rows. The head of a queue always leaves. The next pair comes
    in in the cycle in which the last products of the one before go.

    Control works on words of a bit a bank: the same few operations for any number of banks.

    Members
    -------
    valid, ready : In, Out, a pair; ``ready`` depends on the state alone.
    products : In, its products, ``[f][i]``.
    set : In, the set of accumulators that they are for.
    heads : Out, what leaves the queue of each bank.
    waiting : Out, for each set, products for it are in the register or at the heads of queues:
        if not, and no more of them come, all have left.
    """

    valid: Signal
    ready: Signal
    products: Any
    set: Signal
    heads: Any
    waiting: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "valid": In(1),
            "ready": Out(1),
            "products": In(product_signature(params)).array(params.mult_f, params.mult_i),
            "set": In(1),
            "heads": Out(head_signature(params)).array(params.banks),
            "waiting": Out(2),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        # h_: the pair whose products wait.
        h_used = self._registers("h_used", 1)
        h_addr = self._registers("h_addr", p.acc_addr_bits, reset_less=True)
        h_value = self._registers("h_value", value_shape(p), reset_less=True)
        h_set = Signal(reset_less=True)
        first, offered = self._offer(m, h_used, h_addr)

        # Places of the queues that are taken, their sets, and both after the heads have left.
        taken = [self._word(f"taken_{e}") for e in range(p.scatter_depth)]
        sets = [self._word(f"sets_{e}", reset_less=True) for e in range(p.scatter_depth)]
        left, left_sets = ([*words[1:], Const(0, p.banks)] for words in (taken, sets))
        entering, ranks, counts = self._admit(m, offered, left)
        for e in range(p.scatter_depth):
            # Place e is taken in the next cycle if it still is, or if place e - k still is and at
            # least k products enter: behind places 0 and 1, the first product takes place 2.
            ends = [counts[k - 1] & left[e - k] for k in range(1, min(p.mult_f, e) + 1)]
            ends += [counts[e]] if e < p.mult_f else []
            m.d.sync += [
                taken[e].eq(reduce(or_, ends, left[e])),
                sets[e].eq((left[e] & left_sets[e]) | (~left[e] & h_set.replicate(p.banks))),
            ]

        stay = []
        for f, row in enumerate(h_used):
            for i, used in enumerate(row):
                stays = Signal(name=f"stays_{f}_{i}")
                m.d.comb += stays.eq(used & ~(first[f][i] & entering[f]).any())
                m.d.sync += used.eq(stays)
                stay.append(stays)
        m.d.comb += self.ready.eq(~Cat(stay).any())
        with m.If(self.valid & self.ready):
            m.d.sync += h_set.eq(self.set)
            for f, row in enumerate(self.products):
                for i, product in enumerate(row):
                    m.d.sync += [
                        h_used[f][i].eq(product.used),
                        h_addr[f][i].eq(product.addr),
                        h_value[f][i].eq(product.value),
                    ]

        for bank, head in enumerate(self.heads):
            writes = [
                (
                    entering[f][bank],
                    Cat(bits[bank] for bits in ranks[f]),
                    self._pick([word[bank] for word in first[f]], h_addr[f], h_value[f]),
                )
                for f in range(p.mult_f)
            ]
            m.d.comb += [
                head.valid.eq(taken[0][bank]),
                head.set.eq(sets[0][bank]),
                head.addend.eq(self._queue(m, bank, taken[0][bank], writes)),
            ]
        held = Cat(*h_used).any()
        for number in range(2):
            queued = (taken[0] & (sets[0] if number else ~sets[0])).any()
            m.d.comb += self.waiting[number].eq((held & (h_set == number)) | queued)
        return m

    def _word(self, name: str, *, reset_less: bool = False) -> Signal:
        """Make a signal of a bit a bank."""
        return Signal(self._p.banks, name=name, reset_less=reset_less)

    def _registers(self, name: str, shape: Any, *, reset_less: bool = False) -> list[list[Signal]]:
        """Make a signal for each product of a pair, ``[f][i]``."""
        return [
            [
                Signal(shape, name=f"{name}_{f}_{i}", reset_less=reset_less)
                for i in range(self._p.mult_i)
            ]
            for f in range(self._p.mult_f)
        ]

    def _offer(
        self, m: Module, used: list[list[Signal]], addr: list[list[Signal]]
    ) -> tuple[list[list[Signal]], list[Signal]]:
        """Find the first product of each row for each bank.

        Returns words: ``first[f][i]``, banks that product i of row f is offered to, at most one;
        ``offered[f]``, banks that are offered a product of row f.
        """
        first, offered = self._words_like(used, "first"), []
        for f, row in enumerate(used):
            before: Value = Const(0, self._p.banks)
            for i, waits in enumerate(row):
                to = self._word(f"to_{f}_{i}")
                bank = addr[f][i][: self._p.bank_bits]
                m.d.comb += [
                    # An address that is X, of no product, must not reach the word by a shift.
                    to.eq(waits.replicate(self._p.banks) & (1 << bank)),
                    first[f][i].eq(to & ~before),
                ]
                before = before | to
            word = self._word(f"offered_{f}")
            m.d.comb += word.eq(before)
            offered.append(word)
        return first, offered

    def _words_like(self, signals: list[list[Signal]], name: str) -> list[list[Signal]]:
        return [
            [self._word(f"{name}_{f}_{i}") for i in range(len(row))]
            for f, row in enumerate(signals)
        ]

    def _admit(
        self, m: Module, offered: list[Signal], left: list[Value]
    ) -> tuple[list[Signal], list[list[Value]], list[Signal]]:
        """Decide which of the products offered to a bank enter its queue.

        Returns words: ``entering[f]``, the product of row f enters; the bits of its number among
        the products that enter, lowest first; ``counts[k]``, more than k products enter.
        """
        p = self._p
        full = (1 << p.banks) - 1
        # room[k]: more than k places are free.
        room = [~left[p.scatter_depth - 1 - k] for k in range(min(p.mult_f, p.scatter_depth))]
        room += [Const(0, p.banks)] * (p.mult_f - len(room))
        # number[k]: k products were offered to the bank by the rows before.
        number: list[Value] = [Const(full, p.banks)]
        entering, ranks = [], []
        for f, word in enumerate(offered):
            enters = self._word(f"entering_{f}")
            fits = reduce(or_, (n & r for n, r in zip(number, room, strict=False)))
            m.d.comb += enters.eq(word & fits)
            entering.append(enters)
            ranks.append([
                reduce(or_, [n for k, n in enumerate(number) if k >> bit & 1])
                for bit in range(f.bit_length())
            ])
            after = [self._word(f"number_{f}_{k}") for k in range(f + 2)]
            for k, more in enumerate(after):
                same = number[k] & ~word if k < len(number) else Const(0, p.banks)
                one_more = number[k - 1] & word if k else Const(0, p.banks)
                m.d.comb += more.eq(same | one_more)
            number = list(after)
        counts = []
        for k in range(p.mult_f):
            count = self._word(f"count_{k}")
            m.d.comb += count.eq(room[k] & reduce(or_, number[k + 1 :]))
            counts.append(count)
        return entering, ranks, counts

    def _pick(self, here: list[Value], addr: list[Signal], value: list[Signal]) -> Value:
        """Give the addend of the product of a row that is for a bank; any if none is."""
        bits = [Cat(a[self._p.bank_bits :], v) for a, v in zip(addr, value, strict=True)]
        picked = bits[-1]
        for one, other in zip(here[-2::-1], bits[-2::-1], strict=True):
            picked = Mux(one, other, picked)
        return picked

    def _queue(
        self, m: Module, bank: int, leaves: Value, writes: Sequence[tuple[Value, Value, Value]]
    ) -> Value:
        """Make the queue of a bank: up to F products enter a cycle, the head leaves.

        ``writes`` are, for every row, whether its product enters, its number among those that
        do, and the product. Returns the head.
        """
        depth = self._p.scatter_depth
        # Even a queue of one place has an address: no signal may be 0 bits wide.
        name = f"queue_{bank}"
        places = NamedMemory(addend_layout(self._p), max(2, depth), name)
        m.submodules[name] = places
        start = Signal(range(max(2, depth)), name=f"start_{bank}")
        end = Signal(range(max(2, depth)), name=f"end_{bank}")

        def wrap(place: Value) -> Value:
            return Mux(place >= depth, place - depth, place) if depth & (depth - 1) else place

        for enters, rank, addend in writes:
            write = places.write_port()
            m.d.comb += [
                write.en.eq(enters),
                write.addr.eq(wrap(end + rank)),
                write.data.as_value().eq(addend),
            ]
        total = sum((enters for enters, _, _ in writes), Const(0, 1))
        m.d.sync += [start.eq(wrap(start + leaves)), end.eq(wrap(end + total))]
        read = places.read_port(domain="comb")
        m.d.comb += read.addr.eq(start)
        return read.data.as_value()
