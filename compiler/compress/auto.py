"""The whole flow to a target: densities are scaled until error and file size are as asked."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from zeroskip.base.bounded import parse_json
from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.config import Auto, Config
from zeroskip.compiler.compress.layers import layers_of
from zeroskip.compiler.compress.pack import PackReport, pack
from zeroskip.compiler.compress.run_folder import write_file
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.task import Score, evaluate
from zeroskip.compiler.compress.users_code import first_words

__all__ = ["Attempt", "Result", "auto", "guess_scale", "next_scale", "scaled"]

_T = TypeVar("_T")

_CODE_BITS = 3.4
"""Bits of a coded code, for a first guess."""


@dataclass(frozen=True)
class Attempt:
    """One go at the targets.

    Parameters
    ----------
    scale : of all densities.
    base_error, error : percent classified wrong, or the loss without classes; of the float
        network, and of the result.
    increase : points of error lost; without classes, percent of the loss.
    ratio : 4 bytes a parameter over the size of the file.
    met : every target is.
    """

    scale: float
    base_error: float
    error: float
    increase: float
    ratio: float
    met: bool


@dataclass(frozen=True)
class Result:
    """What the best attempt made, which ``report.json`` in the run's folder says.

    Parameters
    ----------
    attempt : the best.
    densities : that it pruned each layer to.
    scores : after each of its stages, on the test data; ``train`` has that of the float network.
    sizes : what ``model.zsk`` takes.
    """

    attempt: Attempt
    densities: dict[str, float]
    scores: dict[str, Score]
    sizes: PackReport

    @classmethod
    def read(cls, path: Path) -> "Result":
        """Read ``report.json``.

        Raises
        ------
        InputError
            If it is missing or damaged.
        """
        return _read(cls, path)

    def write(self, path: Path) -> None:
        """Write ``report.json``."""
        write_file(path, json.dumps(asdict(self), indent=1).encode())

    def meta(self, task: str) -> dict[str, Any]:
        """Return what ``model.zsk`` says of itself."""
        return _meta(task, self.attempt.base_error, self.attempt.error)


def auto(
    stages: Stages,
    *,
    on_attempt: Callable[[Attempt], None] = lambda attempt: None,
) -> Result:
    """Run all stages of the flow, as often as the targets need; keep the best ``model.zsk``.

    Parameters
    ----------
    stages : on a folder; what is done there already is not done again.
    on_attempt : called with each attempt.

    Raises
    ------
    InputError
        If no attempt reached the targets: says the best, whose file is in the folder.
    TrainingError
        If a loss becomes no number.
    """
    config, folder, task, goal = stages.config, stages.folder, stages.task, stages.config.auto
    model, noted = folder.path / "model.zsk", folder.path / "attempts.json"
    base_module = stages.run_base()
    base, densities = evaluate(base_module, task), stages.densities(base_module)
    sizes = {name: part.weight.numel() for name, part in layers_of(base_module).items()}
    attempts = _read(list[Attempt], noted) if noted.exists() else []
    while not _finished(attempts, config):
        if attempts:
            scale = next_scale(attempts, goal)
        else:
            scale = guess_scale(sizes, densities, goal.target_ratio)
        going = stages.with_densities(scaled(densities, scale))
        module = going.run_rest()
        score = evaluate(module, task)
        draft = folder.path / ".attempt.zsk"
        report = pack(module, draft, task.example(), _meta(task.name, base.error, score.error))
        attempt = _judge(scale, base, score, report.ratio, goal)
        if max([*attempts, attempt], key=lambda tried: _rank(tried, goal)) is attempt:
            draft.replace(model)
            found = Result(attempt, scaled(densities, scale), stages.scores(), report)
            found.write(folder.path / "report.json")
        draft.unlink(missing_ok=True)
        attempts.append(attempt)
        on_attempt(attempt)
        # Before it is noted: an attempt must not find the stages of the one before.
        if not _finished(attempts, config):
            folder.forget("prune")
        write_file(noted, json.dumps([asdict(tried) for tried in attempts], indent=1).encode())
    result = Result.read(folder.path / "report.json")
    best = result.attempt
    if not best.met:
        raise InputError(
            f"the target ({_words(goal)}) was not reached in {len(attempts)} attempts; the best "
            f"found is {best.ratio:.1f}x at an error of {best.error:.4g} "
            f"({best.increase:+.4g} over the float network), in {model}"
        )
    return result


def scaled(densities: Mapping[str, float], scale: float) -> dict[str, float]:
    """Return all densities times ``scale``, at most 1."""
    return {name: min(1.0, scale * density) for name, density in densities.items()}


def guess_scale(
    sizes: Mapping[str, int], densities: Mapping[str, float], ratio: float | None
) -> float:
    """Return the scale at which the file has about the size that ``ratio`` asks; 1 without one.

    A weight that stays takes a code; where it is takes the entropy of a coin of that density.
    """
    if ratio is None:
        return 1.0
    budget = 32 * sum(sizes.values()) / ratio

    def bits(scale: float) -> float:
        total = 0.0
        for name, density in scaled(densities, scale).items():
            p = min(max(density, 1e-9), 1 - 1e-9)
            coin = -p * math.log2(p) - (1 - p) * math.log2(1 - p)
            total += sizes[name] * (p * _CODE_BITS + coin)
        return total

    low, high = 0.0, 1.0 / max(1e-9, min(densities.values()))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if bits(middle) < budget else (low, middle)
    # Tables, biases and the graph are not counted.
    return 0.95 * high


def next_scale(attempts: list[Attempt], goal: Auto) -> float:
    """Return the scale to try after ``attempts``, of which at least one is."""
    last = attempts[-1]
    if goal.target_ratio is not None:
        if last.ratio < goal.target_ratio:
            return last.scale * 0.97 * last.ratio / goal.target_ratio
        # Small enough, but not right enough: as large as allowed.
        return last.scale * max(1.02, 0.98 * last.ratio / goal.target_ratio)
    right = [attempt.scale for attempt in attempts if attempt.met]
    wrong = [attempt.scale for attempt in attempts if not attempt.met]
    if right and wrong:
        return math.sqrt(min(right) * max(wrong))
    return 0.7 * min(right) if right else 1.6 * max(wrong)


def _meta(task: str, base_error: float, error: float) -> dict[str, Any]:
    return {"task": task, "float_error": base_error, "error": error}


def _finished(attempts: list[Attempt], config: Config) -> bool:
    goal = config.auto
    free = goal.max_error_increase is None and goal.target_ratio is None
    if not attempts:
        return False
    if free or config.flow != "deep-compression" or len(attempts) >= goal.attempts:
        return True
    # With an error alone, every attempt tries for a smaller file.
    return goal.target_ratio is not None and attempts[-1].met


def _judge(scale: float, base: Score, score: Score, ratio: float, goal: Auto) -> Attempt:
    increase = score.error - base.error
    if base.accuracy is None:
        increase = 100 * increase / max(base.error, 1e-12)
    met = goal.max_error_increase is None or increase <= goal.max_error_increase
    met = met and (goal.target_ratio is None or ratio >= goal.target_ratio)
    return Attempt(scale, base.error, score.error, increase, ratio, met)


def _rank(attempt: Attempt, goal: Auto) -> tuple[bool, float]:
    """Return what the best attempt has most of."""
    if attempt.met:
        return True, -attempt.error if goal.max_error_increase is None else attempt.ratio
    # Of those that failed, the one that misses by the smallest factor.
    short = 0.0
    if goal.target_ratio is not None:
        short += max(0.0, math.log(goal.target_ratio / attempt.ratio))
    if goal.max_error_increase is not None:
        over = max(0.0, attempt.increase - goal.max_error_increase)
        short += over / max(attempt.base_error, 1e-12)
    return False, -short


def _read(kind: type[_T], path: Path) -> _T:
    """Read what a file of the run says, as JSON."""
    try:
        return TypeAdapter(kind).validate_python(parse_json(path.read_text()))
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path} is damaged: {first_words(error)}; remove it and resume"
        ) from error


def _words(goal: Auto) -> str:
    words: list[str] = []
    if goal.target_ratio is not None:
        words.append(f"{goal.target_ratio:g}x smaller")
    if goal.max_error_increase is not None:
        words.append(f"error at most {goal.max_error_increase:g} more")
    return ", ".join(words)
