"""Compile a network: from a module or a ``.pt2`` file to an image, in one call."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.eie.choose import FreeParams, choose_params
from zeroskip.compiler.eie.place import Activity, Strategy, place
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.frontend.networks import import_module, import_pt2
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import FloatGraph, FloatLinear
from zeroskip.compiler.ir.network import QuantNetwork
from zeroskip.compiler.ir.seam import check_order, split_quant
from zeroskip.compiler.ir.verify import verify_graph
from zeroskip.compiler.passes.errors import fixed_point_errors
from zeroskip.compiler.passes.partition import arithmetics
from zeroskip.compiler.passes.quantize import quantize
from zeroskip.compiler.presets import DEFAULT_PRESET, PRESETS
from zeroskip.compiler.scnn.compile import compile_quantized_cnn
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS as SCNN_PRESETS
from zeroskip.hw.scnn.params import ScnnParams

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "DEFAULT_SCNN_PRESET",
    "compile",
    "compile_any",
    "compile_pt2",
    "compile_quantized",
]

DEFAULT_SCNN_PRESET = "tile"
"""The SCNN array of networks that are compiled without one; see :data:`.PRESETS`."""


def compile(
    module: "nn.Module",
    example_input: Any,
    calibration: Any,
    params: EieParams | None = None,
    *,
    scnn: ScnnParams | None = None,
    share: bool = False,
    placement: Strategy | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> Image | CnnImage:
    """Compile a torch module.

    Parameters
    ----------
    module : of what :func:`.import_module` knows.
    example_input : (batch, *input_shape) tensor or array; only its shape matters.
    calibration : (samples, *input_shape) floats like those of real use; formats are chosen, and
        errors measured, on them.
    params : of the EIE array, obeyed as they are; unless given, those of
        ``DEFAULT_PRESET`` of its presets, with codes as wide as the values of the layers need,
        and runs as wide as suits how sparse they are: ``report["chosen"]`` says why.
    scnn : of the SCNN array, for networks with convolutions; unless given, those of
        ``zeroskip.hw.scnn.params.PRESETS["tile"]``.
    share : cluster the weights of layers that have more values than a codebook holds.
    placement : see :data:`.Strategy`; unless given, the default preset's.
    name : of the image; else the module's class.
    progress : see :data:`.Progress`.

    Returns
    -------
    An image whose ``report`` has each layer's formats, density, rounding and error; a
    :class:`CnnImage` if the network has convolutions or pooling.

    Raises
    ------
    InputError
        If an argument is unusable.
    CompileError
        If the network is not of the supported kind, or does not fit the array.
    """
    report = progress or silent
    report("read the model", 0, 1)
    network = import_module(module, example_input)
    report("read the model", 1, 1)
    return compile_any(
        network,
        calibration,
        params,
        scnn=scnn,
        share=share,
        placement=placement,
        name=name or type(module).__name__,
        progress=progress,
    )


def compile_pt2(
    path: Path | str,
    calibration: Any,
    params: EieParams | None = None,
    *,
    scnn: ScnnParams | None = None,
    share: bool = False,
    placement: Strategy | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> Image | CnnImage:
    """Compile a ``.pt2`` file (``torch.export.save``), without torch.

    Parameters and errors are those of :func:`compile`; the image is named after the file unless
    ``name`` is given.
    """
    report = progress or silent
    report("read the model", 0, 1)
    network = import_pt2(path)
    report("read the model", 1, 1)
    return compile_any(
        network,
        calibration,
        params,
        scnn=scnn,
        share=share,
        placement=placement,
        name=name or Path(path).stem,
        progress=progress,
    )


def compile_any(
    graph: FloatGraph,
    calibration: Any,
    params: EieParams | FreeParams | None = None,
    *,
    scnn: ScnnParams | None = None,
    share: bool = False,
    placement: Strategy | None = None,
    name: str,
    progress: Progress | None = None,
) -> Image | CnnImage:
    """Compile a network that a front end has read.

    Parameters and errors are those of :func:`compile`, and ``params`` can also say of which of
    its fields the network may choose.
    """
    preset, tell = PRESETS[DEFAULT_PRESET], progress or silent
    scnn, placement = scnn or SCNN_PRESETS[DEFAULT_SCNN_PRESET], placement or preset.placement
    check_order(graph)
    linear = [node for node in graph.nodes if isinstance(node, FloatLinear)]
    array, chosen = choose_params(params or FreeParams(preset.params), linear, share=share)
    tell("choose formats", 0, 2)
    widths = arithmetics(graph, array, scnn)
    rounded, numbers = quantize(graph, calibration, widths, share=share)
    verify_graph(rounded, "quantization")
    tell("choose formats", 1, 2)
    numbers = fixed_point_errors(graph, rounded, numbers, calibration, widths)
    tell("choose formats", 2, 2)
    fixed = split_quant(rounded)
    activity = tuple(numbers.activity.values())
    report = {"quantization": numbers.to_dict(), **_chosen(chosen)}
    if isinstance(fixed, QuantNetwork):
        return compile_quantized(
            fixed,
            array,
            placement=placement,
            name=name,
            activity=activity,
            report=report,
            progress=progress,
        )
    return compile_quantized_cnn(
        fixed,
        scnn,
        array if activity else None,
        placement=placement,
        name=name,
        densities=numbers.densities,
        activity=activity,
        report=report,
        progress=progress,
    )


def _chosen(sentences: tuple[str, ...]) -> dict[str, list[str]]:
    """Return what a report has of what was chosen."""
    return {"chosen": list(sentences)} if sentences else {}


def compile_quantized(
    network: QuantNetwork,
    params: EieParams,
    *,
    placement: Strategy,
    name: str,
    activity: Activity | None = None,
    report: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Image:
    """Compile a network that is in fixed point already.

    Parameters
    ----------
    network : see :class:`.QuantNetwork`.
    params, placement, name, progress : as for :func:`compile`.
    activity : see :func:`.place`.
    report : more to go into the image's report.

    Raises
    ------
    CompileError
        If the network does not fit the array.
    """
    tell = progress or silent
    tell("place", 0, 1)
    positions = place(network, params, placement, activity)
    tell("place", 1, 1)
    segments = build(network, positions, params, lambda done, total: tell("encode", done, total))
    return Image(
        name=name,
        params=params,
        network=network,
        placement=positions,
        segments=segments,
        report={**(report or {}), "placement": placement},
    )
