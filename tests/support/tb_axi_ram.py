"""Move drawn requests to and from the memory of cocotbext-axi, which others wrote."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiRam

SIZE = 1 << 16
REQUESTS = 60


def pauses(share: float) -> Iterator[bool]:
    """Say of every cycle whether a channel pauses; it does so in runs."""
    rng = random.Random(random.random())
    while True:
        pause = rng.random() < share
        yield from itertools.repeat(pause, rng.choice([1, 1, 4]))


async def put(dut: Any, port: str, payload: int) -> None:
    """Send a payload, after a while."""
    await ClockCycles(dut.clk, random.choice([1, 1, 3]))
    getattr(dut, f"{port}__payload").value = payload
    getattr(dut, f"{port}__valid").value = 1
    await RisingEdge(dut.clk)
    while not getattr(dut, f"{port}__ready").value:
        await RisingEdge(dut.clk)
    getattr(dut, f"{port}__valid").value = 0


def draw_requests(beat_bytes: int, addr_bits: int) -> list[tuple[int, int, int]]:
    """Draw request's payloads without a tag, with their address and beats."""
    drawn = []
    for _ in range(REQUESTS):
        beats = random.choice([1, 2, 7, 16, 33, 100])
        addr = random.randrange(SIZE // beat_bytes - beats) * beat_bytes
        drawn.append((beats << addr_bits | addr, addr, beats))
    return drawn


def contents(ram: AxiRam, addr: int, count: int) -> bytes:
    found: Any = ram.read(addr, count)
    return bytes(found)


async def begin(dut: Any, share: float) -> AxiRam:
    """Reset, with a memory of noise whose channels pause."""
    Clock(dut.clk, 10, unit="ns").start()
    for port in ("reads__valid", "writes__valid", "i__valid", "o__ready"):
        getattr(dut, port).value = 0
    dut.rst.value = 1
    ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=SIZE)
    ram.write(0, random.randbytes(SIZE))
    sides = ((ram.write_if, ("aw", "w", "b")), (ram.read_if, ("ar", "r")))
    for side, names in sides:
        for name in names:
            getattr(side, f"{name}_channel").set_pause_generator(pauses(share))
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    return ram


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(share=[0.0, 0.3, 0.7])
async def writes(dut: Any, share: float) -> None:
    """See that what was written stands in the memory, and that nothing else has changed."""
    ram = await begin(dut, share)
    bits = len(dut.i__payload)
    requests = draw_requests(bits // 8, len(dut.m_axi_awaddr))
    words = [random.getrandbits(bits) for _, _, beats in requests for _ in range(beats)]
    expected = bytearray(contents(ram, 0, SIZE))
    number = iter(words)
    for _, addr, beats in requests:
        for k in range(beats):
            place = addr + k * bits // 8
            expected[place : place + bits // 8] = next(number).to_bytes(bits // 8, "little")

    async def send(port: str, payloads: list[int]) -> None:
        for payload in payloads:
            await put(dut, port, payload)

    cocotb.start_soon(send("writes", [payload for payload, _, _ in requests]))
    cocotb.start_soon(send("i", words))
    done = 0
    while done < len(requests):
        await RisingEdge(dut.clk)
        done += int(dut.done.value)
        assert not dut.error.value
    assert contents(ram, 0, SIZE) == bytes(expected)


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(share=[0.0, 0.3, 0.7])
async def reads(dut: Any, share: float) -> None:
    """See that beats come in the order of requests, with what stands in the memory."""
    ram = await begin(dut, share)
    bits = len(dut.i__payload)
    addr_bits = len(dut.m_axi_araddr)
    requests = draw_requests(bits // 8, addr_bits)
    tag_at = len(dut.reads__payload) - 2

    async def send() -> None:
        for number, (payload, _, _) in enumerate(requests):
            await put(dut, "reads", payload | number % 4 << tag_at)

    cocotb.start_soon(send())
    for number, (_, addr, beats) in enumerate(requests):
        for k in range(beats):
            dut.o__ready.value = 1
            await RisingEdge(dut.clk)
            while not dut.o__valid.value:
                await RisingEdge(dut.clk)
            beat = dut.o__payload.value.to_unsigned()
            dut.o__ready.value = 0
            word = int.from_bytes(contents(ram, addr + k * bits // 8, bits // 8), "little")
            last = int(k == beats - 1)
            assert beat == word | number % 4 << bits | last << bits + 2
            await ClockCycles(dut.clk, random.choice([0, 0, 0, 2]) + 1)
