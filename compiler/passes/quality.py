"""Say where fixed point is so far from float that results will differ."""

from collections.abc import Iterable
from typing import Protocol

__all__ = ["MIN_SNR_DB", "MeasuredLayer", "folding_warning", "snr_warnings"]

MIN_SNR_DB = 20.0
"""Outputs that are less than this above their error are worth a warning: at 20 dB the error is a
tenth of the signal."""


class _Error(Protocol):
    @property
    def snr_db(self) -> float | None: ...


class MeasuredLayer(Protocol):
    """Interface of a layer in the report of errors, of either engine."""

    @property
    def name(self) -> str: ...

    @property
    def clustered(self) -> bool: ...

    @property
    def error(self) -> _Error | None: ...


def snr_warnings(layers: Iterable[MeasuredLayer]) -> tuple[str, ...]:
    """Return a sentence about layers whose outputs are little above their error, if there are any.

    Parameters
    ----------
    layers : in the order in which errors add up.
    """
    poor: list[str] = []
    clustered: list[str] = []
    for layer in layers:
        clustered += [repr(layer.name)] if layer.clustered else []
        snr = layer.error.snr_db if layer.error is not None else None
        if snr is not None and snr < MIN_SNR_DB:
            poor.append(f"{layer.name!r} ({snr:.1f} dB)")
    if not poor:
        return ()
    way_out = "give the array wider weight_bits or act_bits, or leave outliers out of calibration"
    if clustered:
        way_out = (
            f"clustering {', '.join(clustered)} costs the most: give codebooks more values "
            "(code_bits), or share weights with zeroskip compress, which fine-tunes them"
        )
    sentence = (
        f"outputs of {', '.join(poor)} are less than {MIN_SNR_DB:.0f} dB above their error against "
        f"float, so results may differ; {way_out}"
    )
    return (sentence,)


def folding_warning(layer: str, folded: Iterable[str], before: int, after: int, lost: str) -> str:
    """Return the sentence that folding undid the sharing of a layer's weights.

    Parameters
    ----------
    layer : its name.
    folded : names of the steps that were folded into its weights.
    before, after : different weights but 0, without and with them.
    lost : what became of them, to follow a comma.
    """
    return (
        f"layer {layer!r} had {before} shared values, but {', '.join(folded)}, folded into its "
        f"weights, made them {after}, {lost}: fold before sharing, as zeroskip compress does"
    )
