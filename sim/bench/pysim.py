"""Simulation of single units with Amaranth's own simulator."""

import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from random import Random
from typing import Any

from amaranth.hdl import Elaboratable, Fragment
from amaranth.sim import Simulator

__all__ = ["get", "put", "random_gaps", "simulate"]

_MAX_CYCLES = 50_000


def simulate(
    dut: Elaboratable | Fragment,
    *benches: Callable[[Any], Coroutine[Any, Any, None]],
    monitors: Sequence[Callable[[Any], Coroutine[Any, Any, None]]] = (),
) -> None:
    """Run ``benches`` until all have ended; ``monitors`` run beside them and need not end.

    Raises
    ------
    TimeoutError
        If a bench waits for ever.
    """
    design: Any = dut
    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    begun: list[Coroutine[Any, Any, None]] = []
    for bench in benches:
        simulator.add_testbench(_keep(bench, begun))
    for monitor in monitors:
        simulator.add_testbench(_keep(monitor, begun), background=True)
    try:
        for _ in range(2 * _MAX_CYCLES):  # a cycle has two clock edges
            if not simulator.advance():
                return
        raise TimeoutError(f"a bench has not ended after {_MAX_CYCLES} cycles")
    finally:
        # One that waits for a condition cannot be closed without an error, which Python would tell
        # whenever it collects garbage: in the middle of another test.
        for running in begun:
            with contextlib.suppress(RuntimeError):
                running.close()


def _keep(
    bench: Callable[[Any], Coroutine[Any, Any, None]], begun: list[Coroutine[Any, Any, None]]
) -> Callable[[Any], Coroutine[Any, Any, None]]:
    """Add the coroutine of a bench to ``begun`` when the simulator begins it."""

    async def begin(ctx: Any) -> None:
        running = bench(ctx)
        begun.append(running)
        await running

    return begin


def random_gaps(seed: float, longest: int) -> Iterator[int]:
    """Give gaps of 0 to ``longest`` cycles, half of them 0, without end."""
    rng = Random(seed)
    while True:
        yield rng.randint(0, longest) if rng.random() < 0.5 else 0


async def put(ctx: Any, port: Any, payloads: Iterable[Any], gaps: Iterable[int]) -> None:
    """Send ``payloads``, keeping ``valid`` low for the next of ``gaps`` cycles before each."""
    for payload, gap in zip(payloads, gaps, strict=False):
        if gap:
            await ctx.tick().repeat(gap)
        ctx.set(port.payload, payload)
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)


async def get(ctx: Any, port: Any, count: int, gaps: Iterable[int]) -> list[Any]:
    """Receive ``count`` payloads, stalling for the next of ``gaps`` cycles before each.

    Checks that ``valid`` and the payload hold while the transfer is stalled.
    """
    payloads: list[Any] = []
    for _, gap in zip(range(count), gaps, strict=False):
        offered = None
        ctx.set(port.ready, 0)
        for cycle in range(gap + 1):
            ctx.set(port.ready, cycle == gap)
            while True:
                _, _, valid, payload = await ctx.tick().sample(port.valid, port.payload)
                if offered is not None:
                    assert valid, "valid fell before the transfer"
                    assert payload == offered, "the payload changed before the transfer"
                if valid:
                    offered = payload
                if valid or cycle < gap:
                    break
        payloads.append(offered)
    ctx.set(port.ready, 0)
    return payloads
