"""Run the command lists of a job on a top, through a bus, and compare its memory with golden's."""

import itertools
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from cocotb.triggers import RisingEdge

from zeroskip.hw.system.register_map import IDENTITY, Event, Register, State

__all__ = ["Bus", "pauses", "run_job"]


class Bus(Protocol):
    """A processor's side of a top's registers, and its memory past the ports."""

    interrupt: Any

    async def read(self, register: int) -> int:
        """Read a register."""
        ...

    async def write(self, register: int, value: int) -> None:
        """Write a register."""
        ...

    def load(self, address: int, contents: bytes) -> None:
        """Put bytes into the memory."""
        ...

    def contents(self, address: int, size: int) -> bytes:
        """Return bytes of the memory."""
        ...


def pauses(share: float) -> Iterator[bool]:
    """Say of every cycle whether a channel pauses; it does so in runs."""
    rng = random.Random(random.random())
    while True:
        pause = rng.random() < share
        yield from itertools.repeat(pause, rng.choice([1, 1, 4]))


async def run_job(bus: Bus) -> None:
    """Run every network of the job; count what the registers say against the model."""
    folder = Path(os.environ["ZEROSKIP_JOB"])
    job = json.loads((folder / "job.json").read_text())
    assert await bus.read(Register.IDENTITY) == IDENTITY
    done = beats_read = beats_written = 0
    await bus.write(Register.IER, Event.DONE | Event.ERROR)
    await bus.write(Register.GIE, 1)
    for number, network in enumerate(job["networks"]):
        found = np.load(folder / f"network_{number}.npz", allow_pickle=False)
        assert await bus.read(Register.ARRAY) == network["array"]
        bus.load(0, found["memory"].tobytes())
        await bus.write(Register.WINDOW_BYTES, network["bytes"])
        for place, group in enumerate(network["groups"]):
            for address, name in group["inputs"]:
                bus.load(address, found[name].tobytes())
            for address, size in group["lists"]:
                await bus.write(Register.LIST, address)
                await bus.write(Register.LIST_BYTES, size)
                await bus.write(Register.CONTROL, State.AP_START)
            for _ in group["lists"]:
                if not bus.interrupt.value:
                    await RisingEdge(bus.interrupt)
                events = await bus.read(Register.ISR)
                await bus.write(Register.ISR, events)
                assert events == Event.DONE, hex(await bus.read(Register.ERROR))
                done += 1
            while not await bus.read(Register.CONTROL) & State.AP_IDLE:
                pass
            done = await bus.read(Register.DONE)
            after = found[f"after_{place}"].tobytes()
            assert bus.contents(0, len(after)) == after, (number, place)
            beats_read += group["beats_read"]
            beats_written += group["beats_written"]
            assert done == group["done"]
            # Lists are read in chunks, which may go on behind their END.
            assert await bus.read(Register.BEATS_WRITTEN) == beats_written
            assert await bus.read(Register.BEATS_READ) == beats_read
            assert await bus.read(Register.CYCLES) <= await bus.read(Register.BUSY_CYCLES)
        # The next network begins with nothing of this one.
        bus.load(0, bytes(network["bytes"]))
