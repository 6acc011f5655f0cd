"""The smallest tiles with which a block of SCNN's PEs holds regions of a layer."""

from collections.abc import Sequence

from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.geometry import Region, reach

__all__ = ["least_tile"]


def least_tile(
    conv: QuantConv, regions: Sequence[Region], block: tuple[int, int]
) -> tuple[int, int]:
    """Find the fewest outputs (rows, columns) of a PE with which a block holds each region.

    A PE must hold its outputs and its inputs, and only its next neighbours may reach it.

    Parameters
    ----------
    conv : the layer.
    regions : of its plane.
    block : PEs down and across.
    """
    found: list[int] = []
    for axis in (0, 1):
        kernel, stride = conv.weight.shape[2 + axis], conv.stride[axis]
        found.append(
            max([
                1,
                *(
                    bound
                    for region in regions
                    for bound in (
                        -(-(region.height, region.width)[axis] // block[axis]),
                        -(-(region.in_height, region.in_width)[axis] // (block[axis] * stride)),
                        *(reach(kernel, stride, region.padding[axis]) if block[axis] > 1 else ()),
                    )
                ),
            ])
        )
    return found[0], found[1]
