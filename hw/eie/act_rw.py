"""Activation read/write: source and destination files, scan for non-zeros, output arithmetic."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.add import add
from zeroskip.hw.common.formats import Activation
from zeroskip.hw.common.multiply import has_multipliers
from zeroskip.hw.common.requantize import requantize
from zeroskip.hw.common.sram import Ports, sram
from zeroskip.hw.eie.control import rows_layout
from zeroskip.hw.eie.delta import Delta
from zeroskip.hw.eie.params import EieParams

__all__ = ["ActRw"]


class ActRw(wiring.Component):
    """Activation files that swap roles each layer (EIE, section IV, "Activation Read/Write").

    Scan: all PEs read the same row of their source file; a row waits in the file's output until
    it is taken as the PE's candidate, which then is ``pending`` until granted, unless it is 0.

    Drain, one accumulator per cycle, three stages: read accumulator and bias; add; requantize
    and write. The adder stands still while nothing is drained: the accumulators that products
    read do not come to it.

    Of a pass over changes, what is scanned is how much an activation differs from its reference
    (:class:`.Delta`). The sum of their products then goes on top of the total of the step before,
    bias and all, which is kept: so it is the sum of the products of all references, exactly.

    With a third file, rows stream in and out meanwhile, each of a file that nothing else reads, or
    writes, in the same cycle.

    Parameters
    ----------
    params : of the array.
    early : choose rows by ``between``, not by the host's commands, which have a longer way.

    Members
    -------
    source, destination : In, which file is the source; of three, which the destination.
    scan_read, scan_row : In, read a row of the source file.
    scan_take : In, make the row that was read the candidate.
    grant : In, the candidate is broadcast.
    pending, candidate : Out, a non-zero activation to broadcast.
    bias_read, bias_row : In, read a bias, in the cycle in which the accumulator is read.
    acc : In, the accumulator, one cycle after it was read.
    shift, activation : In, how to make an output of a sum, see :func:`.requantize`.
    write, write_row : In, write the output to the destination file, two cycles after the read.
    output_data : Out, the output that ``write`` writes.
    load_act, load_bias, load_row, load_data : In, write an activation (above the row is the
        file's number) or a bias.
    host_read : In, read the activation at ``load_row``.
    between : In, if it is ``early``: no run is under way.
    host_data : Out, the activation that was read in the cycle before.
    rows : In, of three files, see ``rows_layout``.
    scan_other : In, of an array with cells: scan the destination file instead.
    scan_blank : In, likewise: what is scanned counts as 0.
    total : Out, likewise: sum and bias, one cycle after ``acc``.
    write_unit, unit : In, likewise: write ``unit`` instead of an output.
    delta, threshold, begin : In, of an array with delta, see ``Delta``; in a drain, ``delta`` says
        that sums are kept.
    scan_reference, take_reference : In, likewise: rows of the references of the row that is read,
        and of that which is taken.
    in_data : In, the activation that streams in.
    out_data : Out, that of the file that streams out which was read last.
    """

    source: Signal
    scan_read: Signal
    scan_row: Signal
    scan_take: Signal
    grant: Signal
    pending: Signal
    candidate: Signal
    bias_read: Signal
    bias_row: Signal
    acc: Signal
    shift: Signal
    activation: Signal
    write: Signal
    write_row: Signal
    output_data: Signal
    load_act: Signal
    load_bias: Signal
    load_row: Signal
    load_data: Signal
    host_read: Signal
    between: Signal
    host_data: Signal
    scan_other: Signal
    scan_blank: Signal
    total: Signal
    write_unit: Signal
    unit: Signal
    delta: Signal
    threshold: Signal
    begin: Signal
    scan_reference: Signal
    take_reference: Signal
    destination: Signal
    rows: data.View
    in_data: Signal
    out_data: Signal

    def __init__(self, params: EieParams, *, early: bool = False) -> None:
        self._p = params
        self._early = early
        act, row, file = signed(params.act_bits), params.act_addr_bits, params.file_bits
        streams = {
            "destination": In(file),
            "rows": In(rows_layout(params)),
            "in_data": In(act),
            "out_data": Out(act),
        }
        cells = {
            "scan_other": In(1),
            "scan_blank": In(1),
            "total": Out(signed(params.acc_bits)),
            "write_unit": In(1),
            "unit": In(act),
        }
        changes = {
            "delta": In(1),
            "threshold": In(params.act_bits - 1),
            "begin": In(1),
            "scan_reference": In(params.reference_addr_bits),
            "take_reference": In(params.reference_addr_bits),
        }
        super().__init__({
            **({"between": In(1)} if early else {}),
            **(changes if params.delta else {}),
            **(streams if params.streams else {}),
            **(cells if params.cells else {}),
            "source": In(file),
            "scan_read": In(1),
            "scan_row": In(row),
            "scan_take": In(1),
            "grant": In(1),
            "pending": Out(1),
            "candidate": Out(signed(params.value_bits)),
            "bias_read": In(1),
            "bias_row": In(params.bias_addr_bits),
            "acc": In(signed(params.acc_bits)),
            "shift": In(6),
            "activation": In(Activation),
            "write": In(1),
            "write_row": In(row),
            "output_data": Out(act),
            "load_act": In(1),
            "load_bias": In(1),
            "load_row": In(max(row + file, params.bias_addr_bits)),
            "load_data": In(max(params.acc_bits, params.act_bits)),
            "host_read": In(1),
            "host_data": Out(act),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        row = p.act_addr_bits
        load_file = self.load_row[row : row + p.file_bits]
        host_file = Signal(p.file_bits)
        scanned_file = self.source
        if p.cells:
            other = self.destination if p.streams else ~self.source
            scanned_file = Mux(self.scan_other, other, self.source)
        words = self._add_files(m, scanned_file, load_file)
        m.d.sync += host_file.eq(load_file)
        m.d.comb += self.host_data.eq(_of_file(host_file, words))
        if p.streams:
            m.d.comb += self.out_data.eq(_of_file(self.rows.out_file, words))

        scanned = _of_file(scanned_file, words)
        if p.cells:
            scanned = Mux(self.scan_blank, 0, scanned)
        if p.delta:
            scanned = self._changed(m, scanned)
        with m.If(self.scan_take):
            # Not > 0: inputs of a first layer are signed.
            m.d.sync += [self.candidate.eq(scanned), self.pending.eq(scanned != 0)]
        with m.Elif(self.grant):
            m.d.sync += self.pending.eq(0)

        m.submodules.bias = biases = sram(signed(p.acc_bits), p.num_biases, "bias", Ports.SHARED)
        bias, bias_load = biases.read_port(), biases.write_port()
        total = Signal(signed(p.acc_bits), reset_less=True)
        adds = Signal()
        drained = Signal(signed(p.acc_bits))
        m.d.sync += adds.eq(self.bias_read)
        # Not on FPGAs: on the smallest, the gates that hold it take a fiftieth of all LUTs.
        held = self.acc if has_multipliers(platform) else self.acc & adds.replicate(p.acc_bits)
        m.d.comb += [
            drained.eq(held),
            bias.en.eq(self.bias_read),
            bias.addr.eq(self.bias_row),
            bias_load.en.eq(self.load_bias),
            bias_load.addr.eq(self.load_row[: p.bias_addr_bits]),
            bias_load.data.eq(self.load_data[: p.acc_bits]),
        ]
        before = self._kept(m, bias.data, total) if p.delta else bias.data
        m.d.sync += total.eq(add(m, drained, before, p.acc_bits, platform=platform))
        output = requantize(m, total, self.shift, self.activation, p.act_bits, platform=platform)
        if p.cells:
            m.d.comb += self.total.eq(total)
            output = Mux(self.write_unit, self.unit, output)
        m.d.comb += self.output_data.eq(output)
        return m

    def _add_files(self, m: Module, scanned_file: Value, load_file: Value) -> list[Value]:
        """Add the files of activations; return the words that were read of each.

        Parameters
        ----------
        scanned_file : number of the file that is scanned.
        load_file : number of that which the host reads or writes.
        """
        p, row = self._p, self._p.act_addr_bits
        words = list[Value]()
        # Of three files, one may be written by the stream while it is scanned.
        ports = Ports.READ_AND_WRITE if p.streams else Ports.SHARED
        for number in range(p.act_files):
            name = f"act_{number}"
            m.submodules[name] = file = sram(signed(p.act_bits), p.num_acts, name, ports)
            read, write = file.read_port(), file.write_port()
            is_source = self.source == number
            is_destination = self.destination == number if p.streams else ~is_source
            is_scanned = scanned_file == number if p.cells else is_source
            host_here, load_here = Signal(name=f"host_{number}"), Signal(name=f"load_{number}")
            m.d.comb += [
                host_here.eq(self.host_read & (load_file == number)),
                load_here.eq(self.load_act & (load_file == number)),
            ]
            # Between runs only the host reads and writes: its row is there before its command is.
            asks = [self.between] * 2 if self._early else [host_here, load_here]
            reads = [(host_here, asks[0], self.load_row[:row])]
            writes = [(load_here, asks[1], self.load_row[:row], self.load_data[: p.act_bits])]
            if p.streams:
                in_here, out_here = Signal(name=f"in_{number}"), Signal(name=f"out_{number}")
                m.d.comb += [
                    in_here.eq(self.rows.in_en & (self.rows.in_file == number)),
                    out_here.eq(self.rows.out_en & (self.rows.out_file == number)),
                ]
                reads.append((out_here, out_here, self.rows.out_row))
                writes.append((in_here, in_here, self.rows.in_row, self.in_data))
            read_en, read_row = self.scan_read & is_scanned, self.scan_row
            for here, asked, address in reads:
                read_en, read_row = read_en | here, Mux(asked, address, read_row)
            write_en, write_row = self.write & is_destination, self.write_row
            word = self.output_data
            for here, asked, address, loaded in writes:
                write_en, write_row = write_en | here, Mux(asked, address, write_row)
                word = Mux(asked, loaded, word)
            m.d.comb += [
                read.en.eq(read_en),
                read.addr.eq(read_row),
                write.en.eq(write_en),
                write.addr.eq(write_row),
                write.data.eq(word),
            ]
            words.append(read.data)
        return words

    def _changed(self, m: Module, scanned: Value) -> Value:
        """Add the delta unit; return the change of activation ``scanned``; if disabled, itself."""
        m.submodules.delta = delta = Delta(self._p)
        m.d.comb += [
            delta.enable.eq(self.delta),
            delta.threshold.eq(self.threshold),
            delta.begin.eq(self.begin),
            delta.read.eq(self.scan_read),
            delta.read_row.eq(self.scan_reference),
            delta.take.eq(self.scan_take),
            delta.take_row.eq(self.take_reference),
            delta.now.eq(scanned),
        ]
        return delta.change

    def _kept(self, m: Module, bias: Value, total: Value) -> Value:
        """Keep each row's sum for the next step; return it, or at a sequence's begin the bias."""
        p = self._p
        m.submodules.kept = rows = sram(signed(p.acc_bits), p.num_biases, "kept")
        kept, keep = rows.read_port(), rows.write_port()
        # a_: accumulator and kept sum are added; t_: the new sum is in its register, and is kept.
        a_valid, t_valid = Signal(), Signal()
        a_row, t_row = (
            Signal(p.bias_addr_bits, reset_less=True, name=name) for name in ("a_row", "t_row")
        )
        m.d.sync += [
            a_valid.eq(self.bias_read & self.delta),
            a_row.eq(self.bias_row),
            t_valid.eq(a_valid),
            t_row.eq(a_row),
        ]
        m.d.comb += [
            kept.en.eq(self.bias_read & self.delta & ~self.begin),
            kept.addr.eq(self.bias_row),
            keep.en.eq(t_valid),
            keep.addr.eq(t_row),
            keep.data.eq(total),
        ]
        return Mux(self.delta & ~self.begin, kept.data, bias)


def _of_file(number: Value, words: Sequence[Value]) -> Value:
    """Choose the word of a file; files are 0, 1 and 2, so that a bit of the number chooses."""
    chosen = words[0]
    for bit, word in enumerate(words[1:]):
        chosen = Mux(number[bit], word, chosen)
    return chosen
