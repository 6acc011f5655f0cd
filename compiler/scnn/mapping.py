"""Define the mapping of a layer to the array."""

from dataclasses import dataclass

from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.geometry import Region, axis_needs, reach
from zeroskip.compiler.scnn.run import TileLayout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Mapping", "Room"]


@dataclass(frozen=True, kw_only=True)
class Room:
    """Rows and columns of accumulators around a tile that its inputs reach."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def of(cls, conv: QuantConv, padding: tuple[int, int]) -> "Room":
        """Find the room for a region of a layer with this padding."""
        (_, _, r, s), (sy, sx) = conv.weight.shape, conv.stride
        top, bottom = reach(r, sy, padding[0])
        left, right = reach(s, sx, padding[1])
        return cls(top=top, bottom=bottom, left=left, right=right)

    @classmethod
    def of_parts(
        cls,
        conv: QuantConv,
        region: tuple[int, int],
        kernel_step: tuple[int, int],
        block: tuple[int, int],
        *,
        spills: bool = False,
    ) -> tuple["Room", tuple[int, int], tuple[int, int]]:
        """Find the room for all regions of a plane and all parts of a kernel.

        Parameters
        ----------
        conv : the layer.
        region : outputs of a region, (down, across).
        kernel_step : rows and columns of a part of the kernel.
        block : PEs down and across.
        spills : see :func:`.axis_needs`.

        Returns
        -------
        The room, the least tile, and the most rows and columns of a phase of the inputs.
        """
        (ho, top, bottom, rows), (wo, left, right, columns) = (
            axis_needs(
                conv.weight.shape[2 + axis],
                kernel_step[axis],
                stride=conv.stride[axis],
                padding=conv.padding[axis],
                inputs=conv.in_shape[1 + axis],
                outputs=conv.out_shape[1 + axis],
                region=region[axis],
                pes=block[axis],
                spills=spills,
            )
            for axis in (0, 1)
        )
        return cls(top=top, bottom=bottom, left=left, right=right), (ho, wo), (rows, columns)


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """Mapping of a layer's outputs to PEs and accumulators; see ``docs/scnn.md``.

    Parameters
    ----------
    block_x, block_y : log2 of the PEs across and down that share a plane and a weight stream.
    wo, ho : outputs of a PE, across and down.
    kc : output channels of a group.
    k_stride, y_stride : accumulators from one output channel, and one row, to the next.
    """

    block_x: int
    block_y: int
    wo: int
    ho: int
    kc: int
    k_stride: int
    y_stride: int

    @property
    def log_kc(self) -> int:
        """Bits of an output channel's place in a block of weights."""
        return (self.kc - 1).bit_length()

    def width(self, params: ScnnParams) -> int:
        """Count the PEs of a block across."""
        return min(1 << self.block_x, params.pes_x)

    def height(self, params: ScnnParams) -> int:
        """Count the PEs of a block down."""
        return min(1 << self.block_y, params.pes_y)

    def blocks(self, params: ScnnParams) -> int:
        """Count the blocks of PEs, and so streams in use; those at the grid's edges lack PEs."""
        return -(-params.pes_x >> self.block_x) * -(-params.pes_y >> self.block_y)

    def num_streams(self, params: ScnnParams) -> int:
        """Count the streams that get weights, see :meth:`streams`."""
        return params.pes_y // self.height(params) * (params.pes_x // self.width(params))

    def streams(self, params: ScnnParams) -> tuple[int, ...]:
        """List the streams whose blocks have all their PEs; only these get weights."""
        across = -(-params.pes_x >> self.block_x)
        return tuple(
            y * across + x
            for y in range(params.pes_y // self.height(params))
            for x in range(params.pes_x // self.width(params))
        )

    def accumulators(self, room: Room) -> int:
        """Count the accumulators of a group."""
        rows, columns = self.ho + room.top + room.bottom, self.wo + room.left + room.right
        return (self.kc - 1) * self.k_stride + (rows - 1) * self.y_stride + columns

    def words(self, params: ScnnParams) -> int:
        """Count the words that the activations of a channel (phase) take if none is 0."""
        return -(-self.wo * self.ho // params.mult_i)

    def layout(self, region: Region, stride: tuple[int, int], *, dense: bool) -> TileLayout:
        """Lay the inputs of a region on a block.

        A PE without neighbours has all of them, however many outputs it makes.
        """
        tile = [self.ho * stride[0], self.wo * stride[1]]
        for axis, block in enumerate((self.block_y, self.block_x)):
            if not block:
                inputs = (region.in_height, region.in_width)[axis]
                tile[axis] = max(tile[axis], -(-inputs // stride[axis]) * stride[axis])
        return TileLayout(
            block_x=self.block_x,
            block_y=self.block_y,
            tile_h=tile[0],
            tile_w=tile[1],
            sy=stride[0],
            sx=stride[1],
            y_stride=self.y_stride,
            y0=region.in_y0,
            x0=region.in_x0,
            height=region.in_height,
            width=region.in_width,
            dense=dense,
        )

    def out_layout(self, region: Region) -> TileLayout:
        """Say where the outputs of a region lie on a block: in order, each place once."""
        return TileLayout(
            block_x=self.block_x,
            block_y=self.block_y,
            tile_h=self.ho,
            tile_w=self.wo,
            sy=1,
            sx=1,
            y_stride=self.wo,
            y0=region.y0,
            x0=region.x0,
            height=region.height,
            width=region.width,
            dense=False,
        )
