"""Images of digits, scikit-learn's and MNIST's, and batches of them, distorted in every epoch."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from zeroskip.base.bounded import inflate
from zeroskip.base.errors import InputError

__all__ = [
    "Distort", "Samples", "load_digits", "load_mnist", "loader", "loader_in_order", "read_idx",
]  # fmt: skip

_FILES = {
    "train_x": ("train-images-idx3-ubyte", (60_000, 28, 28)),
    "train_y": ("train-labels-idx1-ubyte", (60_000,)),
    "test_x": ("t10k-images-idx3-ubyte", (10_000, 28, 28)),
    "test_y": ("t10k-labels-idx1-ubyte", (10_000,)),
}
_UINT8 = 0x08
_TEST_BATCH = 1000
_TEST_DIGITS = 360


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs to train and to test with, float32, and their classes, int64.

    Images are (samples, 1, height, width), 0 to 1 and 0 outside the ink.
    """

    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Distort:
    """Random distortions of images; each is drawn evenly between minus and plus.

    Parameters
    ----------
    turn, shear : radians.
    scale, shift : share of the size.
    wave : standard deviation of an elastic field, in half sizes.
    """

    turn: float = 0.2
    shear: float = 0.2
    scale: float = 0.12
    shift: float = 0.12
    wave: float = 0.08

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return ``images`` (samples, 1, height, width), each distorted in its own way."""
        count = len(images)

        def even(span: float, *shape: int) -> torch.Tensor:
            return span * (2 * torch.rand(count, *shape) - 1)

        turn, map_ = even(self.turn), torch.zeros(count, 2, 3)
        map_[:, 0, 0] = (1 + even(self.scale)) * turn.cos()
        map_[:, 0, 1] = -turn.sin() + even(self.shear)
        map_[:, 1, 0] = turn.sin()
        map_[:, 1, 1] = (1 + even(self.scale)) * turn.cos()
        map_[:, :, 2] = even(self.shift, 2)
        grid = functional.affine_grid(map_, list(images.shape), align_corners=False)
        if self.wave:
            field = functional.interpolate(
                self.wave * torch.randn(count, 2, 5, 5), images.shape[2:], mode="bicubic"
            )
            grid = grid + field.permute(0, 2, 3, 1)
        return functional.grid_sample(images, grid, align_corners=False)


def load_digits() -> Samples:
    """Return scikit-learn's 1,797 scans of 8 x 8, shuffled: 1,437 to train and 360 to test.

    Raises
    ------
    InputError
        If scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise InputError("the digits come with scikit-learn: pip install scikit-learn") from error
    pixels, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))
    x = torch.from_numpy((pixels[order] / 16).astype(np.float32).reshape(-1, 1, 8, 8))
    y = torch.from_numpy(labels[order].astype(np.int64))
    return Samples(x[_TEST_DIGITS:], y[_TEST_DIGITS:], x[:_TEST_DIGITS], y[:_TEST_DIGITS])


def load_mnist(folder: Path | str) -> Samples:
    """Read the four idx files of MNIST, plain or with ``.gz``, from ``folder``.

    Raises
    ------
    InputError
        If a file is missing, damaged, or does not hold what MNIST holds.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"data folder {folder} does not exist; give the one with MNIST's files")
    arrays = {}
    for key, (name, shape) in _FILES.items():
        array = read_idx(folder, name)
        if array.shape != shape:
            raise InputError(f"{folder / name} holds {array.shape}, but MNIST's is {shape}")
        arrays[key] = torch.from_numpy(array)
    for key in ("train_y", "test_y"):
        if int(arrays[key].max()) > 9:
            raise InputError(f"{folder / _FILES[key][0]} has a label {int(arrays[key].max())}")
        arrays[key] = arrays[key].long()
    for key in ("train_x", "test_x"):
        arrays[key] = arrays[key].unsqueeze(1).float() / 255
    return Samples(**arrays)


def read_idx(folder: Path, name: str) -> np.ndarray:
    """Read one idx file of bytes, or its ``.gz``.

    Raises
    ------
    InputError
        If it is missing, damaged, or of another type.
    """
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if path is None:
        raise InputError(f"data folder {folder} has neither {name} nor {name}.gz")
    try:
        data = inflate(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UINT8 or len(data) < 4 + 4 * data[3]:
        raise InputError(f"{path} is no idx file of bytes")
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    start = 4 + 4 * data[3]
    size = int(np.prod(shape, dtype=object))
    if len(data) != start + size:
        raise InputError(f"{path} is damaged: it has {len(data)} of {start + size} bytes")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()


class _Batches(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Images fetched by the batch, as distorting them one by one would take many times longer."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, distort: Distort | None) -> None:
        self._x, self._y, self._distort = x, y, distort

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._x[index], self._y[index]

    def __getitems__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        x = self._x[indices]
        return (x if self._distort is None else self._distort(x)), self._y[indices]


def loader(
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    batch: int = 128,
    distort: Distort | None = None,
    drop_last: bool = True,
) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    """Return shuffled batches of ``batch`` to train with.

    ``drop_last`` leaves out the samples that do not fill a batch, others each time.
    """
    images, drop_last = _Batches(x, y, distort), drop_last and len(x) >= batch
    return DataLoader(images, batch, shuffle=True, drop_last=drop_last, collate_fn=_as_is)


def loader_in_order(
    x: torch.Tensor, y: torch.Tensor
) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    """Return batches in order, to measure with."""
    return DataLoader(_Batches(x, y, None), _TEST_BATCH, collate_fn=_as_is)


def _as_is(batch: Any) -> Any:
    return batch
