"""Decoding of weights: places in their block to taps and output channels, codes to values."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.sram import Ports, sram
from zeroskip.hw.scnn.formats import (
    Space,
    block_layout,
    descriptor_layout,
    host_layout,
    item_layout,
    weight_word_layout,
)
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Decode"]


class Decode(wiring.Component):
    """Make values and offsets of a vector of stored weights a cycle; takes four cycles.

    Runs are summed up; places in the block are known; codebook and tap table are read, one copy
    of each for every weight of a vector, for weights that are not 0 only; offsets are added up.

    Members
    -------
    descriptor : In, of the pass at work; constant while there are vectors.
    advance : In, all stages go on; else everything stays.
    valid, entries, header, first : In, a vector, the header of its block, and whether it is the
        block's first. A block of 0 vectors has one, without weights.
    item_valid, item : Out, a decoded vector.
    busy : Out, there is a vector in some stage.
    host, host_en : In, a host command; writes to codebook and tap table are done.
    """

    descriptor: data.View
    advance: Signal
    valid: Signal
    entries: data.View
    header: data.View
    first: Signal
    item_valid: Signal
    item: data.View
    busy: Signal
    host: data.View
    host_en: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "descriptor": In(descriptor_layout(params)),
            "advance": In(1),
            "valid": In(1),
            "entries": In(weight_word_layout(params)),
            "header": In(block_layout(params)),
            "first": In(1),
            "item_valid": Out(1),
            "item": Out(item_layout(params)),
            "busy": Out(1),
            "host": In(host_layout(params)),
            "host_en": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        layout = data.StructLayout({"block": block_layout(p), "first": 1})
        valids = {stage: Signal(name=f"{stage}_valid") for stage in "rnt"}
        heads = {stage: Signal(layout, name=f"{stage}_head", reset_less=True) for stage in "rnt"}
        m.d.comb += self.busy.eq(Cat(*valids.values(), self.item_valid).any())
        with m.If(self.advance):
            m.d.sync += [
                valids["r"].eq(self.valid),
                valids["n"].eq(valids["r"]),
                valids["t"].eq(valids["n"]),
                self.item_valid.eq(valids["t"]),
                heads["r"].block.eq(self.header),
                heads["r"].first.eq(self.first),
                heads["n"].eq(heads["r"]),
                heads["t"].eq(heads["n"]),
            ]

        # The last place in a block is that of the last weight that a PE's FIFO can hold.
        place_bits = (p.weight_depth * p.mult_f * (p.max_run + 1)).bit_length()
        before = Signal(place_bits)
        here = Signal(place_bits)
        sums = [Const(0, 1)]
        for entry in self.entries:
            sums.append((sums[-1] + entry.run + 1)[: place_bits + 1])
        # r_: a vector, and the sums of its runs.
        r_total = Signal(place_bits, reset_less=True)
        m.d.comb += here.eq(Mux(heads["r"].first, 0, before))
        with m.If(self.advance):
            m.d.sync += r_total.eq(sums[-1])
            with m.If(valids["r"]):
                m.d.sync += before.eq(here + r_total)
        for lane in range(p.mult_f):
            place = sums[lane] + self.entries[lane].run
            self._decode(m, lane, place, here, valids, heads)
        last = heads["t"]
        with m.If(self.advance):
            m.d.sync += [
                self.item.channel.eq(last.block.channel),
                self.item.count.eq(last.block.count),
                self.item.first.eq(last.first),
                self.item.last.eq(last.block.last),
                self.item.empty.eq(last.block.count == 0),
            ]
        return m

    def _decode(
        self,
        m: Module,
        lane: int,
        place: Value,
        before: Signal,
        valids: dict[str, Signal],
        heads: dict[str, data.View],
    ) -> None:
        """Decode the weight of one lane, at ``place`` in its vector."""
        p, d = self._p, self.descriptor
        bits = len(before)
        fields = {
            stage: Signal(p.field_bits, name=f"{stage}_field_{lane}", reset_less=True)
            for stage in "rnt"
        }
        r_place = Signal(bits, name=f"r_place_{lane}", reset_less=True)
        # n_: its place in the block.
        n_place = Signal(bits, name=f"n_place_{lane}", reset_less=True)
        # t_: what the tables hold, and the output channel.
        t_channel = Signal(p.acc_addr_bits, name=f"t_channel_{lane}", reset_less=True)
        with m.If(self.advance):
            m.d.sync += [
                fields["r"].eq(self.entries[lane].field),
                fields["n"].eq(fields["r"]),
                fields["t"].eq(fields["n"]),
                r_place.eq(place),
                n_place.eq(before + r_place),
                t_channel.eq(n_place & ((1 << d.log_kc) - 1)),
            ]

        # A weight of 0 has no product, so nothing of it is looked up; nor is a plain one's value.
        needed = Signal(name=f"needed_{lane}")
        m.submodules[f"codebook_{lane}"] = codebook = sram(
            signed(p.weight_bits), p.num_codebooks * p.num_codes, f"codebook_{lane}", Ports.SHARED
        )
        m.submodules[f"tap_{lane}"] = taps = sram(
            p.acc_addr_bits, p.num_taps, f"tap_{lane}", Ports.SHARED
        )
        code, load_code = codebook.read_port(), codebook.write_port()
        tap, load_tap = taps.read_port(), taps.write_port()
        write = self.host_en & self.host.write
        m.d.comb += [
            needed.eq(self.advance & valids["n"] & (fields["n"] != 0)),
            code.en.eq(needed & ~d.plain),
            code.addr.eq(Cat(fields["n"][: p.code_bits], d.codebook)),
            load_code.en.eq(write & (self.host.space == Space.CODEBOOK)),
            load_code.addr.eq(self.host.addr),
            load_code.data.eq(self.host.data),
            tap.en.eq(needed),
            tap.addr.eq(heads["n"].block.tap_base + (n_place >> d.log_kc)),
            load_tap.en.eq(write & (self.host.space == Space.TAP)),
            load_tap.addr.eq(self.host.addr),
            load_tap.data.eq(self.host.data),
        ]
        plain = fields["t"].as_signed()
        weight = self.item.weights[lane]
        with m.If(self.advance):
            m.d.sync += [
                weight.value.eq(Mux(fields["t"] == 0, 0, Mux(d.plain, plain, code.data))),
                weight.offset.eq(tap.data + t_channel * d.k_stride),
            ]
