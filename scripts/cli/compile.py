"""``zeroskip compile``: a model to an image."""

from pathlib import Path
from typing import Annotated, Any

import typer

from compiler import EieParams, Image
from compiler.api import compile_network
from compiler.eie.place import Strategy
from compiler.errors import InputError
from compiler.frontend import import_pt2
from compiler.frontend_zsk import import_zsk
from compiler.image_files import check_target
from compiler.network import FloatNetwork
from scripts.cli.files import read_npy
from scripts.cli.options import JsonOption, with_params
from scripts.cli.output import Steps, print_json, print_line, print_table

__all__ = ["EXAMPLES", "compile_model", "print_formats"]

EXAMPLES = """Examples:

zeroskip compile model.pt2 --calibration x.npy -o out/model

zeroskip compile model.pt2 --calibration x.npy -o out/model --pes 16 --placement balance

zeroskip compile model.pt2 --calibration x.npy -o out/model --preset best

zeroskip compile model.pt2 --calibration x.npy -o out/model --share --json

zeroskip compile model.zsk --calibration x.npy -o out/model
"""


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
    params: EieParams,
    placement: Strategy,
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
    """Compile a network to an image: fixed point, placement, SRAM contents, program."""
    check_target(output.resolve(), replace=True)
    samples = read_npy(calibration, "calibration")
    with Steps() as steps:
        steps("read the model", 0, 1)
        network = _read(model, graph)
        steps("read the model", 1, 1)
        image = compile_network(
            network,
            samples,
            params,
            share=share,
            placement=placement,
            name=name or model.stem,
            progress=steps,
        )
        image.save(output, progress=lambda done, total: steps("write files", done, total))
    if as_json:
        print_json({"image": str(output), "name": image.name, "report": image.report})
        return
    print_formats(image)
    print_line(f"image {image.name!r} for {params.num_pes} PEs in {output}")


def _read(model: Path, graph: Path | None) -> FloatNetwork:
    if model.suffix == ".zsk":
        return import_zsk(model, graph)
    if graph is not None:
        raise InputError(f"--graph goes with a .zsk file, and {model.name} is none")
    return import_pt2(model)


def print_formats(image: Image) -> None:
    """Print what quantization chose and lost, layer by layer."""
    quantization: Any = image.report.get("quantization")
    if not quantization:
        return
    rows: list[list[object]] = []
    for layer in quantization["layers"]:
        error = layer["error"] or {}
        snr = error.get("snr_db")
        rows.append([
            layer["name"],
            f"{layer['rows']} x {layer['cols']}",
            f"{100 * layer['density']:.1f} %",
            f"{layer['values']}{' (clustered)' if layer['clustered'] else ''}",
            layer["rounded_to_zero"],
            layer["in_frac"],
            layer["weight_frac"],
            layer["out_frac"],
            layer["shift"],
            layer["acc_bits_needed"],
            f"{error['max_abs']:.2e}" if error else "-",
            "-" if snr is None else f"{snr:.1f}",
            error.get("saturated", "-"),
        ])
    print_table(
        f"Fixed point (errors against float on {quantization['samples']} calibration samples)",
        [
            "layer", "rows x cols", "density", "values", "to zero", "in frac", "w frac",
            "out frac", "shift", "acc bits", "max error", "SNR dB", "saturated",
        ],
        rows,
    )  # fmt: skip
