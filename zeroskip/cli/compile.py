"""``zeroskip compile``: a model to an image."""

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.files import read_npy
from zeroskip.cli.format_tables import describe_arrays, print_image_formats
from zeroskip.cli.options import JsonOption, with_params
from zeroskip.cli.output import Steps, print_json, print_line
from zeroskip.cli.scnn_options import with_scnn_params
from zeroskip.compiler.api import DEFAULT_SCNN_PRESET, compile_any
from zeroskip.compiler.eie.choose import FreeParams
from zeroskip.compiler.eie.place import Strategy
from zeroskip.compiler.frontend.networks import import_pt2
from zeroskip.compiler.frontend.zsk import import_zsk
from zeroskip.compiler.image.files import check_target
from zeroskip.compiler.ir.graph import FloatCnn
from zeroskip.compiler.ir.network import FloatNetwork
from zeroskip.hw.scnn.params import PRESETS as SCNN_PRESETS
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["EXAMPLES", "compile_model"]

EXAMPLES = """Examples:

zeroskip compile model.pt2 --calibration x.npy -o out/model

zeroskip compile model.pt2 --calibration x.npy -o out/model --pes 16 --placement balance

zeroskip compile model.pt2 --calibration x.npy -o out/model --preset best

zeroskip compile model.pt2 --calibration x.npy -o out/model --share --json

zeroskip compile model.zsk --calibration x.npy -o out/model

zeroskip compile cnn.pt2 --calibration x.npy -o out/cnn --scnn-preset paper --pes 16
"""


@with_scnn_params
@with_params
def compile_model(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="A .pt2 file (torch.export.save), or a .zsk file of compress."
        ),
    ],
    calibration: Annotated[
        Path,
        typer.Option(
            metavar="X.npy",
            help="Samples like those of real use, floats (samples, *input shape): fixed-point "
            "formats are chosen, and errors measured, on them.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the image; one is replaced."),
    ],
    params: FreeParams,
    placement: Strategy,
    scnn_params: ScnnParams | None = None,
    graph: Annotated[
        Path | None,
        typer.Option(metavar="G.pt2", help="The network of a .zsk file that carries no graph."),
    ] = None,
    share: Annotated[
        bool,
        typer.Option(
            "--share", help="Cluster weights that have more values than a codebook holds."
        ),
    ] = False,
    name: Annotated[str | None, typer.Option(help="Of the image; else that of the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compile a network to an image: fixed point, placement, SRAM contents, program.

    Convolutions and pooling are for the SCNN array, Linear layers for EIE.
    """
    check_target(output.resolve(), replace=True)
    samples = read_npy(calibration, "calibration")
    with Steps() as steps:
        steps("read the model", 0, 1)
        network = _read(model, graph)
        steps("read the model", 1, 1)
        if scnn_params is not None and isinstance(network, FloatNetwork):
            raise InputError(
                f"{model.name} has no convolutions: leave the options of the SCNN array out"
            )
        image = compile_any(
            network,
            samples,
            params,
            scnn=scnn_params or SCNN_PRESETS[DEFAULT_SCNN_PRESET],
            share=share,
            placement=placement,
            name=name or model.stem,
            progress=steps,
        )
        image.save(output, progress=lambda done, total: steps("write files", done, total))
    if as_json:
        print_json({"image": str(output), "name": image.name, "report": image.report})
        return
    print_image_formats(image)
    for sentence in image.report.get("chosen", ()):
        print_line(f"chosen: {sentence}")
    for sentence in image.report.get("many_runs", ()):
        print_line(f"many runs: {sentence}")
    print_line(f"image {image.name!r} for {describe_arrays(image)} in {output}")


def _read(model: Path, graph: Path | None) -> FloatNetwork | FloatCnn:
    if model.suffix == ".zsk":
        return import_zsk(model, graph)
    if graph is not None:
        raise InputError(f"--graph goes with a .zsk file, and {model.name} is none")
    return import_pt2(model)
