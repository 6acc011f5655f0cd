"""Every register does what its description says: values after a reset, bits, strobes, holes."""

import itertools
from random import Random

import pytest

from tests.unit.registers.register_bench import Cpu, on_registers
from zeroskip.hw.bus.register_map import Access, Register
from zeroskip.hw.system import register_map as names
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import REGISTER_BITS, Event, State, system_registers

PORT = SystemParams()
SIZES = {"TOY_LANES": 5, "TOY_WORDS": 1 << 20}
MAP = system_registers(PORT, SIZES)
KEEPERS = [register for register in MAP.registers
           if any(field.access == Access.READ_WRITE for field in register.fields)]  # fmt: skip
READ_WRITE = {
    register.address: sum(f.mask for f in register.fields if f.access == Access.READ_WRITE)
    for register in KEEPERS
}


async def everything(cpu: Cpu) -> dict[int, int]:
    """Read all words that there are addresses for."""
    return {at: await cpu.read(at) for at in range(0, 1 << REGISTER_BITS, 4)}


def after_reset() -> dict[int, int]:
    words = dict.fromkeys(range(0, 1 << REGISTER_BITS, 4), 0)
    words |= {register.address: register.reset for register in MAP.registers}
    return words | {names.Register.CONTROL: int(State.AP_IDLE | State.AP_READY)}


def test_reset_values_and_holes() -> None:
    async def bench(cpu: Cpu) -> None:
        cpu.hardware(ready=1)
        assert await everything(cpu) == after_reset()

    on_registers(PORT, SIZES, bench)


@pytest.mark.parametrize("register", KEEPERS, ids=lambda register: register.name)
def test_bits_of_a_register(register: Register) -> None:
    """Each bit by itself, as 1 among zeros and as 0 among ones; nothing else changes."""
    mask = READ_WRITE[register.address]

    async def bench(cpu: Cpu) -> None:
        cpu.hardware(ready=1)
        before = await everything(cpu)
        for bit, word in itertools.product(range(32), (0, 0xFFFFFFFF)):
            # No START and no STOP.
            value = (word ^ 1 << bit) & ~(0x11 if register.name == "CONTROL" else 0)
            await cpu.write(register.address, value)
            assert await cpu.read(register.address) & mask == value & mask
        await cpu.write(register.address, 0xFFFFFFFF & mask)
        after = await everything(cpu)
        assert after == before | {register.address: before[register.address] | mask}

    on_registers(PORT, SIZES, bench)


def test_no_two_registers_are_one() -> None:
    """Each keeps a value of its own while all the others are written."""
    rng = Random(1)

    async def bench(cpu: Cpu) -> None:
        values = {register.address: rng.getrandbits(32) & ~0x11 for register in KEEPERS}
        for at in [*values, *values]:
            await cpu.write(at, values[at])
        for at, value in values.items():
            assert await cpu.read(at) & READ_WRITE[at] == value & READ_WRITE[at]

    on_registers(PORT, SIZES, bench)


def test_writes_to_others_change_nothing() -> None:
    kept = {*READ_WRITE, names.Register.ISR}

    async def bench(cpu: Cpu) -> None:
        cpu.hardware(ready=1)
        for at in range(0, 1 << REGISTER_BITS, 4):
            if at not in kept:
                await cpu.write(at, 0xFFFFFFFF)
        assert await everything(cpu) == after_reset()

    on_registers(PORT, SIZES, bench)


def test_byte_strobes() -> None:
    async def bench(cpu: Cpu) -> None:
        for register, strb in itertools.product(KEEPERS, range(16)):
            mask = READ_WRITE[register.address]
            bytes_ = sum(255 << 8 * k for k in range(4) if strb >> k & 1)
            for old, new in ((0, 0xFFFFFFEE), (0xFFFFFFEE, 0)):
                await cpu.write(register.address, old)
                await cpu.write(register.address, new, strb)
                word = (old & ~bytes_ | new & bytes_) & mask
                assert await cpu.read(register.address) & mask == word

    on_registers(PORT, SIZES, bench)


def test_a_read_and_a_write_at_once() -> None:
    """The read finds what was there before, wherever both go, and both are done."""

    async def bench(cpu: Cpu) -> None:
        axi, ctx = cpu.dut.axi, cpu.ctx
        words = dict.fromkeys(READ_WRITE, 0)
        rng = Random(3)
        for _ in range(100):
            written, read = rng.choice(list(words)), rng.choice(list(words))
            value = rng.getrandbits(32) & ~0x11
            ctx.set(axi.aw.payload, written)
            ctx.set(axi.w.payload, {"data": value, "strb": 15})
            ctx.set(axi.ar.payload, read)
            for port in (axi.aw.valid, axi.w.valid, axi.ar.valid, axi.b.ready, axi.r.ready):
                ctx.set(port, 1)
            await ctx.tick()
            for port in (axi.aw.valid, axi.w.valid, axi.ar.valid):
                ctx.set(port, 0)
            (answer,) = await ctx.tick().sample(axi.r.payload.data).until(axi.r.valid)
            assert answer & READ_WRITE[read] == words[read]
            words[written] = value & READ_WRITE[written]

    on_registers(PORT, SIZES, bench)


@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("ready", [0, 1])
def test_accesses_in_every_state(left: int, ready: int) -> None:
    """At work, the window is what it was, and says so; a list can be written for the next start."""
    guarded = {register.address for register, field in MAP.fields(*Access) if field.guarded}
    assert guarded == {0x1C, 0x20, 0x24, 0x28}

    async def bench(cpu: Cpu) -> None:
        control = names.Register.CONTROL
        cpu.hardware(left=left, ready=ready)
        at_rest = (State.AP_START if left else State.AP_IDLE) | ready * State.AP_READY
        assert await cpu.read(control) == at_rest
        for register in KEEPERS:
            if register.address == control:
                continue
            await cpu.write(register.address, 0xFFFFFFFF)
            kept = READ_WRITE[register.address]
            refused = bool(left) and register.address in guarded
            assert await cpu.read(register.address) & kept == (0 if refused else kept)
            assert await cpu.read(control) == at_rest | refused * State.REFUSED
            assert await cpu.read(control) == at_rest
        # No byte of it is written, so nothing is refused.
        await cpu.write(names.Register.WINDOW, 5, 0)
        assert await cpu.read(control) == at_rest
        started = 0
        for bits in (State.AP_START, State.STOP, State.AP_START | State.STOP):
            axi, ctx = cpu.dut.axi, cpu.ctx
            ctx.set(axi.aw.payload, control)
            ctx.set(axi.w.payload, {"data": bits, "strb": 15})
            ctx.set(axi.aw.valid, 1)
            ctx.set(axi.w.valid, 1)
            sampled = await ctx.tick().sample(cpu.dut.start, cpu.dut.halt)
            start, halt = sampled[-2:]
            ctx.set(axi.aw.valid, 0)
            ctx.set(axi.w.valid, 0)
            assert start == bool(bits & State.AP_START and ready)
            assert halt == bool(bits & State.STOP and left)
            refused = bool(bits & State.AP_START) and not ready
            assert await cpu.read(control) == at_rest | refused * State.REFUSED
            started += start
        assert started == 2 * ready

    on_registers(PORT, SIZES, bench)


def test_bits_that_reads_and_writes_take_away() -> None:
    async def bench(cpu: Cpu) -> None:
        control, isr = names.Register.CONTROL, names.Register.ISR
        await cpu.write(names.Register.IER, 7)
        cpu.hardware(done=1, failed=1, ready=0)
        await cpu.ctx.tick()
        cpu.hardware(done=0, failed=0, ready=1)
        await cpu.ctx.tick()
        assert await cpu.read(control) & State.AP_DONE
        assert not await cpu.read(control) & State.AP_DONE
        assert await cpu.read(isr) == Event.DONE | Event.READY | Event.ERROR
        assert not cpu.ctx.get(cpu.dut.interrupt)
        await cpu.write(names.Register.GIE, 1)
        assert cpu.ctx.get(cpu.dut.interrupt)
        for event in Event:
            await cpu.write(isr, event)
            left = sum(other for other in Event if other > event)
            assert await cpu.read(isr) == left
            assert cpu.ctx.get(cpu.dut.interrupt) == bool(left)
        # A bit that is written while it is 0 is set, as in Vitis HLS.
        await cpu.write(isr, Event.READY)
        assert await cpu.read(isr) == Event.READY

    on_registers(PORT, SIZES, bench)


def test_events_that_come_as_they_are_taken_away() -> None:
    """None is lost: of the read that clears AP_DONE, and of the write that clears ISR."""

    async def bench(cpu: Cpu) -> None:
        axi, ctx = cpu.dut.axi, cpu.ctx
        control, isr = names.Register.CONTROL, names.Register.ISR
        await cpu.write(names.Register.IER, 7)
        for events in (1, 4, 5):
            done, failed = events & 1, events >> 2
            for address, write in ((control, False), (isr, True)):
                cpu.hardware(done=done, failed=failed)
                await ctx.tick()
                # The access is done in this cycle, in which they come once more.
                ctx.set(axi.ar.payload, address)
                ctx.set(axi.aw.payload, address)
                ctx.set(axi.w.payload, {"data": events, "strb": 15})
                for port in (axi.aw.valid, axi.w.valid) if write else (axi.ar.valid,):
                    ctx.set(port, 1)
                for port in (axi.b.ready, axi.r.ready):
                    ctx.set(port, 1)
                await ctx.tick()
                for port in (axi.aw.valid, axi.w.valid, axi.ar.valid):
                    ctx.set(port, 0)
                cpu.hardware(done=0, failed=0)
                await ctx.tick().repeat(2)
                assert await cpu.read(isr) == events
                assert await cpu.read(control) & State.AP_DONE == done * State.AP_DONE
                assert not await cpu.read(control) & State.AP_DONE
                await cpu.write(isr, events)
                assert await cpu.read(isr) == 0

    on_registers(PORT, SIZES, bench)


def test_bytes_that_are_not_written_do_nothing() -> None:
    """Of the bits that act: no start, and no event that is set or cleared."""

    async def bench(cpu: Cpu) -> None:
        control, isr = names.Register.CONTROL, names.Register.ISR
        cpu.hardware(ready=0, left=1)
        for strb in range(0, 16, 2):
            await cpu.write(control, 0xFFFFFFFF, strb)
            await cpu.write(isr, 0xFFFFFFFF, strb)
            assert not await cpu.read(control) & State.REFUSED
            assert await cpu.read(isr) == 0
        await cpu.write(control, State.AP_START, 1)
        assert await cpu.read(control) & State.REFUSED
        await cpu.write(isr, 0xFFFFFFFF, 1)
        assert await cpu.read(isr) == sum(Event)

    on_registers(PORT, SIZES, bench)


@pytest.mark.parametrize("within", [1, 2, 3])
def test_addresses_within_a_word_are_the_words(within: int) -> None:
    async def bench(cpu: Cpu) -> None:
        for register in KEEPERS[1:]:
            mask = READ_WRITE[register.address]
            await cpu.write(register.address + within, 0xA5A5A5A5)
            assert await cpu.read(register.address) & mask == 0xA5A5A5A5 & mask
            assert await cpu.read(register.address + within) & mask == 0xA5A5A5A5 & mask

    on_registers(PORT, SIZES, bench)


def test_auto_restart() -> None:
    """An inference that is done is started again once there is room, and one that failed is not."""

    async def bench(cpu: Cpu) -> None:
        cpu.hardware(ready=0, left=1)
        await cpu.write(names.Register.CONTROL, State.AUTO_RESTART)
        cpu.hardware(done=1)
        await cpu.ctx.tick()
        cpu.hardware(done=0)
        assert not cpu.ctx.get(cpu.dut.start)
        await cpu.ctx.tick()
        cpu.hardware(ready=1)
        assert cpu.ctx.get(cpu.dut.start)
        await cpu.ctx.tick()
        assert not cpu.ctx.get(cpu.dut.start)
        cpu.hardware(ready=0, done=1)
        await cpu.ctx.tick()
        cpu.hardware(done=0, failed=1)
        await cpu.ctx.tick()
        cpu.hardware(failed=0, ready=1)
        assert not cpu.ctx.get(cpu.dut.start)
        await cpu.write(names.Register.CONTROL, 0)
        cpu.hardware(done=1)
        assert not cpu.ctx.get(cpu.dut.start)

    on_registers(PORT, SIZES, bench)
