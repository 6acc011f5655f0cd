"""Run jobs on the cores of this machine, or on those of a Dask cluster."""

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

from zeroskip.base.errors import InputError, ToolError
from zeroskip.compiler.image.manifest import zeroskip_version
from zeroskip.sim.sweep.journal import Row

__all__ = ["Job", "on_cluster", "on_cores"]

_PATIENCE = 60
"""Seconds to wait for a scheduler."""

_FIRST_WORKER = 60
"""Seconds to wait for its first worker."""


@dataclass(frozen=True, eq=False)
class Job:
    """Points of a sweep that are measured together.

    Parameters
    ----------
    numbers : of the points in the sweep.
    function : measures ``points`` on ``work``; returns the rows of each.
    work : what is measured; sent to a cluster once for all jobs that have it.
    points : arrays to measure it on, as the function takes them.
    """

    numbers: tuple[int, ...]
    function: Callable[[Any, Any], list[list[Row]]]
    work: Any
    points: Any

    def measure(self) -> list[list[Row]]:
        """Measure them; return the rows of each."""
        return self.function(self.work, self.points)


Finished = Iterator[tuple[Job, list[list[Row]]]]


def on_cores(jobs: Sequence[Job], count: int) -> Finished:
    """Yield jobs as they finish, run by ``count`` processes; -1 is one per core."""
    from joblib import Parallel, delayed

    # Untyped: what it takes and yields is not what it says.
    options: dict[str, Any] = {"return_as": "generator_unordered", "batch_size": 1}
    parallel: Any = Parallel(n_jobs=count, **options)
    yield from parallel(delayed(_run)(job) for job in jobs)


def on_cluster(jobs: Sequence[Job], address: str) -> Finished:
    """Yield jobs as they finish, run by the workers of a Dask scheduler.

    Raises
    ------
    InputError
        If ``address`` is none.
    ToolError
        If the scheduler cannot be reached, has no worker, or is lost; or if a worker dies or has
        no Zeroskip, or another one.
    """
    import distributed

    _check_address(address)
    try:
        client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ToolError(f"there is no Dask scheduler at {address}: none answers") from error
    try:
        _check_workers(client, address)
        sent: dict[int, Any] = {}
        futures = {}
        for job in jobs:
            # Once for all jobs: it can be large.
            if id(job.work) not in sent:
                sent[id(job.work)] = client.scatter(job.work)
            work = sent[id(job.work)]
            futures[client.submit(job.function, work, job.points, pure=False)] = job
        for future in distributed.as_completed(futures, loop=client.loop):
            try:
                yield futures.pop(future), future.result()
            except (distributed.KilledWorker, CancelledError, OSError) as error:
                raise ToolError(f"workers of {address} died, or the scheduler did") from error
    finally:
        client.close()


def _run(job: Job) -> tuple[Job, list[list[Row]]]:
    return job, job.measure()


def _check_address(address: str) -> None:
    """Refuse what is no address, or where nobody listens; Dask would go on trying."""
    parts = re.fullmatch(r"(?:(tcp|tls)://)?\[?([^\s/\[\]]+)\]?:(\d{1,5})", address)
    if parts is None:
        raise InputError(
            f"the scheduler must be an address such as tcp://host:8786, not {address!r}"
        )
    try:
        with socket.create_connection((parts[2], int(parts[3])), _PATIENCE) as connection:
            # A scheduler speaks first. To others, Dask would listen forever.
            if parts[1] != "tls" and not connection.recv(1):
                raise ConnectionError
    except (OSError, OverflowError, UnicodeError) as error:
        raise ToolError(f"there is no Dask scheduler at {address}: none answers") from error


def _check_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_FIRST_WORKER)
    except TimeoutError as error:
        raise ToolError(f"the Dask scheduler at {address} has no workers") from error
    version = zeroskip_version()
    try:
        versions = set(client.run(zeroskip_version).values())
    except ImportError as error:
        raise ToolError(f"the workers of {address} have no Zeroskip: install it there") from error
    if other := sorted(versions - {version}):
        raise ToolError(f"workers of {address} have Zeroskip {other[0]}, but this is {version}")
