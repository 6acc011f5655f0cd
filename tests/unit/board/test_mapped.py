"""A chip whose registers and memory are mapped: what is refused, and how files are mapped."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.unit.sim.test_system_golden import image as image
from zeroskip.cli.app import app
from zeroskip.cli.guard import run_guarded
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.system.build import build_system
from zeroskip.flow.flow import image_sizes
from zeroskip.flow.host.chip import ChipHost
from zeroskip.flow.host.line import HostError
from zeroskip.flow.host.mapped import MappedMemory, map_memory, map_registers
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import (
    SYSTEM_VERSION,
    Register,
    State,
    array_id,
    system_registers,
)


class Memory:
    """Registers that keep what is written, but for starts: no chip is behind them."""

    def __init__(self, image: Image, **changed: int) -> None:
        described = system_registers(SystemParams(), image_sizes(image)).registers
        self.words = {register.address: register.reset for register in described}
        self.words |= {Register[name]: value for name, value in changed.items()}
        self.written: list[int] = []

    def read(self, register: int) -> int:
        return self.words[register]

    def write(self, register: int, value: int) -> None:
        self.written.append(register)
        if register != Register.CONTROL:
            self.words[register] = value


def opened(image: Image, registers: Memory) -> ChipHost:
    system = build_system(image, SystemParams())
    return ChipHost(registers, MappedMemory(bytearray(system.map.bytes)), image, system)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"IDENTITY": 0xFFFFFFFF}, "no Zeroskip chip answers: its identity is 0xffffffff"),
        ({"VERSION": 0x00100063}, "the chip has registers of version 99, and this program knows"),
        (
            {"VERSION": 0x00080000 | SYSTEM_VERSION},
            "has 64 bits, and the image is for 128: lay it out with --port-bits 64",
        ),
        ({"ARRAY": 5}, "is for an array of other sizes than the chip's"),
    ],
)
def test_chips_that_an_image_is_not_for(
    image: Image, changed: dict[str, int], sentence: str
) -> None:
    registers = Memory(image, **changed)
    with pytest.raises(HostError, match=re.escape(sentence)):
        opened(image, registers)
    assert not registers.written


def test_a_chip_at_work_is_left_alone(image: Image) -> None:
    registers = Memory(image, CONTROL=int(State.AP_START))
    chip = opened(image, registers)
    for work in (chip.load, lambda: chip.run(np.zeros((1, 12), int))):
        with pytest.raises(HostError, match="the chip is at work"):
            work()
    assert not registers.written


def test_why_a_list_was_abandoned(image: Image) -> None:
    """The chip is idle at once, and nothing was done."""
    registers = Memory(image, CONTROL=int(State.AP_IDLE), ERROR=0x0307, ISR=0)
    chip = opened(image, registers)
    with pytest.raises(HostError, match="list 'setup' was abandoned with error READ at command 3"):
        chip.load()
    assert registers.words[Register.ARRAY] == array_id(SystemParams(), image_sizes(image))


def test_files_are_mapped(tmp_path: Path) -> None:
    registers, memory = tmp_path / "registers", tmp_path / "memory"
    registers.write_bytes(bytes(range(64)) + bytes(4032))
    memory.write_bytes(bytes(8192))
    words, mapped = map_registers(registers), map_memory(memory, 4096, 4096)
    assert words.read(Register.LIST) == 0x13121110
    words.write(Register.LIST, 0xFFFFFFFF)
    mapped.write(0, np.array([7], np.uint8))
    assert registers.read_bytes()[16:21] == bytes([255, 255, 255, 255, 20])
    assert memory.read_bytes()[4096] == 7


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"uio9 cannot be mapped: No such file or directory$"):
        map_registers(tmp_path / "uio9")
    (tmp_path / "small").write_bytes(bytes(4096))
    sentence = "small cannot be mapped: it has 4096 bytes, and 5000 from byte 4096 on are needed"
    with pytest.raises(HostError, match=sentence):
        map_memory(tmp_path / "small", 4096, 5000)
    with pytest.raises(HostError, match="small cannot be mapped: "):
        map_memory(tmp_path / "small", 1 << 70, 4096)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--memory", "mem"], "--memory and --base belong to --registers"),
        (["--registers", "uio", "--port", "tty"], "--port is a serial port and --registers a chip"),
        (["--registers", "uio@100"], "--registers must be FILE or FILE@OFFSET, with whole pages"),
        (["--registers", "@"], "--registers must be FILE or FILE@OFFSET"),
        (["--registers", "uio9"], "uio9 cannot be mapped"),
        (["--registers", "zeros"], "no Zeroskip chip answers: its identity is 0x0"),
    ],
)
def test_what_the_command_line_refuses(
    options: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("zeros").write_bytes(bytes(4096))
    assert run_guarded(app, "zeroskip", ["host", *options, "identify"]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
