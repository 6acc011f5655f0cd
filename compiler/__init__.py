"""Compiler: from a PyTorch network to an image. Works without torch on ``.pt2`` files.

Names below are imported when they are used: whoever only reads a ``.zsk`` file needs NumPy only.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compiler.api import compile, compile_pt2
    from compiler.errors import CompileError, ImageError, InputError, ZeroskipError
    from compiler.image import Image
    from compiler.scnn.image import CnnImage, load_image
    from hw.eie.params import EieParams
    from hw.scnn.params import ScnnParams

__all__ = [
    "CnnImage",
    "CompileError",
    "EieParams",
    "Image",
    "ImageError",
    "InputError",
    "ScnnParams",
    "ZeroskipError",
    "compile",
    "compile_pt2",
    "load_image",
]

_HOMES = {
    "CnnImage": "compiler.scnn.image",
    "CompileError": "compiler.errors",
    "EieParams": "hw.eie.params",
    "Image": "compiler.image",
    "ImageError": "compiler.errors",
    "InputError": "compiler.errors",
    "ScnnParams": "hw.scnn.params",
    "ZeroskipError": "compiler.errors",
    "compile": "compiler.api",
    "compile_pt2": "compiler.api",
    "load_image": "compiler.scnn.image",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
