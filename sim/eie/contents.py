"""Compare what EIE's SRAMs say with the network, whatever the inputs are."""

from collections.abc import Mapping, Sequence

from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.eie.recurrent import is_recurrent
from zeroskip.sim.contents import Loads, different_numbers, sram_problems
from zeroskip.sim.eie.decode import decode
from zeroskip.sim.eie.decode_step import decode_step
from zeroskip.sim.eie.streams import image_loadings

__all__ = ["eie_problems"]


def eie_problems(part: EiePart, folder: str, most: int = 10) -> tuple[str, ...]:
    """Say where codes, runs, pointers, codebooks, biases and descriptors are not the network's.

    Parameters are those of :meth:`.Machine.problems`.
    """

    def read() -> Mapping[int, Sequence[str]]:
        if is_recurrent(part.graph):
            return {
                number: different_numbers(part.layers[number].name, dict(found))
                for number, found in decode_step(part).items()
            }
        decoded = decode(image_loadings(part), part.params, part.placement)
        return {
            number: different_numbers(
                layer.name,
                {
                    "weights": (made.codes.toarray(), layer.codes.toarray()),
                    "weights of the codebook": (made.codebook, layer.codebook),
                    "biases": (made.bias, layer.bias),
                    "shifts": (made.shift, layer.shift),
                    "ReLUs": (made.relu, layer.relu),
                },
            )
            for number, (made, layer) in enumerate(zip(decoded, part.layers, strict=True))
        }

    def encode() -> Loads:
        return [segment.srams for segment in build(part.graph, part.placement, part.params)]

    passes = [segment.passes for segment in part.segments]
    return sram_problems(part, folder, read, encode, passes, most)
