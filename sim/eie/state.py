"""What the array's memories hold, and what a run makes of it, by golden's own decoder."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from zeroskip.compiler.ir.cells import SUMS, step_cell
from zeroskip.compiler.ir.changes import next_references
from zeroskip.hw.common.control import Command
from zeroskip.hw.common.formats import Activation, CellKind
from zeroskip.hw.eie.formats import load_bits, sram_files
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.formats import word_bytes
from zeroskip.sim.eie.decode import expand
from zeroskip.sim.eie.streams import ColumnStream, codebook_of, column_streams, read_program
from zeroskip.sim.golden.words import LIMB_BITS, Descriptor, signed

__all__ = ["EieState", "RunLog"]

_MEMORIES = {
    Space.PROGRAM: "program",
    Space.CODEBOOK: "codebook",
    Space.SPMAT: "spmat",
    Space.BIAS: "bias",
}


@dataclass(frozen=True, eq=False)
class RunLog:
    """A run, as far as its time depends on it.

    Parameters
    ----------
    program : of its passes.
    streams : per pass, per PE, what is read.
    nonzero : per pass (rows, num_pes), which of the scanned activations are not 0.
    written : per pass (rows, num_pes) int64, what it writes to the destination file.
    act_bits : width of a lane.
    saturated : per pass (num_pes,), how many states were beyond their range; None of one that
        drains no cell.
    """

    program: tuple[Descriptor, ...]
    streams: tuple[tuple[ColumnStream, ...], ...]
    nonzero: list[NDArray[np.bool_]]
    written: list[NDArray[np.int64]]
    act_bits: int
    saturated: list[NDArray[np.int64] | None] = field(default_factory=list)

    def words(self) -> list[tuple[int, int, int]]:
        """Return each row that is written: number of the pass, row, and word of all lanes."""
        mask = (1 << self.act_bits) - 1
        return [
            (
                number,
                descriptor.dst_base + row,
                sum((lane & mask) << place * self.act_bits for place, lane in enumerate(lanes)),
            )
            for number, (descriptor, rows) in enumerate(
                zip(self.program, self.written, strict=True)
            )
            for row, lanes in enumerate(rows.tolist())
        ]


class EieState:
    """The array between commands.

    Parameters
    ----------
    params : of the array.
    """

    def __init__(self, params: EieParams) -> None:
        self._p = params
        self._widths = load_bits(params)
        self._srams: dict[str, NDArray[np.uint64]] = {}
        for name, (rows, width) in sram_files(params).items():
            limbs = -(-width // LIMB_BITS)
            self._srams[name] = np.zeros((rows, limbs), np.uint64)
        # Rows up to which something has been written; pointers of both banks together.
        self._used: dict[str, int] = {}
        self._source, self._destination, self._free = (
            np.zeros((params.num_acts, params.num_pes), np.int64) for _ in range(3)
        )
        self._sums = np.zeros((params.num_pes, params.num_accs), np.uint64)
        self._states = np.zeros((params.num_states, params.num_pes), np.int64)
        self._references = np.zeros((params.num_references, params.num_pes), np.int64)
        # Sums that cells with a threshold keep for the next step, by the row of their first bias.
        self._kept: dict[int, NDArray[np.uint64]] = {}

    def word_bits(self, space: int) -> int:
        """Return the width of a word of a space; 0 if nothing can be loaded there."""
        return {key.value: bits for key, bits in self._widths.items()}.get(space, 0)

    def reads_ahead(self, space: int) -> bool:
        """Say whether it is read ahead of a run: program and codebooks are."""
        return space in {Space.PROGRAM.value, Space.CODEBOOK.value}

    def has_words(self, space: int, pe: int, row: int, count: int) -> bool:
        """Say whether the array has these rows of a memory."""
        p = self._p
        if space == Space.POINTER.value:
            return pe < p.num_pes and row + count <= p.num_pointers
        name = _MEMORIES[Space(space)]
        if space == Space.CODEBOOK.value and self._p.plain:
            return False
        central = name in self._srams
        depth = len(self._srams[name if central else f"pe_0/{name}"])
        return (central or pe < p.num_pes) and row + count <= depth

    @property
    def lanes(self) -> int:
        """Lanes of a row."""
        return self._p.num_pes

    @property
    def lane_bits(self) -> int:
        """Width of a lane in memory."""
        return 8 * word_bytes(self._p.act_bits)

    @property
    def stream_bits(self) -> int:
        """Weights stay in SRAMs, so it takes none while it is at work."""
        return 0

    def stream(self, words: NDArray[np.uint64]) -> Any:
        """Refuse beats of weights."""
        raise ValueError(f"EIE takes no weights while it is at work, and got {len(words)} beats")

    @property
    def num_rows(self) -> int:
        """Rows of an activation file."""
        return self._p.num_acts

    @property
    def lost(self) -> bool:
        """Files have room for all that there is."""
        return False

    def clear(self) -> None:
        """Be as after a reset, but for what memories hold."""
        self._sums[:] = 0

    def load(self, space: int, pe: int, row: int, words: NDArray[np.uint64]) -> None:
        """Write words, (n, limbs), to a memory from row ``row`` up."""
        end = row + len(words)
        if space == Space.POINTER.value:
            name = f"pe_{pe}/ptr"
            for bank, memory in enumerate(("even", "odd")):
                skip = (bank - row) % 2
                first = (row + skip) // 2
                some = words[skip::2]
                self._srams[f"{name}_{memory}"][first : first + len(some)] = some
        else:
            name = _MEMORIES[Space(space)]
            name = name if name in self._srams else f"pe_{pe}/{name}"
            self._srams[name][row:end] = words
        self._used[name] = max(self._used.get(name, 0), end)

    def take_rows(self, row: int, lanes: NDArray[np.int64]) -> None:
        """Write rows, (n, num_pes), to the free file."""
        mask = (1 << self._p.act_bits) - 1
        self._free[row : row + len(lanes)] = signed(
            (lanes & mask).astype(np.uint64), self._p.act_bits
        )

    def give_rows(
        self, row: int, lanes: NDArray[np.int64], *, destination: bool
    ) -> tuple[NDArray[np.int64], None]:
        """Read rows of the source or of the destination file into (n, num_pes)."""
        file = self._destination if destination else self._source
        return file[row : row + len(lanes)].copy(), None

    def control(self, command: int) -> RunLog | None:
        """Do what a command does; return what was run, if it starts a run.

        Raises
        ------
        ValueError
            If it is none that command lists have, or memories hold no program.
        """
        begins, action = bool(command & Command.BEGIN), Command(command & ~Command.BEGIN)
        if action == Command.START | Command.NEXT:
            self._source, self._free = self._free, self._source
        elif action != Command.START | Command.KEEP:
            raise ValueError(f"a command list starts runs with NEXT or KEEP, not {action!r}")
        return self._run(begins=begins)

    def _run(self, *, begins: bool) -> RunLog:
        srams = {name: words[: self._held(name)] for name, words in self._srams.items()}
        program = read_program(srams["program"], self._p)
        log = RunLog(program, column_streams(srams, self._p, program), [], [], self._p.act_bits)
        reference = 0
        for descriptor, streams in zip(program, log.streams, strict=True):
            file = self._destination if descriptor.get("recur") else self._source
            scanned = file[descriptor.src_base : descriptor.src_base + descriptor.src_rows]
            if descriptor.get("past") and begins:
                scanned = np.zeros_like(scanned)
            if descriptor.get("delta"):
                rows = slice(reference, reference + descriptor.src_rows)
                scanned = self._changed(scanned, rows, descriptor.threshold, begins=begins)
                reference = rows.stop
            log.nonzero.append(scanned != 0)
            self._add(descriptor, streams, scanned, srams)
            if descriptor.get("cell") and descriptor.drain:
                written, saturated = self._drain_cells(descriptor, srams, begins=begins)
            else:
                written, saturated = self._drain(descriptor, srams), None
            log.written.append(written)
            log.saturated.append(saturated)
        return log

    def _held(self, name: str) -> int:
        """Return up to which row an SRAM has been written."""
        bank = {"even": 1, "odd": 0}
        memory, _, last = name.rpartition("_")
        if last in bank and memory.endswith("ptr"):
            return (self._used.get(memory, 0) + bank[last]) // 2
        return self._used.get(name, 0)

    def _add(
        self,
        descriptor: Descriptor,
        streams: tuple[ColumnStream, ...],
        scanned: NDArray[np.int64],
        srams: dict[str, NDArray[np.uint64]],
    ) -> None:
        """Add the products of a pass to the sums."""
        p = self._p
        last = p.num_codes - 1 if p.plain else descriptor.last_code
        weights: NDArray[np.int64] = np.zeros(1, np.int64)
        if last:
            weights = codebook_of(srams, descriptor.codebook, p)
        values = scanned.reshape(-1).astype(np.int64).view(np.uint64)
        for pe, stream in enumerate(streams):
            codes, position, local = expand(stream)
            if codes.max(initial=0) > last:
                raise ValueError(f"a code of pe_{pe} has no weight: {codes.max()}")
            real = codes != 0
            if local[real].max(initial=0) >= p.num_accs:
                raise ValueError(f"an entry of pe_{pe} is beyond the accumulators")
            products: Any = coo_array(
                (
                    weights[codes[real]].view(np.uint64),
                    (local[real], position[real]),
                ),
                shape=(p.num_accs, len(values)),
            ).tocsr()
            self._sums[pe] += products @ values

    def _changed(
        self, scanned: NDArray[np.int64], rows: slice, threshold: int, *, begins: bool
    ) -> NDArray[np.int64]:
        """Return changes of activations, (rows, num_pes), and update references in ``rows``."""
        if rows.stop > len(self._references):
            raise ValueError(f"a pass scans changes of row {rows.stop - 1} of the references")
        before = np.zeros_like(scanned) if begins else self._references[rows].copy()
        self._references[rows] = next_references(scanned, before, threshold)
        return self._references[rows] - before

    def _drain_cells(
        self, descriptor: Descriptor, srams: dict[str, NDArray[np.uint64]], *, begins: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Write outputs and states of hidden units, and clear their sums."""
        p, units = self._p, descriptor.drain_rows
        kind, rows = CellKind(descriptor.cell), SUMS * units
        # Of a hidden unit with peepholes: the weight and the bias of the input gate, the bias of
        # the candidate, weight and bias of the forget gate, weight and bias of the output gate.
        count = 7 if kind == CellKind.PEEPHOLE else SUMS
        after = descriptor.bias_base + count * units
        biases = np.stack([srams[f"pe_{pe}/bias"][descriptor.bias_base : after, 0]
                           for pe in range(p.num_pes)])  # fmt: skip
        weights = None
        if kind == CellKind.PEEPHOLE:
            words = biases.reshape(p.num_pes, count, units)
            weights = signed(words[:, [0, 3, 5]], p.acc_bits)
            biases = words[:, [1, 2, 4, 6]].reshape(p.num_pes, rows)
        if descriptor.get("delta"):
            biases = biases if begins else self._kept[descriptor.bias_base]
            self._kept[descriptor.bias_base] = self._sums[:, :rows] + biases
        totals = signed(self._sums[:, :rows] + biases, p.acc_bits).reshape(p.num_pes, SUMS, units)
        held = self._states[descriptor.state_base : descriptor.state_base + units]
        state = np.zeros_like(held.T) if begins else held.T
        made = step_cell(kind, totals, state, descriptor.shift, p.act_bits, weights)
        held[:] = made.state.T
        self._sums[:, :rows] = 0
        outputs = made.output.T
        self._destination[descriptor.dst_base : descriptor.dst_base + units] = outputs
        return outputs, made.saturated.sum(axis=1)

    def _drain(
        self, descriptor: Descriptor, srams: dict[str, NDArray[np.uint64]]
    ) -> NDArray[np.int64]:
        """Write outputs and clear their sums, if the pass drains."""
        p = self._p
        if not descriptor.drain:
            return np.zeros((0, p.num_pes), np.int64)
        after = descriptor.bias_base + descriptor.drain_rows
        biases = np.stack([srams[f"pe_{pe}/bias"][descriptor.bias_base : after, 0]
                           for pe in range(p.num_pes)])  # fmt: skip
        sums = signed(self._sums[:, : descriptor.drain_rows] + biases, p.acc_bits) >> np.int64(
            descriptor.shift
        )
        least = 0 if descriptor.activation == Activation.RELU else p.min_act
        outputs = np.clip(sums, least, p.max_act).T
        self._sums[:, : descriptor.drain_rows] = 0
        self._destination[descriptor.dst_base : descriptor.dst_base + descriptor.drain_rows] = (
            outputs
        )
        if descriptor.swap:
            self._source, self._destination = self._destination, self._source
        return outputs
