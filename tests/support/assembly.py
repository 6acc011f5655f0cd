"""An array in Amaranth's simulator: PEs in their places, memories watched, commands of a host."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from amaranth.hdl import Cat, Elaboratable, Fragment, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from zeroskip.hw.common.control import Command, Control

__all__ = ["ArrayBench", "Watch", "assemble", "count_reads"]


class Watch:
    """Platform that keeps the memories of what is elaborated for it.

    Parameters
    ----------
    prefix : of the memories' names.

    Attributes
    ----------
    memories : by name; a number is appended where there are several of a name, in their order.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.memories: dict[str, Memory] = {}

    def get_memory(self, memory: Memory) -> Fragment:
        """Elaborate a memory as Amaranth does, and keep its ports to count reads."""
        port = (*memory.write_ports, *memory.read_ports)[0]
        name = first = self._prefix + port.addr.name.split("__")[0]
        number = 0
        while name in self.memories:
            number += 1
            name = f"{first}_{number}"
        self.memories[name] = memory
        return memory.elaborate(None)


def assemble(
    top: Elaboratable, modules: Mapping[str, Callable[[], wiring.Component]]
) -> tuple[Fragment, dict[str, Memory]]:
    """Put components in the places of instances of modules that are converted on their own.

    Parameters
    ----------
    top : the design.
    modules : by name of the module, makes the component that it is converted from.

    Returns
    -------
    The design, and its memories; those in the place of an instance have the instance's name and
    a slash before their own.
    """
    watch = Watch()
    whole: Any = Fragment.get(top, watch)
    return whole, watch.memories | _fill(whole, "", modules)


def _fill(
    whole: Any, prefix: str, modules: Mapping[str, Callable[[], wiring.Component]]
) -> dict[str, Memory]:
    """Put components in the places of instances in ``whole``, and in the components themselves."""
    memories: dict[str, Memory] = {}
    for index, (part, name, src_loc) in enumerate(whole.subfragments):
        module: str = getattr(part, "type", "") if isinstance(part, Instance) else ""
        if module in modules:
            inner = Watch(f"{prefix}{name}/")
            around: Any = _place(whole, part, modules[module](), inner)
            whole.subfragments[index] = (around, name, src_loc)
            ((placed, _, _),) = around.subfragments
            memories |= inner.memories | _fill(placed, f"{prefix}{name}/", modules)
        elif not isinstance(part, Instance):
            memories |= _fill(part, prefix, modules)
    return memories


def _place(parent: Fragment, instance: Any, part: Any, watch: Watch) -> Fragment:
    ports = {"__".join(map(str, path)): port for path, _, port in part.signature.flatten(part)}
    m = Module()
    m.submodules.placed = part
    for name, (outer, kind) in instance.ports.items():
        if name in ("clk", "rst"):
            continue
        inner = Value.cast(ports[name])
        if kind == "i":
            m.d.comb += inner.eq(outer)
        else:
            # What an output is connected to may be a part of a signal, which has one driver.
            whole = Signal(len(inner), name=name)
            m.d.comb += whole.eq(inner)
            parent.add_statements("comb", Value.cast(outer).eq(whole))
    return Fragment.get(m, watch)


async def count_reads(ctx: Any, memories: Mapping[str, Memory], reads: Counter[str]) -> None:
    """Add up, for ever, in how many cycles a port of each memory is told to read."""
    ports = [
        (name, port)
        for name, memory in memories.items()
        for port in memory.read_ports
        if port.domain != "comb"
    ]
    enables = Cat(port.en for _, port in ports)
    while True:
        _, _, enabled = await ctx.tick().sample(enables)
        for number, (name, _) in enumerate(ports):
            reads[name] += enabled >> number & 1


class ArrayBench:
    """Host of an array, which also counts the reads of every memory.

    Parameters
    ----------
    array : with the ports ``cmd``, ``rsp`` and ``running``.
    modules : see :func:`assemble`.

    Attributes
    ----------
    dut : the array as a whole, for :func:`.simulate`.
    reads : cycles in which a port of each memory was told to read, by the memory's name.
    """

    def __init__(
        self, array: wiring.Component, modules: Mapping[str, Callable[[], wiring.Component]]
    ) -> None:
        self._array: Any = array
        self.dut, self._memories = assemble(array, modules)
        self.reads: Counter[str] = Counter()

    async def watch(self, ctx: Any) -> None:
        """Count reads, for ever: a monitor."""
        await count_reads(ctx, self._memories, self.reads)

    async def write(self, ctx: Any, space: Any, addr: int, data: int, number: int = 0) -> None:
        """Write ``data`` to row ``addr`` of a space, in PE or stream ``number``."""
        await self._send(ctx, {"space": space, "addr": addr, "data": data, "write": 1}, number)

    async def read(self, ctx: Any, space: Any, addr: int, number: int = 0) -> int:
        """Read row ``addr`` of a space."""
        await self._send(ctx, {"space": space, "addr": addr, "data": 0, "write": 0}, number)
        rsp = self._array.rsp
        ctx.set(rsp.ready, 1)
        (answer,) = await ctx.tick().sample(rsp.payload).until(rsp.valid)
        ctx.set(rsp.ready, 0)
        return answer

    async def command(self, ctx: Any, control: Any, command: Command) -> None:
        """Give a command in the control space, and wait until it has been carried out."""
        await self.write(ctx, control, Control.COMMAND, command)
        await ctx.tick().until(self._array.running)
        await ctx.tick().until(~self._array.running)

    async def _send(self, ctx: Any, command: dict[str, Any], number: int) -> None:
        cmd = self._array.cmd
        ctx.set(cmd.payload, {"command": command, "pe": number})
        ctx.set(cmd.valid, 1)
        await ctx.tick().until(cmd.ready)
        ctx.set(cmd.valid, 0)
