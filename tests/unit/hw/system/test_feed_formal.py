"""Proofs, for all inputs and any number of cycles, that weights come once and in their order."""

from pathlib import Path

import pytest
from amaranth.hdl import Module, Mux, Signal, Value

from tests.support.prove import FAILS, PROVED, SLIPS, Watched, prove, take, unstable
from zeroskip.hw.system.feed import Feed
from zeroskip.hw.system.gearbox import Gearbox
from zeroskip.hw.system.params import SystemParams

pytest.importorskip("pyosys")

P = SystemParams(data_bits=64, addr_bits=16, burst_beats=2, outstanding=2)
_ROWS = P.burst_beats * P.outstanding
_MOST = 1 << 5
"""More beats than are ever on their way."""


class GearboxWatch(Watched):
    """A gearbox, whose parts are counted on both sides, and of which one has a 1 and others a 0.

    Parameters
    ----------
    i_bits, o_bits : of the gearbox.
    wrong : one of :data:`.SLIPS`: what leaves is lost or doubled while ``slip``.
    """

    given: Signal
    valid: Signal
    ready: Signal
    slip: Signal

    def __init__(self, i_bits: int, o_bits: int, wrong: str = "") -> None:
        self._widths, self._wrong = (i_bits, o_bits), wrong
        super().__init__({"given": i_bits, "valid": 1, "ready": 1, "slip": 1})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = Gearbox(*self._widths)
        i, o = dut.i, dut.o
        held, waits, marked = Signal(self._widths[0]), Signal(), Signal()
        word = Mux(waits, held, self.given)
        # One part of all that ever come may be 1, and an input stays until it is taken.
        bits = sum((word[n] for n in range(self._widths[0])), Value.cast(0))
        offered = Mux((bits == 1) & ~marked, word, 0)
        comes, leaves = Signal(), Signal()
        m.d.comb += [
            i.payload.eq(offered),
            i.valid.eq(self.valid | waits),
            comes.eq(i.valid & i.ready),
            leaves.eq(take(m, o, self.ready, self.slip, wrong=self._wrong)),
        ]
        m.d.sync += [waits.eq(i.valid & ~i.ready), held.eq(offered)]
        with m.If(comes & (offered != 0)):
            m.d.sync += marked.eq(1)
        # Parts that have come and not left, and those of them in front of the one that is marked.
        inside, ahead = Signal(range(_MOST)), Signal(range(_MOST))
        known = Signal()
        fresh = i.valid & (offered != 0) & ~known
        place = sum((offered[n] * n for n in range(self._widths[0])), Value.cast(0))
        splits = self._widths[0] > self._widths[1]
        # Of a word that is taken apart, parts leave before it is taken.
        enters = (i.valid & ~waits) if splits else comes
        # The last part of a word that is put together goes straight on, before it is taken.
        seen = enters if splits else i.valid
        now = Mux(seen & fresh, inside + place, ahead)
        there = known | (seen & fresh)
        width = self._widths[1]
        taken = Mux(leaves, width, 0)
        m.d.sync += [
            inside.eq(inside + Mux(enters, self._widths[0], 0) - taken),
            known.eq((known | (enters & fresh)) & ~(leaves & (now < width))),
            ahead.eq(now - taken),
        ]
        due = there & (now < width)
        expected = Mux(due, 1 << now[: max(1, width.bit_length() - 1)], 0)
        m.d.comb += self.bad.eq((o.valid & (o.payload != expected)) | unstable(m, o, o.payload))
        return m


@pytest.mark.parametrize(("i_bits", "o_bits"), [(1, 2), (1, 4), (2, 1), (4, 1)])
def test_a_gearbox_loses_and_doubles_nothing(i_bits: int, o_bits: int, tmp_path: Path) -> None:
    answer = prove(GearboxWatch(i_bits, o_bits), tmp_path)
    assert any(text in answer for text in PROVED.split("|")), answer[-2000:]


@pytest.mark.parametrize("wrong", SLIPS)
@pytest.mark.parametrize(("i_bits", "o_bits"), [(1, 2), (2, 1)])
def test_the_proof_of_a_gearbox_can_fail(
    i_bits: int, o_bits: int, wrong: str, tmp_path: Path
) -> None:
    answer = prove(GearboxWatch(i_bits, o_bits, wrong), tmp_path)
    assert FAILS in answer, answer[-2000:]


class FeedWatch(Watched):
    """A feed to which beats come that it asked for, one of them with a 1, the others with a 0.

    Parameters
    ----------
    eager : beats come without having been asked for.
    """

    go: Signal
    addr: Signal
    beats: Signal
    asks: Signal
    comes: Signal
    mark: Signal
    ready: Signal

    def __init__(self, *, eager: bool = False) -> None:
        self._eager = eager
        super().__init__({
            "go": 1, "addr": P.addr_bits, "beats": 4, "asks": 1, "comes": 1, "mark": 1, "ready": 1,
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = Feed(P)
        owed, inside, ahead = (Signal(range(_MOST), name=n) for n in ("owed", "inside", "ahead"))
        known, marked, comes, leaves, mark = (Signal(name=n) for n in ("k", "m", "c", "l", "n"))
        request = dut.request
        m.d.comb += [
            dut.go.eq(self.go & dut.ready),
            dut.job.addr.eq(self.addr),
            dut.job.beats.eq(self.beats),
            request.ready.eq(self.asks),
            comes.eq(self.comes & ((owed != 0) | self._eager)),
            mark.eq(comes & self.mark & ~marked),
            dut.i.valid.eq(comes),
            dut.i.payload.data.eq(mark),
            dut.o.ready.eq(self.ready),
            leaves.eq(dut.o.valid & dut.o.ready),
        ]
        asked = Mux(request.valid & request.ready, request.payload.beats, 0)
        m.d.sync += [
            owed.eq(owed + asked - comes),
            inside.eq(inside + comes - leaves),
            marked.eq(marked | mark),
            known.eq((known | mark) & ~(leaves & known & (ahead == 0))),
            ahead.eq(Mux(known, ahead - leaves, inside - leaves)),
        ]
        due = known & (ahead == 0)
        wrong = dut.o.valid & (dut.o.payload[0] != due)
        lost = (inside > _ROWS + 1) | (dut.o.valid & (inside == 0))
        m.d.comb += self.bad.eq(
            wrong | lost | unstable(m, dut.o, dut.o.payload[0])
            | unstable(m, request, request.payload.as_value())
        )  # fmt: skip
        return m


def test_a_feed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    answer = prove(FeedWatch(), tmp_path)
    assert any(text in answer for text in PROVED.split("|")), answer[-2000:]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    assert FAILS in prove(FeedWatch(eager=True), tmp_path)
