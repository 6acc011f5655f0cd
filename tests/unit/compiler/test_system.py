"""Networks laid out in memory."""

import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.support.images import eie_image
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.eie.place import place
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, QuantGraph, QuantLinear
from zeroskip.compiler.system.build import build_system
from zeroskip.compiler.system.map import MemoryMap
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.params import SystemParams

PARAMS = EieParams(num_pes=3, num_accs=16, act_files=3, act_bits=12, acc_bits=40)


@pytest.fixture(scope="module")
def image(draw_network: Callable[..., QuantGraph[QuantLinear]]) -> Image:
    network = draw_network([12, 20, 5], shift=6)
    return eie_image("net", network, PARAMS, place(network, PARAMS, "balance"))


def test_blocks_are_aligned_and_apart(image: Image) -> None:
    system = build_system(image, SystemParams(), base=0x5000)
    blocks = system.map.blocks
    assert blocks[0].address == 0x5000
    assert not any(block.address % 64 for block in blocks)
    assert all(one.address + one.bytes <= then.address for one, then in pairwise(blocks))
    assert blocks[-1].address + blocks[-1].bytes <= 0x5000 + system.map.bytes


def test_lists_count_what_they_move(image: Image) -> None:
    system = build_system(image, SystemParams(data_bits=64))
    setup, infer, other = system.map.lists
    # Of 3 PEs: program, codebook, and per PE weights, pointers and biases.
    assert (setup.commands, infer.commands) == (2 + 3 * 3 + 1, 4)
    # 12 and 5 elements on 3 lanes, whose 12 bits take 16, 8 bytes a row.
    assert infer.reads == {"infer_0": 64, "input_0": 4 * 8}
    assert (infer.writes, other.writes) == ({"output_0": 2 * 8}, {"output_1": 2 * 8})
    assert (infer.words, system.map.input.name, system.map.output.name) == (0, INPUT, "fc2")


def test_a_folder_holds_memory_and_map(image: Image, tmp_path: Path) -> None:
    system = build_system(image, SystemParams())
    system.save(tmp_path / "net")
    system.save(tmp_path / "net")
    memory, text = ((tmp_path / "net" / name) for name in ("memory.bin", "map.json"))
    assert memory.read_bytes() == system.memory
    found = MemoryMap.model_validate_json(text.read_text())
    assert found == system.map
    assert found.sha256 == hashlib.sha256(system.memory).hexdigest()
    assert json.loads(text.read_text())["format"] == "zeroskip-system"


def test_nothing_foreign_is_replaced(image: Image, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is no memory image"):
        build_system(image, SystemParams()).save(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_addresses_have_to_fit(image: Image) -> None:
    with pytest.raises(CompileError, match="addresses have 16 bits"):
        build_system(image, SystemParams(addr_bits=16), base=0x10000)
    with pytest.raises(InputError, match="a multiple of 4096, not 100"):
        build_system(image, SystemParams(), base=100)


def test_a_chip_has_what_lists_need(linear_image: Image) -> None:
    """Whatever the array of the image has."""
    assert linear_image.part("eie").params.act_files == 2
    arrays = build_system(linear_image, SystemParams()).map.engines
    assert arrays["eie"]["act_files"] == 3


def test_rows_of_tiles_begin_in_beats_of_their_own(conv_image: Image) -> None:
    """Each row of 5 columns on 2 x 2 PEs is tiles of 3 and 2, in a beat of 4 values each."""
    system = build_system(conv_image, SystemParams(data_bits=64))
    channels, height, width = conv_image.graph.input_shape
    setup, infer, _ = system.map.lists
    c, y, x = np.indices((channels, height, width))
    places = (c * height + y) * 8 + x // 3 * 4 + x % 3
    assert system.map.input.positions == tuple(places.reshape(-1))
    assert system.map.input.rows == channels * height * 2
    assert infer.reads["input_0"] == 8 * system.map.input.rows
    assert "run_0/program" in setup.reads | infer.reads


def test_rows_much_narrower_than_beats_lie_in_halves_of_one(conv_image: Image) -> None:
    entry = build_system(conv_image, SystemParams(data_bits=256)).map.input
    channels, rows, columns = conv_image.graph.input_shape
    assert (columns, entry.lanes) == (5, 16)
    # Without anything between, every third row of 5 values would lie in two beats of 16.
    row, column = np.divmod(np.arange(channels * rows * columns), columns)
    assert entry.positions == tuple(8 * row + column)
    assert entry.elements == channels * rows * columns


def test_what_cannot_run_yet_is_named(both_image: Image) -> None:
    with pytest.raises(InputError, match=r"it lies in rows of .* a power of two, .* would do"):
        build_system(both_image, SystemParams())
