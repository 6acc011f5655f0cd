"""``zeroskip compress evaluate``: what a ``.zsk`` file does on test data, float and fixed point."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zeroskip.cli.arrays import Arrays, EnginesOption, PresetOption, SetOption, choose_arrays
from zeroskip.cli.compress_options import SourceOptions, with_fields
from zeroskip.cli.compress_run import Training, task_given
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import print_json, print_line
from zeroskip.compiler.api import compile_any
from zeroskip.compiler.frontend.zsk import import_zsk

if TYPE_CHECKING:
    from zeroskip.compiler.compress.task import Task

__all__ = ["EXAMPLES", "compress_evaluate"]

EXAMPLES = """Examples:

zeroskip compress evaluate out/bench/lenet300/model.zsk --task lenet300 --data mnist --golden

zeroskip compress evaluate out/bench/lenet5/model.zsk --task lenet5 --data mnist --golden

zeroskip compress evaluate model.zsk --hooks hooks.py
"""


@with_fields(SourceOptions)
def compress_evaluate(
    file: Annotated[Path, typer.Argument(metavar="MODEL.zsk", help="Written by compress.")],
    options: SourceOptions,
    engine: EnginesOption = None,
    preset: PresetOption = None,
    settings: SetOption = None,
    golden: Annotated[
        bool,
        typer.Option("--golden", help="Also in fixed point, as the arrays compute, all inputs."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Decompress a file, put it into a fresh network, and measure it on the test data.

    With --golden it is compiled, its formats chosen on training data, and every test input goes
    through the integer models, convolutions included.
    """
    arrays = choose_arrays(preset, settings, meant=engine)
    with Training() as training:
        training.print("import torch")
        from zeroskip.compiler.compress.pack import state_of_zsk
        from zeroskip.compiler.compress.prepare import Network
        from zeroskip.compiler.compress.task import evaluate

        state = state_of_zsk(file)
        task = task_given(options)
        score = evaluate(Network(task).holding(state, str(file)), task)
        training.print(f"float: error {score.error:.4g} on {score.samples} inputs")
        fixed, bits = _golden(file, task, arrays) if golden else (None, 0)
    document: dict[str, Any] = {
        "model": str(file),
        "bytes": file.stat().st_size,
        "samples": score.samples,
        "error": score.error,
        "golden_error": fixed,
    }
    if as_json:
        print_json(document)
        return
    print_line(f"{file}: {document['bytes']} bytes, {score.samples} test inputs")
    print_line(f"error, float: {score.error:.4g}")
    if fixed is not None:
        print_line(f"error, {bits}-bit fixed point (golden): {fixed:.4g}")


def _golden(model: Path, task: "Task", arrays: Arrays) -> tuple[float, int]:
    """Return the error in fixed point, and the bits of an activation."""
    from zeroskip.compiler.compress.task import evaluate
    from zeroskip.sim.fixed_module import FixedPoint

    calibration = task.training().first()[0].numpy()
    image = compile_any(
        import_zsk(model),
        calibration,
        [array.free_params for array in arrays.values()],
        options=arrays.options(arrays),
        name=model.stem,
    )
    return evaluate(FixedPoint(image), task).error, image.act_bits
