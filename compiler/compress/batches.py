"""The batches of a user's loaders, each checked before anything is computed with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.users_code import running

__all__ = ["Loader", "check_batch"]


class Loader:
    """Batches that can be gone through again and again.

    Parameters
    ----------
    make : returns the user's loader: a ``DataLoader``, a list of pairs, or an iterator, which a new
        call must then give anew.
    what : for messages, like ``hooks: train_loader()``.
    file : see :func:`.running`.
    """

    def __init__(self, make: Any, what: str, file: Path | None = None) -> None:
        self._make, self._what, self._file = make, what, file
        self._given: Any = self._call()
        if hasattr(self._given, "__next__") and self._call() is self._given:
            raise InputError(
                f"{what} returns the same {type(self._given).__name__} each time, which is used up "
                "after one epoch; return a list, a DataLoader or a new generator"
            )

    def __len__(self) -> int:
        """Return how many batches there are, by going through them if the loader cannot tell."""
        with running(f"{self._what}: its length", self._file):
            try:
                return len(self._given)
            except (TypeError, NotImplementedError):
                pass
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        given = self._given
        if given is None:
            given = self._call()
        if hasattr(given, "__next__"):
            # It can be gone through once.
            self._given = None
        with running(self._what, self._file):
            batches = iter(given)
        number = 0
        while True:
            number += 1
            with running(f"{self._what}: batch {number}", self._file):
                batch: Any = next(batches, self)
            if batch is self:
                return
            yield check_batch(batch, f"{self._what}: batch {number}")

    def first(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the first batch.

        Raises
        ------
        InputError
            If there is none.
        """
        for batch in self:
            return batch
        raise InputError(
            f"{self._what} has no batch: it is empty or used up; is drop_last set with fewer "
            "samples than a batch?"
        )

    def _call(self) -> Any:
        with running(self._what, self._file):
            given = self._make()
        if not hasattr(given, "__iter__") and not hasattr(given, "__getitem__"):
            raise InputError(
                f"{self._what} must return batches, as a DataLoader or a list of pairs of inputs "
                f"and targets, not {type(given).__name__}"
            )
        return given


def check_batch(batch: Any, what: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and targets; floats in float32 and whole numbers in int64.

    Whole numbers as inputs stay as they are: what they stand for is the network's.

    Raises
    ------
    InputError
        If ``batch`` is no pair of tensors that fit each other, or inputs are NaN or infinite.
    """
    parts = list(batch) if isinstance(batch, (tuple, list)) else [batch]
    if len(parts) != 2 or not all(isinstance(part, torch.Tensor) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts[:4])
        more = ", ..." if len(parts) > 4 else ""
        is_pair = isinstance(batch, (tuple, list))
        raise InputError(
            f"{what} must be a pair of tensors, inputs and targets, not "
            f"{f'({kinds}{more})' if is_pair else kinds}"
        )
    inputs, targets = parts
    if not inputs.dim() or not targets.dim() or len(inputs) != len(targets) or not len(inputs):
        raise InputError(
            f"{what} must have as many targets as inputs, at least one, along the first dimension, "
            f"not inputs of shape {tuple(inputs.shape)} and targets of {tuple(targets.shape)}"
        )
    for name, part in (("inputs", inputs), ("targets", targets)):
        if part.is_complex() or part.is_meta:
            raise InputError(
                f"{what} has {name} that are {'complex' if part.is_complex() else 'on meta'}; they "
                "must be real numbers with values"
            )
        bad = int(part.numel() - part.isfinite().sum()) if part.is_floating_point() else 0
        if bad:
            raise InputError(
                f"{what} has {bad} {name} that are NaN or infinite; repair or drop those samples"
            )
    return (
        inputs.float() if inputs.is_floating_point() else inputs,
        targets.float() if targets.is_floating_point() else targets.long(),
    )
