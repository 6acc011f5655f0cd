"""A compiled image's segments as the golden model's decoder reads them."""

from zeroskip.compiler.eie.engine import EiePart
from zeroskip.sim.eie.streams import Loading

__all__ = ["image_loadings"]


def image_loadings(part: EiePart) -> list[Loading]:
    """Return what the host loads and stores, run by run."""
    return [
        Loading(
            {name: sram.words for name, sram in segment.srams.items()},
            segment.load,
            segment.store,
        )
        for segment in part.segments
    ]
