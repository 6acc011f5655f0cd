"""What the driver of the SCNN array is given, and gives; and their files for its bench."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import SimulationError
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.compiler.scnn.run import ScnnDescriptor, ScnnRun, written_tile
from zeroskip.hw.scnn.formats import Space
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.rtl.runs import write_contents
from zeroskip.sim.scnn.loads import loaded_rams
from zeroskip.sim.scnn.rtl_build import scnn_act_instance, scnn_sram_instances

__all__ = [
    "BlockStore",
    "ScnnJob",
    "ScnnResult",
    "collect_scnn",
    "describe_scnn",
    "sample_count",
    "scnn_place",
    "walk_length",
]


@dataclass(frozen=True, eq=False)
class ScnnJob:
    """Runs of one network, or of a part of one, and samples for them.

    Parameters
    ----------
    runs : what the array and its host do, in order.
    tensors : (n, C, H, W) int64 by name, of ``n`` samples: the network's input and, if these are
        not all of its runs, what they load that they do not make.
    shapes : (C, H, W) of every tensor that the runs store.
    max_cycles : of each run; one that takes longer hangs.
    """

    runs: Sequence[ScnnRun]
    tensors: Mapping[str, NDArray[np.int64]]
    shapes: Mapping[str, tuple[int, int, int]]
    max_cycles: Sequence[int]


@dataclass(frozen=True, eq=False)
class BlockStore:
    """What a block of PEs holds of a store, as the host reads it.

    Parameters
    ----------
    words : of each PE of the block, (rows, limbs) uint64, its activation RAM from row 0 on; rows
        before those that are in use are 0.
    directory : (PEs of the block, entries) uint64.
    """

    words: tuple[NDArray[np.uint64], ...]
    directory: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class ScnnResult:
    """What the hardware did with ``n`` samples.

    Parameters
    ----------
    outputs : per run and descriptor, (n, outputs, num_pes) int64, in the order of the walk.
    tensors : (n, C, H, W) int64 by name, all that the host holds at the end.
    stores : per sample, run, store and block.
    cycles : (n, runs) int64, from start to end of the run's program.
    reload_cycles : (n,) int64 of the host's commands before the second run and later ones, of
        reads between runs, and of those that put the first run's SRAMs back after the sample
        before; loading the input and reading the result do not count.
    seconds : (n, runs) float64 wall-clock time of the runs alone.
    counters : (n, descriptors of all runs, num_pes, stall classes) int64 multiplier-cycles.
    problems : sentences about what the host could not make sense of; none if all is well.
    """

    outputs: tuple[tuple[NDArray[np.int64], ...], ...]
    tensors: dict[str, NDArray[np.int64]]
    stores: tuple[tuple[tuple[tuple[BlockStore, ...], ...], ...], ...]
    cycles: NDArray[np.int64]
    reload_cycles: NDArray[np.int64]
    seconds: NDArray[np.float64]
    counters: NDArray[np.int64]
    problems: tuple[str, ...]


def walk_length(descriptor: ScnnDescriptor) -> int:
    """Count the outputs that a PE writes in a pass, those outside the plane included."""
    channels = (descriptor.groups - 1) * descriptor.kc + descriptor.kc_last
    return channels * math.prod(written_tile(descriptor)) if descriptor.drain else 0


def scnn_place(name: str) -> tuple[int, int, int, int]:
    """Return space, stream, first row and step of an image's SRAM, as ``stream_3/bias``."""
    *prefix, memory = name.split("/")
    return Space[memory.upper()], int(prefix[0].removeprefix("stream_")) if prefix else 0, 0, 1


def describe_scnn(
    folder: Path,
    number: int,
    params: ScnnParams,
    job: ScnnJob,
    *,
    host_load: bool,
    preload: bool = False,
) -> dict[str, Any]:
    """Write a job's files; return what the bench has to know.

    With ``preload``, the activation RAMs hold what the first run of the first sample loads.
    """
    np.savez(folder / f"tensors_{number}.npz", allow_pickle=False, **dict(job.tensors))
    instances = None if host_load else lambda name: scnn_sram_instances(params, name)
    srams = [dict(run.srams) for run in job.runs]
    weights: list[int] = []
    for run, contents in enumerate(srams):
        if (streamed := contents.pop("weights", None)) is not None:
            np.save(folder / f"weights_{number}_{run}.npy", streamed.words)
            weights.append(run)
        else:
            # The run has the same weights as the one before.
            weights.append(weights[-1])
    write_contents(folder, number, srams, scnn_place, instances)
    if preload:
        here = {name: tensor[0] for name, tensor in job.tensors.items()}
        for (pe, name), ram in loaded_rams(params, job.runs[0].loads, here).items():
            path = folder / "srams" / f"{scnn_act_instance(pe, name)}.hex"
            path.write_bytes(to_hex(ram.words, ram.width))
    return {
        "preloaded": preload,
        "shapes": {name: list(shape) for name, shape in job.shapes.items()},
        "runs": [
            {
                "passes": len(run.program),
                "weights": of_run,
                "loads": [asdict(load) for load in run.loads],
                "stores": [asdict(store) for store in run.stores],
                "max_cycles": int(most),
            }
            for run, of_run, most in zip(job.runs, weights, job.max_cycles, strict=True)
        ],
    }


def collect_scnn(path: Path, job: ScnnJob) -> ScnnResult:
    """Read what the bench left of a job.

    Raises
    ------
    SimulationError
        If the passes did not write what their program says.
    """
    samples = range(sample_count(job))
    with np.load(path, allow_pickle=False) as file:
        results = {name: file[name] for name in file.files}
    outputs = []
    for number, run in enumerate(job.runs):
        lengths = [walk_length(descriptor) for descriptor in run.program]
        expected = np.repeat(np.arange(len(lengths)), lengths)
        for sample in samples:
            passes = results[f"{sample}/{number}/passes"]
            if not np.array_equal(passes, expected):
                raise SimulationError(
                    f"sample {sample}, run {number}: the passes made "
                    f"{np.bincount(passes, minlength=len(lengths)).tolist()} outputs a PE, "
                    f"not {lengths}"
                )
        every = np.stack([results[f"{sample}/{number}/outputs"] for sample in samples])
        outputs.append(tuple(np.split(every, np.cumsum(lengths)[:-1], axis=1)))

    def stacked(name: str) -> NDArray[Any]:
        return np.stack([results[f"{sample}/{name}"] for sample in samples])

    prefix = "0/tensors/"
    return ScnnResult(
        outputs=tuple(outputs),
        tensors={
            name.removeprefix(prefix): stacked(name.removeprefix("0/"))
            for name in results
            if name.startswith(prefix)
        },
        stores=tuple(
            tuple(
                tuple(
                    tuple(
                        _block(results, f"{sample}/{index}/store_{number}_{block}")
                        for block in range(len(store.blocks))
                    )
                    for number, store in enumerate(run.stores)
                )
                for index, run in enumerate(job.runs)
            )
            for sample in samples
        ),
        cycles=stacked("cycles"),
        reload_cycles=stacked("reload_cycles"),
        seconds=stacked("nanoseconds") / 1e9,
        counters=np.concatenate(
            [stacked(f"{number}/counters") for number in range(len(job.runs))], axis=1
        ),
        problems=tuple(
            f"sample {sample}, {text}"
            for sample in samples
            for text in results[f"{sample}/problems"].tolist()
        ),
    )


def _block(results: Mapping[str, NDArray[Any]], key: str) -> BlockStore:
    directory = results[f"{key}/directory"]
    words = (results[f"{key}/words_{place}"] for place in range(len(directory)))
    return BlockStore(tuple(words), directory)


def sample_count(job: ScnnJob) -> int:
    """Count the samples of a job."""
    return len(next(iter(job.tensors.values())))
