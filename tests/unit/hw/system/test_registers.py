from random import Random
from typing import Any

import pytest

from tests.unit.hw.system.axi_model import chances
from zeroskip.hw.system.formats import Error
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.registers import (
    REGISTER_BITS,
    SYSTEM_VERSION,
    Event,
    Register,
    Registers,
    State,
)
from zeroskip.sim.bench.pysim import simulate

HALVES = (Register.LIST, Register.WINDOW, Register.WINDOW_BYTES)
KEPT = [Register.LIST_BYTES, *HALVES, *(one + 4 for one in HALVES)]


class Model:
    """What the registers hold, after each access and event."""

    def __init__(self, p: SystemParams) -> None:
        self.words: dict[int, int] = dict.fromkeys(KEPT, 0)
        self.words |= {Register.INTERRUPTS: 0, Register.ENABLE: 0, Register.EVENTS: 0}
        self.words[Register.ERROR] = 0
        self.words[Register.VERSION] = SYSTEM_VERSION | p.beat_bytes << 16 | p.starts << 24
        self.was_done = False

    def double(self, register: int) -> int:
        return self.words[register] | self.words[register + 4] << 32

    def checked(self, register: int) -> int:
        whole = self.double(register)
        return whole & (1 << 40) - 1 | (whole >> 40 != 0) << 40

    def write(self, register: int, value: int, strb: int) -> None:
        mask = sum(255 << 8 * k for k in range(4) if strb >> k & 1)
        if register in KEPT:
            self.words[register] = self.words[register] & ~mask | value & mask
        elif register == Register.EVENTS and strb & 1:
            self.words[register] ^= value & 3
        elif register in (Register.INTERRUPTS, Register.ENABLE) and strb & 1:
            self.words[register] = value & (1 if register == Register.INTERRUPTS else 3)

    def tick(self, ready: bool, left: bool, count: int, cycles: int) -> None:
        """Take up what a read finds in a cycle."""
        self.words[Register.CONTROL] = left | self.was_done << 1 | (not left) << 2 | ready << 3
        self.words[Register.DONE], self.words[Register.CYCLES] = count, cycles


@pytest.mark.parametrize("busy", [0.0, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_accesses(seed: int, busy: float) -> None:
    """Addresses and data come in any order and at any time, and answers are taken at any."""
    p = SystemParams(data_bits=64, starts=3)
    dut = Registers(p)
    rng = Random(seed)
    flow = [chances(seed + k, busy) for k in range(5)]
    seen = {"start": 0, "halt": 0, "interrupt": 0}

    async def bench(ctx: Any) -> None:
        model = Model(p)
        axi = dut.axi
        offered: dict[str, Any] = {}
        answers: list[int] = []
        writes_left = 0
        for _ in range(1500):
            for k, name in enumerate(("aw", "w", "ar")):
                port = getattr(axi, name)
                if name not in offered and next(flow[k]):
                    register = rng.choice([*Register, Register.LIST + 4, 0x3C])
                    word = rng.choice([1, 2, 3, 16, 17, rng.getrandbits(32)])
                    strb = rng.choice([15, 15, rng.getrandbits(4)])
                    offered[name] = {"data": word, "strb": strb} if name == "w" else register
                    ctx.set(port.payload, offered[name])
                ctx.set(port.valid, name in offered)
            ctx.set(axi.b.ready, next(flow[3]))
            ctx.set(axi.r.ready, next(flow[4]))
            ready, left, done, failed = (rng.random() < 0.5 for _ in range(4))
            count, cycles = rng.getrandbits(32), rng.getrandbits(32)
            number = rng.getrandbits(24)
            for port, value in (
                (dut.ready, ready),
                (dut.left, left),
                (dut.done, done),
                (dut.failed, failed),
                (dut.count, count),
                (dut.cycles, cycles),
            ):
                ctx.set(port, value)  # fmt: skip
            ctx.set(dut.failure, {"error": Error.READ, "number": number})
            model.tick(ready, left, count, cycles)
            raised = model.words[Register.INTERRUPTS] and model.words[Register.EVENTS]
            assert ctx.get(dut.interrupt) == bool(raised)
            seen["interrupt"] += bool(raised)
            limits = model.checked(Register.WINDOW), model.checked(Register.WINDOW_BYTES)
            sample = await ctx.tick().sample(
                *(axi.aw.ready, axi.w.ready, axi.ar.ready, axi.b.valid, axi.b.ready, axi.r.valid),
                *(axi.r.ready, axi.r.payload.data, dut.start, dut.halt, dut.listed),
            )
            aw, w, ar, b, b_ready, r, r_ready, word, start, halt, listed = sample[2:]
            assert ctx.get(dut.window.base) == limits[0]
            assert ctx.get(dut.window.end) == sum(limits)
            assert b == (writes_left > 0)
            assert r == bool(answers)
            if b and b_ready:
                writes_left -= 1
            if r:
                assert word == answers[0]
            if r and r_ready:
                answers.pop()
            assert bool(aw and "aw" in offered) == bool(w and "w" in offered)
            writes = "aw" in offered and "w" in offered and aw
            state = State(0)
            if ar and "ar" in offered:
                register = offered.pop("ar")
                answers.append(model.words.get(register, 0))
                if register == Register.CONTROL:
                    model.was_done = False
            assert listed.addr == model.checked(Register.LIST)
            assert listed.bytes == model.words[Register.LIST_BYTES]
            enabled = model.words[Register.ENABLE]
            if writes:
                register, data = offered.pop("aw"), offered.pop("w")
                writes_left += 1
                model.write(register, data["data"], data["strb"])
                if register == Register.CONTROL and data["strb"] & 1:
                    state = State(data["data"] & (State.START | State.STOP))
            assert start == bool(state & State.START and ready)
            assert halt == bool(state & State.STOP and left)
            seen["start"] += start
            seen["halt"] += halt
            model.words[Register.EVENTS] |= enabled & (done * Event.DONE | failed * Event.ERROR)
            model.was_done |= done
            if failed:
                model.words[Register.ERROR] = Error.READ.value | number << 8
            elif start:
                model.words[Register.ERROR] = 0

    simulate(dut, bench)
    assert all(seen.values())


def test_every_register_is_in_reach() -> None:
    assert max(Register) < 1 << REGISTER_BITS
