"""An EIE array that executes commands one after the other, and a host that draws them."""

import itertools
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from tests.unit.hw.host_bench import Told
from tests.unit.hw.host_model import ArrayModel
from zeroskip.compiler.eie.place import place
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.eie.segment import Descriptor
from zeroskip.compiler.image.words import program_words
from zeroskip.compiler.ir.graph import INPUT, QuantGraph, QuantLinear, linear_chain
from zeroskip.hw.common.control import Command, Control
from zeroskip.hw.eie.formats import DESCRIPTOR_WORDS, VERSION, descriptor_layout, readable_rows
from zeroskip.hw.eie.host import Space, place_of
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.cycles.program import PassModel, read_ahead, run_program
from zeroskip.sim.eie.cycles.work import column_work
from zeroskip.sim.eie.streams import column_streams, read_program
from zeroskip.sim.rtl.runs import host_writes

P = EieParams(
    num_pes=2,
    queue_depth=2,
    run_bits=1,
    code_bits=2,
    weight_bits=6,
    act_bits=7,
    acc_bits=16,
    word_bits=16,
    spmat_words=16,
    num_pointers=32,
    num_acts=5,  # no power of two: there are addresses without a row
    num_accs=4,
    num_biases=8,
    num_descriptors=3,
)
SIZES = [[7, 5, 6], [6, 5]]
"""Of networks: with an even and an odd number of layers, that is, of swaps."""
ACT = 1 << P.act_addr_bits


def draw_network(rng: np.random.Generator, sizes: list[int]) -> QuantGraph[QuantLinear]:
    """Draw layers whose outputs are mostly neither 0 nor saturated."""
    layers = []
    for number, (cols, rows) in enumerate(itertools.pairwise(sizes)):
        codes = rng.integers(1, P.num_codes, (rows, cols)) * (rng.random((rows, cols)) < 0.4)
        layers.append(
            QuantLinear(
                name=f"layer{number}",
                inputs=(INPUT,),
                in_shape=(cols, 1, 1),
                codes=csc_array(codes.astype(np.uint8)),
                codebook=np.array([0, *rng.integers(-31, 32, P.num_codes - 1)]),
                bias=rng.integers(-500, 500, rows),
                relu=bool(number),
                in_frac=0,
                weight_frac=5,
                out_frac=0,
            )
        )
    return linear_chain(layers)


def loading(network: QuantGraph[QuantLinear]) -> tuple[list[Told], list[Descriptor]]:
    """Give the commands that load a network, and its program."""
    (segment,) = build(network, place(network, P, "interleave"), P)
    spaces = {space.value: space for space in Space}
    commands = [
        Told(spaces[space], row, pe, data)
        for space, pe, row, data in host_writes(segment.srams, place_of).tolist()
    ]
    return commands, list(segment.program)


def program_writes(program: list[Descriptor]) -> list[Told]:
    words = program_words(program, descriptor_layout(P), DESCRIPTOR_WORDS)
    return [Told(Space.PROGRAM, row, 0, int(word)) for row, (word,) in enumerate(words)]


@dataclass
class EieModel(ArrayModel):
    """The array; what it computes is golden's arithmetic on what its memories hold."""

    sums: dict[tuple[int, int], int] = field(default_factory=dict)
    known_sums: bool = True
    asked: int | None = 0
    """Cycle in which the program's first descriptor was asked for, None if nobody can know it."""
    held: PassModel | None = None
    """Pass whose codebook was there then."""

    def settle(self) -> None:
        self.asked = -1 << 30

    def clear_sums(self) -> None:
        self.known_sums = True
        self.sums = {(pe, row): 0 for pe in range(P.num_pes) for row in range(P.num_accs)}

    def write(self, one: Told) -> None:
        super().write(one)
        if one.space in {Space.PROGRAM, Space.CODEBOOK}:
            self.asked, self.held = self.now + 2, None
        if one.space == Space.ACT:
            # An answer is extended to the width of a counter.
            act = signed(one.data or 0, P.act_bits)
            self.memory[one.space, one.pe, one.addr] = act & 0xFFFFFFFF

    def sram(self, space: Space, pe: int, step: int = 1, first: int = 0) -> NDArray[np.uint64]:
        """Return what has been written of a memory, (rows, 1)."""
        rows: list[int | None] = []
        while (space, pe, first + step * len(rows)) in self.memory:
            rows.append(self.memory[space, pe, first + step * len(rows)])
        return np.array(rows, np.uint64)[:, None]

    def run(self) -> None:
        srams = {"program": self.sram(Space.PROGRAM, 0)}
        for pe in range(P.num_pes):
            srams[f"pe_{pe}/spmat"] = self.sram(Space.SPMAT, pe)
            srams[f"pe_{pe}/ptr_even"] = self.sram(Space.POINTER, pe, 2)
            srams[f"pe_{pe}/ptr_odd"] = self.sram(Space.POINTER, pe, 2, 1)
        program = read_program(srams["program"], P)
        streams = column_streams(srams, P, program)
        passes, nonzero = [], []
        self.written = []
        known = self.known_sums
        for one, mine in zip(program, streams, strict=True):
            acts = [
                self.memory.get((Space.ACT, pe, self.source * ACT + row))
                for row in range(one.src_base, one.src_base + one.src_rows)
                for pe in range(P.num_pes)
            ]
            known &= None not in acts
            values = [signed(act or 0, P.act_bits) for act in acts]
            for pe, stream in enumerate(mine):
                for position, value in enumerate(values):
                    local = 0
                    for at in range(*stream.pointers[position : position + 2].tolist()):
                        local += int(stream.runs[at])
                        code = int(stream.codes[at])
                        row = one.codebook * P.num_codes + code
                        weight = self.memory[Space.CODEBOOK, 0, row] if code else 0
                        self.sums[pe, local] += value * signed(weight or 0, P.weight_bits)
                        local += 1
            rows = one.drain_rows if one.drain else 0
            for pe, row in np.ndindex(P.num_pes, rows):
                bias = self.memory[Space.BIAS, pe, one.bias_base + row]
                total = signed(self.sums[pe, row] + signed(bias or 0, P.acc_bits), P.acc_bits)
                result = max(P.min_act, min(P.max_act, total >> one.shift))
                result = 0 if one.activation and total < 0 else result
                place = Space.ACT, pe, (1 - self.source) * ACT + one.dst_base + row
                self.memory[place] = result & 0xFFFFFFFF if known else None
                self.written.append(place)
                self.sums[pe, row] = 0
            self.known_sums &= known or bool(one.drain)
            work = column_work(mine, P)
            passes.append(PassModel(one.codebook, one.last_code, rows, work))
            nonzero.append(np.array(values).reshape(one.src_rows, P.num_pes) != 0)
            self.source ^= one.swap
        # The first cycle of a run is the second behind that in which its command was taken.
        begin, times = self.now + 2, list[tuple[int, int]]()
        known &= self.asked is not None
        ready = read_ahead((self.asked or 0) - begin, self.held, passes[0])
        spent, counters = run_program(passes, nonzero, P, ready=ready, times=times)
        self.asked, self.held = begin + times[-1][0] - 1 if known else None, passes[-1]
        self.cycles = spent if known else None
        self.count(
            (pe, number * 8 + stall, int(count) if known else None)
            for (number, pe, stall), count in np.ndenumerate(counters)
        )


def signed(word: int, bits: int) -> int:
    word &= (1 << bits) - 1
    return word - (word >> bits - 1 << bits)


def new_model() -> EieModel:
    model = EieModel(readable_rows(P), Space.COUNTER, VERSION, P.num_pes)
    model.clear_sums()
    model.clear_counters()
    return model


def draw_commands(
    rng: Random, networks: list[tuple[list[Told], list[Descriptor]]], count: int
) -> list[list[Told]]:
    """Draw a host that knows no patience: commands that belong together, ``count`` times."""

    def act() -> int:
        return rng.choice([0, 0, 1, -1, rng.randint(P.min_act, P.max_act)])

    def control(command: int) -> list[Told]:
        return [Told(Space.CONTROL, Control.COMMAND, rng.randrange(3), command)]

    def row() -> tuple[int, int]:
        return rng.randrange(2) * ACT + rng.randrange(P.num_acts), rng.randrange(P.num_pes)

    def new_input() -> list[Told]:
        return [
            Told(Space.ACT, file * ACT + at, pe, act() & 0xFF)
            for file in rng.choice([(0,), (1, 0), (0, 1)])
            for at in range(P.num_acts)
            for pe in range(P.num_pes)
        ]

    def result() -> list[Told]:
        file = rng.randrange(2)
        return [Told(Space.ACT, file * ACT + at, pe) for at in range(3) for pe in range(P.num_pes)]

    def other_program() -> list[Told]:
        return program_writes(loaded[1])

    def adding_program() -> list[Told]:
        """Give a program that leaves its sums to the next run."""
        return program_writes([replace(loaded[1][0], drain=False, swap=False, last=True)])

    def other_network() -> list[Told]:
        nonlocal loaded
        loaded = rng.choice(networks)
        return loaded[0]

    def all_counters() -> list[Told]:
        """Ask first for what was counted last."""
        pe = rng.randrange(P.num_pes)
        last = 8 * len(loaded[1]) - 1
        return [Told(Space.COUNTER, at, pe) for at in (last - 1, last, *range(last - 1))]

    def polls() -> list[Told]:
        """Read the control space in the midst of a run, at any pace."""
        rows = Control.STATUS, Control.CYCLES
        return [
            Told(Space.CONTROL, rng.choice(rows), rng.randrange(P.num_pes), gap=rng.randrange(4))
            for _ in range(rng.randrange(12))
        ]

    def any_read() -> list[Told]:
        spaces = [one for one in Space if one != Space.CONTROL]
        space = rng.choice([*spaces, Space.ACT, Space.ACT, Space.COUNTER])
        return [Told(space, rng.randrange(40), rng.randrange(3))]

    loaded = networks[0]
    start, kept = control(Command.START), control(Command.START | Command.KEEP)
    counters = control(Command.CLEAR_COUNTERS)
    kinds: list[tuple[int, Any]] = [
        (6, lambda: start),
        (4, lambda: kept),
        (2, lambda: control(rng.randrange(32))),
        (1, lambda: control(Command.CLEAR)),
        (3, lambda: counters),
        (3, lambda: counters + kept + result()),
        (2, lambda: counters + kept + rng.choice([counters, start, kept]) + result()),
        (3, lambda: adding_program() + start + other_program() + counters + kept + result()),
        (3, lambda: start + all_counters()),
        (3, lambda: start + polls() + all_counters()),
        (6, result),
        (7, new_input),
        (6, lambda: new_input() + start + result()),
        (4, lambda: [Told(Space.ACT, *row(), act() & 0x7F)]),
        (4, lambda: [Told(Space.ACT, *row())]),
        (5, lambda: [Told(Space.COUNTER, rng.randrange(24), rng.randrange(2))]),
        (3, lambda: [Told(Space.BIAS, rng.randrange(8), rng.randrange(2), rng.randrange(999))]),
        (3, lambda: [Told(Space.CODEBOOK, rng.randrange(8), 0, rng.randrange(64))]),
        (2, other_program),
        (1, adding_program),
        (2, other_network),
        (4, lambda: [Told(Space.CONTROL, Control.STATUS, rng.randrange(3))]),
        (3, lambda: [*start, Told(Space.CONTROL, Control.STATUS)]),
        (4, lambda: [Told(Space.CONTROL, Control.CYCLES, rng.randrange(3))]),
        (4, lambda: [*start, *result(), Told(Space.CONTROL, Control.CYCLES)]),
        (1, lambda: [Told(Space.CONTROL, Control.VERSION)]),
        (4, any_read),
        (1, lambda: [Told(Space.CONTROL, rng.choice([0, 4, 1 << 20]))]),
        (2, lambda: [Told(Space.CONTROL, Control.STATUS, 0, rng.choice([8, 7, 15, 0]))]),
    ]
    weights, makers = zip(*kinds, strict=True)
    parts = [networks[0][0], new_input(), new_input(), new_input()]
    parts += [make() for make in rng.choices(makers, weights, k=count)]
    return [[replace(one) for one in part] for part in parts]
