"""The chip's host port and sequences, against commands executed one after the other."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.unit.hw import eie_model
from tests.unit.hw.chip.chip_model import ChipModel, E, S, chip, configure, encode, go, of
from tests.unit.hw.host_bench import Told, play, watched, with_gaps
from tests.unit.hw.host_model import check_in_order
from tests.unit.hw.scnn import scnn_model
from tests.unit.hw.scnn.scnn_commands import draw_commands as draw_conv_commands
from zeroskip.hw.chip.formats import (
    Go,
    Register,
)
from zeroskip.hw.chip.top import EIE_MODULE, SCNN_MODULE, Chip
from zeroskip.hw.common.control import Command, Control, StatusBit
from zeroskip.hw.eie.array import PE_MODULE as EIE_PE_MODULE
from zeroskip.hw.eie.array import EieArray
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.pe import Pe
from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.array import PE_MODULE as SCNN_PE_MODULE
from zeroskip.hw.scnn.array import ScnnArray
from zeroskip.hw.scnn.pe import ScnnPe
from zeroskip.sim.bench.assembly import assemble

SIZES = [[6, 5], [7, 5, 6]]


def give(
    commands: list[Told], seed: int, networks: list[scnn_model.Network]
) -> dict[str, Iterator[bool]]:
    """Give commands to the chip, see :func:`tests.unit.hw.host_bench.play`."""
    found: dict[str, Any] = {}
    dut: Any = Chip(S, E)
    whole, _ = assemble(
        dut,
        {
            EIE_MODULE: lambda: watched(EieArray, "ccu", found, "eie")(E),
            EIE_PE_MODULE: lambda: Pe(E),
            SCNN_MODULE: lambda: watched(ScnnArray, "sequencer", found, "scnn")(S),
            SCNN_PE_MODULE: lambda: ScnnPe(S),
        },
    )
    feed = scnn_model.feeder(dut, lambda: found["scnn"], networks)
    return play(dut, whole, found, commands, seed, encode, [feed])


def draw(seed: int) -> tuple[list[list[Told]], list[list[Told]], ChipModel]:
    """Draw networks for both engines; return what they are told, and a model."""
    rng, drawn = np.random.default_rng(seed), Random(seed)
    network = scnn_model.draw_network(rng, 1)
    networks = [eie_model.loading(eie_model.draw_network(rng, sizes)) for sizes in SIZES]
    convs = [of("scnn", part) for part in draw_conv_commands(drawn, [network], 60)]
    linears = [of("eie", part) for part in eie_model.draw_commands(drawn, networks, 60)]
    model = ChipModel(scnn_model.new_model([network]), eie_model.new_model(), Counter())
    return convs, linears, model


def result() -> list[Told]:
    """Ask EIE for the first row of both files."""
    rows = [0, eie_model.ACT]
    return of("eie", [Told(Space.ACT, row, pe) for row in rows for pe in range(E.num_pes)])


def mixed(rng: Random, convs: list[list[Told]], linears: list[list[Told]]) -> list[list[Told]]:
    """Draw commands to the chip, and put them between those to its engines."""
    everything = Go.SCNN | Go.HANDOFF | Go.EIE
    status = [chip(Register.STATUS)]
    cycles = of("eie", [Told(Space.CONTROL, Control.CYCLES)])
    start = [Told(scnn.Space.CONTROL, Control.COMMAND, 0, Command.START)]
    kinds = [
        lambda: go(everything) + result() + cycles,
        lambda: go(everything) + status * 3,
        lambda: go(Go.HANDOFF) + status * 3 + result(),
        lambda: go(Go.HANDOFF | Go.EIE) + result(),
        lambda: go(Go.SCNN) + go(Go.HANDOFF),
        lambda: of("scnn", start) + go(Go.HANDOFF) + result(),
        lambda: go(rng.randrange(8)),
        lambda: status,
        lambda: [chip(rng.choice([Register.COMMAND, Register.HANDOFF]))],
        lambda: [chip(Register.STATUS, rng.choice([0, 8, 15]))],
        configure,
    ]
    parts = convs[:4] + linears[:4] + [configure()]
    rest = [iter(convs[4:]), iter(linears[4:])]
    for which in rng.choices(range(3), (3, 3, 2), k=150):
        part = next(rest[which], None) if which < 2 else rng.choice(kinds)()
        parts.append([replace(one) for one in part or status])
    return parts


@pytest.mark.long("simulates the chip in Python")
def test_commands_take_effect_in_their_order() -> None:
    seen: Counter[str] = Counter()
    for seed in range(2):
        convs, linears, model = draw(seed)
        rng = Random(seed)
        commands = with_gaps(rng, mixed(rng, convs, linears))
        cuts = give(commands, seed, model.scnn.networks)
        model.scnn.cuts, model.eie.cuts = cuts["scnn"], cuts["eie"]
        check_in_order(model.check, commands, seed)
        # Nothing was started that was not to be.
        assert not [name for name, rest in cuts.items() if list(rest)]
        seen.update(model.seen)
        seen.update({f"scnn {what}": count for what, count in model.scnn.seen.items()})
        seen.update({f"eie {what}": count for what, count in model.eie.seen.items()})
    assert all(seen[what] > 2 for what in ("bad", "in a sequence", "at rest", "eie cycles"))
    assert seen["eie ACT"] > 50
    assert seen["scnn ACT"] > 15


def test_lost_outputs_are_not_handed_over() -> None:
    """Each run writes behind the one before it, until nothing fits any more."""
    _, linears, model = draw(3)
    (network,) = model.scnn.networks
    full = np.full(network.layer.in_shape, S.max_act)
    first = {"dst_word": S.act_words - 4, "out_dense": True}
    old = [Told(Space.ACT, row, pe, 9) for row in range(3) for pe in range(E.num_pes)]
    load = [
        *of("scnn", scnn_model.loading(network)),
        *of("scnn", scnn_model.program_writes(network, **first)),
        *of("scnn", scnn_model.input_writes(network, full)),
        *linears[0],
        *of("eie", old),
        *configure(),
    ]
    everything, status = Go.SCNN | Go.HANDOFF | Go.EIE, chip(Register.STATUS)
    cycles = Told(Space.CONTROL, Control.CYCLES, engine="eie")

    def looks() -> list[Told]:
        """Wait for the end, and look at all that may have changed."""
        asked = of("eie", [replace(one, data=None) for one in old])
        return [*asked, replace(cycles), replace(status)]

    def looked(looks: list[Told]) -> tuple[list[int | None], int | None, StatusBit]:
        *acts, spent, last = [one.answer for one in looks]
        return acts, spent, StatusBit(last or 0)

    once, twice, lost, again, fitting = looks(), looks(), looks(), looks(), looks()
    # A cycle or more for every position.
    during = [*go(Go.HANDOFF), replace(status), replace(status)]
    commands = [
        *load,
        *go(Go.SCNN),
        *once,
        *of("scnn", scnn_model.program_writes(network, **first, append=True)),
        *go(Go.SCNN),
        *twice,
        *go(everything),
        *lost,
        *go(Go.HANDOFF | Go.EIE),
        *go(Go.SCNN | Go.EIE),
        *again,
        *of("scnn", scnn_model.program_writes(network)),
        *go(Go.SCNN),
        *during,
        *fitting,
    ]
    cuts = give(commands, 3, [network])
    assert (len(list(cuts["scnn"])), len(list(cuts["eie"]))) == (5, 0)
    untouched = [9] * len(old)
    assert looked(once) == looked(twice) == (untouched, 0, StatusBit(0))
    assert looked(lost) == looked(again) == (untouched, 0, StatusBit.LOST)
    acts, _, at_last = looked(fitting)
    assert acts != untouched
    assert not at_last
    for asked in during[1:]:
        assert StatusBit(asked.answer or 0) == StatusBit.RUNNING | StatusBit.SEQUENCE
