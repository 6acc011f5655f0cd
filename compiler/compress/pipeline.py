"""Compress a network: prune, fine-tune, share, fine-tune (Han et al., "Deep Compression")."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.compress.finetune import Objective, WeightLayer, finetune, share
from zeroskip.compiler.compress.module import Model, read_model, weight_layers
from zeroskip.compiler.compress.prune import densities_of, prune
from zeroskip.compiler.compress.rebuild import to_module
from zeroskip.compiler.ir.graph import FloatConv, FloatGraph, FloatLinear
from zeroskip.compiler.passes.fixed_point import check_input

__all__ = ["CompressReport", "CompressedLayer", "Step", "compress", "compress_module", "layers_of"]

_MAX_CODES = 255
_MAX_EPOCHS = 1_000_000
_MAX_SEED = (1 << 63) - 1


@dataclass(frozen=True)
class Step:
    """The network after a step.

    Parameters
    ----------
    name : ``float``, ``pruned``, ``pruned, fine-tuned``, ``shared`` or ``shared, fine-tuned``;
        rounds before the last are called ``pruned 1 of 3, fine-tuned``.
    loss : cross entropy with labels; else mean square error over mean square of the original's
        outputs.
    accuracy : share of samples classified right, 0 to 1; None without labels.
    """

    name: str
    loss: float
    accuracy: float | None


@dataclass(frozen=True)
class CompressedLayer:
    """A layer of the result: its non-zero weights and how many different ones there are.

    The rows of a convolution are its output channels.
    """

    name: str
    rows: int
    cols: int
    nnz: int
    density: float
    values: int


@dataclass(frozen=True)
class CompressReport:
    """What each step did.

    Parameters
    ----------
    steps : in order, measured on the test data if there were any, else on the training data.
    layers : of the result.
    """

    steps: tuple[Step, ...]
    layers: tuple[CompressedLayer, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "steps": [dataclasses.asdict(step) for step in self.steps],
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
        }


def compress(
    model: Model,
    inputs: Any,
    labels: Any = None,
    *,
    density: float | Sequence[float],
    codes: int = 15,
    epochs: int = 30,
    rounds: int = 3,
    seed: int = 0,
    learning_rate: float = 1e-3,
    noise: float = 0.0,
    test: tuple[Any, Any] | None = None,
    progress: Callable[[str, float], None] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> tuple[nn.Module, CompressReport]:
    """Prune and share the weights of ``model``, fine-tuning after each.

    ``model`` is left as it was. Batch norms are folded first. The result is the same for the
    same arguments, torch version and number of threads.

    Parameters
    ----------
    model : a module, an exported program, a network, or the path of a ``.pt2`` or ``.zsk`` file:
        whatever :func:`.compile` takes.
    inputs : (samples, *input_shape) floats to train with.
    labels : (samples,) whole numbers, the classes; without them the result learns to compute
        what ``model`` computes.
    density : share of weights to keep, one for all layers or one each.
    codes : shared values per layer besides 0, at most 255; 15 fit 4 bits.
    epochs : passes over the data after pruning, over all rounds; after sharing half as many.
    rounds : steps in which pruning goes down to ``density``, fine-tuned after each.
    seed : of the order of samples and the noise.
    learning_rate : after pruning; after sharing, when few values move, half as much.
    noise : standard deviation of normal noise added to inputs while training.
    test : inputs and labels (or None) to measure with.
    progress : called with the running step and how much of all is done, 0 to 1.
    on_step : called with each step's result.

    Returns
    -------
    The network in float32 and eval mode, see :func:`.to_module`, and the
    report.

    Raises
    ------
    InputError
        If an argument is unusable.
    CompileError
        If ``model`` is no network of the supported kind, or has no weights.
    """
    _check_number("codes", codes, 1, _MAX_CODES)
    _check_number("epochs", epochs, 0, _MAX_EPOCHS)
    _check_number("rounds", rounds, 1, _MAX_EPOCHS)
    _check_number("seed", seed, 0, _MAX_SEED)
    _check_real("learning_rate", learning_rate, above=True)
    _check_real("noise", noise, above=False)
    inputs = _samples("inputs", inputs)
    network = read_model(model, inputs[:1])
    module = to_module(network)
    layers = weight_layers(module)
    if not layers:
        raise CompileError("the network has no Linear and no convolution: nothing to compress")
    densities = densities_of(density, len(layers))
    training = _objective(module, network, inputs, labels, "inputs")
    measured = training
    if test is not None:
        if not isinstance(test, (tuple, list)) or len(test) != 2:
            raise InputError(f"test must be a pair, inputs and labels (or None), not {test!r:.80}")
        tested = _samples("test inputs", test[0])
        measured = _objective(module, network, tested, test[1], "test inputs")
    steps = compress_module(
        module,
        layers,
        training,
        measured,
        densities=densities,
        codes=[codes] * len(layers),
        epochs=epochs,
        rounds=rounds,
        seed=seed,
        learning_rate=learning_rate,
        noise=noise,
        progress=progress,
        on_step=on_step,
    )
    return module, CompressReport(steps, layers_of(_names(network), layers))


def compress_module(
    module: nn.Module,
    layers: Sequence[WeightLayer],
    training: Objective,
    measured: Objective,
    *,
    densities: Sequence[float],
    codes: Sequence[int],
    epochs: int,
    rounds: int,
    seed: int,
    learning_rate: float,
    noise: float,
    progress: Callable[[str, float], None] | None,
    on_step: Callable[[Step], None] | None,
) -> tuple[Step, ...]:
    """Compress ``module`` in place, as :func:`compress` does a copy.

    Parameters
    ----------
    module, layers : the network, and which of its layers to compress.
    training, measured : what to learn, and what to measure with.
    densities, codes : share of weights to keep and number of shared values, of each layer.
    epochs, rounds, seed, learning_rate, noise, progress, on_step : as in :func:`compress`.
    """
    steps: list[Step] = []

    def finish(name: str) -> None:
        steps.append(Step(name, *measured.measure(module)))
        if on_step is not None:
            on_step(steps[-1])

    total = max(1, epochs + epochs // 2)
    done = 0

    def tune(name: str, num_epochs: int, rate: float, **held: Any) -> None:
        nonlocal done

        def report(share: float) -> None:
            if progress is not None:
                progress(name, (done + share * num_epochs) / total)

        finetune(
            module,
            layers,
            training,
            epochs=num_epochs,
            learning_rate=rate,
            seed=seed,
            noise=noise,
            progress=report,
            **held,
        )
        done += num_epochs
        finish(name)

    finish("float")
    for number in range(1, rounds + 1):
        masks = prune(layers, [density ** (number / rounds) for density in densities])
        last = number == rounds
        if last:
            finish("pruned")
        name = "pruned, fine-tuned" if last else f"pruned {number} of {rounds}, fine-tuned"
        until = epochs * number // rounds
        tune(name, until - done, learning_rate, masks=masks)
    shared = share(layers, codes)
    finish("shared")
    tune("shared, fine-tuned", epochs // 2, learning_rate / 2, shared=shared)
    return tuple(steps)


def _check_number(name: str, value: Any, low: int, high: int) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        raise InputError(f"{name} must be a whole number from {low} to {high}, not {value!r}")


def _check_real(name: str, value: Any, *, above: bool) -> None:
    """Check that a number is finite and at least 0, or above it."""
    real = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not real or not 0 <= value < math.inf or (above and value == 0):
        rule = "a number above 0" if above else "a number of at least 0"
        raise InputError(f"{name} must be {rule}, not {value!r}")


def _samples(name: str, data: Any) -> np.ndarray:
    """Return data as an array with samples along its first axis, which its caller looks into."""
    if isinstance(data, torch.Tensor):
        data = data.detach().cpu()
        # NumPy has no bfloat16.
        data = data.float() if data.dtype == torch.bfloat16 else data
    try:
        array = np.asarray(data)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} must be one array of samples, {error}") from error
    if array.dtype == object or not array.ndim:
        raise InputError(
            f"{name} must have samples along their first axis, shape (samples, ...), and be "
            f"floats, not {array.dtype} of shape {array.shape}"
        )
    if not len(array):
        raise InputError(f"{name} has no samples: its shape is {array.shape}")
    return array


def _names(network: FloatGraph) -> list[str]:
    """Return the names of the layers with weights, in order."""
    return [node.name for node in network.nodes if isinstance(node, (FloatConv, FloatLinear))]


def _objective(
    module: nn.Module, network: FloatGraph, inputs: np.ndarray, labels: Any, what: str
) -> Objective:
    """Check data and return what to aim at; without ``labels``, the outputs of ``module``."""
    shape = network.sample_shape or network.input_shape
    x = torch.from_numpy(check_input(inputs, shape, what).astype(np.float32))
    if labels is None:
        with torch.no_grad():
            return Objective(x, torch.cat([module(part) for part in x.split(1024)]).flatten(1))
    try:
        classes = labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else labels
        classes = np.asarray(classes)
    except (TypeError, ValueError) as error:
        raise InputError(f"labels must be one array of whole numbers, {error}") from error
    with torch.no_grad():
        outputs = module(x[:1]).numel()
    if classes.dtype.kind not in "iu" or classes.shape != (len(x),):
        raise InputError(
            f"labels must be ({len(x)},) whole numbers, one per sample, not {classes.dtype} of "
            f"shape {classes.shape}"
        )
    if classes.min() < 0 or classes.max() >= outputs:
        raise InputError(
            f"labels must be from 0 to {outputs - 1}, as the network has {outputs} outputs, not "
            f"{classes.min()} to {classes.max()}"
        )
    return Objective(x, torch.from_numpy(classes.astype(np.int64)))


def layers_of(names: Sequence[str], layers: Sequence[WeightLayer]) -> tuple[CompressedLayer, ...]:
    """Describe layers; the rows of a convolution are its output channels."""
    compressed = []
    for name, layer in zip(names, layers, strict=True):
        weight = layer.weight.detach().numpy()
        nnz = int(np.count_nonzero(weight))
        compressed.append(
            CompressedLayer(
                name=name,
                rows=len(weight),
                cols=weight.size // len(weight),
                nnz=nnz,
                density=nnz / weight.size,
                values=int(np.unique(weight[weight != 0]).size),
            )
        )
    return tuple(compressed)
