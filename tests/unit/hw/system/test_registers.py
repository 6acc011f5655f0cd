from random import Random
from typing import Any

import pytest

from tests.unit.hw.system.axi_model import chances
from zeroskip.hw.bus.register_map import Access
from zeroskip.hw.system.formats import Error
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import Event, Register, State, system_registers
from zeroskip.hw.system.registers import Registers
from zeroskip.sim.bench.pysim import simulate

P = SystemParams(data_bits=64, starts=3)
SIZES = {"TOY_LANES": 7, "TOY_DEPTH": 0xFFFFFFFF}
MAP = system_registers(P, SIZES)


class Model:
    """What the registers are read as, after each access and event, by their description."""

    def __init__(self) -> None:
        self.words = {register.address: register.reset for register in MAP.registers}
        self.busy = False

    def double(self, register: int) -> int:
        return self.words[register] | self.words[register + 4] << 32

    def checked(self, register: int) -> int:
        whole = self.double(register)
        return whole & (1 << 40) - 1 | (whole >> 40 != 0) << 40

    def write(self, address: int, value: int, strb: int) -> tuple[int, bool]:
        """Write a word; return the bits that act, and whether any was thrown away."""
        mask = sum(255 << 8 * k for k in range(4) if strb >> k & 1)
        acts, refused = 0, False
        for register in MAP.registers:
            for field in register.fields if register.address == address else ():
                bits = mask & field.mask
                if field.guarded and self.busy and bits:
                    refused = True
                elif field.access == Access.READ_WRITE:
                    self.words[address] = self.words[address] & ~bits | value & bits
                elif field.access == Access.TOGGLE:
                    self.words[address] ^= value & bits
                elif field.access in (Access.SET, Access.PULSE):
                    acts |= value & bits
        return acts, refused

    def read(self, address: int) -> int:
        """Read a word, which clears some of its bits."""
        value = self.words.get(address, 0)
        for register, field in MAP.fields(Access.CLEAR_ON_READ):
            if register.address == address:
                self.words[address] &= ~field.mask
        return value


@pytest.mark.parametrize("busy", [0.0, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_accesses(seed: int, busy: float) -> None:
    """Addresses and data come in any order and at any time, and answers are taken at any."""
    dut = Registers(P, SIZES)
    rng = Random(seed)
    flow = [chances(seed + k, busy) for k in range(5)]
    seen = {"start": 0, "halt": 0, "interrupt": 0, "refused": 0, "again": 0}

    async def bench(ctx: Any) -> None:
        model = Model()
        axi = dut.axi
        offered: dict[str, Any] = {}
        answers: list[int] = []
        writes_left = 0
        again, was_ready = False, True
        for _ in range(1500):
            for k, name in enumerate(("aw", "w", "ar")):
                port = getattr(axi, name)
                if name not in offered and next(flow[k]):
                    register = rng.choice([*Register, *Register, 0x54, 0x80, 0x84, 0x88, 0x1FC])
                    word = rng.choice([1, 2, 3, 16, 17, 128, 129, rng.getrandbits(32)])
                    strb = rng.choice([15, 15, rng.getrandbits(4)])
                    offered[name] = {"data": word, "strb": strb} if name == "w" else register
                    ctx.set(port.payload, offered[name])
                ctx.set(port.valid, name in offered)
            ctx.set(axi.b.ready, next(flow[3]))
            ctx.set(axi.r.ready, next(flow[4]))
            ready, left, done, failed = (rng.random() < 0.5 for _ in range(4))
            took, gave = (rng.random() < 0.5 for _ in range(2))
            count, cycles = rng.getrandbits(32), rng.getrandbits(32)
            number = rng.getrandbits(24)
            for port, value in (
                (dut.ready, ready),
                (dut.left, left),
                (dut.done, done),
                (dut.failed, failed),
                (dut.count, count),
                (dut.cycles, cycles),
                (dut.beat_read, took),
                (dut.beat_written, gave),
            ):
                ctx.set(port, value)  # fmt: skip
            ctx.set(dut.failure, {"error": Error.READ, "number": number})
            control = State(model.words[Register.CONTROL])
            control &= State.AP_DONE | State.REFUSED | State.AUTO_RESTART
            control |= State.AP_START if left else State.AP_IDLE
            model.words[Register.CONTROL] = control | State.AP_READY * ready
            model.busy = left
            model.words[Register.DONE], model.words[Register.CYCLES] = count, cycles
            raised = model.words[Register.GIE] and model.words[Register.ISR]
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
            acts, refused = 0, False
            assert listed.addr == model.checked(Register.LIST)
            assert listed.bytes == model.words[Register.LIST_BYTES]
            assert listed.input == model.checked(Register.INPUT)
            assert listed.output == model.checked(Register.OUTPUT)
            enabled = model.words[Register.IER]
            restarts = (again or done) and bool(control & State.AUTO_RESTART)
            if ar and "ar" in offered:
                answers.append(model.read(offered.pop("ar")))
            if writes:
                register, data = offered.pop("aw"), offered.pop("w")
                writes_left += 1
                bits, refused = model.write(register, data["data"], data["strb"])
                acts = bits if register == Register.CONTROL else 0
            starts = bool(acts & State.AP_START) or restarts
            assert start == (starts and ready)
            assert halt == bool(acts & State.STOP and left)
            again = restarts and not start and not failed
            refused |= bool(acts & State.AP_START) and not ready
            seen["start"] += start
            seen["halt"] += halt
            seen["refused"] += refused
            seen["again"] += start and not acts & State.AP_START
            came = done * Event.DONE | (ready and not was_ready) * Event.READY
            model.words[Register.ISR] |= enabled & (came | failed * Event.ERROR)
            was_ready = ready
            model.words[Register.CONTROL] |= done * State.AP_DONE | refused * State.REFUSED
            for register, event in (
                (Register.BUSY_CYCLES, left),
                (Register.BEATS_READ, took),
                (Register.BEATS_WRITTEN, gave),
            ):
                model.words[register] += event
            if failed:
                model.words[Register.ERROR] = Error.READ.value | number << 8
            elif start:
                model.words[Register.ERROR] = 0

    simulate(dut, bench)
    assert all(seen.values())
