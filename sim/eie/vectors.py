"""What the exported testbench of an array reads: SRAMs, inputs, and what the models expect."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.hw.common.control import Command
from zeroskip.hw.eie.formats import VERSION, host_bits
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.instances import memory_path
from zeroskip.sim.bench_files import HostRun, run_files
from zeroskip.sim.eie.rtl_image import image_job
from zeroskip.sim.result import PartResult

__all__ = ["bench_files"]


def bench_files(
    part: EiePart, columns: NDArray[np.int64], model: PartResult
) -> Mapping[str, bytes]:
    """Write files for ``$readmemh`` by name, which ``zeroskip/flow/testbench.v`` reads.

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
    last = len(part.layers)
    made = part.in_run_order(model.tensors[part.layers[-1].name].reshape(runs, -1), last)
    places = part.placement[-1]
    commands = np.full(runs, int(Command.START), np.int64)
    if p.cells:
        commands[list(job.begins)] |= Command.BEGIN
    cycles = part.in_run_order(model.run_cycles[:, 0])
    found = [
        HostRun(
            clearing=Command.CLEAR,
            start=int(commands[number]),
            cycles=int(cycles[number]),
            writes=_words(rows, pes, job.inputs[number].reshape(-1)),
            reads=_words(places // p.num_pes, places % p.num_pes, made[number]),
        )
        for number in range(runs)
    ]
    srams = {
        f"{memory_path(name)}.hex": to_hex(sram.words, sram.width)
        for name, sram in part.srams.items()
    }
    host = run_files(
        found,
        version=VERSION | p.num_pes << 16,
        data_bits=host_bits(p),
        # Clearing takes one for each accumulator, and for each counter of each pass.
        most=int(cycles.max()) + p.num_accs + 16 * p.num_descriptors + 1000,
        own=int(part.program[-1].swap),
    )
    return {**srams, **host}


def _words(
    rows: NDArray[np.int64], pes: NDArray[np.int64], values: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Put activations, each with its PE and row, as a host writes and reads them."""
    return np.stack([np.full_like(rows, Space.ACT), pes, rows, values], axis=1).astype(np.uint64)
