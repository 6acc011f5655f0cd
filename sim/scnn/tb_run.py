"""Run a compiled CNN on the SCNN array: tensors in, every output, word and counter out.

Not a test of its own: it records what the hardware did, for the caller to compare.
"""

import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import SimTimeoutError, with_timeout
from cocotb.utils import get_sim_time
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import ActLoad, ActStore, Channels, TileLayout
from zeroskip.hw.common.control import Control
from zeroskip.hw.scnn.formats import Space
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.begin import PERIOD_NS, read_job, record, reset
from zeroskip.sim.scnn.host import ScnnHost, put_stored

__all__ = ["ScnnRuns", "parse_load", "parse_store"]


@cocotb.test()
async def run(dut: Any) -> None:
    """Run every sample of the jobs; write ``results_<job>.npz`` beside them."""
    folder, description = read_job()
    params = ScnnParams.from_dict(description["params"])
    host = ScnnHost(dut, params)
    await reset(dut)
    recorded: list[tuple[int, ...]] = []
    fields = dut.out_pass, dut.out_lanes, dut.out_data
    cocotb.start_soon(record(dut.clk, dut.out_valid, fields, recorded))

    for number, job in enumerate(description["jobs"]):
        runs = ScnnRuns(host, params, recorded, job["runs"], folder, number)
        await host.write_all(runs.writes("begin"))
        samples = runs.load_samples()
        results: dict[str, NDArray[Any]] = {}
        for sample, tensors in enumerate(samples):
            for name, shape in job["shapes"].items():
                tensors.setdefault(name, np.zeros(shape, np.int64))
            await host.clear()
            try:
                got = await runs.run(
                    tensors, again=sample > 0, loaded=job["preloaded"] and not sample
                )
            except SimTimeoutError:
                (folder / "hang").write_text(f"job {number}, sample {sample}, run {runs.at}")
                return
            results |= {f"{sample}/{key}": value for key, value in got.items()}
        np.savez(folder / f"results_{number}.npz", allow_pickle=False, **results)


class ScnnRuns:
    """The runs of a job, one after the other for each sample; ``at`` is the one at work.

    ``go`` runs the program; unless given, the host's command does.
    """

    def __init__(
        self,
        host: ScnnHost,
        params: ScnnParams,
        recorded: list[tuple[int, ...]],
        runs: list[dict[str, Any]],
        folder: Path,
        number: int,
        go: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._go = go or host.run
        self._host, self._params, self._recorded = host, params, recorded
        self._runs = runs
        self.at = 0
        self._folder, self._number = folder, number

    def writes(self, key: str) -> NDArray[np.uint64]:
        """Return the commands that load the SRAMs at some point, see ``host_writes``."""
        return np.load(self._folder / f"writes_{self._number}_{key}.npy", allow_pickle=False)

    def weights(self, run: int) -> NDArray[np.uint64]:
        """Return the beats of a run's weights."""
        return np.load(self._folder / f"weights_{self._number}_{run}.npy", allow_pickle=False)

    def load_samples(self) -> list[dict[str, NDArray[np.int64]]]:
        """Return the tensors of each sample that are known before."""
        with np.load(self._folder / f"tensors_{self._number}.npz", allow_pickle=False) as file:
            known = {name: file[name] for name in file.files}
        count = len(next(iter(known.values())))
        return [{name: part[number] for name, part in known.items()} for number in range(count)]

    async def run(
        self, tensors: dict[str, NDArray[np.int64]], *, again: bool, loaded: bool = False
    ) -> dict[str, NDArray[Any]]:
        """Run one sample; return what the hardware did with it.

        Parameters
        ----------
        tensors : all of the network, (C, H, W); those that the host stores are filled.
        again : the SRAMs have been used for another sample.
        loaded : the activation RAMs hold what the first run reads.
        """
        host, results = self._host, {}
        cycles, nanoseconds, problems = [], [], []
        reload_cycles = 0
        if again:
            reload_cycles += (await self._timed(host.write_all(self.writes("again"))))[1]
        for index, run in enumerate(self._runs):
            self.at = index
            if index:
                reload_cycles += (await self._timed(host.write_all(self.writes(str(index)))))[1]
                await host.clear_counters()
            loads = tuple(parse_load(load) for load in run["loads"])
            if loads and (index or not loaded):
                _, spent = await self._timed(host.load_tensors(loads, tensors))
                reload_cycles += spent if index else 0
            host.weights = self.weights(run["weights"])
            self._recorded.clear()
            begin = time.perf_counter_ns()
            await with_timeout(self._go(), run["max_cycles"] * PERIOD_NS, "ns")
            nanoseconds.append(time.perf_counter_ns() - begin)
            results |= {f"{index}/{key}": value for key, value in self._observed().items()}
            cycles.append(await host.read(Space.CONTROL, Control.CYCLES))
            results[f"{index}/counters"] = await host.read_counters(run["passes"])
            if await host.overflow():
                problems.append(f"run {index}: outputs found no room in an activation RAM")
            for number, fields in enumerate(run["stores"]):
                store = parse_store(fields)
                stored, spent = await self._timed(host.read_store(store))
                reload_cycles += spent if index < len(self._runs) - 1 else 0
                try:
                    put_stored(self._params, store, stored, tensors)
                except ValueError as error:
                    problems.append(f"run {index}: what the host read back is damaged: {error}")
                for block, directory in enumerate(stored.directories):
                    key = f"{index}/store_{number}_{block}"
                    results[f"{key}/directory"] = directory
                    for place, words in enumerate(stored.words[block]):
                        results[f"{key}/words_{place}"] = words
            with open(self._folder / "progress", "a") as file:
                file.write("\n")
        results |= {f"tensors/{name}": tensor for name, tensor in tensors.items()}
        results["cycles"] = np.array(cycles, np.int64)
        results["nanoseconds"] = np.array(nanoseconds, np.int64)
        results["reload_cycles"] = np.array(reload_cycles, np.int64)
        results["problems"] = np.array(problems, np.str_)
        return results

    def _observed(self) -> dict[str, NDArray[np.int64]]:
        """Return the outputs that the array made: the pass, and (outputs, num_pes) values."""
        p = self._params
        width = p.num_pes * p.mult_i * p.act_bits
        size = -(-width // 8)
        data = b"".join(word.to_bytes(size, "little") for _, _, word in self._recorded)
        raw = np.frombuffer(data, np.uint8).reshape(-1, size)
        bits = np.unpackbits(raw, axis=1, count=width, bitorder="little")
        weights = 1 << np.arange(p.act_bits, dtype=np.int64)
        weights[-1] = -weights[-1]
        outputs = bits.reshape(-1, p.num_pes, p.mult_i, p.act_bits) @ weights
        lanes = np.array([lanes for _, lanes, _ in self._recorded], np.int64)
        there = (lanes[:, None] >> np.arange(p.mult_i) & 1).astype(np.bool_)
        passes = np.array([number for number, _, _ in self._recorded], np.int64)
        return {
            "passes": np.repeat(passes, there.sum(axis=1)),
            "outputs": outputs.swapaxes(1, 2)[there],
        }

    async def _timed(self, work: Coroutine[Any, Any, Any]) -> tuple[Any, int]:
        """Do ``work``; return its result and the cycles it took."""
        begin = get_sim_time("ns")
        result = await work
        return result, round((get_sim_time("ns") - begin) / PERIOD_NS)


def parse_load(load: dict[str, Any]) -> ActLoad:
    """Read a load of a job's description."""
    return ActLoad(
        channels=tuple(Channels(**part) for part in load["channels"]),
        base=load["base"],
        word=load["word"],
        limit=load["limit"],
        dealt=load["dealt"],
        layout=TileLayout(**load["layout"]),
    )


def parse_store(store: dict[str, Any]) -> ActStore:
    """Read a store of a job's description."""
    return ActStore(
        blocks=tuple(Channels(**part) for part in store["blocks"]),
        base=store["base"],
        layout=TileLayout(**store["layout"]),
    )
