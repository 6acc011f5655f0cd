"""Errors that a user can act on."""

__all__ = ["CompileError", "ImageError", "InputError", "ScnnCompileError", "ZeroskipError"]


class ZeroskipError(Exception):
    """Something a user gave cannot be used. The text is one sentence: what, which value, way out.

    The command line prints it and exits with 2.
    """


class InputError(ZeroskipError):
    """An array, a file or an option is unusable."""


class CompileError(ZeroskipError):
    """A network cannot be mapped on the hardware."""


class ScnnCompileError(CompileError):
    """A layer cannot be mapped on the SCNN array; parameters that the text names are SCNN's."""


class ImageError(ZeroskipError):
    """A compiled image is missing, damaged or of another version."""
