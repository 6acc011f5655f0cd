"""Choose the work of a sweep: layers of the paper, or the network of an image, with inputs."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.compiler.passes.fixed_point import check_input
from zeroskip.sim.eie.benchmark.layers import EIE_LAYERS

__all__ = ["ImageWork", "PaperWork", "Work"]


@dataclass(frozen=True)
class PaperWork:
    """A layer of the EIE paper, drawn where it is needed: a name is all that is sent."""

    name: str

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the network's layers."""
        return (self.name,)

    @property
    def digest(self) -> str:
        """Digest that tells this work from other work."""
        return self.name

    def load(self) -> tuple[QuantGraph[QuantLinear], NDArray[np.float64]]:
        """Return the network and its inputs."""
        return _draw(self.name)


@dataclass(frozen=True, eq=False)
class ImageWork:
    """A network with inputs of its own.

    Parameters
    ----------
    name : of the network.
    network : in fixed point.
    x : (n, *input_shape) inputs.
    """

    name: str
    network: QuantGraph[QuantLinear]
    x: NDArray[np.float64]

    @classmethod
    def of(cls, image: Image, x: ArrayLike) -> "ImageWork":
        """Take the network out of an image.

        Raises
        ------
        InputError
            If ``x`` does not fit it.
        """
        (part,) = image.parts
        return cls(image.name, part.graph, check_input(x, image.sample_shape, "input"))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the network's layers."""
        return tuple(layer.name for layer in self.network.layers)

    @property
    def digest(self) -> str:
        """What tells this from other work: a hash of weights, formats and inputs."""
        found = hashlib.sha256()
        for layer in self.network.layers:
            formats = layer.in_frac, layer.weight_frac, layer.out_frac
            found.update(repr((layer.name, layer.shape, bool(layer.relu), *formats)).encode())
            codes = layer.codes
            for part in (codes.data, codes.indices, codes.indptr, layer.codebook, layer.bias):
                found.update(np.ascontiguousarray(part, np.int64).tobytes())
        found.update(np.ascontiguousarray(self.x).tobytes())
        return found.hexdigest()

    def load(self) -> tuple[QuantGraph[QuantLinear], NDArray[np.float64]]:
        """Return the network and its inputs."""
        return self.network, self.x


Work = PaperWork | ImageWork


# The jobs of a layer follow each other, so that one is enough.
@lru_cache(maxsize=1)
def _draw(name: str) -> tuple[QuantGraph[QuantLinear], NDArray[np.float64]]:
    return next(layer for layer in EIE_LAYERS if layer.name == name).draw()
