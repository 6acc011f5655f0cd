"""Proof, for any stalls and any number of cycles, that a PE sends what it owns to the bus once.

How many entries each channel has is left open, and how many rounds there are. A word's value is its
row, so that each that is sent can be told from the others.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import FAILS, PROVED, any_of, prove, unstable
from tests.unit.hw.scnn.watched_bus import P as SMALLEST
from zeroskip.hw.scnn.act_read import ActRead

pytest.importorskip("pyosys")

CHANNELS, WORDS = 2, 2
"""Channels that are sent in a round, and words of a channel at most."""
P = replace(SMALLEST, mult_i=2, act_bits=3, act_words=4)
PATIENCE = 4
"""Cycles to a word at most, while the bus is ready: the first channel may have none."""


class WatchedSend(wiring.Component):
    """ActRead in a pass with the bus, its memories, and what follows the words that it sends.

    Parameters
    ----------
    patience : cycles that may pass up to a word while the bus is ready.

    Members
    -------
    counts, rounds : In, entries of each channel, and rounds of the pass; of the first cycle.
    ready : In, the bus takes a word.
    bad : Out, a word is not the one that is next, is one too many, comes too late, or was changed
        or taken back.
    """

    counts: Any
    rounds: Signal
    ready: Signal
    bad: Signal

    def __init__(self, *, patience: int = PATIENCE) -> None:
        self._patience = patience
        super().__init__({
            "counts": In(range(WORDS * P.mult_i)).array(CHANNELS),
            "rounds": In(2),
            "ready": In(1),
            "bad": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = ActRead(P)
        begun, begins = Signal(), Signal()
        counts = [Signal.like(one, name=f"count_{n}") for n, one in enumerate(self.counts)]
        rounds = Signal.like(self.rounds)
        m.d.sync += [begun.eq(1), begins.eq(~begun)]
        with m.If(~begun):
            m.d.sync += [rounds.eq(self.rounds)]
            m.d.sync += [kept.eq(one) for kept, one in zip(counts, self.counts, strict=True)]
        m.d.comb += [
            dut.start.eq(begins),
            dut.descriptor.bus.eq(1),
            dut.descriptor.groups.eq(rounds),
            dut.descriptor.src_entries.eq(CHANNELS),
            dut.send.ready.eq(self.ready),
        ]
        # Entries that are not of this tensor stand behind.
        rows = Array([*counts, *(Const(1) for _ in range(CHANNELS, P.num_channels))])
        with m.If(dut.directory_en):
            m.d.sync += dut.directory.start.eq(dut.directory_row * WORDS)
            m.d.sync += dut.directory.count.eq(rows[dut.directory_row])
        with m.If(dut.word_en):
            m.d.sync += dut.word[0].value.eq(dut.word_row)

        # What has been sent: rounds, channels of this one, and words of the channel at hand.
        done, channel, word = Signal(3), Signal(range(CHANNELS + 1)), Signal(range(WORDS))
        # Channels without entries are left out, but for the last of a round.
        due, count = Signal(range(CHANNELS)), Signal(range(WORDS * P.mult_i))
        m.d.comb += [due.eq(CHANNELS - 1), count.eq(counts[-1])]
        for number in reversed(range(CHANNELS - 1)):
            with m.If((channel <= number) & (counts[number] != 0)):
                m.d.comb += [due.eq(number), count.eq(counts[number])]
        left = Signal.like(count)
        m.d.comb += left.eq(count - word * P.mult_i)
        final: Value = left <= P.mult_i
        last: Value = final & (due == CHANNELS - 1)
        sent: Any = dut.send.payload
        sends = dut.send.valid & self.ready
        with m.If(sends):
            m.d.sync += [
                word.eq(Mux(final, 0, word + 1)),
                channel.eq(Mux(last, 0, due + final)),
                done.eq(done + last),
            ]
        waited = Signal(range(self._patience + 2))
        waits = begun & ~begins & (done != rounds) & self.ready & ~sends
        m.d.sync += waited.eq(Mux(waits, waited + 1, 0))
        wrong = [
            done >= rounds,
            sent.channel != due,
            *(sent.lanes[lane] != (left > lane) for lane in range(P.mult_i)),
            (left != 0) & (sent.acts[0].value.as_unsigned() != due * WORDS + word),
            sent.first != (word == 0),
            sent.final != final,
            sent.last != last,
        ]
        m.d.comb += self.bad.eq(
            (dut.send.valid & any_of(wrong))
            | unstable(m, dut.send, sent.as_value())
            | (waited > self._patience)
        )
        return m


@pytest.mark.long("a proof of seconds")
def test_each_word_is_sent_once_in_every_round(tmp_path: Path) -> None:
    answer = prove(WatchedSend(), tmp_path)
    assert PROVED.split("|")[0] in answer, answer[-2000:]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    """The time that a word takes is known to a cycle."""
    answer = prove(WatchedSend(patience=PATIENCE - 1), tmp_path)
    assert FAILS in answer, answer[-2000:]
