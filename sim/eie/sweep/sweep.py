"""Sweeps over EIE arrays, on the cycle model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zeroskip.sim.eie.sweep.grid import Point, image_key
from zeroskip.sim.eie.sweep.measure import measure_points
from zeroskip.sim.eie.sweep.work import Work
from zeroskip.sim.sweep.execute import Job
from zeroskip.sim.sweep.journal import digest_of

if TYPE_CHECKING:
    from zeroskip.sim.sweep.table import Columns

__all__ = ["EieSweep"]

_TABLE = 1
"""Raised with every change of what columns mean."""


@dataclass(frozen=True, eq=False)
class EieSweep:
    """Every work on every point."""

    works: Sequence[Work]
    points: Sequence[Point]

    @property
    def columns(self) -> "Columns":
        """Of the table."""
        # Polars is not in every installation.
        from zeroskip.sim.eie.sweep.columns import EIE_COLUMNS

        return EIE_COLUMNS

    @property
    def size(self) -> int:
        """Number of points, of all works."""
        return len(self.works) * len(self.points)

    @property
    def fingerprint(self) -> str:
        """Digest of the settings, which tells this sweep from others."""
        return digest_of({
            "table": _TABLE,
            "works": [work.digest for work in self.works],
            "points": [[asdict(point.params), point.placement] for point in self.points],
        })

    def jobs(self, done: set[int]) -> list[Job]:
        """Group the points that are not done yet by the images they need."""
        found: dict[Any, list[int]] = {}
        for number in range(self.size):
            if number not in done:
                work, point = divmod(number, len(self.points))
                found.setdefault((work, *image_key(self.points[point])), []).append(number)
        return [
            Job(
                tuple(numbers),
                measure_points,
                self.works[work],
                tuple(self.points[number % len(self.points)] for number in numbers),
            )
            for (work, *_), numbers in found.items()
        ]
