"""The network of a task made ready to compress: plain parameters in float32, norms folded."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.fold import Fold, apply_folds, find_folds, kept_norms
from zeroskip.compiler.compress.importers import plain_module
from zeroskip.compiler.compress.layers import layers_of, tied_names
from zeroskip.compiler.compress.restore import misfit, without_wrapper
from zeroskip.compiler.compress.task import Task
from zeroskip.compiler.compress.users_code import running

__all__ = ["Network"]


class Network:
    """The network of a task, which is made once and copied from then on.

    Lazy modules get their shapes from a batch; ``torch.nn.utils.prune``, weight norm, spectral norm
    and other parametrizations become plain weights; half and double floats become float32.

    Parameters
    ----------
    task : makes it.
    seed : of initial weights.
    device : it is to be on.
    on_note : called, once each, with what a user should know about it.
    """

    def __init__(
        self,
        task: Task,
        *,
        seed: int = 0,
        device: str = "cpu",
        on_note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._task, self._seed, self._device, self._on_note = task, seed, device, on_note
        self._made: nn.Module | None = None
        self._folds: list[Fold] | None = None

    def fresh(self) -> nn.Module:
        """Return the network as the task gives it, BatchNorm and all.

        Raises
        ------
        InputError
            If a parameter has no value, or there is no layer to compress.
        """
        if self._made is None:
            # Layers draw their weights from torch's global generator.
            torch.manual_seed(self._seed)
            self._made = self._make()
            for name, owner in tied_names(self._made).items():
                self._on_note(f"{name!r} is the weight of layer {owner!r}, and stays so")
        return copy.deepcopy(self._made)

    def folded(self, module: nn.Module | None = None) -> nn.Module:
        """Return the network, or ``module`` of its kind in place, with BatchNorm folded."""
        if self._folds is None:
            fresh = self.fresh()
            self._folds = find_folds(fresh, self._task.example().to(self._device))
            apply_folds(fresh, self._folds)
            if self._folds:
                self._on_note(
                    "BatchNorm folded before pruning, with its statistics of eval mode: "
                    f"{', '.join(fold.norm for fold in self._folds)}"
                )
            for text in kept_norms(fresh):
                self._on_note(f"warning: {text}")
        module = self.fresh() if module is None else module
        apply_folds(module, self._folds)
        return module

    def holding(self, state: Mapping[str, torch.Tensor], what: str) -> nn.Module:
        """Return the network with the tensors of a file, folded where the file's is.

        Parameters
        ----------
        state : tensors by name.
        what : has them, for messages.

        Raises
        ------
        InputError
            If they are of another network.
        """
        module = self.fresh()
        state = without_wrapper(module, state)
        why = misfit(module, state)
        if why is not None:
            module = self.folded()
            if misfit(module, state) is not None:
                raise InputError(f"{what} is of another network than model(): {why}")
            norms = ", ".join(fold.norm for fold in self._folds or ())
            self._on_note(
                f"warning: {what} has none of {norms}: its weights are taken as having them "
                "folded in, as zeroskip compress leaves them"
            )
        # Without their counts, which old files do not have, norms are the same.
        module.load_state_dict(dict(state), strict=False)
        return module

    def _make(self) -> nn.Module:
        task, module = self._task, self._task.network()
        if any(is_lazy(tensor) for tensor in _tensors(module).values()):
            example, training = task.example(), module.training
            with running(f"{task.name}: model() on a batch, for its lazy modules,", task.file):
                module.eval()
                with torch.no_grad():
                    module(example)
                module.train(training)
        _check_tensors(task, module)
        others = {t.dtype for t in _tensors(module).values() if t.is_floating_point()}
        for dtype in sorted(others - {torch.float32}, key=str):
            self._on_note(
                f"{task.name}: model() has parameters in {str(dtype).removeprefix('torch.')}, "
                "which are compressed in float32"
            )
        with running(f"{task.name}: model()'s parametrizations", task.file):
            module = plain_module(module).float().to(self._device)
        with running(f"{task.name}: a copy of what model() returns", task.file):
            copy.deepcopy(module)
        for name, layer in layers_of(module).items():
            if not layer.weight.numel():
                raise InputError(
                    f"{task.name}: layer {name!r} of model() has no weights: its shape is "
                    f"{tuple(layer.weight.shape)}"
                )
        return module


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _check_tensors(task: Task, module: nn.Module) -> None:
    for name, tensor in _tensors(module).items():
        why = ""
        if is_lazy(tensor):
            why = "has no shape yet: a batch does not reach its lazy module"
        elif tensor.is_meta:
            why = "is on the device 'meta', without values; load the trained ones"
        elif tensor.is_complex():
            why = "is complex, which cannot be compressed"
        elif tensor.is_floating_point():
            bad = int(tensor.numel() - tensor.float().isfinite().sum())
            if bad and name in dict(module.named_parameters()):
                why = f"has {bad} elements that are NaN or infinite; was it trained to the end?"
        if why:
            raise InputError(f"{task.name}: {name!r} of model() {why}")
