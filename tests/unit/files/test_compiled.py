"""Compiled functions do not outlive the sources that are part of them."""

from pathlib import Path

from zeroskip.base.compiled import forget_stale


def test_what_was_compiled_goes_when_a_source_changes(tmp_path: Path) -> None:
    for name in ("hw", "compiler", "sim/eie"):
        (tmp_path / name).mkdir(parents=True)
    called, text = tmp_path / "sim" / "units.py", tmp_path / "sim" / "report.py"
    called.write_text("from numba import njit\n")
    text.write_text("")
    index = tmp_path / "sim" / "eie" / "feed.step-1.py311.nbi"
    index.touch()
    # Nobody knows of what sources the first is.
    assert forget_stale(tmp_path)
    assert not index.exists()

    index.touch()
    text.write_text("# Functions that are not compiled are part of no others.\n")
    assert not forget_stale(tmp_path)
    assert index.exists()
    called.write_text("from numba import njit  # another\n")
    assert forget_stale(tmp_path)
    assert not index.exists()
