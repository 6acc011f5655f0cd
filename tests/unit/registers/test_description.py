"""Hardware, SystemRDL, C header, pages and Python have the same registers, compared in pairs."""

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.registers.register_bench import Cpu, on_registers
from zeroskip.flow.registers.systemrdl import compile_rdl, register_files, to_rdl
from zeroskip.hw.bus.register_map import Access, Field, Register, RegisterMap
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.system import register_map as python
from zeroskip.hw.system.params import SystemParams

pytest.importorskip("systemrdl")

PORT = SystemParams(data_bits=64)
SIZES = python.engine_sizes("eie", EieParams(num_pes=3)) | python.engine_sizes("scnn", ScnnParams())
MAP = python.system_registers(PORT, SIZES)
Places = dict[tuple[str, str], tuple[int, int, int]]
"""Address, lowest bit and width, by the names of register and field."""


def listed(description: RegisterMap) -> Places:
    return {
        (register.name, field.name): (register.address, field.low, field.width)
        for register, field in description.fields(*Access)
    }


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return register_files(MAP)


def test_systemrdl(tmp_path: Path) -> None:
    path = tmp_path / "registers.rdl"
    path.write_text(to_rdl(MAP))
    found: Places = {}
    for register in compile_rdl(path).registers():
        for field in register.fields():
            name = register.inst_name, field.inst_name
            found[name] = register.absolute_address, field.lsb, field.width
            (described,) = (
                one for entry, one in MAP.fields(*Access) if (entry.name, one.name) == name
            )
            access = described.access
            reads = access != Access.PULSE
            writes = access not in (Access.READ, Access.CONSTANT, Access.CLEAR_ON_READ)
            assert (field.is_sw_readable, field.is_sw_writable) == (reads, writes)
            if access not in (Access.READ, Access.SET):
                assert field.get_property("reset") == described.reset
    assert found == listed(MAP)


def test_c_header(files: dict[str, bytes], tmp_path: Path) -> None:
    """A compiler says where registers are; the macros of fields are read by themselves."""
    text = files["zeroskip_registers.h"].decode()
    (tmp_path / "zeroskip_registers.h").write_text(text)
    names = [register.name for register in MAP.registers]
    prints = "".join(
        f'  printf("{name} %zu\\n", offsetof(zeroskip_t, {name}));\n' for name in names
    )
    program = f"""#include <stddef.h>
#include <stdio.h>
#include "zeroskip_registers.h"
int main(void) {{
{prints}  return 0;
}}
"""
    (tmp_path / "main.c").write_text(program)
    subprocess.run(["gcc", "-Wall", "-Werror", "main.c", "-o", "main"], cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    address = {name: int(at) for name, at in re.findall(r"(\w+) (\d+)", said)}
    macros = re.findall(r"#define ZEROSKIP__(\w+?)__(\w+)_(bm|bp|bw|reset) (\w+)", text)
    values = {(register, field, kind): int(value, 0) for register, field, kind, value in macros}
    found: Places = {}
    for register, field, kind in values:
        if kind == "bp":
            low, width = values[register, field, kind], values[register, field, "bw"]
            assert values[register, field, "bm"] == (1 << width) - 1 << low
            found[register, field] = address[register], low, width
    assert found == listed(MAP)
    constants = {
        (register.name, field.name, "reset"): field.reset
        for register, field in MAP.fields(Access.CONSTANT)
    }
    assert constants.items() <= values.items()


def test_markdown(files: dict[str, bytes]) -> None:
    text = files["registers.md"].decode()
    found: Places = {}
    for block in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        (name,) = re.findall(r"^(\w+) register", block)
        (address,) = re.findall(r"Absolute Address: (0x\w+)", block)
        for bits, field in re.findall(r"^\|\s*([\d:]+)\s*\|\s*(\w+)\s*\|", block, re.MULTILINE):
            high, _, low = bits.partition(":")
            low = int(low or high)
            found[name, field] = int(address, 16), low, int(high) - low + 1
    assert found == listed(MAP)
    for _, field in MAP.fields(*Access):
        assert field.about in html.unescape(text)
    for register, _ in MAP.fields(Access.TOGGLE):
        assert "toggles" in register.about
        assert register.about in html.unescape(text)


def test_html(files: dict[str, bytes]) -> None:
    nodes: list[Any] = json.loads(files["html/data/ral-data-0.json"])
    found: Places = {}
    for node in nodes:
        for field in node.get("fields", []):
            name = node["name"], field["name"]
            found[name] = int(node["offset"], 16), field["lsb"], field["msb"] - field["lsb"] + 1
    assert found == listed(MAP)


def test_python() -> None:
    """The constants that drivers in Python use have the names and places of the description."""
    addresses = {register.name: register.address for register in MAP.registers}
    assert {member.name: member.value for member in python.Register}.items() <= addresses.items()
    assert addresses.keys() - python.Register.__members__ == SIZES.keys()
    for kind, name in ((python.State, "CONTROL"), (python.Event, "IER"), (python.Event, "ISR")):
        (register,) = (one for one in MAP.registers if one.name == name)
        assert {flag.name: flag.value for flag in kind} == {
            field.name: field.mask for field in register.fields
        }


def test_hardware(files: dict[str, bytes]) -> None:
    """Every constant of the C header is what the hardware gives, and nothing else is constant."""
    text = files["zeroskip_registers.h"].decode()
    values = {
        (register, field): int(value, 0)
        for register, field, value in re.findall(
            r"#define ZEROSKIP__(\w+?)__(\w+)_reset (\w+)", text
        )
    }

    async def bench(cpu: Cpu) -> None:
        for address in range(0, 1 << python.REGISTER_BITS, 4):
            there = [one for one in MAP.registers if one.address == address]
            word = await cpu.read(address)
            for register in there:
                for field in register.fields:
                    got = (word & field.mask) >> field.low
                    word &= ~field.mask
                    if (register.name, field.name) in values:
                        assert got == values[register.name, field.name]
            assert not word, hex(address)

    on_registers(PORT, SIZES, bench)


@pytest.mark.parametrize(
    "broken",
    [
        (Register("A", 2, "", ()),),
        (Register("A", 4, "", ()), Register("B", 4, "", ())),
        (Register("A", 64, "", ()),),
        (Register("A", 0, "", (Field("F", 0, 2, Access.READ, "", 4),)),),
        (Register("A", 0, "", (
            Field("F", 4, 4, Access.READ, ""), Field("G", 7, 1, Access.READ, ""),
        )),),
        (Register("A", 0, "", (Field("F", 30, 4, Access.READ, ""),)),),
    ],
)  # fmt: skip
def test_descriptions_that_cannot_be(broken: tuple[Register, ...]) -> None:
    with pytest.raises(ValueError, match=r"A|B|bits"):
        RegisterMap("x", "X", 6, broken)
