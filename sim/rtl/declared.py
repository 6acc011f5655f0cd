"""Read what signals a file of waves (VCD) declares: where they are, and the number of their net."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["DeclaredSignal", "declared_signals"]


@dataclass(frozen=True)
class DeclaredSignal:
    """A signal of a simulation.

    Parameters
    ----------
    scopes : instances that it is in, the top first.
    name : in the innermost of them.
    width : in bits.
    bits : as declared, such as ``[7:0]``; empty of one bit.
    net : number of its net in the file; signals of one number are one wire.
    """

    scopes: tuple[str, ...]
    name: str
    width: int
    bits: str
    net: str

    @property
    def path(self) -> str:
        """Scopes and name, with dots between them."""
        return ".".join([*self.scopes, self.name])


def declared_signals(lines: Iterable[str]) -> Iterator[DeclaredSignal]:
    """Give the signals that a file of waves declares.

    Parameters
    ----------
    lines : of the file; those behind the declarations, which are changes, are left unread.
    """
    scopes: list[str] = []
    for line in lines:
        match line.split():
            case ["$scope", _, name, "$end"]:
                scopes.append(name)
            case ["$upscope", "$end"]:
                scopes.pop()
            case ["$var", _, width, net, name, *bits, "$end"]:
                yield DeclaredSignal(tuple(scopes), name, int(width), "".join(bits), net)
            case ["$enddefinitions", *_]:
                return
            case _:
                pass
