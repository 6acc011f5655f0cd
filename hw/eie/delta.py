"""Delta unit: changes of activations from step to step, by which recurrent layers multiply."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.sram import sram
from zeroskip.hw.eie.params import EieParams

__all__ = ["Delta"]


class Delta(wiring.Component):
    """Threshold the change of activations between steps (DeltaRNN, Gao et al., FPGA 2018; Spartus).

    ::

        change = now - reference    if that is larger than the threshold, up or down, else 0
        reference' = reference + change

    A reference is what an activation was when it last changed by more than the threshold, that is,
    the sum of all changes so far: 0 before a sequence. Small changes add up until they count.
    References have rows of their own for each pass that scans an activation, in the order of scans.

    The difference of two activations has a bit more than they have, so none saturates. A row is
    read while the row before it is taken, whose reference is then written.

    Members
    -------
    enable : In, the pass scans changes; else ``change`` is ``now``.
    threshold : In, see above.
    begin : In, the step begins a sequence: references count as 0.
    read, read_row : In, read a reference, with the activation of the file.
    take, take_row : In, the activation that was read is taken, and its reference becomes new.
    now : In, the activation that was read.
    change : Out, of it.
    """

    enable: Signal
    threshold: Signal
    begin: Signal
    read: Signal
    read_row: Signal
    take: Signal
    take_row: Signal
    now: Signal
    change: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        act, row = signed(params.act_bits), params.reference_addr_bits
        super().__init__({
            "enable": In(1),
            "threshold": In(params.act_bits - 1),
            "begin": In(1),
            "read": In(1),
            "read_row": In(row),
            "take": In(1),
            "take_row": In(row),
            "now": In(act),
            "change": Out(signed(params.value_bits)),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        rows = sram(signed(p.act_bits), p.num_references, "references")
        m.submodules.references = rows
        read, write = rows.read_port(), rows.write_port()
        before, difference, counts = (
            Signal(signed(p.act_bits)), Signal(signed(p.value_bits)), Signal()
        )  # fmt: skip
        m.d.comb += [
            read.en.eq(self.read & self.enable),
            read.addr.eq(self.read_row),
            before.eq(Mux(self.begin, 0, read.data)),
            difference.eq(self.now - before),
            counts.eq(Mux(difference < 0, -difference, difference) > self.threshold),
            self.change.eq(Mux(self.enable, Mux(counts, difference, 0), self.now)),
            # A reference that stays the same is written only at the begin of a sequence, as 0.
            write.en.eq(self.take & self.enable & (counts | self.begin)),
            write.addr.eq(self.take_row),
            write.data.eq(Mux(counts, self.now, before)),
        ]
        return m
