"""Collect no garbage while tests are collected: modules and tests are there until the end.

Python would otherwise look through all of them again and again, which takes half the time of
collecting, and a part of that of the tests.
"""

import gc

import pytest


def pytest_configure() -> None:
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    # Later collections leave alone what is there now.
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # libraries in C++ complain of what is left at the end
