"""Texts of errors."""

from zeroskip.base.errors import CompileError, InputError


def test_long_numbers_are_cut_everywhere() -> None:
    """Errors cut a damaged file's number of 400 digits, and keep sizes and hashes whole."""
    assert str(InputError(f"size must be 3, not {'7' * 400}, here")) == (
        "size must be 3, not 777777777777... (400 digits), here"
    )
    assert str(CompileError(f"{1 << 64} of {2**100}")) == f"{1 << 64} of {2**100}"
