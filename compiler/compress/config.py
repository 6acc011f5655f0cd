"""Every number that steers compression: its default, its range, what it does."""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

__all__ = ["TAGS", "Config", "Density", "Flow", "Granularity", "Init", "Phase", "Prune", "Share"]

TAGS = ("<by name>", "<in order>")
"""What pydantic calls the two kinds of values by layer, in places of errors."""

_T = TypeVar("_T")

Flow = Literal["deep-compression", "ttq"]
Granularity = Literal["fine", "vector", "kernel", "filter"]
Init = Literal["linear", "density", "forgy"]

Density = Annotated[float, Field(ge=0, le=1)]
_Codes = Annotated[int, Field(ge=1, le=255)]
_ByLayer = Annotated[
    Annotated[dict[str, _T], Tag(TAGS[0])] | Annotated[list[_T], Tag(TAGS[1])],
    Discriminator(lambda given: TAGS[isinstance(given, list)]),
]
"""A value for layers by their names, or one for each layer, in order."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Phase(_Section):
    """How a stage trains."""

    epochs: int = Field(
        default=10, ge=0, description="passes over the training data; 0 skips the stage"
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="the highest; see warmup")
    optimizer: Literal["adam", "sgd"] = Field(
        default="adam", description="adam, or sgd with momentum 0.9"
    )
    warmup: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="share of the time in which the rate rises; then it falls to 0",
    )
    weight_decay: float = Field(default=0.0, ge=0, description="L2 penalty, of the optimizer")
    l1: float = Field(default=0.0, ge=0, description="L1 penalty on weights, per weight")
    distill: Density = Field(
        default=0.5,
        description="share of the loss that is distance to the outputs of the float network",
    )
    temperature: float = Field(
        default=2.0, gt=0, description="of that distance; targets must be classes"
    )
    noise: float = Field(
        default=0.0, ge=0, description="standard deviation of normal noise added to inputs"
    )


class Prune(Phase):
    """Which weights go, and how fast."""

    density: Density = Field(
        default=0.1, gt=0, description="share of weights that stay, in every layer"
    )
    layers: _ByLayer[Density] = Field(
        default={}, description="the same, layer by layer: by name, or one for each in order"
    )
    sensitivity: bool = Field(
        default=False,
        description="choose densities by sensitivity, scaled so that their mean is density",
    )
    ramp: float = Field(
        default=0.6, gt=0, le=1, description="share of the time in which density falls"
    )
    rounds: int = Field(
        default=60, ge=1, description="times that weights are pruned on the way; 1: at once"
    )
    granularity: Granularity = Field(
        default="fine",
        description="what stays or goes together: one weight, a vector, a kernel, a filter",
    )
    balance_pes: int = Field(
        default=0,
        ge=0,
        le=256,
        description="keep equally many weights in the rows of each of N PEs; 0: no",
    )


class Share(_Section):
    """How weights are clustered."""

    codes: _Codes = Field(
        default=15, description="values per layer besides 0; 15 fit codes of 4 bits"
    )
    layers: _ByLayer[_Codes] = Field(
        default={}, description="the same, layer by layer: by name, or one for each in order"
    )
    init: Init = Field(
        default="linear",
        description="where centroids start: linear over the range, density, or forgy",
    )


class Ttq(Phase):
    """Trained ternary quantization, in place of pruning and sharing."""

    threshold: float = Field(
        default=0.05, ge=0, lt=1, description="weights below this times the largest go"
    )


class Dsd(Phase):
    """Dense-sparse-dense training of the float network, before anything else."""

    epochs: int = Field(
        default=0, ge=0, description="of the sparse and of the dense phase each; 0 skips it"
    )
    density: Density = Field(
        default=0.5, description="share of weights that stay in the sparse phase"
    )
    dense_rate: float = Field(
        default=0.1, gt=0, description="rate of the dense phase, of learning_rate"
    )


class Analyze(_Section):
    """Sensitivity of each layer to pruning, without retraining."""

    densities: list[Density] = Field(
        default=[0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01],
        description="tried in each layer",
    )
    batches: int = Field(
        default=40, ge=1, description="of training data that losses are measured on"
    )
    tolerance: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="loss of accuracy (0 to 1) that one layer alone may cause",
    )


class Auto(_Section):
    """What ``compress auto`` aims at; without targets it takes the densities once."""

    max_error_increase: float | None = Field(
        default=None, description="points of error that may be lost, as 0.2; none: any"
    )
    target_ratio: float | None = Field(
        default=None,
        gt=0,
        description="times that the file must be smaller than 4 bytes a parameter",
    )
    attempts: int = Field(default=4, ge=1, description="densities tried to reach the targets")


class Config(_Section):
    """Everything."""

    flow: Flow = Field(default="deep-compression", description="deep-compression, or ttq")
    seed: int = Field(
        default=0, ge=0, description="of initial weights, order of samples, augmentation"
    )
    half_rest: bool = Field(
        default=True, description="round biases and what else is not shared to 16 bits"
    )
    train: Phase = Field(
        default=Phase(epochs=0, distill=0.0),
        description="of the float network; a trained one needs none",
    )
    dsd: Dsd = Dsd(distill=0.0)
    analyze: Analyze = Analyze()
    prune: Prune = Prune()
    share: Share = Share()
    finetune: Phase = Phase(epochs=5, learning_rate=5e-4)
    ttq: Ttq = Ttq()
    auto: Auto = Auto()
