"""What a run of tests prints at its end: its time, and which simulators it had to build."""

import resource
import time
from pathlib import Path
from typing import Any

import pytest

from zeroskip.base.cache import cache_dir

_STARTED = pytest.StashKey[tuple[float, set[Path]]]()
_WORKERS = pytest.StashKey[list[float]]()


def _simulators() -> set[Path]:
    return {log.parent for log in cache_dir().glob("*/build.log")}


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STARTED] = time.monotonic(), _simulators()
    config.stash[_WORKERS] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["cpu_seconds"] = _cpu_seconds()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    seconds = getattr(node, "workeroutput", {}).get("cpu_seconds", 0.0)
    node.config.stash[_WORKERS].append(seconds)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    started, before = config.stash[_STARTED]
    built = len(_simulators() - before)
    cache = f"cold, {built} simulators built" if built else "warm, no simulator built"
    cpu = max(_cpu_seconds(), sum(config.stash[_WORKERS]))
    terminalreporter.write_line(
        f"{config.option.tier} tier: {time.monotonic() - started:.0f} s, {cpu:.0f} s of CPU; "
        f"cache of simulators: {cache}"
    )
