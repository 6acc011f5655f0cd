"""Files and folders are written whole; links stay, devices and pipes are never replaced."""

import os
import stat
from pathlib import Path

import pytest

from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_file, replaced_path, staged_directory


def test_a_link_stays(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("before")
    folder.mkdir()
    for target in (file, folder):
        (tmp_path / f"{target.name}_link").symlink_to(target.name)
    with replaced_file(tmp_path / "file_link") as text:
        text.write("after")
    with staged_directory(tmp_path / "folder_link") as made:
        (made / "inside").write_text("new")
    assert file.read_text() == "after"
    assert (folder / "inside").read_text() == "new"
    assert (tmp_path / "file_link").is_symlink()
    assert (tmp_path / "folder_link").is_symlink()
    assert len(list(tmp_path.iterdir())) == 4


def test_a_pipe_gets_what_was_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with replaced_path(pipe) as draft:
        draft.write_bytes(b"12")
    assert os.read(reader, 10) == b"12"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_full_device_is_named() -> None:
    with (
        pytest.raises(InputError, match="/dev/full cannot be written: No space left"),
        replaced_path(Path("/dev/full")) as draft,
    ):
        draft.write_bytes(b"1" * 10000)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
