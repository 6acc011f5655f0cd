"""What is no array that a command can take: one sentence that names the file."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zeroskip.base.errors import InputError
from zeroskip.cli.files import read_npy, write_npy


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=np.zeros(3))


def _objects(path: Path) -> None:
    np.save(path, np.array([[1.0], "x"], object), allow_pickle=True)


def _cut(size: int) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        np.save(path, np.zeros((8, 24), np.float32))
        path.write_bytes(path.read_bytes()[:size])

    return save


def _huge(path: Path) -> None:
    np.save(path, np.zeros((8, 24), np.float32))
    path.write_bytes(path.read_bytes().replace(b"(8, 24), }    ", b"(1 << 60, 24) }"[:14]))


def _version(path: Path) -> None:
    np.save(path, np.zeros(3))
    path.write_bytes(path.read_bytes().replace(b"NUMPY\x01", b"NUMPY\x09"))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: None, "does not exist"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.write_text("1 2 3\n"), "is no .npy file; write one array with"),
        (lambda path: path.write_bytes(b""), "is no .npy file"),
        (lambda path: path.write_bytes(pickle.dumps([1.0, 2.0])), "is no .npy file"),
        (_npz, "is an .npz archive; write one array with numpy.save"),
        (_objects, "holds Python objects, which could run code when loaded"),
        (_cut(796), "is truncated: it has 796 of 896 bytes"),
        (_cut(40), "is damaged: "),
        (_huge, "is damaged: "),
        (_version, "is damaged: its format is 9.0, and plain arrays are of 1.0 or 2.0"),
        (lambda path: np.save(path, np.float32(1)), "must have shape (samples, ...), not ()"),
    ],
)
def test_no_array(spoil: Callable[[Path], Any], says: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.npy"
    spoil(bad)
    with pytest.raises(InputError) as info:
        read_npy(bad, "input")
    assert str(info.value).startswith(f"input file {bad} {says}")
    assert "\n" not in str(info.value)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, array = tmp_path / "x.npy", np.arange(6.0).reshape(2, 3)
    path.write_text("there before")
    write_npy(path, array)
    np.testing.assert_array_equal(read_npy(path, "input"), array)
    assert list(tmp_path.iterdir()) == [path]
