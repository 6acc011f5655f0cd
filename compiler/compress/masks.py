"""Which weights stay: by magnitude, alone or in groups, and equally many for every PE."""

import torch

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.config import Granularity

__all__ = ["VECTOR", "group_sums", "kept_weights", "make_mask"]

VECTOR = 4
"""Neighbouring inputs of a Linear that make a vector."""


def make_mask(
    weight: torch.Tensor,
    density: float,
    granularity: Granularity = "fine",
    balance_pes: int = 0,
    gates: int = 1,
) -> torch.Tensor:
    """Return which weights to keep: the share ``density`` that is largest.

    Groups of weights are kept by the sum of their magnitudes (Mao et al., 2017). Zeros are never
    kept. Of equals the first are, so that masks are repeatable.

    Parameters
    ----------
    weight : (rows, ...) of a Linear or convolution.
    density : 0 to 1; above 0 it keeps at least one weight or group.
    granularity : for a Linear a vector is :data:`VECTOR` inputs of a row, a kernel or a filter a
        whole row; for a convolution a row of a kernel, a kernel, a filter.
    balance_pes : if not 0, the same share is kept within the rows i of each i mod ``balance_pes``,
        which go to one PE (load-balance-aware pruning: Han et al., "ESE", FPGA 2017, section 3).
    gates : blocks of rows of a recurrent layer; row i of each is of hidden unit i, whose rows all
        go to one PE.
    """
    magnitude = weight.detach().abs()
    mask = torch.zeros_like(magnitude, dtype=torch.bool)
    for rows in _pe_rows(len(weight), balance_pes, gates):
        mask[rows] = _largest(magnitude[rows], density, granularity)
    return mask & (magnitude > 0)


def kept_weights(
    weight: torch.Tensor,
    density: float,
    granularity: Granularity = "fine",
    balance_pes: int = 0,
    gates: int = 1,
) -> int:
    """Return how many weights :func:`make_mask` keeps at most, counted without looking at them."""
    total = 0
    for rows in _pe_rows(len(weight), balance_pes, gates):
        part = weight[rows]
        groups = group_sums(part, granularity).numel()
        wide = granularity == "vector" and part.dim() == 2
        size = VECTOR if wide else part.numel() // max(1, groups)
        total += min(part.numel(), kept_groups(density, groups) * size)
    return total


def kept_groups(density: float, groups: int) -> int:
    """Return how many of ``groups`` are the share ``density``: one at least, unless that is 0."""
    return max(1, round(density * groups)) if density > 0 else 0


def group_sums(magnitude: torch.Tensor, granularity: Granularity) -> torch.Tensor:
    """Return the sum of magnitudes of each group; groups are expanded by :func:`make_mask`."""
    rows = len(magnitude)
    if granularity == "fine":
        return magnitude.flatten()
    if granularity == "filter" or (granularity == "kernel" and magnitude.dim() == 2):
        return magnitude.reshape(rows, -1).sum(1)
    if granularity == "kernel":
        return magnitude.flatten(2).sum(2).flatten()
    if magnitude.dim() == 2:
        return _in_vectors(magnitude).sum(2).flatten()
    return magnitude.sum(-1).flatten()


def _pe_rows(rows: int, balance_pes: int, gates: int) -> list[torch.Tensor]:
    """Return the numbers of the rows of each PE; of all rows if ``balance_pes`` is 0."""
    units = rows // gates
    pe = torch.arange(rows) % units % (balance_pes or 1)
    return [(pe == number).nonzero().flatten() for number in range(min(balance_pes or 1, units))]


def _largest(magnitude: torch.Tensor, density: float, granularity: Granularity) -> torch.Tensor:
    """Return the mask of the groups of largest sum."""
    if not 0 <= density <= 1:
        raise InputError(f"density must be from 0 to 1, not {density!r}")
    sums = group_sums(magnitude, granularity)
    count = kept_groups(density, sums.numel())
    kept = torch.zeros_like(sums, dtype=torch.bool)
    kept[torch.argsort(sums, descending=True, stable=True)[:count]] = True
    if granularity == "vector" and magnitude.dim() == 2:
        per_row = kept.reshape(len(magnitude), -1)
        return per_row.repeat_interleave(VECTOR, 1)[:, : magnitude.shape[1]]
    per_group = magnitude.numel() // max(1, kept.numel())
    return kept.repeat_interleave(per_group).reshape(magnitude.shape)


def _in_vectors(magnitude: torch.Tensor) -> torch.Tensor:
    """Return (rows, vectors, VECTOR), the last vector filled up with zeros."""
    padding = -magnitude.shape[1] % VECTOR
    return torch.nn.functional.pad(magnitude, (0, padding)).reshape(len(magnitude), -1, VECTOR)
