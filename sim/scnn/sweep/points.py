"""Sweeps over densities and SCNN arrays, on the cycle model."""

import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from zeroskip.base.errors import CompileError, InputError, ParameterError
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.scnn.benchmark.bench import BENCH_PARAMS, measure_layer
from zeroskip.sim.scnn.benchmark.layers import ConvLayer, scnn_layers
from zeroskip.sim.scnn.benchmark.run import dense_operand
from zeroskip.sim.sweep.axes import combinations
from zeroskip.sim.sweep.execute import Job
from zeroskip.sim.sweep.journal import Row, digest_of

if TYPE_CHECKING:
    from zeroskip.sim.sweep.table import Columns

__all__ = ["MACHINES", "SCNN_AXES", "Machine", "ScnnPoint", "ScnnSweep", "scnn_grid"]

_TABLE = 1
"""Raised with every change of what columns mean."""

Machine = Literal["scnn", "weight-only", "activation-only"]
"""SCNN, or the same array if it compresses weights, or activations, only."""

MACHINES: tuple[Machine, ...] = get_args(Machine)

_PARAMS = ("num_streams", "act_words", "banks", "scatter_depth", "weight_depth", "block_depth")
_MEASURED = (
    "cycles", "dense_cycles", "oracle_cycles", "speedup", "utilisation", "utilisation_issuing",
    "conflict", "runs",
)  # fmt: skip
SCNN_AXES = ("density", "act_density", "weight_density", "machine", *_PARAMS)
"""What can be swept, in the order of the table's rows: the last changes fastest. ``density`` is
that of both operands."""


@dataclass(frozen=True)
class ScnnPoint:
    """Densities, a machine and an array.

    Parameters
    ----------
    act_density, weight_density : None leaves those of the layer.
    machine : what is compressed.
    params : of the array.
    """

    act_density: float | None
    weight_density: float | None
    machine: Machine
    params: ScnnParams

    def of(self, layer: ConvLayer) -> ConvLayer:
        """Give the layer at the point's densities."""
        chosen = {"act_density": self.act_density, "weight_density": self.weight_density}
        given = {name: value for name, value in chosen.items() if value is not None}
        return dataclasses.replace(layer, **given)


def scnn_grid(
    axes: Mapping[str, Sequence[Any]], params: ScnnParams = BENCH_PARAMS
) -> list[ScnnPoint]:
    """List the points.

    Parameters
    ----------
    axes : values by name, see :data:`SCNN_AXES`.
    params : what the axes leave as it is; with other ``banks``, accumulators are as many.

    Raises
    ------
    InputError
        If an axis is unknown or has no value, one twice, or one that makes no sense.
    """
    if "density" in axes and {"act_density", "weight_density"} & set(axes):
        raise InputError("density is that of both operands: leave out act_density, weight_density")
    points = []
    for chosen in combinations(axes, SCNN_AXES, partial(_check, params)):
        both = chosen.get("density")
        points.append(
            ScnnPoint(
                chosen.get("act_density", both),
                chosen.get("weight_density", both),
                chosen.get("machine", "scnn"),
                _array(params, {name: chosen[name] for name in _PARAMS if name in chosen}),
            )
        )
    return points


def _check(params: ScnnParams, name: str, value: Any) -> None:
    if name in _PARAMS:
        _array(params, {name: value})
    elif name == "machine":
        if value not in MACHINES:
            raise ParameterError.of_names("machine", value, MACHINES)
    elif not 0 < value <= 1:
        raise ParameterError(name, value, "above 0 and at most 1")


def _array(params: ScnnParams, chosen: Mapping[str, int]) -> ScnnParams:
    entries = {}
    if chosen.get("banks"):
        entries = {"bank_entries": max(2, params.accs // chosen["banks"])}
    return dataclasses.replace(params, **{**entries, **chosen})


def measure_point(name: str, point: ScnnPoint) -> list[list[Row]]:
    """Compile a layer, by its full name, and run it on the cycle model."""
    layer = point.of(scnn_layers()[name])
    row: Row = {
        "network": layer.network,
        "layer": layer.name,
        "machine": point.machine,
        "act_density": layer.act_density,
        "weight_density": layer.weight_density,
        **{name: getattr(point.params, name) for name in _PARAMS},
    }
    stored = dense_operand(
        layer,
        acts=point.machine == "weight-only",
        weights=point.machine == "activation-only",
    )
    begin = time.perf_counter()
    try:
        found = measure_layer(stored, point.params)
    except (CompileError, ParameterError) as error:
        return [[{**row, "possible": False, "reason": str(error)}]]
    row |= {
        "possible": True,
        "reason": None,
        **{name: getattr(found, name) for name in _MEASURED},
        **{f"{name}_share": value for name, value in found.stalls.items()},
        **{f"{name}_references": value for name, value in found.references.items()},
        "model_seconds": time.perf_counter() - begin,
    }
    return [[row]]


@dataclass(frozen=True, eq=False)
class ScnnSweep:
    """Every layer, by its full name, at every point."""

    layers: Sequence[str]
    points: Sequence[ScnnPoint]

    @property
    def columns(self) -> "Columns":
        """Of the table."""
        from zeroskip.sim.scnn.sweep.columns import SCNN_COLUMNS

        return SCNN_COLUMNS

    @property
    def size(self) -> int:
        """Number of points, of all layers."""
        return len(self.layers) * len(self.points)

    @property
    def fingerprint(self) -> str:
        """Digest of the settings, which tells this sweep from others."""
        return digest_of({
            "scnn": _TABLE,
            "layers": list(self.layers),
            "points": [asdict(point) for point in self.points],
        })

    def jobs(self, done: set[int]) -> list[Job]:
        """List the points that are not done yet, those that take longest first."""
        found = [
            Job((number,), measure_point, name, point)
            for number, (name, point) in enumerate(itertools.product(self.layers, self.points))
            if number not in done
        ]
        return sorted(found, key=lambda job: -_length(job))


def _length(job: Job) -> float:
    layer = job.points.of(scnn_layers()[job.work])
    return layer.macs * layer.act_density * layer.weight_density
