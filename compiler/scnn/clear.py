"""Check that stored zeros outside of the plane never reach an output inside."""

from dataclasses import replace

import numpy as np

from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.geometry import kernel_pieces, phase_taps, sample_regions
from zeroskip.compiler.scnn.layer import LayerPlan
from zeroskip.compiler.scnn.tiles import stored_places
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["keeps_clear"]


def keeps_clear(
    conv: QuantConv, plan: LayerPlan, params: ScnnParams, *, whole: bool = False
) -> bool:
    """Tell if a layer that looks at zeros sees only those that are in the plane, which must fit.

    A maximum of inputs that may be negative takes zeros as they are stored. All of the plane is
    then stored; but where tiles stick out of it, long runs store zeros that no one means.

    Parameters
    ----------
    conv, plan, params : the layer, how it is computed, and the array.
    whole : all rows and columns of the plane are there, also those that no output needs.
    """
    if conv.op != "max" or not conv.signed_input:
        return True
    return all(
        _piece_keeps_clear(piece, plan, params, whole=whole)
        for _, piece in kernel_pieces(conv, plan.kernel_step)
    )


def _piece_keeps_clear(
    conv: QuantConv, plan: LayerPlan, params: ScnnParams, *, whole: bool
) -> bool:
    sy, sx = conv.stride
    for region in sample_regions(conv, plan.region_h, plan.region_w):
        if whole:
            _, rows, columns = conv.in_shape
            region = replace(region, in_height=rows, in_width=columns)
        layout = plan.mapping.layout(region, conv.stride, dense=True)
        phase = layout.walk_h // sy * (layout.walk_w // sx)
        if -(-phase // params.mult_i) * sy * sx > params.act_words:
            return False  # A PE cannot hold even one channel of it.
        stored = stored_places(params, layout)
        stored[: region.in_height, : region.in_width] = False
        phases = phase_taps(conv.weight.shape[2:], conv.stride, region.padding)
        for phase, taps in enumerate(phases):
            places = np.argwhere(stored[phase // sx :: sy, phase % sx :: sx])
            for tap in taps:
                y, x = places[:, 0] + tap.dy, places[:, 1] + tap.dx
                inside = (y >= 0) & (y < region.height) & (x >= 0) & (x < region.width)
                if inside.any():
                    return False
    return True
