"""Activation RAM and directory of a PE: tensors lie where the compiler has put them."""

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import ADDR_BITS
from zeroskip.hw.common.sram import sram
from zeroskip.hw.scnn.formats import act_word_layout, directory_layout, host_bits
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["ActRam"]


class ActRam(wiring.Component):
    """The paper's IARAM and OARAM in one (SCNN, section IV), which is read and written at a time.

    Where a pass writes nothing must be that it reads. While activations are ``loading``, the host
    writes entries of the directory in ascending order, each behind the words that it names; a run
    may have begun, and does not read an entry that is ``absent``.

    Members
    -------
    directory_en, directory_row, directory : In, In, Out, read the directory; the answer comes in
        the next cycle and stays until the next read.
    absent : Out, the entry of ``directory_row`` has not come.
    loading : In, see above.
    word_en, word_row, word : In, In, Out, read a word, likewise.
    act_write, act_addr, act_data : In, write a word.
    dir_write, dir_addr, dir_data : In, write to the directory.
    host_act, host_dir : In, a host command is for the RAM, or for the directory; see above.
    host_write, host_addr, host_data : In, the command.
    host_answer : Out, what a command to the space read in the cycle before.
    """

    directory_en: Signal
    directory_row: Signal
    directory: data.View
    absent: Signal
    loading: Signal
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
            "directory_en": In(1),
            "directory_row": In(p.channel_bits),
            "directory": Out(directory_layout(p)),
            "absent": Out(1),
            "loading": In(1),
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
        word = self._memory(
            m,
            "act",
            (p.act_words, act_word_layout(p)),
            (self.word_en, self.word_row),
            (self.act_write, self.act_addr, self.act_data),
            self.host_act,
        )
        directory = self._memory(
            m,
            "directory",
            (p.num_channels, directory_layout(p)),
            (self.directory_en, self.directory_row),
            (self.dir_write, self.dir_addr, self.dir_data),
            self.host_dir,
        )
        answer_dir = Signal()
        m.d.sync += answer_dir.eq(self.host_dir)
        # Entries of the directory that have come: the host writes them in ascending order.
        loaded = Signal(p.channel_bits + 1)
        with m.If(~self.loading):
            m.d.sync += loaded.eq(0)
        with m.Elif(self.host_dir & self.host_write):
            m.d.sync += loaded.eq(self.host_addr[: p.channel_bits] + 1)
        m.d.comb += self.absent.eq(self.loading & (self.directory_row >= loaded))
        m.d.comb += [
            self.word.eq(word),
            self.directory.eq(directory),
            self.host_answer.eq(Mux(answer_dir, directory, word)),
        ]
        return m

    def _memory(
        self,
        m: Module,
        name: str,
        size: tuple[int, data.Layout],
        read: tuple[Signal, Signal],
        write: tuple[Signal, Signal, data.View],
        host: Signal,
    ) -> Signal:
        """Make an SRAM of (depth, layout), ``name``_rows``; return the word that it has read."""
        depth, layout = size
        read_en, read_row = read
        write_en, write_row, write_data = write
        m.submodules[f"{name}_rows"] = rows = sram(Shape.cast(layout), depth, f"{name}_rows")
        reads, writes = rows.read_port(), rows.write_port()
        # A run reads while the host writes, but neither writes nor reads with it.
        host_reads = host & ~self.host_write
        m.d.comb += [
            reads.en.eq(read_en | host_reads),
            reads.addr.eq(Mux(host_reads, self.host_addr, read_row)),
            writes.en.eq(write_en | (host & self.host_write)),
            writes.addr.eq(Mux(host, self.host_addr, write_row)),
            writes.data.eq(Mux(host, self.host_data, write_data.as_value())),
        ]
        return reads.data
