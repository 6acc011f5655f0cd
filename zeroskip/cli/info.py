"""``zeroskip info``: what is in an image."""

from itertools import pairwise

from zeroskip.cli.options import ImageArgument, JsonOption
from zeroskip.cli.output import print_json, print_line, print_report
from zeroskip.compiler.image.image import load
from zeroskip.compiler.image.tables import image_report
from zeroskip.compiler.system.build import find_system
from zeroskip.sim.info import describe_image, image_document
from zeroskip.sim.system.report import bound_line, map_tables, system_document

__all__ = ["EXAMPLES", "show_image"]

EXAMPLES = """Examples:

zeroskip info out/model

zeroskip info out/model --json
"""


def show_image(image: ImageArgument, as_json: JsonOption = False) -> None:
    """Show layers, formats, use of the memories, padding and balance between PEs.

    Of an image that needs one START an inference, also its memory map, traffic and bound.
    """
    compiled = load(image)
    system = find_system(compiled)
    if as_json:
        in_memory = None if system is None else system_document(system)
        print_json({"image": str(image), **image_document(compiled), "system": in_memory})
        return
    parts = describe_image(compiled)
    shape = " x ".join(map(str, compiled.sample_shape))
    arrays = "; ".join(
        f"{len(part.graph.layers)} on {engine.upper()} ({about.array})"
        for part, (engine, about) in zip(compiled.parts, parts, strict=True)
    )
    count = len(compiled.graph.layers)
    print_line(f"image {compiled.name!r}: input {shape}, {count} layers: {arrays}")
    if len(parts) > 1:
        how = "through the host" if system is None else "through memory, without a host"
        for (source, _), (target, _) in pairwise(parts):
            print_line(f"activations go from {source.upper()} to {target.upper()} {how}")
    print_report(image_report(compiled))
    if system is not None:
        print_report([*map_tables(system), bound_line(system)])
    for _, about in parts:
        print_report([*about.tables, *about.lines])
