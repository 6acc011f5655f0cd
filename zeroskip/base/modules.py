"""Modules that an engine may have, and need not."""

import importlib
from typing import Any

from zeroskip.base.errors import InputError

__all__ = ["find_module"]


def find_module(name: str, missing: str) -> Any:
    """Import a module by its full name.

    Raises
    ------
    InputError
        Saying ``missing``, if there is no such module.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # What the module itself imports may be missing, too.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise InputError(missing) from error
