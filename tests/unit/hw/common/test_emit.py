# amaranth: UnusedElaboratable=no
import re
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tests.support.tiers import cases
from zeroskip.hw.common.emit import SRAM_VERILOG, emit_verilog
from zeroskip.hw.common.sram import sram
from zeroskip.hw.eie.array import ARRAY_MODULE, PE_MODULE, EieArray
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe

SIZES: dict[str, dict[str, Any]] = {
    "default": {},
    "smallest": {
        "num_pes": 1,
        "queue_depth": 1,
        "run_bits": 1,
        "code_bits": 1,
        "weight_bits": 2,
        "act_bits": 2,
        "acc_bits": 8,
        "word_bits": 16,
        "spmat_words": 2,
        "num_pointers": 4,
        "num_acts": 2,
        "num_accs": 2,
        "num_biases": 2,
        "num_descriptors": 2,
        "counters": False,
    },
    "an entry per word": {"code_bits": 8, "run_bits": 8, "word_bits": 16, "num_pes": 2},
    "largest": {
        "num_pes": 5,
        "queue_depth": 256,
        "run_bits": 8,
        "code_bits": 8,
        "weight_bits": 32,
        "act_bits": 32,
        "acc_bits": 64,
        "word_bits": 512,
        "spmat_words": 1 << 20,
        "num_pointers": 1 << 20,
        "num_acts": 1 << 15,
        "num_accs": 1 << 15,
        "num_biases": 1 << 16,
        "num_descriptors": 1 << 12,
    },
    "one of many": {"num_pes": 17, "num_accs": 3, "num_acts": 5, "queue_depth": 3, "run_bits": 5},
}


class Table(wiring.Component):
    """A memory that is no SRAM."""

    addr: Signal
    word: Signal

    def __init__(self) -> None:
        super().__init__({"addr": In(2), "word": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.table = table = Memory(shape=8, depth=4, init=[1, 2, 3, 4])
        read = table.read_port(domain="comb")
        m.d.comb += [read.addr.eq(self.addr), self.word.eq(read.data)]
        return m


class Sram(wiring.Component):
    """An SRAM in a submodule of the given name, beside a signal called ``taken``."""

    addr: Signal
    word: Signal

    def __init__(self, name: str, *, transparent: bool = False) -> None:
        self._name = name
        self._transparent = transparent
        super().__init__({"addr": In(3), "word": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = sram(8, 8, "rows")
        m.submodules[self._name] = rows
        write = rows.write_port()
        read = rows.read_port(transparent_for=(write,) if self._transparent else ())
        taken = Signal(8, name="taken")
        m.d.sync += taken.eq(read.data + 1)
        m.d.comb += [
            write.en.eq(self.addr[0]),
            write.addr.eq(self.addr),
            write.data.eq(taken),
            read.addr.eq(self.addr),
            read.en.eq(1),
            self.word.eq(taken),
        ]
        return m


def srams_of(text: str) -> list[str]:
    """Names of the SRAM instances, sorted."""
    return sorted(re.findall(r"sram_\w+ #\([^;]*?\n\s*\) (\S+)", text))


def modules_of(text: str) -> list[str]:
    return re.findall(r"^module ([^\s(]+)", text, re.MULTILINE)


def assert_sound(text: str) -> None:
    assert "latch" not in text
    assert "$" not in "".join(srams_of(text))
    # Yosys writes signals of 0 bits as two bits. The address of a memory of one row may be one:
    # nothing is connected to it.
    assert all(name.endswith("addr") for name in re.findall(r"\[-1:0\] ([^ ;]+)", text))


@pytest.mark.parametrize("switches", [False, True])
@pytest.mark.parametrize("sizes", cases(SIZES, ["largest"], "converts a large PE"))
def test_pe(sizes: str, switches: bool) -> None:
    more = {"pointers_first": switches, "skip_padding": switches}
    p = EieParams.from_dict({**SIZES[sizes], **more})
    text = emit_verilog(Pe(p), PE_MODULE)
    assert PE_MODULE in modules_of(text)
    # Accumulators and counters are both the `rows` of an AccumRam.
    names = ["act_0", "act_1", "bias", "ptr_even", "ptr_odd", "rows", "spmat"]
    assert srams_of(text) == sorted(names + ["rows"] * p.counters)
    assert_sound(text)


@pytest.mark.parametrize("sizes", cases(SIZES, ["largest"], "converts a large array"))
def test_array(sizes: str) -> None:
    p = EieParams(**SIZES[sizes])
    text = emit_verilog(EieArray(p), ARRAY_MODULE)
    assert ARRAY_MODULE in modules_of(text)
    assert srams_of(text) == ["codebooks", "descriptors"]
    assert sorted(re.findall(rf"^  {PE_MODULE} (\S+)", text, re.MULTILINE)) == sorted(
        f"pe_{pe}" for pe in range(p.num_pes)
    )
    assert_sound(text)


def test_same_text_every_time() -> None:
    p = EieParams(num_pes=3)
    assert emit_verilog(Pe(p), PE_MODULE) == emit_verilog(Pe(p), PE_MODULE)
    text = emit_verilog(EieArray(p), ARRAY_MODULE)
    assert text == emit_verilog(EieArray(p), ARRAY_MODULE)
    assert "/" not in re.sub(r"/\*.*?\*/|//.*", "", text)
    assert ".py" not in text


def test_sram_is_an_instance_without_contents() -> None:
    text = emit_verilog(Sram("rows"), "top")
    assert srams_of(text) == ["rows"]
    assert re.search(r"\.DEPTH\(32'd8\)", text)
    assert re.search(r"\.WIDTH\(32'd8\)", text)
    assert "initial" not in text.split("sram_1r1w")[1]


def test_sram_that_loses_its_name_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^an SRAM of top has a signal's name and became \\taken\$\d+$"
    ):
        emit_verilog(Sram("taken"), "top")


def test_sram_with_a_transparent_port_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^SRAM of 8 rows must have plain synchronous ports$"):
        emit_verilog(Sram("rows", transparent=True), "top")


def test_other_memories_stay() -> None:
    text = emit_verilog(Table(), "top")
    assert "sram_1" not in text
    assert "table" in text


def test_hand_written_sram_has_the_ports_that_are_connected() -> None:
    text = emit_verilog(Sram("rows"), "top")
    instance = re.search(r"sram_1r1w #\(.*?\) rows \((.*?)\);", text, re.DOTALL)
    assert instance is not None
    connected = set(re.findall(r"\.(\w+)\(", instance[1]))
    declared = set(
        re.findall(r"^    (?:input|output) .*?(\w+),?$", SRAM_VERILOG.read_text(), re.MULTILINE)
    )
    assert connected == declared
