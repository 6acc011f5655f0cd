"""``zeroskip compress compare`` and ``search``: ways of compression, judged on the array too."""

import copy
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from compiler import EieParams
from compiler.api import compile_network
from compiler.eie.place import Strategy
from compiler.errors import CompileError
from compiler.frontend import as_chain, import_module
from scripts.cli.compress_run import (
    ConfigOption,
    DataOption,
    DeviceOption,
    HooksOption,
    RunOption,
    RunOptions,
    SetOption,
    TaskOption,
    ThreadsOption,
    Training,
    open_run,
)
from scripts.cli.options import JsonOption, with_params
from scripts.cli.output import print_json, print_line, print_table
from sim import run

if TYPE_CHECKING:
    from torch import nn

    from compiler.compress.search import Trial
    from compiler.compress.task import Task

__all__ = ["EXAMPLES", "compress_compare", "compress_search"]

EXAMPLES = """Examples:

zeroskip compress compare --what granularity --task digits -o out/granularity

zeroskip compress compare --what balance --task lenet300 --data mnist --pes 64 -o out/balance

zeroskip compress search --task digits --pes 8 --trials 20 -o out/search
"""

_SAMPLES = 20
"""Inputs whose cycles are counted."""


@with_params
def compress_compare(
    output: RunOption,
    params: EieParams,
    placement: Strategy,
    what: Annotated[
        str, typer.Option(metavar="W", help="granularity, balance, init, flow or codes.")
    ],
    task: TaskOption = None,
    data: DataOption = None,
    hooks: HooksOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Compress one float network in several ways: accuracy, stored bits and cycles side by side.

    Each way has a folder of its own in the run's, and goes on where it was stopped.
    """
    from compiler.compress.compare import compare, variants_of

    variants = variants_of(what, params.num_pes)
    options = RunOptions(task, data, hooks, config, settings, output, device, threads)
    with Training() as training:
        stages = open_run(options, training, resume=True, part=True)
        cycles = _cycles(stages.task, params, placement, training)
        outcomes = compare(stages, variants, cycles)
    if as_json:
        print_json({"what": what, "pes": params.num_pes, "ways": [asdict(o) for o in outcomes]})
        return
    print_table(
        f"By {what} (cycles: mean of {_SAMPLES} inputs on {params.num_pes} PEs)",
        ["way", "error", "density", "bits a weight", "file bytes", "ratio", "cycles"],
        [
            [
                one.name,
                f"{one.error:.4g}",
                f"{100 * one.density:.2f} %",
                f"{one.stored_bits:.2f}",
                one.file_bytes,
                f"{one.ratio:.1f}x",
                "-" if one.cycles is None else f"{one.cycles:.1f}",
            ]
            for one in outcomes
        ],
    )


@with_params
def compress_search(
    output: RunOption,
    params: EieParams,
    placement: Strategy,
    task: TaskOption = None,
    data: DataOption = None,
    hooks: HooksOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    trials: Annotated[
        int, typer.Option(min=1, metavar="N", help="To have in the end, earlier ones included.")
    ] = 20,
    low: Annotated[float, typer.Option(metavar="D", help="Smallest density.")] = 0.01,
    high: Annotated[float, typer.Option(metavar="D", help="Largest density.")] = 0.5,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Search densities per layer for few errors and few cycles on the array; goes on if stopped."""
    options = RunOptions(task, data, hooks, config, settings, output, device, threads)
    with Training() as training:
        stages = open_run(options, training, resume=True, part=True)
        from compiler.compress.search import search

        cycles = _cycles(stages.task, params, placement, training)

        def cost(module: "nn.Module") -> float:
            found = cycles(module)
            if found is None:
                raise CompileError("the network does not run on the array: nothing to search for")
            return found

        def on_trial(trial: "Trial") -> None:
            training.print(
                f"trial {trial.number}: error {trial.error:.4g}, {trial.cost:.1f} cycles"
            )

        found = search(stages, cost, trials, low=low, high=high, on_trial=on_trial)
    if as_json:
        print_json({"pes": params.num_pes, "trials": [asdict(trial) for trial in found]})
        return
    best = sorted((trial for trial in found if trial.best), key=lambda trial: trial.cost)
    print_table(
        f"Best of {len(found)} trials on {params.num_pes} PEs (none is better in both)",
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
    print_line(f"all trials in {output / 'search.log'}")


def _cycles(
    task: "Task", params: EieParams, placement: Strategy, training: Training
) -> Callable[["nn.Module"], float | None]:
    """Return what counts the mean cycles of a network, or gives None if the array cannot run it."""
    inputs, _ = next(iter(task.test_loader()))
    samples = inputs[:200].cpu().numpy()

    def count(module: "nn.Module") -> float | None:
        from compiler.compress.layers import bake

        plain = bake(copy.deepcopy(module)).cpu().eval()
        try:
            network = as_chain(import_module(plain, samples[:1]))
            image = compile_network(
                network, samples, params, placement=placement, name="compressed"
            )
        except CompileError as error:
            training.print(f"no cycles: {error}")
            return None
        result = run(image, samples[:_SAMPLES], on="cycles")
        return None if result.cycles is None else float(result.cycles.mean())

    return count
