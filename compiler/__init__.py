"""Compiler: from a PyTorch network to an image. Works without torch on ``.pt2`` files."""

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
