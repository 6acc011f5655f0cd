from random import Random
from typing import Any

import pytest

from zeroskip.hw.chip.formats import Go
from zeroskip.hw.chip.sequence import Sequence
from zeroskip.sim.bench.pysim import simulate

ORDER = ["scnn", "handoff", "eie"]


class Work:
    """What starts when it is told and ready, and is at work for some cycles from then on."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.left = 0

    def ready(self) -> bool:
        return self._rng.random() < 0.4

    def step(self, begins: bool) -> None:
        self.left = self._rng.randrange(1, 9) if begins else max(0, self.left - 1)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("parts", range(1 << len(Go)))
def test_parts_in_their_order(parts: int, lost: bool) -> None:
    """Each begins when the one before is over; lost outputs end the sequence behind SCNN."""
    dut = Sequence()
    rng = Random(parts)
    works = {name: Work(rng) for name in ORDER}
    wanted = [name for name, part in zip(ORDER, (Go.SCNN, Go.HANDOFF, Go.EIE), strict=True)
              if parts & part]  # fmt: skip
    if lost and {"scnn", "handoff"} & set(wanted):
        wanted = [name for name in wanted if name == "scnn"]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.scnn_lost, lost)
        for _ in range(3):
            # SCNN may still be in a run of its own.
            works["scnn"].left = rng.choice([0, 5])
            begun: list[str] = []
            ctx.set(dut.go, 1)
            ctx.set(dut.parts, parts)
            for cycle in range(200):
                ready = {name: works[name].ready() for name in ORDER}
                for name, busy in (
                    ("scnn", dut.scnn_running),
                    ("handoff", dut.handoff_busy),
                    ("eie", dut.eie_running),
                ):
                    ctx.set(busy, works[name].left > 0)
                ctx.set(dut.scnn_ready, ready["scnn"])
                ctx.set(dut.eie_ready, ready["eie"])
                if cycle and not ctx.get(dut.busy):
                    break
                starts = {
                    "scnn": ctx.get(dut.scnn_start) and ready["scnn"],
                    "handoff": ctx.get(dut.handoff_go),
                    "eie": ctx.get(dut.eie_start) and ready["eie"],
                }
                for name, begins in starts.items():
                    if begins:
                        assert not any(works[one].left for one in begun)
                        assert name != "handoff" or not works["scnn"].left
                        begun.append(name)
                    works[name].step(bool(begins))
                await ctx.tick()
                ctx.set(dut.go, 0)
                # Of what comes later, nothing counts.
                ctx.set(dut.parts, ~parts & 0x7)
            assert not ctx.get(dut.busy)
            assert begun == wanted
            assert not any(works[name].left for name in begun)
            ctx.set(dut.parts, 0)
            for work in works.values():
                work.left = 0

    simulate(dut, bench)
