"""Gradual pruning: how many weights stay at each step of training, and in which layers."""

import torch
from torch import nn

from zeroskip.base.errors import ZeroskipError
from zeroskip.compiler.compress.config import Config, Prune
from zeroskip.compiler.compress.layers import Layer, Masked, by_layer, hold, layers_of
from zeroskip.compiler.compress.masks import kept_weights, make_mask
from zeroskip.compiler.compress.task import Task

__all__ = ["Pruner", "choose_densities"]


_NEAR = 1.05
"""Density reached over density asked for, above which the user is told."""


class Pruner:
    """Prunes a network while it is trained; what is pruned does not come back.

    However few steps there are, the last of those in which density falls reaches the density asked.

    Parameters
    ----------
    module : whose layers are held by masks from now on.
    densities : to reach, by layer.
    prune : how.
    """

    def __init__(self, module: nn.Module, densities: dict[str, float], prune: Prune) -> None:
        self._layers, self._densities, self._prune = layers_of(module), densities, prune
        self._round = 0
        for layer in self._layers.values():
            hold(layer, Masked(torch.ones_like(layer.weight, dtype=torch.bool)))

    def __call__(self, done: int, total: int) -> None:
        """Prune as far as is due after ``done`` of ``total`` steps; called before each of them."""
        prune = self._prune
        # The first round prunes, the last reaches the density; a cubic in between, as redundant
        # weights are many at first (Zhu and Gupta, 2017).
        share = done / total
        number = min(prune.rounds, 1 + int(min(1.0, share / prune.ramp) * prune.rounds))
        if done + 1 >= prune.ramp * total:
            number = prune.rounds
        self._reach(number)

    def finish(self) -> list[str]:
        """Reach the densities asked, if training has not, and check that they are.

        Returns
        -------
        A sentence for each layer whose density only whole groups, or weights, come near to.

        Raises
        ------
        ZeroskipError
            If a layer has more weights than its density allows.
        """
        self._reach(self._prune.rounds)
        notes: list[str] = []
        for name, layer in self._layers.items():
            kept, pes = int(torch.count_nonzero(layer.weight.detach())), self._pes(layer)
            granularity = self._prune.granularity
            density = self._densities[name]
            most = kept_weights(layer.weight, density, granularity, pes, layer.gates)
            if kept > most:
                raise ZeroskipError(
                    f"layer {name!r} was to keep {most} of its {layer.weight.numel()} weights, but "
                    f"has {kept}; please report this"
                )
            size = layer.weight.numel()
            if kept > density * size + 1 and kept > _NEAR * density * size:
                notes.append(
                    f"layer {name!r} keeps {100 * kept / size:.1f} % of its {size} weights, where "
                    f"{100 * density:g} % was asked: the nearest with prune.granularity "
                    f"{granularity!r}"
                    f"{f' in each of {pes} PEs' if pes else ''}"
                )
        return notes

    def _reach(self, number: int) -> None:
        """Prune to what is due in a round."""
        if number == self._round:
            return
        self._round = number
        left = (1 - number / self._prune.rounds) ** 3
        for name, layer in self._layers.items():
            density = self._densities[name]
            self._mask(layer, density + (1 - density) * left)

    @torch.no_grad()
    def _mask(self, layer: Layer, density: float) -> None:
        # A checkpoint that was loaded has put masks of its own in place.
        (holder,) = layer.owner.get_submodule(f"parametrizations.{layer.key}").children()
        if isinstance(holder, Masked):
            granularity, pes = self._prune.granularity, self._pes(layer)
            holder.mask.copy_(make_mask(layer.weight, density, granularity, pes, layer.gates))

    def _pes(self, layer: Layer) -> int:
        """Return the PEs that the rows of a layer are balanced between; 0: they are not."""
        return 0 if layer.weight.dim() > 2 else self._prune.balance_pes


def choose_densities(module: nn.Module, task: Task, config: Config) -> dict[str, float]:
    """Return the density of each layer that the configuration asks for.

    Raises
    ------
    InputError
        If it is not of the layers that ``module`` has.
    """
    prune = config.prune
    chosen = dict.fromkeys(layers_of(module), prune.density)
    if prune.sensitivity:
        from zeroskip.compiler.compress.sensitivity import analyze, scale_densities

        _, found = analyze(
            module, task, config.analyze, seed=config.seed, granularity=prune.granularity
        )
        chosen = scale_densities(found, prune.density)
    return by_layer(module, "prune.layers", prune.layers, chosen)
