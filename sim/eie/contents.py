"""Compare what EIE's SRAMs say with the network, whatever the inputs are."""

from zeroskip.base.errors import ZeroskipError
from zeroskip.compiler.eie.engine import EiePart
from zeroskip.compiler.eie.program import build
from zeroskip.sim.contents import compare_files, different_numbers
from zeroskip.sim.eie.decode import decode
from zeroskip.sim.eie.loadings import image_loadings

__all__ = ["eie_problems"]


def eie_problems(part: EiePart, folder: str, most: int = 10) -> tuple[str, ...]:
    """Say where the SRAMs of a part say something else than its layers.

    Parameters
    ----------
    part : of a compiled network.
    folder : of the part, in the image.
    most : words that are listed.

    Returns
    -------
    Sentences, with file, word and layer; none if codes, runs, pointers, codebooks, biases and
    descriptors are those of the network. Words that no pass reads may hold anything.
    """
    found: list[str] = []
    wrong: set[int] = set()
    try:
        decoded = decode(image_loadings(part), part.params, part.placement)
    except (ValueError, IndexError, KeyError) as error:
        found.append(f"the SRAMs hold no program of the network: {error}")
    else:
        for number, (made, layer) in enumerate(zip(decoded, part.layers, strict=True)):
            pairs = {
                "weights": (made.codes.toarray(), layer.codes.toarray()),
                "weights of the codebook": (made.codebook, layer.codebook),
                "biases": (made.bias, layer.bias),
                "shifts": (made.shift, layer.shift),
                "ReLUs": (made.relu, layer.relu),
            }
            if differ := different_numbers(layer.name, pairs):
                found += differ
                wrong.add(number)
    if not found:
        return ()
    try:
        segments = build(part.graph, part.placement, part.params)
    except ZeroskipError:
        return tuple(found)
    again = [segment.srams for segment in segments]
    passes = [segment.passes for segment in part.segments]
    names = [layer.name for layer in part.layers]
    return (*found, *compare_files(folder, part.loads, again, passes, names, wrong, most))
