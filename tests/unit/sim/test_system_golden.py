"""Command lists, run on the bytes of a memory by golden's own decoders."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.both import draw_both
from tests.support.images import eie_image
from tests.support.systems import golden_chip, put_input, read_output
from tests.support.tiers import examples
from zeroskip.base.errors import InputError
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.eie.place import Strategy, place
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.compiler.system.build import build_system
from zeroskip.compiler.system.relative import relative_list
from zeroskip.hw.common.control import Command
from zeroskip.hw.common.formats import pack
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.formats import COMMAND_BYTES, Error, Op, command_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.golden.network import run_golden
from zeroskip.sim.system.golden import GoldenSystem, ListError
from zeroskip.sim.system.inferences import count_inferences

DrawNetwork = Callable[..., QuantGraph[QuantLinear]]

PARAMS = EieParams(num_pes=3, num_accs=16, act_files=3, act_bits=12, acc_bits=40)


@pytest.fixture(scope="module")
def image(draw_network: DrawNetwork) -> Image:
    network = draw_network([12, 20, 5], weight_bits=8, bias_bits=10, shift=6)
    return eie_image("net", network, PARAMS, place(network, PARAMS, "balance"))


def run_twice(image: Image, port: SystemParams, base: int, seed: int) -> None:
    """Run two inferences, one a pair of buffers, and compare every element of both outputs."""
    (part,) = image.parts
    rng = np.random.default_rng(seed)
    low, high = part.params.min_act, part.params.max_act
    x = rng.integers(low, high, (2, *image.graph.input_shape), endpoint=True)
    x[rng.random(x.shape) < 0.4] = 0
    system = build_system(image, port, base=base)
    chip = golden_chip(system, [part.params])
    lists = system.map.lists
    chip.start(lists[0].address, lists[0].bytes)
    expected = run_golden(image, x).parts[0].tensors[part.layers[-1].name].reshape(2, -1)
    for pair in range(2):
        put_input(system, chip.memory, pair, x[pair].reshape(-1))
    before = chip.memory.copy()
    for one in lists[1:]:
        chip.start(one.address, one.bytes)
    for pair in range(2):
        assert np.array_equal(read_output(system, chip.memory, pair), expected[pair])
    # Nothing else is written than what the map says.
    for name in {name for one in lists for name in one.writes}:
        block = system.map.block(name)
        before[block.address - base : block.address - base + block.bytes] = 0
        chip.memory[block.address - base : block.address - base + block.bytes] = 0
    assert np.array_equal(before, chip.memory)


@examples(40)
@given(
    sizes=st.lists(st.integers(1, 50), min_size=2, max_size=4),
    num_pes=st.integers(1, 9),
    word_bits=st.integers(16, 80),
    spmat_words=st.integers(5, 40),
    num_pointers=st.integers(5, 40).map(lambda half: 2 * half),
    num_acts=st.integers(2, 12),
    num_accs=st.integers(2, 12),
    num_biases=st.integers(2, 24),
    num_descriptors=st.integers(2, 8),
    act_bits=st.integers(4, 18),
    run_bits=st.integers(1, 5),
    density=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    strategy=st.sampled_from(["interleave", "balance", "schedule"]),
    data_bits=st.sampled_from([64, 128, 256]),
    base=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_any_network_runs_from_its_lists(
    draw_network: DrawNetwork,
    sizes: list[int],
    density: float,
    strategy: Strategy,
    data_bits: int,
    base: int,
    seed: int,
    **memories: Any,
) -> None:
    params = EieParams(acc_bits=40, act_files=3, **memories)
    network = draw_network(sizes, seed=seed, density=density)
    image = eie_image("net", network, params, place(network, params, strategy))
    run_twice(image, SystemParams(data_bits=data_bits), base << 12, seed)


def spoil(chip: GoldenSystem, at: int, value: int) -> None:
    chip.memory[at - chip.base] = value


@pytest.mark.parametrize(
    ("command", "byte", "value", "error"),
    [
        (0, 0, 0, Error.UNKNOWN),
        (1, 0, 99, Error.UNKNOWN),
        (0, 3, 1, Error.UNKNOWN),
        (0, 8, 1, Error.MISALIGNED),
        (0, 12, 1, Error.WINDOW),
        (0, 6, 255, Error.RANGE),
        (0, 13, 0, Error.RANGE),
    ],
)
def test_errors_say_which_command(
    image: Image, command: int, byte: int, value: int, error: Error
) -> None:
    system = build_system(image, SystemParams())
    chip = golden_chip(system, [PARAMS])
    lists = system.map.lists
    chip.start(lists[0].address, lists[0].bytes)
    spoil(chip, lists[1].address + command * COMMAND_BYTES + byte, value)
    with pytest.raises(ListError) as raised:
        chip.start(lists[1].address, lists[1].bytes)
    assert (raised.value.error, raised.value.number) == (error, command)


@pytest.mark.parametrize("seed", range(6))
def test_both_engines_in_a_list(draw_network: DrawNetwork, seed: int) -> None:
    image, planes, _ = draw_both(draw_network, seed)
    data_bits = (64, 128, 256)[seed % 3]
    found = count_inferences(image, planes, SystemParams(data_bits=data_bits), queued=1)
    (name,) = image.graph.outputs
    expected = run_golden(image, planes).parts[-1].tensors[name].reshape(len(planes), -1)
    assert np.array_equal(found.outputs, expected)
    # What the map says of the port is what the cycle model counts.
    alone, traffic = found.inferences[0], found.system.map.traffic("infer_0")
    assert data_bits // 8 * alone.read_beats == traffic["read"]
    assert data_bits // 8 * alone.write_beats == traffic["written"]
    assert {run.engine for run in alone.runs} == {0, 1}


def test_rows_that_do_not_lie_so_are_refused(draw_network: DrawNetwork) -> None:
    image, *_ = draw_both(draw_network, 0)
    convolutions, linear = image.parts
    arrays = {"scnn": convolutions.params, "eie": replace(linear.params, num_pes=3)}
    other = compile_quantized(image.graph, arrays, name="net")
    with pytest.raises(InputError, match="in rows of 3 values of 16 bits, and it lies in rows of"):
        build_system(other, SystemParams())


def test_a_cut_list_is_an_error(image: Image) -> None:
    system = build_system(image, SystemParams())
    chip = golden_chip(system, [PARAMS])
    setup, infer, _ = system.map.lists
    chip.start(setup.address, setup.bytes)
    with pytest.raises(ListError) as raised:
        chip.start(infer.address, infer.bytes - COMMAND_BYTES)
    assert (raised.value.error, raised.value.number) == (Error.CUT, 3)


def test_a_damaged_word_changes_the_output(image: Image) -> None:
    """Golden computes from the bytes of the memory image: another bias gives other outputs."""
    system = build_system(image, SystemParams())
    chip = golden_chip(system, [PARAMS])
    # The last bias of PE 1 is of the last layer, which has no ReLU.
    bias = system.map.block("run_0/pe_1/bias")
    at = bias.address + bias.bytes - 7
    spoil(chip, at, chip.memory[at] ^ 0x20)
    setup, infer, _ = system.map.lists
    chip.start(setup.address, setup.bytes)
    x = np.full(12, 5)
    put_input(system, chip.memory, 0, x)
    chip.start(infer.address, infer.bytes)
    expected = run_golden(image, x.reshape(1, 12, 1, 1)).parts[0].tensors["fc2"].reshape(-1)
    assert not np.array_equal(read_output(system, chip.memory, 0), expected)


def test_input_and_output_lie_where_a_start_says(image: Image) -> None:
    """One list serves both pairs of buffers; an address of too many bits begins nothing."""
    system = build_system(image, SystemParams())
    chip = golden_chip(system, [PARAMS])
    code = np.frombuffer(relative_list(system), np.uint8)
    place = len(chip.memory)
    chip.memory = np.concatenate([chip.memory, code])
    setup = system.map.lists[0]
    chip.start(setup.address, setup.bytes)
    for pair in (0, 1):
        x = np.arange(12) * (pair + 2)
        put_input(system, chip.memory, pair, x)
        bases = tuple(system.map.block(f"{side}_{pair}").address for side in ("input", "output"))
        chip.start(place, len(code), (bases[0], bases[1]))
        expected = run_golden(image, x.reshape(1, 12, 1, 1)).parts[0].tensors["fc2"].reshape(-1)
        assert np.array_equal(read_output(system, chip.memory, pair), expected)
    with pytest.raises(ListError) as raised:
        chip.start(place, len(code), (1 << 40, 0))
    assert (raised.value.error, raised.value.number) == (Error.UNKNOWN, 0)


@dataclass
class NoRoom:
    """An array that never finds room."""

    lost: bool = True
    lanes: int = 1
    lane_bits: int = 16
    cleared: int = 0

    def control(self, command: int) -> None:
        assert command == Command.START

    def clear(self) -> None:
        self.cleared += 1


def test_an_else_of_the_other_list_does_nothing() -> None:
    """A list that is its own other list would be begun again without end."""
    fields = ({"op": Op.ELSE, "count": 3}, {"op": Op.CONTROL, "row": Command.START}, {"op": Op.END})
    text = b"".join(
        pack(command_layout(), **one).to_bytes(COMMAND_BYTES, "little") for one in fields
    )
    array: Any = NoRoom()
    chip = GoldenSystem([array], SystemParams(), np.frombuffer(text, np.uint8).copy())
    with pytest.raises(ListError) as told:
        chip.start(0, len(text))
    assert (told.value.error, told.value.number) == (Error.LOST, 1)
    assert array.cleared == 1
