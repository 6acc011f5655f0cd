"""Read state dicts from files: tensors alone, nothing in a file is run."""

import contextlib
import pickletools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.importers import plain_state
from zeroskip.compiler.compress.users_code import first_words

__all__ = ["read_state"]

_WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "params",
    "weights",
)  # fmt: skip
"""Keys under which checkpoints keep the state dict, beside other things."""
_PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""
_LARGEST_PICKLE = 1 << 26
_WAY_OUT = "save the tensors alone: torch.save(module.state_dict(), ...)"


def read_state(path: Path | str) -> dict[str, torch.Tensor]:
    """Read a state dict: ``.safetensors``, or what ``torch.save`` wrote (tensors only).

    A state dict inside a checkpoint is found by its usual names, or as the only one, and names lose
    what DataParallel and torch.compile put before them. Pruning, weight norm and spectral norm are
    made permanent.

    Raises
    ------
    InputError
        If the file cannot be read, or holds anything else; names the key.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}")
    document: Any = _safetensors(path) if path.suffix == ".safetensors" else _load(path)
    keys: list[str] = []
    while isinstance(document, Mapping):
        inner = [k for k in _WRAPPERS if isinstance(document.get(k), Mapping) and document[k]]
        inner = inner or ([] if keys else _only_state(document))
        if not inner:
            break
        keys.append(inner[0])
        document = document[inner[0]]
    if not isinstance(document, Mapping) or not document:
        what = "an empty one" if isinstance(document, Mapping) else type(document).__name__
        raise InputError(f"{path} holds no state dict but {what}; {_WAY_OUT}")
    where = "".join(f"[{key!r}]" for key in keys)
    tensors: dict[str, torch.Tensor] = {}
    for name, value in document.items():
        if not isinstance(name, str):
            raise InputError(f"{path}{where}: the key {name!r} is no text; {_WAY_OUT}")
        if not isinstance(value, torch.Tensor):
            kind = type(value).__name__
            raise InputError(f"{path}{where}: {name!r} is no tensor but {kind}; {_WAY_OUT}")
        tensors[name] = _dense(path, name, value)
    return plain_state(_without_prefixes(tensors))


def _only_state(document: Mapping[Any, Any]) -> list[Any]:
    """Return the key of the only state dict in a checkpoint, which has any name of its own."""
    if any(isinstance(value, torch.Tensor) for value in document.values()):
        return []
    found = [
        key
        for key, value in document.items()
        if isinstance(value, Mapping)
        and value
        and all(isinstance(part, torch.Tensor) for part in value.values())
    ]
    return found if len(found) == 1 else []


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, RuntimeError, KeyError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {_reason(error)}") from error


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # torch raises what the part of the file that is damaged makes it raise.
        found = re.search(r"(?:GLOBAL|class|type) ([\w.]+\.\w+)", str(error))
        if found is not None and "nsupported" in str(error):
            key = _key_before(path, found[1])
            raise InputError(
                f"{path} holds {f'under {key!r} ' if key else ''}an object of {found[1]}, which "
                f"only running code from the file could make; {_WAY_OUT}"
            ) from error
        what = "is damaged, or no file of torch.save"
        names: list[str] = []
        with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
        if any(name.startswith("models/") for name in names):
            what = "is an exported program, which is compiled and compressed as it is"
        elif "constants.pkl" in names:
            what = "is a TorchScript archive, not a state dict"
        raise InputError(f"{path} {what}; {_WAY_OUT}") from error


def _key_before(path: Path, name: str) -> str:
    """Return the last text before the class ``name`` in a pickle, which is read, not run."""
    last = ""
    # Files may be damaged in any way, and this is for a message alone.
    with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith("/data.pkl") or info.file_size > _LARGEST_PICKLE:
                continue
            for opcode, argument, _ in pickletools.genops(archive.read(info)):
                if opcode.name == "GLOBAL" and str(argument).replace(" ", ".") == name:
                    return last
                if "UNICODE" in opcode.name:
                    last = str(argument)
    return ""


def _dense(path: Path, name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return ``tensor`` with all its elements side by side."""
    if tensor.is_meta:
        raise InputError(f"{path}: {name!r} is on the device 'meta', without values; save it again")
    if tensor.is_quantized:
        raise InputError(
            f"{path}: {name!r} is quantized ({str(tensor.dtype).removeprefix('torch.')}); save its "
            "dequantize()"
        )
    if tensor.is_nested:
        raise InputError(f"{path}: {name!r} is a nested tensor; save plain tensors")
    # Parameters are saved like their tensors, but may not be looked at like them.
    tensor = tensor.detach()
    if tensor.layout == torch.strided:
        return tensor
    try:
        return tensor.to_dense()
    except RuntimeError as error:
        raise InputError(
            f"{path}: {name!r} of {tuple(tensor.shape)} cannot be made dense: {_reason(error)}"
        ) from error


def _without_prefixes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Remove what all names begin with, if a wrapper put it there."""
    while True:
        for prefix in _PREFIXES:
            if all(name.startswith(prefix) for name in tensors):
                tensors = {name.removeprefix(prefix): t for name, t in tensors.items()}
                break
        else:
            return tensors


def _reason(error: Exception) -> str:
    return first_words(error) or type(error).__name__
