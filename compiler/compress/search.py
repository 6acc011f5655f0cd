"""Search densities per layer for few errors and few cycles (the goal of AMC, with Optuna)."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.layers import layers_of
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.task import evaluate

__all__ = ["Trial", "search"]

_LOG = "search.log"
_NAME = "densities"


@dataclass(frozen=True)
class Trial:
    """One choice of densities.

    Parameters
    ----------
    number : in the order of trying.
    densities : by layer.
    error : percent classified wrong, or the loss.
    cost : what was to be small, such as cycles per input.
    best : no other trial is better in one and no worse in the other.
    """

    number: int
    densities: dict[str, float]
    error: float
    cost: float
    best: bool


def search(
    stages: Stages,
    cost: Callable[[nn.Module], float],
    trials: int,
    *,
    low: float = 0.01,
    high: float = 0.5,
    on_trial: Callable[[Trial], None] | None = None,
) -> list[Trial]:
    """Try densities until there are ``trials`` results; return all, in order.

    Each trial prunes, shares and fine-tunes the same float network, as the configuration says. A
    study that was stopped goes on where it was: its log is in the folder.

    Parameters
    ----------
    stages : whose folder holds the float network, or gets it.
    cost : of a compressed network, such as cycles.
    trials : to have in the end, those of earlier runs included.
    low, high : densities to choose from; choices are even in their logarithm.
    on_trial : called with each new result.

    Raises
    ------
    InputError
        If ``low`` and ``high`` are no range.
    """
    if not 0 < low < high <= 1:
        raise InputError(f"densities must have 0 < low < high <= 1, not {low!r} and {high!r}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    base, folder = stages.run_base(), stages.folder
    storage = JournalStorage(JournalFileBackend(str(folder.path / _LOG)))
    done = _done(storage)
    # A sampler has no memory of its own: another seed, or a resumed one would repeat itself.
    sampler = optuna.samplers.TPESampler(seed=stages.config.seed + done)
    study = optuna.create_study(
        storage=storage,
        sampler=sampler,
        study_name=_NAME,
        directions=["minimize", "minimize"],
        load_if_exists=True,
    )
    if not done:
        # A first guess to improve on: what the configuration says.
        start = stages.densities(base)
        study.enqueue_trial({name: min(high, max(low, d)) for name, d in start.items()})

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        densities = {
            name: trial.suggest_float(name, low, high, log=True) for name in layers_of(base)
        }
        going = stages.branch("trial", stages.config, resume=False).with_densities(densities)
        module = going.run_rest()
        return evaluate(module, stages.task).error, cost(module)

    while _done(storage) < trials:
        study.optimize(objective, n_trials=1)
        if on_trial is not None:
            on_trial(_trials(study)[-1])
    shutil.rmtree(folder.path / "trial", ignore_errors=True)
    return _trials(study)


def _done(storage: JournalStorage) -> int:
    """Return how many trials have a result."""
    try:
        study = optuna.load_study(study_name=_NAME, storage=storage)
    except KeyError:
        return 0
    return len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)))


def _trials(study: optuna.Study) -> list[Trial]:
    best = {trial.number for trial in study.best_trials}
    return [
        Trial(
            trial.number, dict(trial.params), trial.values[0], trial.values[1], trial.number in best
        )
        for trial in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    ]
