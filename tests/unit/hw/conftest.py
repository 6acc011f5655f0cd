"""What tests of PEs share: looking into the parts that a flush empties."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import ResetInserter, Value
from amaranth.lib import wiring

# Ports by which a part tells that there is something in it.
_TELLING = {
    "valid", "busy", "waiting", "full", "level", "issued", "blocked", "padding", "done",
    "open", "group_ready", "ended", "directory_en", "word_en", "act_write", "dir_write", "overflow",
    "output_lanes", "pending", "coming", "next_block",
}  # fmt: skip


class Flushed:
    """The parts of a component that a flush empties, and what they look like when empty.

    Attributes
    ----------
    kinds : names of the parts' classes.
    seen : kind and port of all that was not as when empty in the cycle of a flush.
    """

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._empty: dict[str, int] = {}
        self.seen: set[str] = set()

    def add(self, part: Any) -> None:
        self._parts.append(part)

    @property
    def kinds(self) -> list[str]:
        return [type(part).__name__ for part in self._parts]

    def look(self, ctx: Any) -> dict[str, int]:
        """Give every port that tells of something in a part."""
        return {
            f"{type(part).__name__} {'.'.join(map(str, path))}": ctx.get(Value.cast(port))
            for part in self._parts
            for path, member, port in part.signature.flatten(part)
            if path[-1] in _TELLING
        }

    async def flush(self, ctx: Any, flush: Any) -> None:
        """Flush; in the cycles after that every part looks empty, as after a reset."""
        now = self.look(ctx)
        self._empty = self._empty or now
        self.seen |= {name for name, value in now.items() if value != self._empty[name]}
        ctx.set(flush, 1)
        await ctx.tick()
        ctx.set(flush, 0)
        for _ in range(6):
            assert self.look(ctx) == self._empty
            await ctx.tick()


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Flushed]:
    """Give a function that keeps what is put under a flush in a module; call it before that."""

    def keep(module: str) -> Flushed:
        kept = Flushed()

        class Keeping(ResetInserter):
            def __call__(self, value: Any, **options: Any) -> Any:
                if isinstance(value, wiring.Component):  # Inside, it is fragments.
                    kept.add(value)
                return super().__call__(value, **options)

        monkeypatch.setattr(f"{module}.ResetInserter", Keeping)
        return kept

    return keep
