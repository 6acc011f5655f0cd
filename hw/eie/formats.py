"""Bit layouts of the EIE array: what the compiler writes and what the RTL reads.

Each layout stands here once. RTL views signals through the layouts; software packs with
:func:`.pack` or, for whole SRAMs, with the fields' offsets (:func:`entry_shifts`).
"""

from collections.abc import Mapping

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from zeroskip.hw.common import formats as common
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS, Activation, CellKind, NumberShape
from zeroskip.hw.eie.host import Space, counter_row
from zeroskip.hw.eie.params import EieParams

__all__ = [
    "DESCRIPTOR_WORDS",
    "PEEPHOLE_BIASES",
    "VERSION",
    "broadcast_layout",
    "command_layout",
    "descriptor_layout",
    "entry_layout",
    "entry_shifts",
    "host_bits",
    "host_layout",
    "load_bits",
    "pointer_layout",
    "readable_rows",
    "sram_files",
    "work_layout",
]

DESCRIPTOR_WORDS = 2
"""A descriptor is this many words of the program memory, lowest first."""


PEEPHOLE_BIASES = {"sums": (1, 2, 4, 6), "weights": (0, 3, 5)}
"""Of a hidden unit with peepholes, which of its seven words in the memory of biases are the biases
of its sums, and the weights of input gate, forget gate and output gate."""

VERSION = 2
"""Version of the host interface and of the layouts, read from ``Control.VERSION``."""


def entry_layout(p: EieParams) -> data.StructLayout:
    """Lay out one stored weight: its code, and the zeros before it in PE-local row space.

    The code of a plain weight is the weight, in two's complement.
    """
    return data.StructLayout({"code": unsigned(p.stored_bits), "run": unsigned(p.run_bits)})


def entry_shifts(p: EieParams) -> Mapping[str, int]:
    """Return bits in a Spmat word: ``code``, ``run`` of entry 0, and ``stride`` per entry."""
    layout = entry_layout(p)
    return {
        "code": layout["code"].offset,
        "run": layout["run"].offset,
        "stride": Shape.cast(layout).width,
    }


def pointer_layout(p: EieParams) -> data.StructLayout:
    """Lay out a column pointer: position of the column's first entry.

    ``word`` has one bit more than a Spmat address, because the end of the last column may be
    one past the end of the SRAM.
    """
    return data.StructLayout({
        "slot": unsigned(p.slot_bits),
        "word": unsigned(p.word_addr_bits + 1),
    })


def broadcast_layout(p: EieParams) -> data.StructLayout:
    """Lay out a non-zero activation, or change of one, and the number of its column's pointer."""
    return data.StructLayout({
        "value": signed(p.value_bits),
        "column": unsigned(p.pointer_addr_bits),
    })


def work_layout(p: EieParams) -> data.StructLayout:
    """Lay out an activation with its column: entries ``start`` up to, not with, ``end``."""
    return data.StructLayout({
        "value": signed(p.value_bits),
        "start": pointer_layout(p),
        "end": pointer_layout(p),
    })


def descriptor_layout(p: EieParams) -> data.StructLayout:
    """Lay out one pass over a matrix, in the order of the program.

    Fields
    ------
    src_base, src_rows : rows of the source activation file to scan; row ``r`` holds the
        activations of positions ``r * num_pes`` and up, one per PE. At least one row.
    ptr_base : number of the pointer of the first scanned position's column.
    codebook : which codebook.
    last_code : the largest code that the layer of the pass has; weights from code 1 up to there
        are loaded, none if it is 0. The same in all passes with the codebook. Both are 0 where
        weights are plain.
    drain : write outputs at the end (else the accumulators keep their sums).
    drain_rows : accumulators to write, from local row 0, at least 1.
    dst_base : first row of the destination activation file that is written.
    bias_base : first bias.
    shift : right shift of the accumulator.
    activation : the :class:`.Activation` of outputs.
    swap : source and destination files change roles after this pass.
    last : the program ends here.
    cell : in arrays with cells: the :class:`.CellKind` whose hidden units are drained;
        ``drain_rows`` of them. Sum ``q`` of unit ``u`` is accumulator ``q * drain_rows + u``, as is
        its bias; with peepholes, bias and weight ``q`` of it, in the order of
        :data:`PEEPHOLE_BIASES`. Units are written from ``dst_base`` on.
    recur : the pass scans the destination file.
    past : what it scans is of the step before: zeros in a run that begins a sequence.
    state_base : the state of the first unit.
    delta : in arrays with delta: the pass scans changes, and, if it drains, adds to sums that the
        step before has kept, see :class:`.Delta` and :class:`.ActRw`.
    threshold : a change that is not larger does not count.
    """
    cells = {
        "cell": NumberShape(CellKind, 2),
        "recur": unsigned(1),
        "past": unsigned(1),
        "state_base": unsigned(p.state_addr_bits),
    }
    changes = {"delta": unsigned(1), "threshold": unsigned(p.act_bits - 1)}
    layout = data.StructLayout({
        "src_base": unsigned(p.act_addr_bits),
        "src_rows": unsigned(p.act_addr_bits + 1),
        "ptr_base": unsigned(p.pointer_addr_bits),
        "codebook": unsigned(p.descriptor_addr_bits),
        "last_code": unsigned(p.code_bits),
        "drain_rows": unsigned(p.acc_addr_bits + 1),
        "dst_base": unsigned(p.act_addr_bits),
        "bias_base": unsigned(p.bias_addr_bits),
        "shift": unsigned(6),
        "drain": unsigned(1),
        "activation": Activation,
        "swap": unsigned(1),
        "last": unsigned(1),
        **(cells if p.cells else {}),
        **(changes if p.delta else {}),
    })
    if Shape.cast(layout).width > DESCRIPTOR_WORDS * DESCRIPTOR_WORD_BITS:
        raise ValueError("a descriptor does not fit its words")
    return layout


def host_bits(p: EieParams) -> int:
    """Return the width of the host port's data: 64, or a Spmat word if that is wider."""
    return max(64, p.word_bits)


def host_layout(p: EieParams) -> data.StructLayout:
    """Lay out a host command as a PE sees it: write ``data`` to row ``addr`` of a space, or read.

    In space ACT the row is an address of an activation file, above it the file's number. COUNTER
    has row ``descriptor * 8 + StallClass``, with three activation files or cells
    ``descriptor * 16``.
    """
    return common.host_layout(host_bits(p), Space)


def command_layout(p: EieParams) -> data.StructLayout:
    """Lay out a host command, and the PE whose memory is meant."""
    return common.command_layout(host_layout(p))


def readable_rows(p: EieParams) -> dict[Space, tuple[int, int]]:
    """Return how many rows a host can read, and in how many files, by space, without CONTROL."""
    rows = {Space.ACT: (p.num_acts, p.act_files)}
    if p.counters:
        rows[Space.COUNTER] = counter_row(p, p.num_descriptors, 0), 1
    return rows


def load_bits(p: EieParams) -> dict[Space, int]:
    """Return the width of a word of each memory that is loaded, by space."""
    return {
        Space.PROGRAM: DESCRIPTOR_WORD_BITS,
        Space.CODEBOOK: p.weight_bits,
        Space.SPMAT: p.word_bits,
        Space.POINTER: Shape.cast(pointer_layout(p)).width,
        Space.BIAS: p.acc_bits,
    }


def sram_files(p: EieParams) -> dict[str, tuple[int, int]]:
    """Return names, depths and widths (bits) of the SRAMs of an array.

    The name is the file's path in an image, without suffix; PE memories stand under
    ``pe_<number>/``.
    """
    half, bits = p.num_pointers // 2, load_bits(p)
    pointer = bits[Space.POINTER]
    files = {"program": (DESCRIPTOR_WORDS * p.num_descriptors, bits[Space.PROGRAM])}
    if not p.plain:
        files["codebook"] = p.num_descriptors * p.num_codes, bits[Space.CODEBOOK]
    for pe in range(p.num_pes):
        files |= {
            f"pe_{pe}/spmat": (p.spmat_words, p.word_bits),
            f"pe_{pe}/ptr_even": (half, pointer),
            f"pe_{pe}/ptr_odd": (half, pointer),
            f"pe_{pe}/bias": (p.num_biases, p.acc_bits),
        }
    return files
