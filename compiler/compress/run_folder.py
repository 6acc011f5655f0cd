"""The folder of a run: configuration, a checkpoint per stage, and what was last being trained."""

import json
from pathlib import Path
from typing import Any

import torch

from zeroskip.base.bounded import parse_json
from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_path
from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.config_file import dump_config, load_config

__all__ = ["STAGES", "RunFolder", "write_file"]

STAGES = ("train", "dsd", "prune", "share", "finetune", "ttq")
"""Stages that leave a checkpoint ``<stage>.pt``, in order."""

_RUNNING = "running.pt"


class RunFolder:
    """Files of a run; each appears whole or not at all.

    Parameters
    ----------
    path : made when the first file is written, if it is not there.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def make(self) -> None:
        """Make the folder.

        Raises
        ------
        InputError
            If it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path} cannot be made: {error.strerror or error}") from error

    def check(
        self, config: Config, identity: dict[str, Any], *, resume: bool, change: bool = False
    ) -> None:
        """Check that the folder is free, or holds the run to resume; write nothing.

        Parameters
        ----------
        config, identity : of the run, as it is to be.
        resume : a run that is there is gone on with.
        change : of which the configuration may change, but not the identity.

        Raises
        ------
        InputError
            If another run is in the folder, or it is a file.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file; name a folder for the run")
        file = self.path / "config.toml"
        note = self.path / "run.json"
        if file.exists() or note.exists():
            if not resume:
                raise InputError(
                    f"{self.path} holds a run already; go on with it (resume), or name another "
                    "folder"
                )
            text = _read_text(note)
            try:
                same = parse_json(text) == identity
            except ValueError as error:
                raise InputError(f"{note} is damaged: {error}; name another folder") from error
            if not same:
                raise InputError(f"{self.path} holds a run of another task: {text}")
            if not change:
                _check_same(load_config(file), config, self.path)

    def begin(self, config: Config, identity: dict[str, Any]) -> None:
        """Write what the run is, once :meth:`check` has let it pass."""
        self.make()
        note = self.path / "run.json"
        if not note.exists():
            write_file(note, json.dumps(identity, indent=1).encode())
        write_file(self.path / "config.toml", dump_config(config).encode())

    def save(self, stage: str, document: dict[str, Any]) -> Path:
        """Keep the result of a stage; what later stages made of another is removed."""
        for later in STAGES[STAGES.index(stage) + 1 :]:
            (self.path / f"{later}.pt").unlink(missing_ok=True)
        path = self._save(f"{stage}.pt", {"stage": stage, **document})
        (self.path / _RUNNING).unlink(missing_ok=True)
        return path

    def load(self, stage: str) -> dict[str, Any] | None:
        """Return the result of a stage, or None."""
        return self._load(f"{stage}.pt", stage)

    def save_running(self, stage: str, document: dict[str, Any]) -> Path:
        """Keep a stage that is not finished."""
        return self._save(_RUNNING, {"stage": stage, **document})

    def load_running(self, stage: str) -> dict[str, Any] | None:
        """Return the unfinished ``stage``, or None if there is none or it is another."""
        document = self._load(_RUNNING, None)
        return document if document is not None and document["stage"] == stage else None

    def last_good(self) -> str:
        """Return the checkpoint to go on from, for messages."""
        names = [_RUNNING, *(f"{stage}.pt" for stage in reversed(STAGES))]
        found = [self.path / name for name in names if (self.path / name).exists()]
        return str(found[0]) if found else ""

    def forget(self, first: str) -> None:
        """Remove the results of ``first`` and all later stages."""
        for stage in STAGES[STAGES.index(first) :]:
            (self.path / f"{stage}.pt").unlink(missing_ok=True)
        (self.path / _RUNNING).unlink(missing_ok=True)

    def _save(self, name: str, document: dict[str, Any]) -> Path:
        self.make()
        path = self.path / name
        # An open file, since torch would store the name of the draft in it.
        with replaced_path(path) as draft, draft.open("wb") as file:
            torch.save(document, file)
        return path

    def _load(self, name: str, stage: str | None) -> dict[str, Any] | None:
        path = self.path / name
        if not path.exists():
            return None
        try:
            document = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            # torch raises what the part of the file that is damaged makes it raise.
            raise InputError(
                f"checkpoint {path} is damaged; remove it to redo the stage"
            ) from error
        if not isinstance(document, dict) or stage not in (None, document.get("stage")):
            raise InputError(f"{path} is no checkpoint of stage {stage!r}")
        return document


def write_file(path: Path, data: bytes) -> None:
    """Write a file that appears when it is complete, or not at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    with replaced_path(path) as draft:
        draft.write_bytes(data)


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}; name another folder") from error


def _check_same(old: Config, new: Config, path: Path) -> None:
    before, after = old.model_dump(), new.model_dump()
    for key, value in after.items():
        if before[key] != value:
            raise InputError(
                f"{path} holds a run with another configuration: {key} was {before[key]!r}, now "
                f"{value!r}"
            )
