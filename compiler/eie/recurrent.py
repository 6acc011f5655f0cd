"""Build the program of a step of a recurrent network."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.eie.encode import EncodedPass, encode, pack_entries, pack_pointers
from zeroskip.compiler.eie.matrices import Matrix, matrices
from zeroskip.compiler.eie.place import Placement, local_rows
from zeroskip.compiler.eie.segment import Descriptor, Segment
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.words import program_words, unsigned_field
from zeroskip.compiler.ir.cells import SUMS, argument_shifts
from zeroskip.compiler.ir.graph import QuantCell, QuantGraph, QuantLinear
from zeroskip.hw.common.formats import Activation, CellKind, bias_word
from zeroskip.hw.eie.formats import (
    DESCRIPTOR_WORDS,
    PEEPHOLE_BIASES,
    descriptor_layout,
    sram_files,
)
from zeroskip.hw.eie.params import EieParams

__all__ = ["build_step", "is_recurrent", "row_positions"]


def is_recurrent(network: QuantGraph) -> bool:
    """Say whether a network, or that of which it is a part, has steps: each is a run."""
    return network.steps is not None


def row_positions(
    layer: QuantLinear | QuantCell, outputs: NDArray[np.int64], num_pes: int
) -> NDArray[np.int64]:
    """Return where the sums of a layer are accumulated, by the positions of its outputs."""
    if isinstance(layer, QuantLinear):
        return outputs
    units = int(outputs.max()) // num_pes + 1
    return (np.arange(SUMS)[:, None] * units * num_pes + outputs).ravel()


@dataclass(frozen=True, eq=False)
class _Pass:
    """A matrix, or rows of it, before it has its place in the memories.

    Parameters
    ----------
    matrix : which.
    descriptor : without what depends on the memories.
    encoded : entries and pointers.
    biases : (num_pes, rows) words; of a pass that does not drain, none.
    """

    matrix: Matrix
    descriptor: Descriptor
    encoded: EncodedPass
    biases: NDArray[np.uint64]


def build_step(
    network: QuantGraph,
    placement: Placement,
    params: EieParams,
    progress: Callable[[int, int], None] | None = None,
) -> Segment:
    """Build the program of a step, and all SRAMs.

    A recurrent layer is two passes: over its input, whose sums stay in the accumulators, and over
    its outputs of the step before, in whose place the new ones are written. All that layers make
    is in the destination file, the network's output from row 0 up.

    Parameters
    ----------
    network, placement, params, progress : as of :func:`.build`.

    Raises
    ------
    CompileError
        If a memory does not hold the network.
    """
    heights = [local_rows(positions, params) for positions in placement]
    bases = _bases(heights)
    passes: list[_Pass] = []
    for number in range(len(network.layers)):
        passes += _layer_passes(network, number, placement, heights, bases, params)
        if progress is not None:
            progress(number + 1, len(network.layers))
    program, words = _assemble(passes, params)
    names = ", ".join(repr(layer.name) for layer in network.layers)
    _check_room(names, heights, bases, network, program, words, params)
    # What does not fit the memories does not fit the fields of a descriptor either.
    words["program"] = program_words(program, descriptor_layout(params), DESCRIPTOR_WORDS)
    srams = {
        name: SramData(np.ascontiguousarray(words[name].reshape(-1, -(-width // 64))), width)
        for name, (_, width) in sram_files(params).items()
    }
    return Segment(
        program=program,
        passes=tuple(one.matrix.layer for one in passes),
        srams=srams,
        load=(0, heights[0]),
        store=(0, heights[-1]),
    )


def _bases(heights: Sequence[int]) -> list[int]:
    """Return the first row of each vector in its file; the input has a file of its own."""
    bases, row = [0] * len(heights), heights[-1]
    for number in range(1, len(heights) - 1):
        bases[number] = row
        row += heights[number]
    return bases


def _layer_passes(
    network: QuantGraph,
    number: int,
    placement: Placement,
    heights: Sequence[int],
    bases: Sequence[int],
    params: EieParams,
) -> Iterator[_Pass]:
    """Give the passes of a layer."""
    layer, outputs = network.layers[number], placement[number + 1]
    rows = row_positions(layer, outputs, params.num_pes)
    is_cell = isinstance(layer, QuantCell)
    height = heights[number + 1] * (SUMS if is_cell else 1)
    if is_cell and height > params.num_accs:
        raise CompileError(
            f"layer {layer.name!r} has {heights[number + 1]} hidden units a PE, of {SUMS} sums "
            f"each, but num_accs is {params.num_accs}: compile with num_accs={height} or more PEs"
        )
    step = min(height, params.num_accs)
    states = sum(
        heights[before + 1]
        for before in range(number)
        if isinstance(network.layers[before], QuantCell)
    )
    thresholds = layer.thresholds if isinstance(layer, QuantCell) else None
    words = _bias_words(layer, rows, height, params)
    for first in range(0, height, step):
        window = first, min(first + step, height)
        found = matrices(layer, number)
        for place, matrix in enumerate(found):
            columns = placement[matrix.vector]
            drains = matrix is found[-1]
            encoded = encode(
                matrix.codes.tocsr(), columns, rows, heights[matrix.vector] * params.num_pes,
                window, params,
            )  # fmt: skip
            descriptor = Descriptor(
                src_base=bases[matrix.vector],
                src_rows=heights[matrix.vector],
                ptr_base=0,
                codebook=0,
                last_code=0 if params.plain else int(matrix.codes.data.max(initial=0)),
                drain_rows=heights[number + 1] if is_cell else window[1] - window[0],
                dst_base=bases[number + 1] + (0 if is_cell else first),
                bias_base=0,
                shift=int(layer.shift),
                drain=drains,
                activation=Activation.RELU if layer.relu else Activation.IDENTITY,
                swap=False,
                last=False,
                cell=layer.cell if isinstance(layer, QuantCell) and drains else CellKind.NONE,
                recur=matrix.vector > 0,
                past=matrix.vector > number,
                state_base=states if is_cell and drains else 0,
                delta=thresholds is not None,
                threshold=0 if thresholds is None else thresholds[place],
            )
            biases = words[:, :0]
            if drains:
                biases = words if is_cell else words[:, window[0] : window[1]]
            yield _Pass(matrix, descriptor, encoded, biases)


def _bias_words(
    layer: QuantLinear | QuantCell, rows: NDArray[np.int64], height: int, params: EieParams
) -> NDArray[np.uint64]:
    """Return (num_pes, height) words of the biases; sums that a PE does not have hold 0."""
    words = np.zeros((params.num_pes, height), np.uint64)
    mask = (1 << params.acc_bits) - 1
    shifts = [layer.shift]
    if isinstance(layer, QuantCell):
        shifts = list(argument_shifts(layer.cell, layer.shift))
    every = np.repeat(shifts, len(rows) // len(shifts)).tolist()
    values = [
        bias_word(bias, shift) & mask
        for bias, shift in zip(layer.bias.tolist(), every, strict=True)
    ]
    local, pe = np.divmod(rows, params.num_pes)
    words[pe, local] = np.array(values, np.uint64)
    if isinstance(layer, QuantCell) and layer.peepholes is not None:
        return _with_peepholes(words, rows, layer.peepholes, params)
    return words


def _with_peepholes(
    biases: NDArray[np.uint64],
    rows: NDArray[np.int64],
    peepholes: NDArray[np.int64],
    params: EieParams,
) -> NDArray[np.uint64]:
    """Return biases, (num_pes, sums), with the weights of peepholes between them."""
    units = biases.shape[1] // SUMS
    blocks = np.zeros((params.num_pes, SUMS + len(peepholes), units), np.uint64)
    blocks[:, PEEPHOLE_BIASES["sums"]] = biases.reshape(-1, SUMS, units)
    local, pe = np.divmod(rows[: peepholes.shape[1]], params.num_pes)
    mask = (1 << params.acc_bits) - 1
    for block, weights in zip(PEEPHOLE_BIASES["weights"], peepholes, strict=True):
        blocks[pe, block, local] = (weights & mask).astype(np.uint64)
    return blocks.reshape(params.num_pes, -1)


def _assemble(
    passes: Sequence[_Pass], params: EieParams
) -> tuple[tuple[Descriptor, ...], dict[str, NDArray[np.uint64]]]:
    """Give each pass its place in the memories; return the program, and what others hold."""
    every = range(params.num_pes)
    books: list[NDArray[np.int64]] = []
    numbers: dict[tuple[int, int], int] = {}
    entries = np.zeros(params.num_pes, np.int64)
    pointers: list[NDArray[np.int64]] = []
    program: list[Descriptor] = []
    bias_row = 0
    for one in passes:
        key = one.matrix.layer, one.matrix.vector
        if key not in numbers:
            numbers[key] = len(books)
            books.append(one.matrix.codebook)
        program.append(
            replace(
                one.descriptor,
                # The end of the last column before is the start of this pass's first.
                ptr_base=sum(found.shape[1] for found in pointers),
                codebook=0 if params.plain else numbers[key],
                bias_base=bias_row if one.descriptor.drain else 0,
                last=one is passes[-1],
            )
        )
        placed = one.encoded.pointers + entries[:, None]
        entries = placed[:, -1]
        pointers.append(placed[:, :-1])
        bias_row += one.biases.shape[1]
    packed = pack_pointers(np.concatenate([*pointers, entries[:, None]], axis=1), params)
    words: dict[str, NDArray[np.uint64]] = {}
    if not params.plain:
        words["codebook"] = unsigned_field(np.concatenate(books), params.weight_bits)
    for pe in every:
        codes, runs = (
            np.concatenate([
                getattr(one.encoded, field)[one.encoded.starts[pe] : one.encoded.starts[pe + 1]]
                for one in passes
            ])
            for field in ("codes", "runs")
        )
        words |= {
            f"pe_{pe}/spmat": pack_entries(codes, runs, params),
            f"pe_{pe}/ptr_even": packed[pe, 0::2],
            f"pe_{pe}/ptr_odd": packed[pe, 1::2],
            f"pe_{pe}/bias": np.concatenate([one.biases[pe] for one in passes]),
        }
    return tuple(program), words


def _check_room(
    names: str,
    heights: Sequence[int],
    bases: Sequence[int],
    network: QuantGraph,
    program: Sequence[Descriptor],
    words: Mapping[str, NDArray[np.uint64]],
    params: EieParams,
) -> None:
    """Check that the memories hold all; between steps nothing is loaded anew.

    Raises
    ------
    CompileError
        Saying what would fit.
    """
    pointers = len(words["pe_0/ptr_even"]) + len(words["pe_0/ptr_odd"])
    states = sum(
        heights[number + 1]
        for number, layer in enumerate(network.layers)
        if isinstance(layer, QuantCell)
    )
    spmat = [len(words[f"pe_{pe}/spmat"]) for pe in range(params.num_pes)]
    rows = [base + height for base, height in zip(bases, heights, strict=True)]
    for what, field, need in (
        ("descriptors", "num_descriptors", len(program)),
        ("words of Spmat SRAM in a PE", "spmat_words", max(spmat)),
        ("column pointers", "num_pointers", pointers + pointers % 2),
        ("biases in a PE", "num_biases", len(words["pe_0/bias"])),
        ("rows of activations", "num_acts", max(rows)),
        ("states in a PE", "num_states", states),
        (
            "references",
            "num_references",
            sum(descriptor.src_rows for descriptor in program if descriptor.delta),
        ),
    ):
        if need > getattr(params, field):
            raise CompileError(
                f"the recurrent network of layers {names} needs {need} {what}, but {field} is "
                f"{getattr(params, field)}, and between its steps nothing is loaded anew: compile "
                f"with {field}={need}"
            )
