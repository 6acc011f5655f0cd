"""``zeroskip compress compare`` and ``search``: ways of compression, judged on the array too."""

import copy
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from zeroskip.base.errors import CompileError
from zeroskip.cli.arrays import (
    DEFAULT_ENGINE,
    Arrays,
    PresetOption,
    choose_arrays,
    split_settings,
)
from zeroskip.cli.compress_options import RunOptions, with_fields
from zeroskip.cli.compress_run import Training, open_run
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import print_json, print_line, print_table
from zeroskip.compiler.api import compile_any
from zeroskip.compiler.frontend.networks import import_module
from zeroskip.sim.machine import machine
from zeroskip.sim.run import run

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.compiler.compress.compare import Cost
    from zeroskip.compiler.compress.search import Trial
    from zeroskip.compiler.compress.task import Task

__all__ = ["EXAMPLES", "compress_compare", "compress_search"]

EXAMPLES = """Examples:

zeroskip compress compare --what granularity --task digits -o out/granularity

zeroskip compress compare --what balance --task lenet300 --data mnist --set eie.num_pes=64
-o out/balance

zeroskip compress search --task digits --set eie.num_pes=8 --trials 20 -o out/search
"""

_SAMPLES = 20
"""Inputs whose cycles are counted."""


@with_fields(RunOptions)
def compress_compare(
    options: RunOptions,
    what: Annotated[
        str, typer.Option(metavar="W", help="granularity, balance, init, flow or codes.")
    ],
    preset: PresetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compress one float network in several ways: accuracy, stored bits, cycles, references.

    Each way has a folder of its own in the run's, and goes on where it was stopped.
    """
    from zeroskip.compiler.compress.compare import compare, variants_of

    arrays, options = _arrays(options, preset)
    num_pes = arrays[DEFAULT_ENGINE].params.num_pes
    variants = variants_of(what, num_pes)
    with Training() as training:
        stages = open_run(options, training, part=True)
        cost = _cost(stages.task, arrays, training)
        outcomes = compare(stages, variants, cost)
    if as_json:
        print_json({"what": what, "pes": num_pes, "ways": [asdict(o) for o in outcomes]})
        return
    print_table(
        f"By {what} (cycles, and references to memories: mean of {_SAMPLES} inputs)",
        ["way", "error", "density", "bits a weight", "file bytes", "ratio", "cycles", "references"],
        [
            [
                outcome.name,
                f"{outcome.error:.4g}",
                f"{100 * outcome.density:.2f} %",
                f"{outcome.stored_bits:.2f}",
                outcome.file_bytes,
                f"{outcome.ratio:.1f}x",
                "-" if outcome.cycles is None else f"{outcome.cycles:.1f}",
                "-" if outcome.references is None else f"{outcome.references:.1f}",
            ]
            for outcome in outcomes
        ],
    )


@with_fields(RunOptions)
def compress_search(
    options: RunOptions,
    trials: Annotated[
        int, typer.Option(min=1, metavar="N", help="To have in the end, earlier ones included.")
    ] = 20,
    low: Annotated[float, typer.Option(metavar="D", help="Smallest density.")] = 0.01,
    high: Annotated[float, typer.Option(metavar="D", help="Largest density.")] = 0.5,
    preset: PresetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search densities per layer for few errors and few cycles on the array; goes on if stopped."""
    arrays, options = _arrays(options, preset)
    num_pes = arrays[DEFAULT_ENGINE].params.num_pes
    with Training() as training:
        stages = open_run(options, training, part=True)
        from zeroskip.compiler.compress.search import search

        measure = _cost(stages.task, arrays, training)

        def cost(module: "nn.Module") -> float:
            found = measure(module)
            if found is None:
                raise CompileError("the network does not run on the array: nothing to search for")
            return found.cycles

        def on_trial(trial: "Trial") -> None:
            training.print(
                f"trial {trial.number}: error {trial.error:.4g}, {trial.cost:.1f} cycles"
            )

        found = search(stages, cost, trials, low=low, high=high, on_trial=on_trial)
    if as_json:
        print_json({"pes": num_pes, "trials": [asdict(trial) for trial in found]})
        return
    best = sorted((trial for trial in found if trial.best), key=lambda trial: trial.cost)
    print_table(
        f"Best of {len(found)} trials on {num_pes} PEs (none is better in both)",
        ["trial", "error", "cycles", *best[0].densities],
        [
            [
                trial.number,
                f"{trial.error:.4g}",
                f"{trial.cost:.1f}",
                *(f"{100 * density:.1f} %" for density in trial.densities.values()),
            ]
            for trial in best
        ],
    )
    print_line(f"all trials in {options.output / 'search.log'}")


def _arrays(options: RunOptions, preset: list[str] | None) -> tuple[Arrays, RunOptions]:
    """Take the arrays out of --set, which is for stages of compression, too."""
    arrays, settings = split_settings(options.settings)
    return choose_arrays(preset, arrays), replace(options, settings=settings)


def _cost(
    task: "Task", arrays: Arrays, training: Training
) -> Callable[["nn.Module"], "Cost | None"]:
    """Return what counts a network's mean cycles, or gives None if the arrays cannot run it."""
    inputs, _ = task.testing().first()
    samples = inputs[:200].cpu().numpy()

    def count(module: "nn.Module") -> "Cost | None":
        from zeroskip.compiler.compress.compare import Cost
        from zeroskip.compiler.compress.layers import bake

        plain = bake(copy.deepcopy(module)).cpu().eval()
        try:
            image = compile_any(
                import_module(plain, samples[:1]),
                samples,
                [array.free_params.only_units() for array in arrays.values()],
                options=arrays.options(arrays),
                name="compressed",
            )
        except CompileError as error:
            training.print(f"no cycles: {error}")
            return None
        some = samples[:_SAMPLES]
        found = run(image, some, "cycles")
        assert found.cycles is not None
        cycles = float(found.cycles.mean())
        counts = (
            machine(part.engine).references(part, found.tensors_on_arrays) for part in image.parts
        )
        counted = [count for count in counts if count is not None]
        return Cost(cycles, sum(counted) / len(some) if counted else None)

    return count
