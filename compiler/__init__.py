"""Compiler: from a PyTorch network to an image. Works without torch on ``.pt2`` files.

Names below are imported when they are used: whoever only reads a ``.zsk`` file needs NumPy only.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroskip.base.errors import CompileError, ImageError, InputError, ZeroskipError
    from zeroskip.compiler.api import compile, compile_pt2
    from zeroskip.compiler.image.image import Image
    from zeroskip.compiler.scnn.image import CnnImage, load_image
    from zeroskip.hw.eie.params import EieParams
    from zeroskip.hw.scnn.params import ScnnParams

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
    "CnnImage": "zeroskip.compiler.scnn.image",
    "CompileError": "zeroskip.base.errors",
    "EieParams": "zeroskip.hw.eie.params",
    "Image": "zeroskip.compiler.image.image",
    "ImageError": "zeroskip.base.errors",
    "InputError": "zeroskip.base.errors",
    "ScnnParams": "zeroskip.hw.scnn.params",
    "ZeroskipError": "zeroskip.base.errors",
    "compile": "zeroskip.compiler.api",
    "compile_pt2": "zeroskip.compiler.api",
    "load_image": "zeroskip.compiler.scnn.image",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
