"""``zeroskip verify``: golden, cycle model and RTL, every word and every cycle."""

from typing import Annotated

import typer

from zeroskip.cli.files import read_npy
from zeroskip.cli.options import ImageArgument, InputOption, JsonOption, LengthsOption
from zeroskip.cli.output import Steps, print_json, print_report
from zeroskip.compiler.image.image import load
from zeroskip.sim.metrics import RunMetrics, measure
from zeroskip.sim.report import is_exact, verify_document, verify_report
from zeroskip.sim.verify import VerifyResult, verify

__all__ = ["EXAMPLES", "print_verification", "verify_image"]

EXAMPLES = """Examples:

zeroskip verify out/model --input x.npy

zeroskip verify out/model --input x.npy --json

zeroskip verify out/cnn --input x.npy --layer conv1 --layer fire2.squeeze
"""


def verify_image(
    image: ImageArgument,
    inputs: InputOption,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this layer, on golden's activations: to verify a long network in pieces. "
            "May be given several times. Layers that share a run of the array with it are "
            "verified, too.",
        ),
    ] = None,
    lengths: LengthsOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run inputs on golden, cycle model and RTL; compare every word and every cycle counter.

    Exits with 1 if a word or a counter differs, or the hardware does not come to an end.
    """
    compiled = load(image)
    x = read_npy(inputs, "input")
    given = None if lengths is None else read_npy(lengths, "lengths")
    with Steps() as steps:
        result = verify(compiled, x, lengths=given, layers=layer or (), progress=steps)
    metrics = measure(result)
    if as_json:
        print_json({"image": str(image), **verify_document(result, metrics)})
    else:
        print_verification(result, metrics)
    return int(not is_exact(result, metrics))


def print_verification(result: VerifyResult, metrics: RunMetrics) -> None:
    """Print all tables, and last what the comparison says."""
    print_report(verify_report(result, metrics))
