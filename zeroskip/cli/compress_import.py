"""``zeroskip compress import``: networks compressed elsewhere, to a ``.zsk`` file."""

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import InputError
from zeroskip.base.staging import check_output_file
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import others_to_stderr, print_json, print_report

__all__ = ["EXAMPLES", "compress_import"]

EXAMPLES = """Examples:

zeroskip compress import pruned.safetensors -o pruned.zsk

zeroskip compress import checkpoint.pt --hooks hooks.py -o model.zsk

zeroskip compress import compressed_SqueezeNet.net --layers squeezenet -o squeezenet.zsk
"""


def compress_import(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A state dict (.safetensors, or torch.save), with zeros, shared values or masks "
            "of torch.nn.utils.prune; or a .net file of Deep Compression's authors.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="X.zsk", help="The file to write.")
    ],
    hooks: Annotated[
        Path | None,
        typer.Option(metavar="HOOKS.py", help="A Python file with model(), which is run."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="L",
            help="Of a .net file: alexnet, squeezenet, or shapes like conv1:20x1x5x5,ip1:10x500.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take a network that was pruned or clustered elsewhere as it is, and write it small.

    With --hooks the tensors are put into its model(), and the file carries the graph.
    """
    check_output_file(output)
    if output.suffix != ".zsk":
        raise InputError(f"the file must end in .zsk, not {output.name!r}")
    if file.suffix == ".net" and layers is None:
        raise InputError(".net files have neither names nor shapes: give them with --layers")
    import torch

    from zeroskip.compiler.compress.hooks import load_hooks
    from zeroskip.compiler.compress.import_net import parse_layers, read_net
    from zeroskip.compiler.compress.pack import pack, pack_state
    from zeroskip.compiler.compress.prepare import Network
    from zeroskip.compiler.compress.state_files import read_state
    from zeroskip.compiler.compress.tables import sizes_report

    if file.suffix == ".net":
        arrays = read_net(file, parse_layers(layers or ""))
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    else:
        state = read_state(file)
    if hooks is None:
        report = pack_state(state, output, meta={"source": file.name})
    else:
        with others_to_stderr():
            task = load_hooks(hooks)
            module = Network(task).holding(state, str(file))
            report = pack(module, output, task.example(), {"source": file.name})
    if as_json:
        print_json({"model": str(output), **report.to_dict()})
        return
    print_report([*sizes_report(report), f"written to {output}"])
