"""A headless browser for tests of pages; tests that need one are skipped where none is."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["browser", "needs_browser"]

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def _program() -> str | None:
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


needs_browser = pytest.mark.skipif(
    _program() is None or shutil.which("chromedriver") is None,
    reason="no browser: apt-get install chromium chromium-driver",
)


@contextmanager
def browser(profile: Path) -> Iterator[Any]:
    """Start a browser; its log has what pages print and what they could not load."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(_program())
    for word in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--hide-scrollbars", f"--user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()
