"""Follow the drain: which output of a layer a PE makes in which step."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import PassOutput, ScnnDescriptor, written_tile
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["PassMap", "map_pass", "walk"]


@dataclass(frozen=True, eq=False)
class PassMap:
    """Outputs of a pass, for every step of the drain and every PE.

    Parameters
    ----------
    tensor : name of the layer's output; None if no PE has any of it.
    channel, y, x : (steps, num_pes) int64, the element of the tensor.
    inside : (steps, num_pes) bool, there is such an element.
    outside : (steps, num_pes) bool, the output is of a channel of the layer but beyond the region,
        and must be 0. Where neither is set, anything may be.
    """

    tensor: str | None
    channel: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    inside: NDArray[np.bool_]
    outside: NDArray[np.bool_]

    def expected(self, tensor: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take what each PE must make from ``tensor``, (C, H, W): (steps, num_pes)."""
        places = (np.where(self.inside, index, 0) for index in (self.channel, self.y, self.x))
        return np.where(self.inside, tensor[tuple(places)], 0)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(steps, num_pes) bool, the output has one right value."""
        return self.inside | self.outside


def walk(descriptor: ScnnDescriptor) -> NDArray[np.int64]:
    """List what is written of a tile, outputs or maxima of windows, in the order of the drain.

    Output channels of a group one after the other; of each the phases (of the next layer's
    stride), of each phase the rows, of each row the columns.

    Returns
    -------
    (outputs, 3) int64: output channel of the pass, row and column in the tile.
    """
    d = descriptor
    channels = (d.groups - 1) * d.kc + d.kc_last
    rows, columns = map(np.arange, written_tile(d))
    plane = [
        (y, x)
        for a in range(d.out_sy)
        for b in range(d.out_sx)
        for y in rows[a :: d.out_sy]
        for x in columns[b :: d.out_sx]
    ]
    places = np.array(plane, np.int64).reshape(-1, 2)
    k = np.repeat(np.arange(channels), len(places))
    return np.column_stack([k, np.tile(places, (channels, 1))])


def map_pass(params: ScnnParams, descriptor: ScnnDescriptor, output: PassOutput) -> PassMap:
    """Find the output of the layer that each step of the drain makes in each PE.

    Raises
    ------
    ValueError
        If ``output`` does not have a block for every weight stream, or blocks of several tensors.
    """
    d = descriptor
    across = -(-params.pes_x >> d.block_x)
    blocks = across * -(-params.pes_y >> d.block_y)
    if len(output.blocks) != blocks:
        raise ValueError(f"a pass of {blocks} blocks has outputs for {len(output.blocks)}")
    tensors = {block.tensor for block in output.blocks if block.start < block.stop}
    if len(tensors) > 1:
        raise ValueError(f"a pass has outputs of {', '.join(sorted(tensors))}: there must be one")
    pe_y, pe_x = np.divmod(np.arange(params.num_pes), params.pes_x)
    block = (pe_y >> d.block_y) * across + (pe_x >> d.block_x)
    first = np.array([span.start for span in output.blocks])[block]
    end = np.array([span.stop for span in output.blocks])[block]
    k, y, x = (part[:, None] for part in walk(d).T)
    tile_h, tile_w = written_tile(d)
    y = y + (pe_y & (1 << d.block_y) - 1) * tile_h
    x = x + (pe_x & (1 << d.block_x) - 1) * tile_w
    channel = k + first
    inside = channel < end
    in_plane = (y < output.height) & (x < output.width)
    return PassMap(
        tensor=tensors.pop() if tensors else None,
        channel=channel,
        y=y + output.y0,
        x=x + output.x0,
        inside=inside & in_plane,
        outside=inside & ~in_plane,
    )
