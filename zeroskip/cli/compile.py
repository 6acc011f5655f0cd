"""``zeroskip compile``: a model to an image."""

from pathlib import Path
from typing import Annotated, Any

import typer
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress
from zeroskip.cli.arrays import Arrays, EnginesOption, PresetOption, SetOption, choose_arrays
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import JsonOption, OutputNameOption
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.compiler.api import compile_any
from zeroskip.compiler.frontend.networks import import_file
from zeroskip.compiler.frontend.zsk import import_zsk
from zeroskip.compiler.image.files import check_target
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.image.tables import image_report
from zeroskip.compiler.ir.graph import FloatGraph
from zeroskip.compiler.passes.partition import partition
from zeroskip.sim.info import describe_arrays

__all__ = ["EXAMPLES", "compile_for", "compile_model"]

EXAMPLES = """Examples:

zeroskip compile model.pt2 --data x.npy -o out/model

zeroskip compile model.onnx --data x.npy -o out/model --preset best --set num_pes=16

zeroskip compile cnn.pt2 --data x.npy -o out/cnn --preset scnn=paper --set act_bits=8 --share
"""


def compile_model(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A .pt2 file (of torch.export), .onnx, .keras, .caffemodel, or .zsk.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="X.npy",
            help="Samples like those of real use, floats (samples, *input shape): fixed-point "
            "formats are chosen, and errors measured, on them.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the image; one is replaced."),
    ],
    engine: EnginesOption = None,
    preset: PresetOption = None,
    settings: SetOption = None,
    graph: Annotated[
        Path | None,
        typer.Option(metavar="G.pt2", help="The network of a .zsk file that carries no graph."),
    ] = None,
    output_name: OutputNameOption = None,
    share: Annotated[
        bool,
        typer.Option(
            "--share", help="Cluster weights that have more values than a codebook holds."
        ),
    ] = False,
    delta: Annotated[
        float | None,
        typer.Option(
            metavar="THRESHOLD",
            help="Recurrent layers multiply only by changes larger than this, from step to step, "
            "and keep their sums; 0: by all changes, with the same outputs as without.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the image; else that of the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compile a network to an image: fixed point, placement, SRAM contents, program.

    Each layer is for an engine that computes such layers, one named by --engine, --preset or --set
    before others. Where none gives an array, the network chooses what it can: the report says what.
    """
    arrays = choose_arrays(preset, settings, meant=engine)
    check_target(output.resolve(), replace=True)
    samples = read_npy(data, "calibration")
    with Steps() as steps:
        image = compile_for(
            arrays,
            model,
            samples,
            graph=graph,
            output_name=output_name,
            share=share,
            delta=delta,
            name=name or model.stem,
            progress=steps,
        )
        image.save(output, progress=lambda done, total: steps("write files", done, total))
    if as_json:
        print_json({"image": str(output), "name": image.name, "report": image.report})
        return
    print_report(image_report(image))
    for sentence in image.report.get("chosen", ()):
        print_line(f"chosen: {sentence}")
    for sentence in image.report.get("notes", ()):
        print_line(f"note: {sentence}")
    for sentence in image.report.get("many_runs", ()):
        print_line(f"many runs: {sentence}")
    print_line(f"image {image.name!r} for {describe_arrays(image)} in {output}")


def compile_for(
    arrays: Arrays,
    model: Path,
    samples: NDArray[Any],
    *,
    graph: Path | None = None,
    output_name: str | None = None,
    share: bool = False,
    delta: float | None = None,
    name: str,
    progress: Progress,
) -> Image:
    """Compile the network of a file for arrays as options choose them.

    Parameters
    ----------
    arrays : for all engines; those that the network needs are taken.
    model, samples, graph, output_name, share, delta, name : those of the command.
    progress : see :data:`.Progress`.

    Raises
    ------
    InputError
        If an array was named that the network has no layers for, or a file is unusable.
    CompileError
        If the network is not of the supported kind, or does not fit the arrays.
    """
    progress("read the model", 0, 1)
    network = _read(model, graph, samples.shape[1:], output_name)
    progress("read the model", 1, 1)
    used = _used(arrays, network, model)
    return compile_any(
        network,
        samples,
        [arrays[engine].free_params for engine in sorted(used)],
        share=share,
        delta=delta,
        options=arrays.options(used),
        name=name,
        progress=progress,
    )


def _read(
    model: Path, graph: Path | None, shape: tuple[int, ...], output_name: str | None
) -> FloatGraph:
    if graph is None:
        return import_file(model, shape, output_name)
    if model.suffix != ".zsk":
        raise InputError(f"--graph goes with a .zsk file, and {model.name} is none")
    return import_zsk(model, graph, output_name)


def _used(arrays: Arrays, network: FloatGraph, model: Path) -> set[str]:
    """Return the engines of a network's layers, those named before others; refuse the rest."""
    used = set(partition(network, sorted(arrays.named)).values())
    for engine in sorted(arrays.named - used):
        raise InputError(
            f"{model.name} has no layers for {engine}: leave its --engine, --preset and --set out"
        )
    return used
