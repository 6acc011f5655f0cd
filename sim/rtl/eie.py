"""Run inputs through the EIE array's RTL."""

import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hw.eie.array import ARRAY_MODULE
from hw.eie.params import EieParams
from sim.errors import SimulationError
from sim.rtl.build import build_array, cache_dir
from sim.rtl.launch import launch

__all__ = ["Pass", "RtlResult", "run_array", "sram_instance"]

# Where an SRAM of an image is in the design.
_INSTANCES = {
    "program": "ccu.descriptor_read.program",
    "codebook": "ccu.codebook_load.codebooks",
    "spmat": "spmat_read.spmat",
    "ptr_even": "ptr_read.ptr_even",
    "ptr_odd": "ptr_read.ptr_odd",
    "bias": "act_rw.bias",
}


@dataclass(frozen=True)
class Pass:
    """What a descriptor writes: ``rows`` rows of the destination file from ``dst_base``."""

    rows: int
    dst_base: int


@dataclass(frozen=True)
class RtlResult:
    """What the hardware did with ``n`` inputs.

    Parameters
    ----------
    outputs : per pass, (n, rows, num_pes) int64, as they were written at the end of the pass.
    result : (n, rows, num_pes) int64, as the host reads them after the run.
    cycles : (n,) int64, from start to the end of the program.
    counters : (n, passes, num_pes, stall classes) int64 cycles.
    """

    outputs: tuple[NDArray[np.int64], ...]
    result: NDArray[np.int64]
    cycles: NDArray[np.int64]
    counters: NDArray[np.int64]


def sram_instance(name: str) -> str:
    """Return the path in the design of an image's SRAM, for instance ``pe_3/spmat``."""
    *pe, memory = name.split("/")
    return ".".join([ARRAY_MODULE, *pe, _INSTANCES[memory]])


def run_array(
    params: EieParams,
    srams: Mapping[str, Path],
    passes: Sequence[Pass],
    inputs: NDArray[np.int64],
    *,
    max_cycles: int,
    waves: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> RtlResult:
    """Run ``inputs`` one after the other.

    Parameters
    ----------
    params : sizes of the array; it is built if it has not been yet.
    srams : hex file of each SRAM by its name in the image.
    passes : what the program's descriptors write, in their order.
    inputs : (n, rows, num_pes) int64, contents of activation file 0.
    max_cycles : a run that takes longer hangs.
    waves : where to leave a VCD file.
    progress : called with a step's name, how much is done and of how much.

    Raises
    ------
    SimulationError
        If a run hangs, or the simulation fails.
    ToolError
        If the simulator cannot be built.
    """
    report = progress or (lambda *_: None)
    report("build simulator", 0, 1)
    program = build_array(params, waves=waves is not None)
    report("build simulator", 1, 1)
    runs = cache_dir() / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=runs))
    try:
        _write_job(folder, params, srams, passes, inputs, max_cycles)
        with _Progress(folder / "progress", len(inputs), report):
            launch(
                program,
                "sim.bench.tb_eie_run",
                folder,
                env={"ZEROSKIP_JOB": str(folder)},
                plusargs=(f"+sram_dir={folder / 'srams'}",),
                waves=waves is not None,
            )
        if (folder / "hang").exists():
            number = (folder / "hang").read_text()
            raise SimulationError(
                f"input {number} did not come to an end in {max_cycles} cycles: the image's "
                "pointers or program must be wrong"
            )
        if waves is not None:
            shutil.move(folder / "dump.vcd", waves)
        with np.load(folder / "results.npz", allow_pickle=False) as results:
            outputs, bounds = results["outputs"], np.cumsum([p.rows for p in passes])[:-1]
            return RtlResult(
                tuple(np.split(outputs, bounds, axis=1)),
                results["results"],
                results["cycles"],
                results["counters"],
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_job(
    folder: Path,
    params: EieParams,
    srams: Mapping[str, Path],
    passes: Sequence[Pass],
    inputs: NDArray[np.int64],
    max_cycles: int,
) -> None:
    links = folder / "srams"
    links.mkdir()
    for name, path in srams.items():
        (links / f"{sram_instance(name)}.hex").symlink_to(path.absolute())
    np.save(folder / "inputs.npy", inputs)
    final = passes[-1]
    job = {
        "params": asdict(params),
        "max_cycles": max_cycles,
        "num_passes": len(passes),
        "drained": [[n, p.dst_base + r] for n, p in enumerate(passes) for r in range(p.rows)],
        "result_rows": final.dst_base + final.rows,
    }
    (folder / "job.json").write_text(json.dumps(job))


class _Progress:
    """Report the lines that a simulation appends to a file."""

    def __init__(self, path: Path, total: int, report: Callable[[str, int, int], None]) -> None:
        self._path, self._total, self._report = path, total, report
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._path.touch()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        over = False
        while not over:
            over = self._over.wait(0.2)
            self._report("simulate", len(self._path.read_text()), self._total)
