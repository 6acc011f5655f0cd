"""``zeroskip import``: what is in a file of a network, and networks without a graph to ``.zsk``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from zeroskip.base.errors import CompileError, InputError
from zeroskip.base.staging import check_output_file
from zeroskip.cli.options import JsonOption, OutputNameOption, sizes
from zeroskip.cli.output import others_to_stderr, print_json, print_line, print_report
from zeroskip.compiler.compress.found import (
    FoundLayer,
    found_document,
    found_report,
    graph_layers,
    state_layers,
)
from zeroskip.compiler.compress.keras_file import read_keras_model
from zeroskip.compiler.frontend.caffe_file import prototxt_of
from zeroskip.compiler.frontend.networks import import_pieces, import_tensors

__all__ = ["EXAMPLES", "import_file"]

EXAMPLES = """Examples:

zeroskip import model.onnx

zeroskip import pruned.safetensors --model net.py:Net --shape 1x28x28 -o pruned.zsk

zeroskip import model.keras

zeroskip import lenet.caffemodel

zeroskip import compressed_SqueezeNet.net --layers squeezenet -o squeezenet.zsk
"""

_GRAPHS = (".onnx", ".pt2", ".zsk", ".caffemodel", ".prototxt")
_KERAS = (".keras", ".h5", ".hdf5")
_WARNING = "warning: "
"""What a note begins with that a user should act on."""


def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A network (.onnx, .pt2, .zsk, .keras, .h5; .caffemodel, or .net of Deep "
            "Compression's authors, with its .prototxt beside it); a state dict (.safetensors, or "
            "torch.save), with zeros, shared values or masks of torch.nn.utils.prune; or weights "
            "of Keras alone.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="X.zsk", help="Write what has no graph of its own to a file."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:NAME",
            help="A class or function that makes the network, which is run; the tensors are put "
            "into it, and the file carries the graph.",
        ),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="CxHxW",
            help="Of a sample, as 1x28x28 or 784: with --model, or for sizes that a file leaves "
            "open.",
        ),
    ] = None,
    hooks: Annotated[
        Path | None,
        typer.Option(metavar="HOOKS.py", help="Instead of --model: a Python file with model()."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="L",
            help="Of a .net file without a prototxt: alexnet, squeezenet, or shapes like "
            "conv1:20x1x5x5,ip1:10x500.",
        ),
    ] = None,
    output_name: OutputNameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is in a file of a network, and take what was pruned or clustered as it is.

    Layers, densities, different values, and what is not supported with the way out. Nothing in the
    file is run. What has no graph, as a state dict, can be written to a .zsk file, which compile
    takes if --model or --hooks gave it one.
    """
    if output is not None:
        check_output_file(output)
        if output.suffix != ".zsk":
            raise InputError(f"the file must end in .zsk, not {output.name!r}")
    sample = sizes(shape)
    alone = file.suffix == ".net" and layers is None
    has_graph = alone or file.suffix in _GRAPHS
    if file.suffix in _KERAS and model is None and hooks is None and output is None:
        has_graph = bool(read_keras_model(file).entries)
    if (model is None) != (sample is None) and not (has_graph and model is None):
        raise InputError("--model and --shape go together: the network, and the shape of an input")
    if model is not None and hooks is not None:
        raise InputError("--model and --hooks both give the network: leave one out")
    if alone and file.is_file():
        try:
            prototxt_of(file)
        except InputError as error:
            raise InputError(f"{error}, or give layers with --layers") from error
    if has_graph:
        if output is not None:
            raise InputError(
                f"{file.name} has a graph, and compile and compress take it as it is: leave -o out"
            )
        try:
            pieces = import_pieces(file, sample, output_name)
        except CompileError:
            # What cannot be computed is no reason not to say what is in the file.
            layers_there = state_layers(import_tensors(file, sample))
            if layers_there and not as_json:
                print_report(found_report(file.name, layers_there, []))
            raise
        _say(file, graph_layers(pieces), [*pieces.refused, *pieces.notes], as_json, graph=True)
        return
    state, problems = _state(file, layers)
    if output_name is not None:
        raise InputError(
            f"--output-name goes with a file that has a graph, and {file.name} has none"
        )
    report = None if output is None else _write(file, state, output, model, sample, hooks)
    written = None if output is None or report is None else (output, report)
    _say(file, state_layers(state), problems, as_json, written)


def _state(file: Path, layers: str | None) -> tuple[dict[str, Any], list[str]]:
    """Return a file's tensors, and sentences on what in it is of no supported kind."""
    import torch

    from zeroskip.compiler.compress.import_net import parse_layers, read_net
    from zeroskip.compiler.compress.keras_file import read_keras
    from zeroskip.compiler.compress.state_files import read_state

    problems: list[str] = []
    if file.suffix == ".net":
        arrays: Any = read_net(file, parse_layers(layers or ""))
    elif file.suffix in _KERAS:
        found = read_keras(file)
        arrays, problems = found.state, list(found.problems)
    else:
        return read_state(file), problems
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, problems


def _write(
    file: Path,
    state: dict[str, Any],
    output: Path,
    model: str | None,
    sample: tuple[int, ...] | None,
    hooks: Path | None,
) -> Any:
    from zeroskip.compiler.compress.hooks import example_task, load_hooks
    from zeroskip.compiler.compress.pack import pack, pack_state
    from zeroskip.compiler.compress.prepare import Network

    meta = {"source": file.name}
    if hooks is None and model is None:
        return pack_state(state, output, meta=meta)
    notes: list[str] = []
    with others_to_stderr():
        task = load_hooks(hooks) if hooks is not None else example_task(model or "", sample or ())
        module = Network(task, on_note=notes.append).holding(state, str(file))
        report = pack(module, output, task.example(), meta, needs_graph=model is not None)
    warnings = [text.removeprefix(_WARNING) for text in notes if text.startswith(_WARNING)]
    return replace(report, warnings=(*warnings, *report.warnings))


def _say(
    file: Path,
    layers: Sequence[FoundLayer],
    problems: Sequence[str],
    as_json: bool,
    written: tuple[Path, Any] | None = None,
    *,
    graph: bool = False,
) -> None:
    """Say what was found and written, or what to do next."""
    if as_json:
        made = None
        if written is not None:
            made = {"model": str(written[0]), **written[1].to_dict()}
        print_json({"file": str(file), **found_document(layers, problems), "written": made})
        return
    print_report(found_report(file.name, layers, problems))
    if written is not None:
        from zeroskip.compiler.compress.tables import sizes_report

        print_report([*sizes_report(written[1]), f"written to {written[0]}"])
    elif graph:
        print_line(f"next: zeroskip explore {file}, or zeroskip compile {file} --data X.npy -o DIR")
    else:
        print_line(
            "next: write it with -o X.zsk; with --model FILE.py:NAME --shape CxHxW, or --hooks, "
            "compile can take that"
        )
