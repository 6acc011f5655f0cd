"""Memory as tests of the DMA see it: it answers whenever it likes, and allows nothing wrong."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from zeroskip.hw.system.params import SystemParams

PAGE = 4096
OKAY, EXOKAY, SLVERR, DECERR = range(4)


def chances(seed: int, busy: float) -> Iterator[bool]:
    """Give without end whether something happens in a cycle, with bursts of yes and of no."""
    rng = Random(seed)
    while True:
        value = rng.random() >= busy
        yield from [value] * rng.choice([1, 1, 2, 5])


@dataclass
class Stable:
    """Checks that a stream's ``valid`` and payload hold until the transfer."""

    name: str
    offered: Any = None

    def see(self, valid: int, ready: int, payload: Any) -> bool:
        """Look at a cycle; return whether there was a transfer."""
        if self.offered is not None:
            assert valid, f"{self.name}: valid fell before the transfer"
            assert payload == self.offered, f"{self.name}: the payload changed before the transfer"
        self.offered = payload if valid and not ready else None
        return bool(valid and ready)


def check_burst(p: SystemParams, addr: int, beats: int) -> None:
    assert addr % p.beat_bytes == 0
    assert 1 <= beats <= p.burst_beats
    assert addr // PAGE == (addr + beats * p.beat_bytes - 1) // PAGE, "a burst over a page's end"


@dataclass
class Memory:
    """A memory of any contents.

    Attributes
    ----------
    data : by address of a beat; what is not there is drawn when it is read.
    bad : addresses of beats that are answered with an error.
    bursts : address and beats of all bursts that were asked for.
    outstanding : most bursts ever waiting for beats, the one that was just asked for among them;
        of writes, for their answer.
    written : address and data of all beats written, in their order.
    whole : of writes, all bytes of every beat are to be written.
    order : of writes, what this memory waits for: "aw", beats are taken once their address is
        there; "w", an address is taken once a beat is offered or was taken; "", nothing.
    """

    p: SystemParams
    seed: int
    busy: float = 0.0
    latency: int = 0
    bad: frozenset[int] = frozenset()
    data: dict[int, int] = field(default_factory=dict)
    bursts: list[tuple[int, int]] = field(default_factory=list)
    outstanding: int = 0
    written: list[tuple[int, int]] = field(default_factory=list)
    whole: bool = True
    order: str = ""

    def row(self, addr: int) -> int:
        if addr not in self.data:
            self.data[addr] = Random(self.seed ^ addr).getrandbits(self.p.data_bits)
        return self.data[addr]

    def addresses(self, addr: int, beats: int) -> list[int]:
        end = 1 << self.p.addr_bits
        return [(addr + k * self.p.beat_bytes) % end for k in range(beats)]

    async def serve_reads(self, ctx: Any, axi: Any) -> None:
        """Answer for ever, in the order of asking; ``axi.r`` must be ready in every cycle."""
        ask, give = chances(self.seed + 1, self.busy), chances(self.seed + 2, self.busy)
        waiting: deque[tuple[int, int, bool]] = deque()  # due cycle, address, last of its burst
        stable, now, offering = Stable("ar"), 0, False
        while True:
            ctx.set(axi.ar.ready, next(ask))
            if not offering and waiting and waiting[0][0] <= now and next(give):
                _, addr, last = waiting[0]
                offering = True
                resp = (SLVERR, DECERR)[addr // self.p.beat_bytes & 1]
                ctx.set(axi.r.payload.data, self.row(addr))
                ctx.set(axi.r.payload.resp, resp if addr in self.bad else OKAY)
                ctx.set(axi.r.payload.last, last)
            ctx.set(axi.r.valid, offering)
            sample = ctx.tick().sample(
                axi.ar.valid, axi.ar.ready, axi.ar.payload.addr, axi.ar.payload.len, axi.r.ready
            )
            _, _, valid, ready, addr, length, r_ready = await sample
            assert r_ready, "r is not ready"
            now += 1
            if offering:
                waiting.popleft()
                offering = False
            if stable.see(valid, ready, (addr, length)):
                check_burst(self.p, addr, length + 1)
                self.bursts.append((addr, length + 1))
                for k, at in enumerate(self.addresses(addr, length + 1)):
                    waiting.append((now + self.latency, at, k == length))
                self.outstanding = max(self.outstanding, sum(last for *_, last in waiting))

    async def serve_writes(self, ctx: Any, axi: Any) -> None:
        """Answer for ever, in the order of asking; ``axi.b`` must be ready in every cycle."""
        aw, w, b = axi.aw, axi.w, axi.b
        take_aw, take_w, give = (chances(self.seed + k, self.busy) for k in (3, 4, 5))
        places: deque[tuple[int, bool]] = deque()  # of bursts with an address, beats without data
        words: deque[tuple[int, int, int]] = deque()  # of beats without address: data, last, strb
        answers: deque[tuple[int, int]] = deque()  # due cycle, response
        aw_stable, w_stable, now, unanswered, worst = Stable("aw"), Stable("w"), 0, 0, OKAY
        while True:
            has_beat = bool(words) or ctx.get(w.valid)
            ctx.set(aw.ready, next(take_aw) and (self.order != "w" or has_beat))
            ctx.set(w.ready, next(take_w) and (self.order != "aw" or bool(places)))
            offering = bool(answers) and answers[0][0] <= now and next(give)
            ctx.set(b.valid, offering)
            if offering:
                ctx.set(b.payload, answers.popleft()[1])
                unanswered -= 1
            sample = ctx.tick().sample(
                *(aw.valid, aw.ready, aw.payload.addr, aw.payload.len),
                *(w.valid, w.ready, w.payload.data, w.payload.last, w.payload.strb),
                b.ready,
            )
            (
                _,
                _,
                valid,
                ready,
                addr,
                length,
                w_valid,
                w_ready,
                word,
                last,
                strb,
                taken,
            ) = await sample
            assert taken, "b is not ready"
            now += 1
            if aw_stable.see(valid, ready, (addr, length)):
                check_burst(self.p, addr, length + 1)
                self.bursts.append((addr, length + 1))
                unanswered += 1
                for k, at in enumerate(self.addresses(addr, length + 1)):
                    places.append((at, k == length))
            if w_stable.see(w_valid, w_ready, (word, last, strb)):
                assert strb == (1 << self.p.beat_bytes) - 1 or not self.whole
                words.append((word, last, strb))
            while places and words:
                at, final = places.popleft()
                word, last, strb = words.popleft()
                if not self.whole:
                    mask = sum(255 << 8 * k for k in range(self.p.beat_bytes) if strb >> k & 1)
                    word = (word & mask) | (self.row(at) & ~mask)
                assert last == final, "last at the wrong beat"
                self.written.append((at, word))
                worst |= (SLVERR, DECERR)[at // self.p.beat_bytes & 1] if at in self.bad else OKAY
                if final:
                    answers.append((now + self.latency, worst))
                    worst = OKAY
            self.outstanding = max(self.outstanding, unanswered)
