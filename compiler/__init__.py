"""Compiler: from a PyTorch network to an image. Works without torch on ``.pt2`` files.

Names below are imported when they are used: whoever only reads a ``.zsk`` file needs NumPy only.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compiler.api import compile, compile_pt2
    from compiler.errors import CompileError, ImageError, InputError, ZeroskipError
    from compiler.image import Image
    from hw.eie.params import EieParams

__all__ = [
    "CompileError",
    "EieParams",
    "Image",
    "ImageError",
    "InputError",
    "ZeroskipError",
    "compile",
    "compile_pt2",
]

_HOMES = {
    "CompileError": "compiler.errors",
    "EieParams": "hw.eie.params",
    "Image": "compiler.image",
    "ImageError": "compiler.errors",
    "InputError": "compiler.errors",
    "ZeroskipError": "compiler.errors",
    "compile": "compiler.api",
    "compile_pt2": "compiler.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
