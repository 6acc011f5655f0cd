"""Runs of SCNN whose passes and loads have fewer rows than they may need."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.words import program_words
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, descriptor_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["tighten"]


def tighten(
    runs: Sequence[ScnnRun], params: ScnnParams, rng: np.random.Generator
) -> tuple[ScnnRun, ...]:
    """Draw a run, and a pass or a load of it, and give that a few rows; or leave all as it is."""
    found = list(runs)
    number = int(rng.integers(len(runs)))
    run, rows = runs[number], int(rng.integers(0, 16))
    if run.loads and rng.random() < 0.3:
        load = int(rng.integers(len(run.loads)))
        loads = list(run.loads)
        loads[load] = replace(loads[load], limit=loads[load].word + rows)
        found[number] = replace(run, loads=tuple(loads))
        return tuple(found)
    drains = [at for at, step in enumerate(run.program) if step.drain and not step.append]
    if not drains:
        return tuple(runs)
    at = int(rng.choice(drains))
    program: list[Any] = list(run.program)
    limit = min(program[at].dst_word + rows, params.act_words)
    program[at] = replace(program[at], dst_limit=limit)
    words = program_words(program, descriptor_layout(params), DESCRIPTOR_WORDS)
    width = run.srams["program"].width if "program" in run.srams else 64
    srams = {**run.srams, "program": SramData(words, width)}
    found[number] = replace(run, program=tuple(program), srams=srams)
    return tuple(found)
