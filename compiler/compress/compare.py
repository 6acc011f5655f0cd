"""One network compressed in several ways, side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn

from zeroskip.base.errors import ParameterError
from zeroskip.compiler.compress.config import Flow, Granularity, Init
from zeroskip.compiler.compress.config_file import override
from zeroskip.compiler.compress.layers import density_of, layers_of
from zeroskip.compiler.compress.pack import pack
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.task import evaluate

__all__ = ["Aspect", "Cost", "Measure", "Outcome", "compare", "variants_of"]

Aspect = Literal["granularity", "balance", "init", "flow", "codes"]
"""What differs: what is pruned together (Mao et al., 2017); equally many weights per PE or not
(ESE); where k-means starts; Deep Compression or trained ternary weights; how many values."""


@dataclass(frozen=True)
class Cost:
    """What a network takes on the arrays.

    Parameters
    ----------
    cycles : mean per input.
    references : to memories, of arrays that count them, mean per input; None without such.
    """

    cycles: float
    references: float | None = None


Measure = Callable[[nn.Module], Cost | None]
"""What a network takes, or nothing where it cannot run."""


@dataclass(frozen=True)
class Outcome:
    """What one way gave.

    Parameters
    ----------
    name : of the way.
    error : percent classified wrong, or the loss.
    density : share of weights that are not 0.
    stored_bits : in the file, per weight that is not 0.
    file_bytes, ratio : of the file.
    cycles : mean per input on the arrays; None where they cannot run the network.
    references : see :class:`Cost`.
    """

    name: str
    error: float
    density: float
    stored_bits: float
    file_bytes: int
    ratio: float
    cycles: float | None
    references: float | None


def variants_of(what: str, pes: int = 8) -> dict[str, dict[str, Any]]:
    """Return the settings of each way.

    Parameters
    ----------
    what : differs, see :data:`Aspect`.
    pes : between which weights are balanced.

    Raises
    ------
    ParameterError
        If there is no such aspect.
    """
    if what == "balance":
        return {"free": {"prune.balance_pes": 0}, f"pes{pes}": {"prune.balance_pes": pes}}
    if what == "codes":
        return {f"codes{n}": {"share.codes": n} for n in (3, 7, 15, 31, 63)}
    kinds = {"granularity": Granularity, "init": Init, "flow": Flow}
    if what not in kinds:
        raise ParameterError.of_names("what", what, get_args(Aspect))
    setting = {"granularity": "prune.granularity", "init": "share.init", "flow": "flow"}[what]
    return {way: {setting: way} for way in get_args(kinds[what])}


def compare(
    stages: Stages,
    variants: dict[str, dict[str, Any]],
    measure: Measure | None = None,
) -> list[Outcome]:
    """Compress the float network of ``stages`` in each way, in a folder of its own.

    Parameters
    ----------
    stages : whose folder holds the float network, or gets it.
    variants : settings by name; what is done already is not done again.
    measure : of the result; None where it is not wanted.
    """
    stages.run_base()
    example, outcomes = stages.task.example(), []
    for name, settings in variants.items():
        going = stages.branch(name, override(stages.config, settings))
        module = going.run_rest()
        report = pack(module, going.folder.path / "model.zsk", example)
        cost = None if measure is None else measure(module)
        kept = max(1, sum(layer.kept for layer in report.layers))
        stored = sum(32 * layer.rate_coded * layer.weights for layer in report.layers)
        outcomes.append(
            Outcome(
                name=name,
                error=evaluate(module, stages.task).error,
                density=density_of(layers_of(module).values()),
                stored_bits=stored / kept,
                file_bytes=report.file_bytes,
                ratio=report.ratio,
                cycles=None if cost is None else cost.cycles,
                references=None if cost is None else cost.references,
            )
        )
    return outcomes
