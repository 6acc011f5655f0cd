"""The two tiers of tests: ``make test`` takes minutes, ``make test-all`` runs the rest as well.

A test is of the long tier if it is marked ``long``, with the reason. Properties, and tests marked
``drawn``, are of both tiers: the long one draws more examples. The list is in ``docs/tests.md``.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, is_hypothesis_test, settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.arrays import SHARED

__all__ = [
    "LIST",
    "LongTest",
    "cases",
    "drawn",
    "drawn_seeds",
    "examples",
    "listed_tests",
    "long_tests",
    "simulated",
]

ROOT = Path(__file__).parents[2]
LIST = ROOT / "docs" / "tests.md"

_Test = TypeVar("_Test", bound=Callable[..., Any])

_SHORT, _LONG, _ALL = "short", "long", "all"
_SHORT_EXAMPLES, _SHORT_RUNS = 25, 8
for _name, _number in ((_SHORT, _SHORT_EXAMPLES), (_LONG, 60), (_ALL, 60)):
    # Derandomized, a failure comes back.
    settings.register_profile(
        _name, derandomize=True, deadline=None, max_examples=_number, report_multiple_bugs=False
    )


def drawn(number: int) -> int:
    """Return how many of ``number`` cases a test marked ``drawn`` draws: 25 in the short tier."""
    short = settings.get_current_profile_name() == _SHORT
    return min(number, _SHORT_EXAMPLES) if short else number


def drawn_seeds(number: int) -> range:
    """Return the seeds of the cases of a test marked ``drawn``: the first 25 in the short tier.

    The long tier has the others, so that none is run twice.
    """
    tier = settings.get_current_profile_name()
    first = min(number, _SHORT_EXAMPLES)
    return {_SHORT: range(first), _LONG: range(first, number), _ALL: range(number)}[tier]


def examples(number: int) -> Callable[[_Test], _Test]:
    """Give a property the settings of one that needs ``number`` examples; the short tier draws 25.

    The long tier leaves out one that needs no more.
    """
    made = settings(max_examples=drawn(number))
    return lambda test: _drawn_again(made(test), number > _SHORT_EXAMPLES)


def simulated(number: int) -> Callable[[_Test], _Test]:
    """Give a property the settings of one whose ``number`` examples are a simulation each.

    Nobody has the time to shrink them, and the short tier draws 8. The long tier leaves out one
    that needs no more.
    """
    short = settings.get_current_profile_name() == _SHORT
    made = settings(
        max_examples=min(number, _SHORT_RUNS) if short else number,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    return lambda test: _drawn_again(made(test), number > _SHORT_RUNS)


def _drawn_again(test: _Test, again: bool) -> _Test:
    return test if again else pytest.mark.same(test)


def cases(values: Iterable[Any], long: Collection[Any], reason: str) -> list[Any]:
    """Return the parameters of a test, with those in ``long`` marked as of the long tier."""
    mark = pytest.mark.long(reason)
    return [pytest.param(value, marks=mark) if value in long else value for value in values]


class LongTest(NamedTuple):
    """Test of the long tier: a function, or a case of one whose other cases are short."""

    file: str
    reason: str
    name: str


_LONG_TESTS = pytest.StashKey[set[LongTest]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tier",
        choices=(_SHORT, _LONG, _ALL),
        help="tests to run: of the short tier (by default), those that the long one adds, or all "
        "(by default where files are named)",
    )
    parser.addoption(
        "--renew-list", action="store_true", help=f"write the list of the long tier to {LIST.name}"
    )


def pytest_configure(config: pytest.Config) -> None:
    # Workers are given the options of the process that started them, and so its choice.
    if config.option.tier is None:
        named = any(".py" in argument for argument in config.args)
        config.option.tier = _ALL if named else _SHORT
    # Workers share the cores: threads of torch in each would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    settings.load_profile(config.option.tier)


class _Schedule(LoadScopeScheduling):
    """Schedule of xdist: what tests of a file share is made by one worker, which runs all of them.

    So are tests of one simulator in several files.
    """

    def _split_scope(self, nodeid: str) -> str:
        shared = (scope for start, scope in SHARED.items() if nodeid.startswith(start))
        return next(shared, nodeid.split("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Schedule:
    return _Schedule(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[_LONG_TESTS] = _find_long_tests(items)
    tier = config.option.tier
    chosen = [item for item in items if tier == _ALL or _is_of(item, tier)]
    # Those of units that build simulators are not in folders. At the end, where their names have
    # them, a core would idle.
    chosen.sort(key=lambda item: len(item.path.relative_to(ROOT).parts) > 3)
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.renew_list:
        _write_list(long_tests(session.config))


def _is_of(item: pytest.Item, tier: str) -> bool:
    is_long = item.get_closest_marker("long") is not None
    if tier == _SHORT:
        return not is_long
    is_drawn = item.get_closest_marker("drawn") is not None
    is_same = item.get_closest_marker("same") is not None
    is_property = is_hypothesis_test(getattr(item, "obj", None))
    return is_long or is_drawn or (is_property and not is_same)


def _find_long_tests(items: Iterable[pytest.Item]) -> set[LongTest]:
    reasons: dict[tuple[str, str], dict[str, str | None]] = defaultdict(dict)
    for item in items:
        mark = item.get_closest_marker("long")
        if mark is not None and len(mark.args) != 1:
            raise pytest.UsageError(f"{item.nodeid}: say why it is long: long(REASON)")
        file = item.path.relative_to(ROOT).as_posix()
        function = getattr(item, "originalname", item.name)
        reasons[file, function][item.name] = mark.args[0] if mark else None
    found: set[LongTest] = set()
    for (file, function), cases in reasons.items():
        same = len(set(cases.values())) == 1
        for name, reason in cases.items():
            if reason is not None:
                found.add(LongTest(file, reason, function if same else name))
    return found


def long_tests(config: pytest.Config) -> set[LongTest]:
    """Return the long tests of all collected files, whichever tier runs."""
    return config.stash[_LONG_TESTS]


_ROW = re.compile(r"^\| `(tests/[^`]+)` \| (.+?) \| (.+) \|$", re.MULTILINE)


def listed_tests() -> set[LongTest]:
    """Return the long tests in the list for readers."""
    return {
        LongTest(file, reason, name)
        for file, names, reason in _ROW.findall(LIST.read_text())
        for name in re.findall(r"`([^`]+)`", names)
    }


def _write_list(tests: Iterable[LongTest]) -> None:
    rows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for test in sorted(tests):
        rows[test.file, test.reason].append(f"`{test.name}`")
    lines = [f"| `{file}` | {', '.join(names)} | {why} |" for (file, why), names in rows.items()]
    text = LIST.read_text()
    head = text[: text.index("| File |")]
    LIST.write_text("\n".join([f"{head}| File | Tests | Reason |", "|---|---|---|", *lines, ""]))
