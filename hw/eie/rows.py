"""Rows that stream into and out of activation files, all lanes at once, while a run is under way.

The files' data stays in the PEs; here is who may read and write which row in which cycle.
"""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.eie.params import EieParams

__all__ = ["LoadRows", "StoreRows"]


class _Rows(wiring.Component):
    """Rows of a file, from ``base`` up, one after the other.

    Members
    -------
    start, base, rows, which : In, begin with the first of ``rows`` rows of file ``which``; only
        while not ``busy``.
    flush : In, leave the rows that have not been transferred, that which is offered, too.
    hold : In, nothing is read or written in this cycle.
    valid, ready : a stream's handshake, see the subclasses for who gives which.
    busy : Out, rows are left.
    en, file, row : Out, read or write this row in this cycle.
    """

    start: Signal
    base: Signal
    rows: Signal
    which: Signal
    flush: Signal
    hold: Signal
    busy: Signal
    en: Signal
    file: Signal
    row: Signal

    def __init__(self, params: EieParams, handshake: dict[str, wiring.Member]) -> None:
        self._p = params
        row = params.act_addr_bits
        super().__init__({
            **handshake,
            "start": In(1),
            "base": In(row),
            "rows": In(row + 1),
            "which": In(params.file_bits),
            "flush": In(1),
            "hold": In(1),
            "busy": Out(1),
            "en": Out(1),
            "file": Out(params.file_bits),
            "row": Out(row),
        })
        self._left = Signal(row + 1, name="left")

    def _walk(self, m: Module) -> None:
        with m.If(self.en):
            m.d.sync += [self._left.eq(self._left - 1), self.row.eq(self.row + 1)]
        with m.If(self.start & ~self.busy):
            m.d.sync += [
                self._left.eq(self.rows),
                self.row.eq(self.base),
                self.file.eq(self.which),
            ]
        with m.If(self.flush):
            m.d.sync += self._left.eq(0)

    def uses(self, file: Value) -> Value:
        """Tell whether rows of ``file`` are left."""
        return self.busy & (self.file == file)


class LoadRows(_Rows):
    """Rows that are written as they come, one in every cycle.

    Members as of :class:`_Rows`; ``valid`` : In, a row is there; ``ready`` : Out, it is written in
    this cycle. ``ready`` is known from registers and ``hold`` alone.
    """

    valid: Signal
    ready: Signal

    def __init__(self, params: EieParams) -> None:
        super().__init__(params, {"valid": In(1), "ready": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [
            self.busy.eq(self._left != 0),
            self.ready.eq(self.busy & ~self.hold),
            self.en.eq(self.ready & self.valid),
        ]
        self._walk(m)
        return m

    def lacks(self, file: Value, row: Value) -> Value:
        """Tell whether a row of ``file`` is still to come."""
        ahead = (row - self.row)[: len(self.row)]
        return self.uses(file) & (ahead < self._left)


class StoreRows(_Rows):
    """Rows that are read ahead of being taken: one leaves in every cycle in which it may.

    A row waits at the output of its file, so nothing else may read the file while ``busy``.

    Members as of :class:`_Rows`; ``valid`` : Out, a register: the row that was read last is there;
    ``ready`` : In, it is taken.
    """

    valid: Signal
    ready: Signal

    def __init__(self, params: EieParams) -> None:
        super().__init__(params, {"valid": Out(1), "ready": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [
            self.busy.eq((self._left != 0) | self.valid),
            self.en.eq((self._left != 0) & (~self.valid | self.ready) & ~self.hold),
        ]
        with m.If(self.en):
            m.d.sync += self.valid.eq(1)
        with m.Elif(self.ready):
            m.d.sync += self.valid.eq(0)
        with m.If(self.flush):
            m.d.sync += self.valid.eq(0)
        self._walk(m)
        return m
