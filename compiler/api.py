"""Compile a network: from a module or a file to an image, in one call."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.engine import Engine, Job, check_options, engine
from zeroskip.compiler.frontend.networks import import_file, import_module
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import FloatGraph, QuantGraph, QuantLayer
from zeroskip.compiler.ir.verify import verify_graph
from zeroskip.compiler.passes.arithmetic import common_act_bits
from zeroskip.compiler.passes.delta import with_delta
from zeroskip.compiler.passes.errors import fixed_point_errors
from zeroskip.compiler.passes.fixed_point import sample_shape
from zeroskip.compiler.passes.partition import (
    Arrays,
    arithmetics,
    by_engine,
    default_params,
    partition,
    taker,
)
from zeroskip.compiler.passes.parts import cut
from zeroskip.compiler.passes.quantize import quantize

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Arrays", "compile", "compile_any", "compile_file", "compile_quantized"]


def compile(
    module: "nn.Module",
    example_input: Any,
    calibration: Any,
    arrays: Arrays = (),
    *,
    share: bool = False,
    delta: float | None = None,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> Image:
    """Compile a torch module.

    Parameters
    ----------
    module : layers as :func:`.import_module` takes them.
    example_input : (batch, *input_shape) tensor or array; only its shape matters.
    calibration : (samples, *input_shape) floats like those of real use; formats are chosen, and
        errors measured, on them.
    arrays : parameters of arrays, obeyed as they are, for instance ``EieParams(num_pes=4)``. What
        their engines cannot compute goes to the default presets of the others, of which a network
        may choose some parameters: ``report["chosen"]`` says which, and why.
    share : cluster the weights of layers that have more values than a codebook holds.
    delta : recurrent layers multiply only by changes, from step to step, of what they read that are
        larger than this, and keep their sums; 0 gives the same outputs as None, with which they
        multiply by all that they read.
    options : of engines, by name, for instance ``{"placement": "balance"}``; unless given, those
        of the default presets.
    name : of the image; else the module's class.
    progress : see :data:`.Progress`.

    Returns
    -------
    An image whose ``report`` has each layer's formats, density, rounding and error.

    Raises
    ------
    InputError
        If an argument is unusable.
    CompileError
        If the network is not of the supported kind, or does not fit the array.

    Examples
    --------
    >>> image = zs.compile(model, x[:1], x, zs.EieParams(num_pes=4), share=True)
    >>> image.save("out/mine")
    """
    return compile_any(
        lambda: import_module(module, example_input),
        calibration,
        arrays,
        share=share,
        delta=delta,
        options=options,
        name=name or type(module).__name__,
        progress=progress,
    )


def compile_file(
    path: Path | str,
    calibration: Any,
    arrays: Arrays = (),
    *,
    share: bool = False,
    delta: float | None = None,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
    output_name: str | None = None,
    progress: Progress | None = None,
) -> Image:
    """Compile a ``.pt2`` file (``torch.export.save``), ``.onnx`` or ``.caffemodel``, without torch.

    Parameters and errors are those of :func:`compile`; the image is named after the file unless
    ``name`` is given. ``output_name`` is the tensor that the network gives instead of all
    outputs: one of these, or any before.
    """
    return compile_any(
        lambda: import_file(path, sample_shape(calibration), output_name),
        calibration,
        arrays,
        share=share,
        delta=delta,
        options=options,
        name=name or Path(path).stem,
        progress=progress,
    )


def compile_any(
    model: FloatGraph | Callable[[], FloatGraph],
    calibration: Any,
    arrays: Arrays = (),
    *,
    share: bool = False,
    delta: float | None = None,
    options: Mapping[str, Any] | None = None,
    name: str,
    progress: Progress | None = None,
) -> Image:
    """Compile a network that a front end has read or will read; see :func:`compile`."""
    tell, given = progress or silent, by_engine(arrays)
    check_options(options or {})
    if isinstance(model, FloatGraph):
        graph = model
    else:
        tell("read the model", 0, 1)
        graph = model()
        tell("read the model", 1, 1)
    if delta is not None:
        graph = with_delta(graph, delta)
    kinds = partition(graph, list(given))
    chosen: dict[str, Any] = {}
    why: list[str] = []
    for kind in dict.fromkeys(kinds.values()):
        nodes = [node for node in graph.nodes if kinds[node.name] == kind]
        wanted = given.get(kind, default_params(kind))
        chosen[kind], sentences = engine(kind).choose(wanted, nodes, share=share)
        why += sentences
    tell("choose formats", 0, 2)
    widths = arithmetics(graph, *chosen.values())
    rounded, numbers = quantize(graph, calibration, widths, share=share)
    verify_graph(rounded, "quantization")
    tell("choose formats", 1, 2)
    numbers = fixed_point_errors(graph, rounded, numbers, calibration, widths)
    tell("choose formats", 2, 2)
    return compile_quantized(
        rounded,
        chosen,
        options=options,
        name=name,
        densities=numbers.densities,
        activity=numbers.activity,
        nonzero=numbers.nonzero,
        report={
            "quantization": numbers.to_dict(),
            **({"chosen": why} if why else {}),
            **({"delta": float(delta)} if delta is not None else {}),
            **({"notes": list(graph.notes)} if graph.notes else {}),
        },
        progress=progress,
    )


def compile_quantized(
    graph: QuantGraph[QuantLayer],
    arrays: Mapping[str, Any],
    *,
    options: Mapping[str, Any] | None = None,
    name: str,
    densities: Mapping[str, float] | None = None,
    activity: Mapping[str, NDArray[np.float64]] | None = None,
    nonzero: Mapping[str, NDArray[np.bool_]] | None = None,
    report: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Image:
    """Compile a network that is in fixed point already.

    Parameters
    ----------
    graph : the network.
    arrays : parameters by engine; an engine that is not named gets its default preset.
    options : of engines, by name; unless given, those of their default presets.
    name : of the image.
    densities : by tensor, the share of its elements that are expected not to be 0.
    activity : by Linear layer (columns,), how often each input is expected not to be 0.
    nonzero : by tensor (n, C, H, W), where it is not 0 for some inputs.
    report : more to go into the image's report.
    progress : see :data:`.Progress`.

    Raises
    ------
    CompileError
        If the network does not fit the arrays.
    """
    more = dict(report or {})
    drafts = cut(graph, lambda layer: taker(layer, list(arrays)))
    chosen = {kind: arrays.get(kind, _default(engine(kind)).params) for kind, _ in drafts}
    common_act_bits(engine(kind).arithmetic(params) for kind, params in chosen.items())
    parts: list[Any] = []
    positions: dict[str, dict[str, NDArray[np.int64]]] = {kind: {} for kind, _ in drafts}
    for kind, part in drafts:
        job = Job(
            options={**_default(engine(kind)).options, **(options or {})},
            densities=densities or {},
            activity=activity or {},
            report=more,
            progress=progress or silent,
            nonzero=nonzero or {},
            positions=positions[kind],
        )
        parts.append(engine(kind).compile(part, chosen[kind], job))
        positions[kind] |= parts[-1].positions
    made = {layer.name: layer for part in parts for layer in part.graph.layers}
    layers = tuple(made[layer.name] for layer in graph.layers)
    return Image(name, dataclasses.replace(graph, layers=layers), tuple(parts), more)


def _default(found: Engine[Any, Any]) -> Any:
    return next(iter(found.presets.values()))
