"""The reference of ``import zeroskip as zs``, by kind of name."""

import inspect

import zeroskip

__all__ = ["classes", "errors", "functions"]


def functions() -> str:
    """Return directives for all functions that the package gives."""
    return _directives("function", lambda thing: not inspect.isclass(thing))


def classes() -> str:
    """Return directives for all classes but errors."""
    return _directives("class", lambda thing: inspect.isclass(thing) and not _is_error(thing))


def errors() -> str:
    """Return directives for all errors."""
    return _directives("exception", _is_error)


def _is_error(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, Exception)


def _directives(kind: str, wanted: "object") -> str:
    assert callable(wanted)
    names = [name for name in zeroskip.__all__ if wanted(getattr(zeroskip, name))]
    members = "\n   :members:" if kind == "class" else ""
    lines = "\n\n".join(f".. auto{kind}:: zeroskip.{name}{members}" for name in names)
    return f"```{{eval-rst}}\n{lines}\n```"
