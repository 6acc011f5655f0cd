"""``zeroskip info``: what is in an image."""

from itertools import pairwise

from zeroskip.cli.options import ImageArgument, JsonOption
from zeroskip.cli.output import print_json, print_line, print_report
from zeroskip.compiler.image.image import load
from zeroskip.compiler.image.tables import image_report
from zeroskip.sim.info import describe_image, image_document

__all__ = ["EXAMPLES", "show_image"]

EXAMPLES = """Examples:

zeroskip info out/model

zeroskip info out/model --json
"""


def show_image(image: ImageArgument, as_json: JsonOption = False) -> None:
    """Show layers, formats, use of the memories, padding and balance between PEs."""
    compiled = load(image)
    if as_json:
        print_json({"image": str(image), **image_document(compiled)})
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
        linked = {link.first for link in compiled.links}
        for number, ((source, _), (target, _)) in enumerate(pairwise(parts)):
            how = "on the chip" if number in linked else "through the host"
            print_line(f"activations go from {source.upper()} to {target.upper()} {how}")
    print_report(image_report(compiled))
    for _, about in parts:
        print_report([*about.tables, *about.lines])
