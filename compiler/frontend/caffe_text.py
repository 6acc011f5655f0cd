"""Read text of Protocol Buffers, in which Caffe's networks are written, without its schema."""

import re
from typing import Any

__all__ = ["Message", "parse_text"]

Message = dict[str, list[Any]]
"""Values by the names of fields, in order; a value that is a message is such a dictionary."""

_TOKEN = re.compile(
    r"""(?P<nothing>\s+|\#[^\n]*|[,;])
    |(?P<mark>[{}<>\[\]:])
    |(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<word>[^\s{}<>\[\]:,;\#"']+)""",
    re.VERBOSE,
)


def parse_text(text: str) -> Message:
    """Return the message that ``text`` is.

    Numbers are int or float, true and false bool, all else str.

    Raises
    ------
    ValueError
        If it is no such text; says in which line.
    """
    whole: Message = {}
    open_messages, name, listing, position = [whole], "", False, 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        line = text.count("\n", 0, position) + 1
        if found is None:
            raise ValueError(f"line {line}: {text[position]!r} does not end")
        position, token = found.end(), found[0]
        if found.lastgroup == "nothing" or token == ":":
            continue
        if token in "{<":
            if not name:
                raise ValueError(f"line {line}: a message without a name")
            child: Message = {}
            open_messages[-1].setdefault(name, []).append(child)
            open_messages.append(child)
            name = ""
        elif token in "}>":
            if name or len(open_messages) == 1:
                raise ValueError(f"line {line}: {token!r} closes nothing")
            open_messages.pop()
        elif token in "[]":
            listing = token == "["
            name = name if listing else ""
        elif name:
            open_messages[-1].setdefault(name, []).append(_value(token))
            name = name if listing else ""
        elif found.lastgroup == "word":
            name = token
        else:
            raise ValueError(f"line {line}: {token} stands without a name")
    if name or len(open_messages) > 1:
        raise ValueError("it is truncated")
    return whole


def _value(token: str) -> Any:
    """Return the number, truth value or text that a token is."""
    if token[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    if token in ("true", "false"):
        return token == "true"
    for kind in (int, float):
        try:
            return kind(token.removesuffix("f") if kind is float else token)
        except ValueError:
            continue
    return token
