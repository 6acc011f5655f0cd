"""``zeroskip bench``: published evaluations, run again."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from zeroskip.cli.arrays import DEFAULT_ENGINE, ENGINES
from zeroskip.cli.options import JsonOption, LayersOption
from zeroskip.cli.output import Steps, print_json, print_report
from zeroskip.compiler.engine import engine as engine_of
from zeroskip.sim.machine import find_evaluation

__all__ = ["EXAMPLES", "run_evaluation"]

EXAMPLES = """Examples:

zeroskip bench eie --layers NT-We,NT-Wd

zeroskip bench energy --engine eie --json

zeroskip bench lstm --json

zeroskip bench lstm --task vowels -o out/vowels

zeroskip bench --engine scnn --layers googlenet/3a/5x5_reduce --alone --on rtl --json

zeroskip bench scnn --layers squeezenet --on rtl
"""

_WHAT = ("cycles", "energy", "lstm")


def run_evaluation(
    what: Annotated[
        str,
        typer.Argument(
            metavar="|".join((*_WHAT, *ENGINES)),
            help="Cycles of the paper's layers, or their energy; lstm: cycles of a step of whole "
            "cells, or with --task, of a trained network by threshold of changes. The name of an "
            "engine stands for the cycles of its paper.",
        ),
    ] = "cycles",
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="ENGINE",
            help=f"One of {', '.join(ENGINES)}.",
            show_default=DEFAULT_ENGINE,
        ),
    ] = None,
    layers: LayersOption = None,
    on: Annotated[
        Literal["cycles", "rtl"],
        typer.Option(
            "--on",
            help="The cycle model alone, or the RTL, too, every word compared: of the paper's "
            "networks a layer of each kind, SqueezeNet whole, from one START.",
        ),
    ] = "cycles",
    alone: Annotated[
        bool,
        typer.Option(
            "--alone",
            help="Leave out the machines that the array is compared with, where there are some: "
            "most of the time goes there.",
        ),
    ] = False,
    task: Annotated[
        Literal["vowels", "topics"] | None,
        typer.Option(
            "--task",
            help="With lstm: compress the task's LSTM, and set cycles beside accuracy by threshold "
            "of changes (compile --delta). A minute on a free core; topics a quarter of an hour.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With --task vowels: the folder with its two .ts files, instead of that of the "
            "package aeon.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="With --task: folder of the run that compresses; one that is there is gone on "
            "with, or taken as it is.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Run the layers of an engine's paper at 64 PEs, beside what the paper has.

    Operands are random at published sizes and densities, with fixed seeds. Exits with 1 if a word
    or a cycle counter of the RTL differs from the models.
    """
    what, engine = _choose(what, engine)
    evaluation = find_evaluation(engine_of(engine).name)
    if what == "lstm":
        if on != "cycles" or alone or layers is not None:
            raise typer.BadParameter("steps of cells are counted on the cycle model, all of them")
        if task is None and (data is not None or output is not None):
            raise typer.BadParameter("--data and --output go with --task")
        with Steps() as steps:
            recurrent = (
                evaluation.bench_recurrent()
                if task is None
                else evaluation.bench_changes(task, data, output, steps)
            )
        if as_json:
            print_json(recurrent.to_dict())
        else:
            print_report(recurrent.report())
        return 0
    if task is not None or data is not None or output is not None:
        raise typer.BadParameter("--task, --data and --output are of bench lstm")
    if what == "energy":
        if on != "cycles" or alone:
            raise typer.BadParameter("energy is counted on the cycle model, with all machines")
        with Steps() as steps:
            energy = evaluation.bench_energy(layers, progress=steps)
        if as_json:
            print_json(energy.to_dict())
        else:
            print_report(energy.report())
        return 0
    with Steps() as steps:
        result = evaluation.bench(layers, on, alone=alone, progress=steps)
    if as_json:
        print_json(result.to_dict())
    else:
        print_report(evaluation.report(result))
    return int(not result.exact)


def _choose(what: str, engine: str | None) -> tuple[str, str]:
    """Take an engine's name as the cycles of its paper; return what to run, and of which engine.

    Raises
    ------
    typer.BadParameter
        If ``what`` is none of either, or names another engine than ``engine``.
    """
    if what in _WHAT:
        return what, engine or DEFAULT_ENGINE
    if what not in ENGINES:
        choices = ", ".join((*_WHAT, *ENGINES))
        raise typer.BadParameter(f"{what!r} is not one of {choices}")
    if engine not in (None, what):
        raise typer.BadParameter(f"{what!r} and --engine {engine} name two engines; leave one out")
    return "cycles", what
