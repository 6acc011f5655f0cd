"""PlaneRead, an array whose answers are left open, and what watches both."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import any_of, unstable
from zeroskip.hw.scnn.formats import Space, act_word_layout, directory_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.plane_read import PlaneRead

WORDS = 2
"""Words of a channel, at most."""


class WatchedPlaneRead(wiring.Component):
    """A plane that is read once: of its values, one is 1, and all others are 0.

    The array answers questions in their order. How many entries a channel has, and their runs, are
    left open, and so is which entry has the 1.

    Parameters
    ----------
    p : of the array, with one row of PEs.
    columns : of the plane in each PE; the first has most.
    rows, y_stride : of the plane in each PE, and positions from a row to the next.
    on_way : questions that wait for an answer, at most.
    late : say that the 1 is due so many places later than it is.

    Members
    -------
    asks, answers, takes : In, the array takes a question, and answers one; a group is taken.
    count, runs, mark, which : In, of the entry or word that answers: entries of the channel; runs
        of the word's entries, whether one of them is the 1, and which.
    bad : Out, the 1 left elsewhere than where it is due, or something else did; a group is empty,
        reaches over its row, changed or was taken back; a question is not the one that is next; or
        PlaneRead has ended without having asked and given everything.
    """

    asks: Signal
    answers: Signal
    takes: Signal
    count: Signal
    runs: Signal
    mark: Signal
    which: Signal
    bad: Signal

    def __init__(
        self,
        p: ScnnParams,
        columns: tuple[int, ...],
        rows: int,
        y_stride: int,
        on_way: int,
        *,
        late: int = 0,
    ) -> None:
        self._p, self._on_way, self._late = p, on_way, late
        self._columns, self._rows, self._y_stride = columns, rows, y_stride
        self._most = WORDS * p.mult_i
        super().__init__({
            **{name: In(1) for name in ("asks", "answers", "takes", "mark")},
            "count": In(range(self._most + 1)),
            "runs": In(p.run_bits * p.mult_i),
            "which": In(range(p.mult_i)),
            "bad": Out(1),
        })
        self._total = p.num_channels * rows * sum(columns)
        # Values that have left, and how many leave before the 1; none is due: more than there are.
        self._given = Signal(range(self._total + p.mult_i + 1), name="given")
        self._due = Signal(range(self._total + late + 1), name="due", init=self._total)

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.dut = dut = PlaneRead(p, p.mult_i)
        begun, group = Signal(), dut.o.payload
        m.d.sync += begun.eq(1)
        fields = {"channels": p.num_channels, "sx": 1, "sy": 1, "ho": self._rows, "full_y": 1}
        fields |= {"wo": self._columns[0], "full_x": 1, "rem_x": self._columns[1]}
        fields |= {"y_stride": self._y_stride, "block_x": 1}
        m.d.comb += [
            *(dut.plane[name].eq(value) for name, value in fields.items()),
            dut.spread.eq(~0),
            dut.go.eq(~begun),
            dut.o.ready.eq(self.takes),
        ]
        level, oldest = self._questions(m, dut)
        over, wrong = self._answers(m, dut, level, oldest)
        leaves = dut.o.valid & self.takes
        with m.If(leaves):
            m.d.sync += self._given.eq(self._given + group.count)
        row_left = Array(
            columns - column
            for columns in self._columns
            for _ in range(p.num_channels * self._rows)
            for column in range(columns)
        )
        wrong += [
            unstable(m, dut.o, group.as_value()),
            dut.o.valid & ((group.count == 0) | (self._given >= self._total)),
            dut.o.valid & (group.count > row_left[self._given]),
            begun & ~dut.busy & ((self._given != self._total) | ~over | (level != 0)),
            *(
                dut.o.valid
                & (lane < group.count)
                & (group.values[lane] != (self._given + lane == self._due))
                for lane in range(p.mult_i)
            ),
        ]
        m.d.comb += self.bad.eq(any_of(wrong))
        return m

    def _questions(self, m: Module, dut: Any) -> tuple[Signal, Signal]:
        """Take questions; return how many wait, and the oldest: whether of a word, address, PE."""
        command = dut.cmd.payload.command
        question = Cat(command.space == Space.ACT, command.addr[:3], dut.cmd.payload.pe[:2])
        level, waiting = Signal(range(self._on_way + 1)), [
            Signal(len(question), name=f"waiting_{place}") for place in range(self._on_way)
        ]  # fmt: skip
        takes = dut.rsp.valid & dut.rsp.ready
        kept = level - takes
        comes = dut.cmd.valid & dut.cmd.ready
        m.d.comb += dut.cmd.ready.eq(self.asks & (level != self._on_way))
        m.d.sync += level.eq(kept + comes)
        for place, one in enumerate(waiting):
            if place + 1 < self._on_way:
                with m.If(takes):
                    m.d.sync += one.eq(waiting[place + 1])
            with m.If(comes & (kept == place)):
                m.d.sync += one.eq(question)
        return level, waiting[0]

    def _answers(
        self, m: Module, dut: Any, level: Signal, oldest: Signal
    ) -> tuple[Value, list[Value]]:
        """Answer the oldest question; return whether all have come, and what is wrong with it."""
        p, most, channels = self._p, self._most, self._p.num_channels
        # Of the PE at hand: channels whose entry was told, and entries of each that were not read.
        # Of the channel that is read: words so far, and the position behind them.
        pe, told = Signal(range(p.num_pes)), Signal(range(channels + 1))
        left = [Signal(range(most + 1), name=f"left_{k}") for k in range(channels)]
        word, passed = Signal(range(WORDS)), Signal(range(2 * most))
        channel, here = Signal(range(channels)), Signal(range(most + 1))
        for number in reversed(range(channels)):
            with m.If(left[number] != 0):
                m.d.comb += [channel.eq(number), here.eq(left[number])]
        is_word, reads = oldest[0], any_of(left)
        ends = (told == channels) & ~reads
        next_pe, next_entry = (pe + ends)[:2], Mux(ends, 0, told)[:3]
        word_next = (oldest[1:4] == channel * WORDS + word) & (oldest[4:] == pe)
        entry_next = (oldest[1:4] == next_entry) & (oldest[4:] == next_pe)
        right = Mux(is_word, word_next & reads, entry_next & (ends | (told != channels)))

        marks, count, place, after = self._offer(m, dut, level, is_word, next_entry, here, passed)
        takes = dut.rsp.valid & dut.rsp.ready
        due = Signal.like(self._due)
        m.d.comb += due.eq(self._order(pe, channel, place) + self._late)
        with m.If(marks):
            m.d.sync += self._due.eq(due)
        with m.If(takes & is_word):
            last = here <= p.mult_i
            m.d.sync += [word.eq(Mux(last, 0, word + 1)), passed.eq(Mux(last, 0, after))]
            for number, one in enumerate(left):
                with m.If(channel == number):
                    m.d.sync += one.eq(Mux(last, 0, here - p.mult_i))
        with m.If(takes & ~is_word):
            m.d.sync += [pe.eq(next_pe), told.eq(next_entry + 1)]
            for number, one in enumerate(left):
                with m.If(next_entry == number):
                    m.d.sync += one.eq(count)
        wrong = [dut.rsp.valid & ~right, marks & (due < self._given)]
        return ends & (pe == p.num_pes - 1), wrong

    def _offer(
        self,
        m: Module,
        dut: Any,
        level: Value,
        is_word: Value,
        number: Value,
        left: Value,
        passed: Value,
    ) -> tuple[Value, Value, Value, Value]:
        """Offer an answer, and keep it until it is taken.

        Parameters
        ----------
        m, dut, level : what asks, and how many of its questions wait.
        is_word, number : the oldest asks for a word, or for the entry of this number.
        left, passed : entries of the channel from this word on, and positions in front of it.

        Returns
        -------
        Whether the 1 is offered for the first time; entries of the channel; the position of the 1,
        and the one behind the word.
        """
        p = self._p
        fresh, used, marks = Signal(init=1), Signal(), Signal()
        open_ = Cat(self.count, self.runs, self.which, self.mark & ~used)
        offered, kept = Signal(len(open_)), Signal(len(open_))
        m.d.comb += [
            offered.eq(Mux(fresh, open_, kept)),
            dut.rsp.valid.eq((self.answers | ~fresh) & (level != 0)),
        ]
        m.d.sync += [kept.eq(offered), used.eq(used | marks)]
        with m.If(dut.rsp.valid):
            m.d.sync += fresh.eq(dut.rsp.ready)
        at = len(self.count)
        runs = [offered[at + k * p.run_bits :][: p.run_bits] for k in range(p.mult_i)]
        which, mark = offered[at + len(self.runs) : -1], offered[-1]
        count = Mux(offered[:at] > self._most, 0, offered[:at])
        entry: Any = Signal(directory_layout(p))
        word: Any = Signal(act_word_layout(p))
        places: list[Value] = []
        after: Value = passed
        for lane in range(p.mult_i):
            places.append(after + runs[lane])
            after = after + runs[lane] + 1
            # What stands behind the last entry is no value.
            value = Mux(lane < left, mark & (which == lane), runs[lane][0])
            m.d.comb += [word[lane].run.eq(runs[lane]), word[lane].value.eq(value)]
        m.d.comb += [
            *(entry.start.eq(number * WORDS), entry.count.eq(count)),
            dut.rsp.payload.eq(Mux(is_word, word.as_value(), entry.as_value())),
            marks.eq(dut.rsp.valid & fresh & is_word & mark & (which < left)),
        ]
        return marks, count, Array(places)[which], after

    def _order(self, pe: Value, channel: Value, place: Value) -> Value:
        """Count the values that leave before the one at a place; out of the plane, all."""
        p = self._p
        table: list[int] = []
        for number, columns in enumerate(self._columns):
            for one in range(p.num_channels):
                before = p.num_channels * self._rows * sum(self._columns[:number])
                before += one * self._rows * columns
                for position in range(2 * self._most):
                    row, column = divmod(position, self._y_stride)
                    inside = row < self._rows and column < columns
                    table.append(before + row * columns + column if inside else self._total)
        at = (pe * p.num_channels + channel) * 2 * self._most + place
        return Array(table)[at]
