"""Find the output that a product belongs to from the address of its accumulator."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.golden.words import Descriptor

__all__ = ["Landing"]

_FIELDS = (
    "kc", "k_stride", "y_stride", "origin", "wo", "ho",
    "halo_left", "halo_right", "halo_top", "halo_bottom",
)  # fmt: skip


@dataclass(frozen=True)
class Landing:
    """Layout of the accumulators in a pass.

    Parameters
    ----------
    fields : those of the descriptor that say so.
    accs : accumulators of a set.
    """

    fields: tuple[tuple[str, int], ...]
    accs: int
    nowhere: int = field(default=1 << 40, init=False)
    """Move of products that reach no accumulator that is read."""

    @classmethod
    def of(cls, descriptor: Descriptor, params: ScnnParams) -> Self:
        """Take the layout from a descriptor."""
        return cls(tuple((name, getattr(descriptor, name)) for name in _FIELDS), params.accs)

    def moves(
        self,
        taps: NDArray[np.int64],
        outputs: NDArray[np.int64],
        held: tuple[int, int],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many rows and columns beside an activation the output of its product is.

        Parameters
        ----------
        taps : (n,) words of the tap table.
        outputs : (n,) output channels of the group.
        held : rows and columns of a phase of the activations of a PE.

        Returns
        -------
        (n,) each, :attr:`nowhere` for products of which no accumulator is read.

        Raises
        ------
        ValueError
            If products of one weight reach outputs of another channel, or ones that do not lie
            beside their activations in the same way.
        """
        pairs, index = np.unique(np.stack([taps, outputs]), axis=1, return_inverse=True)
        moves = np.array([self._move(int(tap), int(k), held) for tap, k in pairs.T], np.int64)
        down, across = moves.reshape(-1, 2).T
        return down[index.ravel()], across[index.ravel()]

    def _move(self, tap: int, k: int, held: tuple[int, int]) -> tuple[int, int]:
        known = self._known
        if (tap, k, held) not in known:
            known[tap, k, held] = self._find(tap, k, held)
        return known[tap, k, held]

    def _find(self, tap: int, k: int, held: tuple[int, int]) -> tuple[int, int]:
        fields = dict(self.fields)
        v, u = np.indices(held).reshape(2, -1)
        # Addresses wrap as the hardware's do.
        address = (v * fields["y_stride"] + u + tap + k * fields["k_stride"]) % self.accs
        channel, y, x = self._read[:, address]
        read = channel >= 0
        if not read.any():
            return self.nowhere, self.nowhere
        if (channel[read] != k).any():
            raise ValueError(
                f"tap word {tap} takes products for output channel {k} of a group to channel "
                f"{channel[read][channel[read] != k][0]}"
            )
        moves = np.unique(np.stack([(y - v)[read], (x - u)[read]]), axis=1)
        if moves.shape[1] > 1:
            raise ValueError(
                f"tap word {tap} takes products to outputs beside them in {moves.shape[1]} ways"
            )
        return int(moves[0, 0]), int(moves[1, 0])

    @cached_property
    def _known(self) -> dict[tuple[int, int, tuple[int, int]], tuple[int, int]]:
        return {}

    @cached_property
    def _read(self) -> NDArray[np.int64]:
        """Return, for each accumulator, output channel, row and column, or -1: (3, accs)."""
        fields: dict[str, Any] = dict(self.fields)
        rows = np.arange(-fields["halo_top"], fields["ho"] + fields["halo_bottom"])
        columns = np.arange(-fields["halo_left"], fields["wo"] + fields["halo_right"])
        k, y, x = (
            part.ravel()
            for part in np.meshgrid(np.arange(fields["kc"]), rows, columns, indexing="ij")
        )
        address = k * fields["k_stride"] + fields["origin"] + y * fields["y_stride"] + x
        if address.size and (address.min() < 0 or address.max() >= self.accs):
            raise ValueError(
                f"accumulators must be from 0 to {self.accs - 1}, not {address.min()} to "
                f"{address.max()}"
            )
        if np.unique(address).size < address.size:
            raise ValueError("two outputs of a group must not have the same accumulator")
        table = np.full((3, self.accs), -1, np.int64)
        table[:, address] = k, y, x
        return table
