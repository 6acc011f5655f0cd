"""Collect garbage seldom: modules and tests that were collected are there until the end.

Python would otherwise look through all of them again and again, which takes half the time of
collecting tests, and a tenth of that of running them.
"""

import atexit
import gc

import pytest

_SELDOM = 100
"""Collections of the middle generation to one of all objects; Python has 10."""


def pytest_configure() -> None:
    gc.disable()
    gc.set_threshold(*gc.get_threshold()[:2], _SELDOM)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    # Later collections leave alone what is there now.
    gc.freeze()
    gc.enable()


# Libraries in C++ complain of what is left at the end, but pytest looks for garbage before.
atexit.register(gc.unfreeze)
