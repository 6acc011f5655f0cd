"""Commands to an SCNN array, drawn."""

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from tests.unit.hw.host_bench import Told
from tests.unit.hw.scnn.scnn_model import (
    SPARE,
    Network,
    P,
    input_writes,
    loading,
    program_writes,
)
from zeroskip.hw.common.control import Command, Control
from zeroskip.hw.scnn.formats import Space

__all__ = ["draw_commands"]


def draw_commands(rng: Random, networks: list[Network], count: int) -> list[list[Told]]:
    """Draw a host that knows no patience: commands that belong together, ``count`` times."""
    loaded = networks[0]

    def control(command: int) -> list[Told]:
        return [Told(Space.CONTROL, Control.COMMAND, rng.randrange(3), command)]

    def new_input() -> list[Told]:
        x = np.random.default_rng(rng.randrange(1 << 30))
        values = x.integers(P.min_act, P.max_act, loaded.layer.in_shape)
        values *= x.random(values.shape) < rng.choice([0.0, 0.4, 1.0])
        return input_writes(loaded, values)

    def result() -> list[Told]:
        output, pe = rng.random() < 0.7, rng.randrange(P.num_pes)
        entry, word = (P.num_channels - 2, P.act_words - 4) if output else (0, 0)
        return [
            *(Told(Space.DIRECTORY, entry + row, pe) for row in range(2)),
            *(Told(Space.ACT, word + row, pe) for row in range(4)),
        ]

    def other_network() -> list[Told]:
        nonlocal loaded
        loaded = rng.choice(networks)
        return loading(loaded) + new_input()

    def all_counters() -> list[Told]:
        """Ask first for what was counted last."""
        pe = rng.randrange(P.num_pes)
        return [Told(Space.COUNTER, row, pe) for row in (4, 6, 5, 3, 0, 1, 2, 7)]

    def added() -> list[Told]:
        """Run twice, and drain the sums of both."""
        if loaded is not networks[0]:
            return start
        return [
            *program_writes(loaded, drain=False),
            *start,
            *program_writes(loaded, wipe=False),
            *counters,
            *kept,
            *result(),
        ]

    def spare() -> list[Told]:
        return [Told(Space.ACT, SPARE, rng.randrange(2), rng.randrange(1 << 20))]

    def polls() -> list[Told]:
        """Read the control space in the midst of a run, at any pace."""
        rows = Control.STATUS, Control.CYCLES
        return [
            Told(Space.CONTROL, rng.choice(rows), rng.randrange(P.num_pes), gap=rng.randrange(4))
            for _ in range(rng.randrange(12))
        ]

    def any_read() -> list[Told]:
        spaces = [one for one in Space if one != Space.CONTROL]
        space = rng.choice([*spaces, Space.ACT, Space.DIRECTORY, Space.COUNTER])
        return [Told(space, rng.randrange(40), rng.randrange(3))]

    start, kept = control(Command.START), control(Command.START | Command.KEEP)
    counters = control(Command.CLEAR_COUNTERS)
    kinds: list[tuple[int, Any]] = [
        (6, lambda: start),
        (4, lambda: kept),
        (2, lambda: control(rng.randrange(16))),
        (1, lambda: control(Command.CLEAR)),
        (2, lambda: counters),
        (4, lambda: counters + kept + result()),
        (2, lambda: counters + kept + rng.choice([counters, start, kept]) + result()),
        (3, added),
        (3, lambda: start + all_counters()),
        (3, lambda: start + polls() + all_counters()),
        (6, result),
        (6, new_input),
        (6, lambda: new_input() + start + result()),
        (2, spare),
        (4, lambda: [Told(Space.COUNTER, rng.randrange(24), rng.randrange(2))]),
        (2, lambda: [Told(Space.BIAS, rng.randrange(2), 0, rng.randrange(999))]),
        (2, lambda: [Told(Space.CODEBOOK, rng.randrange(1, 4), 0, rng.randrange(1, 64))]),
        (2, lambda: program_writes(loaded)),
        (2, other_network),
        (4, lambda: [Told(Space.CONTROL, Control.STATUS, rng.randrange(3))]),
        (3, lambda: [*start, Told(Space.CONTROL, Control.STATUS)]),
        (4, lambda: [Told(Space.CONTROL, Control.CYCLES, rng.randrange(3))]),
        (4, lambda: [*start, *result(), Told(Space.CONTROL, Control.CYCLES)]),
        (1, lambda: [Told(Space.CONTROL, Control.VERSION)]),
        (3, any_read),
        (2, lambda: [Told(Space.CONTROL, Control.STATUS, 0, rng.choice([8, 7, 15, 0]))]),
    ]
    weights, makers = zip(*kinds, strict=True)
    parts = [loading(loaded), new_input(), new_input(), new_input()]
    parts += [make() for make in rng.choices(makers, weights, k=count)]
    return [[replace(one) for one in part] for part in parts]
