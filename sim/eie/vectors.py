"""What the exported testbench of an array reads: SRAMs, inputs, and what the models expect."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.hw.common.control import Command
from zeroskip.hw.eie.formats import VERSION
from zeroskip.hw.eie.instances import memory_path
from zeroskip.sim.eie.rtl_image import image_job
from zeroskip.sim.result import PartResult

__all__ = ["bench_files"]


def bench_files(
    part: EiePart, columns: NDArray[np.int64], model: PartResult
) -> Mapping[str, bytes]:
    """Write files for ``$readmemh`` by name, which ``zeroskip/flow/eie/testbench.v`` reads.

    The contents of an SRAM have the name of its path inside the array, with dots.

    Parameters
    ----------
    part : that fits the array's memories.
    columns : (n, columns) int64, the inputs in fixed point.
    model : what the cycle model gave for them.

    Raises
    ------
    InputError
        If a host has to load memories between runs.
    """
    if len(part.segments) > 1:
        raise InputError(
            f"the network takes {len(part.segments)} runs of the array, and a host that loads "
            "memories between them, which the testbench is none: use --top axi, or compile for "
            "larger memories"
        )
    assert model.run_cycles is not None
    job = image_job(part, columns)
    p, runs = part.params, len(columns)
    rows, pes = np.indices(job.inputs.shape[1:]).reshape(2, -1)
    given = _words(rows, pes, job.inputs.reshape(runs, -1))
    last = len(part.layers)
    made = model.tensors[part.layers[-1].name].reshape(runs, -1)
    places = part.placement[-1]
    expected = _words(places // p.num_pes, places % p.num_pes, part.in_run_order(made, last))
    commands = np.full(runs, int(Command.START), np.uint64)
    if p.cells:
        commands[list(job.begins)] |= np.uint64(Command.BEGIN)
    cycles = part.in_run_order(model.run_cycles[:, 0]).astype(np.uint64)
    heads = commands << np.uint64(32) | cycles
    numbers = [
        VERSION | p.num_pes << 16,
        *(runs, given.shape[1], expected.shape[1]),
        int(part.program[-1].swap),
        # Cycles after which the testbench gives up: clearing takes one for each accumulator, and
        # for each counter of each pass.
        int(cycles.max()) + p.num_accs + 16 * p.num_descriptors + 1000,
    ]
    srams = {
        f"{memory_path(name)}.hex": to_hex(sram.words, sram.width)
        for name, sram in part.srams.items()
    }
    return srams | {
        "run.hex": to_hex(np.array(numbers, np.uint64)[:, None], 64),
        "vectors.hex": to_hex(
            np.concatenate([heads[:, None], given, expected], axis=1).reshape(-1, 1), 64
        ),
    }


def _words(
    rows: NDArray[np.int64], pes: NDArray[np.int64], values: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Pack each value with its PE and row into a word of 64 bits: PE, row, and value of 32 bits.

    Parameters
    ----------
    rows, pes : (words,).
    values : (n, words).
    """
    places = (pes << 16 | rows) << 32
    return (places | values & ((1 << 32) - 1)).astype(np.uint64)
