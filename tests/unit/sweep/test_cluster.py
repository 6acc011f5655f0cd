"""A sweep on a real cluster, in processes of their own: Dask changes signals and loggers."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zeroskip.base.errors import ToolError
from zeroskip.sim.eie.sweep.sweep import EieSweep
from zeroskip.sim.sweep.run import run_sweep

ROOT = Path(__file__).parents[3]
CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, processes=True,
                      dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def _cluster(folder: Path, workers: int) -> Iterator[str]:
    script = folder / "cluster.py"
    script.write_text(CLUSTER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script), str(workers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a scheduler with two worker processes."""
    yield from _cluster(tmp_path_factory.mktemp("cluster"), 2)


@pytest.fixture
def no_worker(tmp_path: Path) -> Iterator[str]:
    """Give the address of a scheduler without any."""
    yield from _cluster(tmp_path, 0)


def test_a_cluster_gives_the_same_rows(
    sweep: EieSweep, tmp_path: Path, same: Callable[..., bool], two_workers: str
) -> None:
    here = run_sweep(sweep, tmp_path / "here.csv", jobs=1)
    there = run_sweep(sweep, tmp_path / "there.csv", scheduler=two_workers)
    assert same(here.rows, there.rows)


@pytest.mark.long("waits for workers that do not come")
def test_a_scheduler_without_workers_is_told(
    sweep: EieSweep, tmp_path: Path, no_worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zeroskip.sim.sweep.execute._FIRST_WORKER", 1)
    with pytest.raises(ToolError, match="has no workers"):
        run_sweep(sweep, tmp_path / "t.csv", scheduler=no_worker)
