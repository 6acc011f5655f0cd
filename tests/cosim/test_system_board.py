"""A board whose chip runs command lists, driven through a pseudo-terminal by the host."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip import EieParams, Image, InputError, compile
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.compiler.passes.fixed_point import quantize_input
from zeroskip.flow.board.fit import check_fit
from zeroskip.flow.host import Board, HostError, Line
from zeroskip.flow.system.board import BoardSystem, SystemBoardArray
from zeroskip.flow.system.host import (
    BoardMemory,
    BoardRegisters,
    check_board,
    load_image,
    run_image,
)
from zeroskip.hw.board.boards import BOARDS
from zeroskip.hw.board.top import BOARD_MODULE
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.hw.system.register_map import IDENTITY, Register, State
from zeroskip.sim.board.build import BoardModel, build_board
from zeroskip.sim.board.process import count_differences, simulated_board

pytestmark = [pytest.mark.cosim, pytest.mark.filterwarnings("ignore:Generating overly large")]

# As small as the networks below allow: netlists are made of them, too.
_EIE = EieParams(
    num_pes=1,
    queue_depth=2,
    act_files=3,
    act_bits=8,
    weight_bits=8,
    acc_bits=24,
    word_bits=16,
    spmat_words=128,
    num_pointers=32,
    num_acts=16,
    num_accs=16,
    num_biases=16,
    num_descriptors=4,
    counters=False,
)
_SCNN = replace(
    PRESETS["board"],
    banks=4,
    bank_entries=16,
    weight_depth=16,
    act_words=32,
    num_channels=16,
    num_taps=16,
    num_biases=16,
    num_descriptors=4,
)
# Seconds of the board's own time: it does not matter what else the machine does.
_PATIENCE = 0.1


def network(seed: int) -> Image:
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5)
    )
    calibration = torch.randn(9, 1, 6, 6)
    return compile(module, calibration[:1], calibration, [_EIE, _SCNN], share=True)


@pytest.fixture(scope="module")
def image() -> Image:
    return network(3)


@pytest.fixture(scope="module")
def array(image: Image) -> SystemBoardArray:
    return SystemBoardArray(BoardSystem.of(image).params)


@pytest.fixture(scope="module")
def model(array: SystemBoardArray) -> BoardModel:
    return build_board(array)


@contextmanager
def opened(model: BoardModel, **options: Any) -> Iterator[Board]:
    with simulated_board(model, **options) as board, Line(board.port, clock=board.clock) as line:
        yield Board(line, patience=_PATIENCE)


def assert_golden(board: Board, image: Image, count: int = 3) -> None:
    """Run inputs on the board; every output and cycle must be the model's."""
    x = 2 * np.random.default_rng(5).normal(size=(count, *image.sample_shape))
    columns = quantize_input(x.reshape(count, -1), image.in_frac, image.act_bits)
    result = run_image(board, BoardSystem.of(image), columns)
    assert np.unique(result.result).size > 3
    assert count_differences(image, x, result) == (0, 0)


@pytest.mark.long("builds the simulator of a board")
def test_networks_one_after_the_other(model: BoardModel, image: Image) -> None:
    other = network(4)
    with opened(model) as board:
        for one in (image, other):
            part = BoardSystem.of(one)
            with pytest.raises(HostError, match=r"does not hold image .* load it first"):
                run_image(board, part, np.zeros((1, 36), np.int64))
            load_image(board, part)
            assert_golden(board, one)


@pytest.mark.long("builds the simulator of a board")
def test_contents_of_the_bitstream(model: BoardModel, image: Image, tmp_path: Path) -> None:
    """What is in the memory at power-up needs no load."""
    for name, data in BoardSystem.of(image).srams.items():
        path = f"{BOARD_MODULE}.array.{name.replace('/', '.')}.hex"
        (tmp_path / path).write_bytes(to_hex(data.words, data.width))
    with opened(model, sram_dir=tmp_path) as board:
        check_board(board, BoardSystem.of(image))
        assert_golden(board, image)


@pytest.mark.long("builds the simulator of a board")
def test_memory_is_the_chips_while_it_works(model: BoardModel, image: Image) -> None:
    part = BoardSystem.of(image)
    memory = part.system.map
    with opened(model) as board:
        registers, bytes_of = BoardRegisters(board), BoardMemory(board, 8)
        load_image(board, part)
        assert_golden(board, image, 1)
        before = bytes_of.read(0, memory.bytes)
        registers.write(Register.CONTROL, State.AP_START | State.AUTO_RESTART)
        for access in (
            lambda: bytes_of.read(0, 8),
            lambda: bytes_of.write(0, np.ones(8, np.uint8)),
        ):
            with pytest.raises(HostError, match="BUSY"):
                access()
        assert registers.read(Register.IDENTITY) == IDENTITY
        registers.write(Register.CONTROL, 0)
        while not registers.read(Register.CONTROL) & State.AP_IDLE:
            pass
        assert np.array_equal(bytes_of.read(0, memory.bytes), before)
        assert registers.read(Register.DONE) > 5


@pytest.mark.long("builds the simulator of a board")
def test_boards_that_an_image_is_not_for(model: BoardModel, image: Image) -> None:
    part = BoardSystem.of(image)
    larger = replace(part, params=replace(part.params, memory_bytes=1 << 17))
    with opened(model) as board, pytest.raises(HostError, match="131072 bytes of memory: make a"):
        load_image(board, larger)


@pytest.mark.long("makes the Verilog of a chip")
def test_a_board_that_lacks_memory(array: SystemBoardArray) -> None:
    with pytest.raises(
        InputError,
        match=r"^the array does not fit icebreaker: its memories need \d+ EBR blocks of 30 \(the "
        r"largest is memory/byte_0: 8192 rows of 8 bits, 16 blocks\); ",
    ):
        check_fit(BOARDS["icebreaker"], array)
    assert check_fit(BOARDS["ulx3s-85f"], array)["DP16KD"][0] < 60
