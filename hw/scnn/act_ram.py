"""Activation RAMs and their directories: one pair is read, the other written, then they swap."""

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import ADDR_BITS
from zeroskip.hw.common.sram import sram
from zeroskip.hw.scnn.formats import act_word_layout, directory_layout, host_bits
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["ActRam"]


class ActRam(wiring.Component):
    """The paper's IARAM and OARAM, which swap roles from layer to layer (SCNN, section IV).

    Members
    -------
    source : In, which of the two RAMs, with its directory, is read.
    directory_en, directory_row, directory : In, In, Out, read the source's directory; the answer
        comes in the next cycle and stays until the next read.
    word_en, word_row, word : In, In, Out, read a word of the source, likewise.
    act_write, act_addr, act_data : In, write a word of the destination.
    dir_write, dir_addr, dir_data : In, write to the destination's directory.
    host_act, host_dir : In, a host command is for the RAMs, or for the directories; the RAM's
        number stands above the row. Only while no run is under way.
    host_write, host_addr, host_data : In, the command.
    host_answer : Out, what a command to the space read in the cycle before.
    """

    source: Signal
    directory_en: Signal
    directory_row: Signal
    directory: data.View
    word_en: Signal
    word_row: Signal
    word: data.View
    act_write: Signal
    act_addr: Signal
    act_data: data.View
    dir_write: Signal
    dir_addr: Signal
    dir_data: data.View
    host_act: Signal
    host_dir: Signal
    host_write: Signal
    host_addr: Signal
    host_data: Signal
    host_answer: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = p = params
        super().__init__({
            "source": In(1),
            "directory_en": In(1),
            "directory_row": In(p.channel_bits),
            "directory": Out(directory_layout(p)),
            "word_en": In(1),
            "word_row": In(p.act_addr_bits),
            "word": Out(act_word_layout(p)),
            "act_write": In(1),
            "act_addr": In(p.act_addr_bits),
            "act_data": In(act_word_layout(p)),
            "dir_write": In(1),
            "dir_addr": In(p.channel_bits),
            "dir_data": In(directory_layout(p)),
            "host_act": In(1),
            "host_dir": In(1),
            "host_write": In(1),
            "host_addr": In(ADDR_BITS),
            "host_data": In(host_bits(p)),
            "host_answer": Out(host_bits(p)),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        words = self._pair(
            m,
            "act",
            (p.act_words, act_word_layout(p)),
            (self.word_en, self.word_row),
            (self.act_write, self.act_addr, self.act_data),
            self.host_act,
        )
        directories = self._pair(
            m,
            "directory",
            (p.num_channels, directory_layout(p)),
            (self.directory_en, self.directory_row),
            (self.dir_write, self.dir_addr, self.dir_data),
            self.host_dir,
        )
        answer_dir = Signal()
        answer_second = Signal()
        number_bit = Mux(self.host_dir, p.channel_bits, p.act_addr_bits)
        m.d.sync += [
            answer_dir.eq(self.host_dir),
            answer_second.eq(self.host_addr.bit_select(number_bit, 1)),
        ]
        m.d.comb += [
            self.word.eq(Mux(self.source, words[1], words[0])),
            self.directory.eq(Mux(self.source, directories[1], directories[0])),
        ]
        answers = [Mux(answer_dir, directories[number], words[number]) for number in range(2)]
        m.d.comb += self.host_answer.eq(Mux(answer_second, answers[1], answers[0]))
        return m

    def _pair(
        self,
        m: Module,
        name: str,
        size: tuple[int, data.Layout],
        read: tuple[Signal, Signal],
        write: tuple[Signal, Signal, data.View],
        host: Signal,
    ) -> list[Signal]:
        """Make the two SRAMs ``name`` of (depth, layout); return the words that they have read."""
        depth, layout = size
        read_en, read_row = read
        write_en, write_row, write_data = write
        words = []
        for number in range(2):
            m.submodules[f"{name}_{number}"] = rows = sram(
                Shape.cast(layout), depth, f"{name}_{number}"
            )
            reads, writes = rows.read_port(), rows.write_port()
            here = Signal(name=f"host_{name}_{number}")
            is_source = self.source == number
            m.d.comb += [
                here.eq(host & (self.host_addr[len(read_row)] == number)),
                reads.en.eq((read_en & is_source) | (here & ~self.host_write)),
                reads.addr.eq(Mux(here, self.host_addr, read_row)),
                writes.en.eq((write_en & ~is_source) | (here & self.host_write)),
                writes.addr.eq(Mux(here, self.host_addr, write_row)),
                writes.data.eq(Mux(here, self.host_data, write_data.as_value())),
            ]
            words.append(reads.data)
        return words
