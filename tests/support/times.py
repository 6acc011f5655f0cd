"""What a run of tests prints at its end: its time, and which simulators it had to build."""

import json
import os
import resource
import subprocess
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
    seconds = time.monotonic() - started
    terminalreporter.write_line(
        f"{config.option.tier} tier: {seconds:.0f} s, {cpu:.0f} s of CPU; cache of simulators: "
        f"{cache}"
    )
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if whole and config.option.tier != "all" and not config.option.collectonly:
        passed = len(terminalreporter.stats.get("passed", ()))
        _store(config.rootpath, config.option.tier, passed, round(seconds), round(cpu))


def _store(root: Path, tier: str, tests: int, seconds: int, cpu_seconds: int) -> None:
    """Keep what a whole tier took, for the history of figures in the documentation."""
    git = ["git", "-C", str(root), "log", "-1", "--format=%h %cs", "--abbrev=10"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    if done.returncode:
        return
    commit, date = done.stdout.split()
    record = {
        "date": date, "commit": commit, "tier": tier, "tests": tests, "seconds": seconds,
        "cpu_seconds": cpu_seconds, "cores": os.cpu_count(),
    }  # fmt: skip
    folder = root / "out/tests"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{tier}.json").write_text(json.dumps(record))
