"""Targets, comparisons and searches: what is asked for is reached, or the best found is named."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.auto import Attempt, Result, auto, guess_scale, next_scale, scaled
from zeroskip.compiler.compress.compare import Cost, compare, variants_of
from zeroskip.compiler.compress.config import Auto
from zeroskip.compiler.compress.layers import density_of, layers_of
from zeroskip.compiler.compress.pack import state_of_zsk
from zeroskip.compiler.compress.search import search
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.task import evaluate


def attempt(scale: float, ratio: float, *, met: bool) -> Attempt:
    return Attempt(scale, 1.0, 1.5, 0.5, ratio, met)


def test_auto_without_targets_goes_once(stages: Any) -> None:
    run: Stages = stages()
    result = auto(run)
    assert (result.attempt.scale, result.attempt.met) == (1.0, True)
    assert Result.read(run.folder.path / "report.json") == result
    size = (run.folder.path / "model.zsk").stat().st_size
    assert result.sizes.file_bytes == size
    assert result.sizes.ratio == result.attempt.ratio == 4 * result.sizes.parameters / size
    assert list(result.scores) == ["train", "prune", "share", "finetune"]
    # A finished run is not done again.
    before = (run.folder.path / "model.zsk").read_bytes()
    assert auto(run) == result
    assert (run.folder.path / "model.zsk").read_bytes() == before


def test_auto_reaches_a_ratio(stages: Any) -> None:
    run: Stages = stages(auto={"target_ratio": 1.2, "attempts": 5})
    best = auto(run).attempt
    assert best.met
    assert best.ratio >= 1.2
    state = state_of_zsk(run.folder.path / "model.zsk")
    result = run.result("finetune")
    assert result is not None
    assert set(state) == set(run.network.folded().state_dict())


def test_a_target_out_of_reach_names_the_best(stages: Any) -> None:
    run: Stages = stages(auto={"target_ratio": 500.0, "max_error_increase": 0.0, "attempts": 2})
    with pytest.raises(
        InputError, match=r"500x smaller, error at most 0 more\) was not reached in 2"
    ):
        auto(run)
    assert (run.folder.path / "model.zsk").exists()
    assert len(json.loads((run.folder.path / "attempts.json").read_text())) == 2


def test_densities_by_sensitivity(stages: Any) -> None:
    run: Stages = stages(
        prune={"epochs": 1, "density": 0.2, "sensitivity": True, "layers": {"6": 0.5}},
        analyze={"batches": 3, "densities": [0.5, 0.2, 0.05]},
    )
    run.run("train")
    densities = run.densities(run.base())
    assert densities["6"] == 0.5
    assert densities["0"] != densities["3"]
    result = auto(run)
    assert result.densities == densities
    kept = {layer.name: layer.kept / layer.weights for layer in result.sizes.layers}
    assert kept["3"] == pytest.approx(densities["3"], abs=0.01)
    assert result.attempt.scale == 1.0


def test_ternary_networks_are_codebooks_of_two(stages: Any) -> None:
    run: Stages = stages(
        flow="ttq",
        ttq={"epochs": 2, "learning_rate": 0.01},
        dsd={"epochs": 1, "density": 0.5, "distill": 0.0},
    )
    auto(run)
    state = state_of_zsk(run.folder.path / "model.zsk")
    for name in ("0.weight", "3.weight", "6.weight"):
        assert set(np.sign(state[name].unique().numpy())) == {-1.0, 0.0, 1.0}
        assert state[name].unique().numel() == 3


def test_dense_sparse_dense_gives_a_dense_network(stages: Any) -> None:
    run: Stages = stages(dsd={"epochs": 15, "density": 0.5, "learning_rate": 0.01, "distill": 0.0})
    before, after = run.run("train"), run.run("dsd")
    densities = [density_of([layer]) for layer in layers_of(after).values()]
    assert min(densities) > 0.9
    assert evaluate(after, run.task).loss < evaluate(before, run.task).loss


def test_attempts_move_towards_the_target() -> None:
    ratio = Auto(target_ratio=40.0)
    assert next_scale([attempt(1.0, 20.0, met=False)], ratio) == pytest.approx(0.485)
    assert next_scale([attempt(1.0, 80.0, met=False)], ratio) == pytest.approx(1.96)
    error = Auto(max_error_increase=0.1)
    assert next_scale([attempt(1.0, 20.0, met=True)], error) == pytest.approx(0.7)
    assert next_scale([attempt(1.0, 20.0, met=False)], error) == pytest.approx(1.6)
    both = [attempt(1.0, 20.0, met=True), attempt(0.25, 60.0, met=False)]
    assert next_scale(both, error) == pytest.approx(0.5)


def test_first_guess_meets_the_budget() -> None:
    sizes, densities = {"a": 100_000, "b": 1000}, {"a": 0.05, "b": 0.5}
    assert guess_scale(sizes, densities, None) == 1.0
    small, large = (guess_scale(sizes, densities, ratio) for ratio in (100.0, 10.0))
    assert 0 < small < large
    assert scaled(densities, 10.0) == {"a": 0.5, "b": 1.0}


def test_ways_side_by_side(stages: Any) -> None:
    run: Stages = stages(finetune={"epochs": 1}, prune={"epochs": 1, "density": 0.3})
    outcomes = compare(run, variants_of("granularity"), lambda module: Cost(7.0, 9.0))
    assert [one.name for one in outcomes] == ["fine", "vector", "kernel", "filter"]
    fine, *_, filters = outcomes
    # Runs of whole filters are cheap to write.
    assert filters.stored_bits < fine.stored_bits
    assert all((one.cycles, one.references) == (7.0, 9.0) for one in outcomes)
    again = compare(run, variants_of("granularity"), lambda module: Cost(7.0, 9.0))
    assert again == outcomes
    with pytest.raises(InputError, match=r"^what must be one of granularity, balance"):
        variants_of("colour")
    assert variants_of("balance", 4) == {
        "free": {"prune.balance_pes": 0},
        "pes4": {"prune.balance_pes": 4},
    }


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_searches_go_on_where_they_were(stages: Any) -> None:
    run: Stages = stages(finetune={"epochs": 0}, prune={"epochs": 1, "density": 0.2})

    def cost(module: nn.Module) -> float:
        return float(sum(torch.count_nonzero(p) for p in module.parameters()))

    first = search(run, cost, 2)
    assert [trial.number for trial in first] == [0, 1]
    assert first[0].densities == pytest.approx({"0": 0.2, "3": 0.2, "6": 0.2})
    both = search(stages(finetune={"epochs": 0}, prune={"epochs": 1, "density": 0.2}), cost, 4)
    assert [trial.densities for trial in both[:2]] == [trial.densities for trial in first]
    assert len({str(trial.densities) for trial in both}) == 4
    assert any(trial.best for trial in both)
    with pytest.raises(InputError, match="0 < low < high <= 1"):
        search(run, cost, 5, low=0.5, high=0.1)
