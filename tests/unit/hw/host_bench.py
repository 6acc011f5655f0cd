"""Host commands back to back, given to an array in Amaranth's simulator."""

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from amaranth.hdl import Module

from zeroskip.sim.bench.pysim import simulate

__all__ = ["Told", "play", "watched", "with_gaps"]


@dataclass
class Told:
    """A command, and what became of it.

    Parameters
    ----------
    space, addr, pe, data : of the command; ``data`` is None to read.
    engine : that it is for.
    gap : cycles without a command before it.
    cycle : in which it was taken.
    busy : the engine was running in the cycle after it took the command.
    answer : to a read; ``still`` if what was asked was running when it came.
    """

    space: Any
    addr: int
    pe: int = 0
    data: int | None = None
    engine: str = "array"
    gap: int = 0
    cycle: int = 0
    busy: bool = False
    answer: int | None = None
    still: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """Fields of the payload of an engine's command."""
        command = {"space": self.space, "addr": self.addr, "data": self.data or 0}
        return {"command": command | {"write": self.data is not None}, "pe": self.pe}


def watched(kind: type[Any], name: str, found: dict[str, Any], key: str = "array") -> type[Any]:
    """Make ``kind`` leave its submodule ``name`` in ``found`` when it is elaborated."""

    class Watched(kind):
        def elaborate(self, platform: object) -> Module:
            m = super().elaborate(platform)
            found[key] = getattr(m.submodules, name)
            return m

    return Watched


def with_gaps(rng: Random, parts: Iterable[Sequence[Told]]) -> list[Told]:
    """Put commands that belong together one behind the other, mostly without a gap."""
    commands: list[Told] = []
    for part in parts:
        part[0].gap = part[0].gap or rng.choice([0] * 6 + [1, 2, 5, rng.randrange(150)])
        commands += part
    return commands


def play(
    port: Any,
    dut: Any,
    sequencers: Mapping[str, Any],
    commands: Sequence[Told],
    seed: int,
    encode: Callable[[Told], dict[str, Any]] = lambda one: one.fields,
    monitors: Sequence[Callable[[Any], Coroutine[Any, Any, None]]] = (),
) -> dict[str, Iterator[bool]]:
    """Give the commands, and fill in what happens; answers are taken with stalls.

    Checks that an answer stays until it is taken, and that a command to a memory is taken only
    while the memory's engine does not run.

    Parameters
    ----------
    port, dut : the design with its host port, and how to simulate it.
    sequencers : by engine, what runs its program.
    commands, seed : what is told, and of the stalls.
    encode : makes the payload's fields.
    monitors : what else goes on at the design's ports.

    Returns
    -------
    By engine, for each START or clearing that it got, whether something was under way.
    """
    rng = Random(seed)
    done = [False]
    cuts: dict[str, list[bool]] = {name: [] for name in sequencers}

    async def host(ctx: Any) -> None:
        for one in commands:
            if one.gap:
                await ctx.tick().repeat(one.gap)
            ctx.set(port.cmd.payload, encode(one))
            ctx.set(port.cmd.valid, 1)
            await ctx.tick().until(port.cmd.ready)
            ctx.set(port.cmd.valid, 0)
        await ctx.tick().repeat(8)
        while ctx.get(port.running) or ctx.get(port.rsp.valid):
            await ctx.tick()
        await ctx.tick().repeat(8)
        done[0] = True

    async def watch(ctx: Any) -> None:
        signals = [port.cmd.valid, port.cmd.ready]
        signals += [port.rsp.valid, port.rsp.ready, port.rsp.payload]
        for one in sequencers.values():
            run = one.run
            signals += [run.running, run.start | run.clear | run.clear_counters]
        coming = iter(commands)
        asked: list[Told] = []
        taken: Told | None = None
        offered: int | None = None
        cycle = 0
        while not done[0]:
            ctx.set(port.rsp.ready, rng.random() < 0.6)
            (
                _,
                _,
                valid,
                ready,
                answers,
                takes,
                answer,
                *rest,
            ) = await ctx.tick().sample(*signals)
            running: dict[str, bool] = {}
            for name, at_work, told in zip(cuts, rest[::2], rest[1::2], strict=True):
                running[name] = bool(at_work | told)
                if told:
                    cuts[name].append(bool(at_work))
            if taken is not None:
                taken.busy = running[taken.engine]
                taken = None
            if valid and ready:
                one = next(coming)
                one.busy, one.cycle = running[one.engine], cycle
                if one.space is not None and one.space.value:
                    assert not one.busy, "a memory was reached during a run"
                taken = one
                if one.data is None:
                    asked.append(one)
            if offered is not None:
                assert (answers, answer) == (1, offered), "an answer did not wait to be taken"
            if answers and offered is None:
                mine = asked[0]
                mine.answer, mine.still = answer, running[mine.engine]
            cycle += 1
            offered = answer if answers and not takes else None
            if answers and takes:
                asked.pop(0)
        assert next(coming, None) is None
        assert not asked

    simulate(dut, host, watch, monitors=monitors)
    return {name: iter(mine) for name, mine in cuts.items()}
