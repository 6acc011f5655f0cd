"""``zeroskip decompress``: from ``model.zsk`` back to plain tensors."""

import hashlib
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from zeroskip.base.errors import InputError
from zeroskip.base.staging import check_output_file
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import print_json, print_line, print_table
from zeroskip.compiler.compress.zsk import load

__all__ = ["EXAMPLES", "decompress_model"]

EXAMPLES = """Examples:

zeroskip decompress out/bench/lenet300/model.zsk -o lenet300.safetensors

zeroskip decompress model.zsk -o model.npz
"""


def decompress_model(
    model: Annotated[Path, typer.Argument(metavar="MODEL.zsk", help="Written by compress.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="X",
            help="The state dict: .safetensors, .pt (torch.save), or .npz, which needs NumPy only.",
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Give back the state dict of a compressed network, bit for bit."""
    check_output_file(output)
    if output.suffix not in (".safetensors", ".pt", ".npz"):
        raise InputError(f"the file must end in .safetensors, .pt or .npz, not {output.name!r}")
    container = load(model)
    arrays, dtypes = container.arrays(), container.dtypes()
    _write(output, model, arrays)
    rows = [
        {
            "name": name,
            "shape": list(array.shape),
            "dtype": dtypes[name],
            "nonzero": int(np.count_nonzero(array)),
            "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        }
        for name, array in arrays.items()
    ]
    if as_json:
        print_json({"output": str(output), "meta": container.meta, "tensors": rows})
        return
    print_table(
        f"Tensors of {model}",
        ["name", "shape", "type", "non-zero", "SHA-256"],
        [
            [
                r["name"], " x ".join(map(str, r["shape"])), r["dtype"], r["nonzero"],
                r["sha256"][:16],
            ]
            for r in rows
        ],
    )  # fmt: skip
    print_line(f"state dict in {output}")


def _write(output: Path, model: Path, arrays: dict[str, np.ndarray]) -> None:
    draft = output.with_name(f".{output.name}.draft{output.suffix}")
    try:
        if output.suffix == ".npz":
            np.savez(draft, allow_pickle=False, **arrays)
        else:
            import torch

            from zeroskip.compiler.compress.pack import state_of_zsk

            state = state_of_zsk(model)
            if output.suffix == ".pt":
                torch.save(state, draft)
            else:
                from safetensors.torch import save_file

                save_file(state, draft)
        draft.replace(output)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
