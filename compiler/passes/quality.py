"""Say where fixed point is so far from float that results will differ."""

from collections.abc import Iterable, Mapping

from zeroskip.compiler.ir.graph import FloatConv, FloatGraph, FloatLinear
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.compiler.passes.report import LayerReport
from zeroskip.compiler.passes.share import SharedWeights, bits_for

__all__ = ["MIN_SNR_DB", "sharing_warnings", "snr_warnings"]

MIN_SNR_DB = 20.0
"""Outputs that are less than this above their error are worth a warning: at 20 dB the error is a
tenth of the signal."""


def snr_warnings(layers: Iterable[LayerReport]) -> tuple[str, ...]:
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


def sharing_warnings(
    graph: FloatGraph,
    layers: Iterable[LayerReport],
    weights: Mapping[str, SharedWeights],
    arithmetics: Mapping[str, Arithmetic],
) -> tuple[str, ...]:
    """Return a sentence about each layer that lost more of its sharing than it must.

    Parameters
    ----------
    graph : the network, before clustering.
    layers : what became of it, in fixed point.
    weights : of each convolution and Linear.
    arithmetics : of each node.
    """
    plain = {layer.name for layer in layers if not layer.codebook}
    found: list[str] = []
    for node in graph.nodes:
        if not isinstance(node, FloatConv | FloatLinear):
            continue
        shared, a = weights[node.name], arithmetics[node.name]
        wider = bits_for(shared.distinct)
        lost = None
        if shared.clustered:
            lost = f"which were clustered to {shared.values.size}"
        elif node.name in plain:
            lost = f"which no codebook of {a.max_values} holds, so that they are stored plain"
        elif not a.plain_bits and node.values is not None and wider > bits_for(node.values):
            lost = f"for which codes need {wider} bits instead of {bits_for(node.values)}"
        if lost is not None and node.values is not None and node.values <= a.max_values:
            found.append(
                f"layer {node.name!r} had {node.values} shared values, but "
                f"{', '.join(node.folded)}, folded into its weights, made them {shared.distinct}, "
                f"{lost}: fold before sharing, as zeroskip compress does"
            )
        elif shared.clustered and wider <= a.code_bits_limit:
            found.append(
                f"the {shared.distinct} values of layer {node.name!r} were clustered to "
                f"{shared.values.size}, which leaves weights {shared.snr_db:.1f} dB above their "
                f"error: code_bits = {wider} would hold all of them without error"
            )
    return tuple(found)
