"""Read a user's network, and data, as functions of a Python file, which is run."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.task import Task
from zeroskip.compiler.compress.users_code import running

__all__ = ["example_task", "load_hooks", "load_maker"]

_REQUIRED = ("model", "train_loader", "test_loader")


def load_hooks(path: Path | str) -> Task:
    """Read a Python file with ``model()``, ``train_loader()``, ``test_loader()``.

    It may also have ``loss(outputs, targets)``. The file is run: it is the user's own program. As
    for a script, its folder is the first in which it finds modules, from now on.

    Raises
    ------
    InputError
        If the file cannot be run, or a function is missing or takes other arguments.
    """
    path, module = _run(path, "hook file")
    missing = [name for name in _REQUIRED if not callable(getattr(module, name, None))]
    if missing:
        raise InputError(
            f"hook file {path} has no {' and no '.join(f'{name}()' for name in missing)}; it needs "
            f"{', '.join(f'{name}()' for name in _REQUIRED)}"
        )
    for name in _REQUIRED:
        _check_arguments(getattr(module, name), f"{path}: {name}()", ())
    loss = _loss(module, path)
    return Task(path.stem, module.model, module.train_loader, module.test_loader, loss, path)


def load_maker(place: str) -> tuple[Callable[[], Any], Path]:
    """Read ``FILE.py:NAME``, what makes a network or is one; return a maker and the whole path.

    Raises
    ------
    InputError
        As for :func:`load_hooks`.
    """
    file, _, name = place.rpartition(":")
    path, module = _run(file, "model file")
    maker = getattr(module, name, None)
    if isinstance(maker, nn.Module):
        return (lambda made=maker: made), path
    if not callable(maker):
        raise InputError(f"model file {path} has no function, class or network {name!r}")
    _check_arguments(maker, f"{path}: {name}()", ())
    return maker, path


def example_task(place: str, shape: Sequence[int]) -> Task:
    """Return a task that has a network and an input of zeros, and no data to train with.

    Parameters
    ----------
    place : ``FILE.py:NAME``, see :func:`load_maker`.
    shape : of an input.

    Raises
    ------
    InputError
        As :func:`load_maker`.
    """
    if ":" not in place:
        raise InputError(f"the network must be FILE.py:NAME, as net.py:Net, not {place!r}")
    maker, path = load_maker(place)

    def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(torch.zeros(1, *shape), torch.zeros(1, dtype=torch.int64))]

    return Task(path.stem, maker, batches, batches, None, path)


def _loss(module: ModuleType, path: Path) -> Any:
    """Return the file's own loss, or None if it has none."""
    loss = getattr(module, "loss", None)
    if loss is None:
        return None
    if not callable(loss):
        raise InputError(
            f"{path}: loss must be a function of outputs and targets, not {type(loss).__name__}; "
            "rename it if it is something else"
        )
    _check_arguments(loss, f"{path}: loss()", ("outputs", "targets"))
    return loss


def _run(path: Path | str, what: str) -> tuple[Path, Any]:
    """Run a user's file as a module; return its whole path and the module."""
    path = Path(path)
    if not path.is_file():
        why = "is a folder; name the Python file in it" if path.is_dir() else "does not exist"
        raise InputError(f"{what} {path} {why}")
    path = path.absolute()
    # Under its own name, processes of data loaders find what is in it again.
    name, folder = path.stem, str(path.parent)
    known = sys.modules.get(name)
    if not name.isidentifier() or (known is not None and not hasattr(known, "__zeroskip_hooks__")):
        name = f"zeroskip_hooks_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{what} {path} must be Python and end in .py")
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__zeroskip_hooks__"] = True
    sys.modules[name] = module
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    with running(f"{what} {path}", path):
        spec.loader.exec_module(module)
    return path, module


def _check_arguments(function: Callable[..., Any], what: str, names: tuple[str, ...]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # Written in C: calling it will tell.
    try:
        signature.bind(*names)
    except TypeError as error:
        given = " and ".join(names) or "no arguments"
        raise InputError(f"{what} must take {given}, but is {signature}: {error}") from error
