"""``zeroskip verify``: golden, cycle model and RTL, every word and every cycle."""

from typing import Annotated

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.cnn_run import cnn_verify_document, print_cnn_verification
from zeroskip.cli.eie_run import is_exact, print_clipped, print_moves, verify_document
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import ImageArgument, InputOption, JsonOption
from zeroskip.cli.output import Steps, print_json, print_line
from zeroskip.cli.tables import print_metrics
from zeroskip.compiler.scnn.image import CnnImage, load_image
from zeroskip.sim import VerifyResult, verify
from zeroskip.sim.eie.metrics import RunMetrics, measure
from zeroskip.sim.scnn.metrics import measure_cnn
from zeroskip.sim.scnn.part import verify_layers
from zeroskip.sim.scnn.verify import verify_cnn

__all__ = ["EXAMPLES", "verdict", "verify_image"]

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
            help="Of a network with convolutions, only this layer, on golden's activations: to "
            "verify a long network in pieces. May be given several times. Layers that share a run "
            "of the array with it are verified, too; of Linear layers, all.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Run inputs on golden, cycle model and RTL; compare every word and every cycle counter.

    Exits with 1 if a word or a counter differs, or the hardware does not come to an end.
    """
    compiled = load_image(image)
    if layer and not isinstance(compiled, CnnImage):
        raise InputError(f"{image} has no convolutions: its layers are verified all together")
    x = read_npy(inputs, "input")
    if isinstance(compiled, CnnImage):
        with Steps() as steps:
            if layer:
                cnn_result = verify_layers(compiled, x, layer, progress=steps)
            else:
                cnn_result = verify_cnn(compiled, x, progress=steps)
        cnn_metrics = measure_cnn(compiled, x, cnn_result)
        if as_json:
            print_json(cnn_verify_document(image, compiled, cnn_result, cnn_metrics))
        else:
            print_cnn_verification(compiled, cnn_result, cnn_metrics)
        return int(not cnn_result.ok or bool(cnn_metrics.problems))
    with Steps() as steps:
        result = verify(compiled, x, progress=steps)
    metrics = measure(compiled, x, result)
    if as_json:
        print_json(verify_document(image, result, metrics))
    else:
        print_metrics(metrics)
        print_moves(result.rtl)
        print_clipped(result.model)
        for line in verdict(result, metrics):
            print_line(line)
    return int(not is_exact(result, metrics))


def verdict(result: VerifyResult, metrics: RunMetrics) -> list[str]:
    """Return the first differences and contradictions, and last what the comparison says."""
    lines = [str(one) for one in result.differences]
    if result.differ > len(result.differences):
        lines.append(f"... and {result.differ - len(result.differences)} differences more")
    lines += [str(one) for one in result.cycle_differences]
    lines += [*result.problems, *metrics.problems[:10]]
    lines.append(f"cycle model: {result.counters} counters compared, {result.cycles_differ} differ")
    exact = "NOT bit-exact" if result.differ or result.problems else "bit-exact"
    return [*lines, f"{exact}: {result.words} words compared, {result.differ} differ"]
