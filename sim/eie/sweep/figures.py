"""The paper's figures: what each has on its axes, and what others found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from zeroskip.sim.eie.benchmark import paper as paper

__all__ = ["FIGURES", "FigureKind", "Reference"]


@dataclass(frozen=True)
class Reference:
    """Numbers of others, by layer, then by the value on the horizontal axis.

    Parameters
    ----------
    label : for the legend.
    values : see above; layers without numbers have none.
    line : draw a curve instead of points.
    """

    label: str
    values: Mapping[str, Mapping[int, float]]
    line: bool = False


@dataclass(frozen=True)
class FigureKind:
    """A figure.

    Parameters
    ----------
    title, about : what it shows, and the definition of what it shows.
    axis : column on the horizontal axis.
    x_label, y_label : with units.
    value : of the rows of one curve.
    percent : the value is a share, from 0 to 1.
    references : what to draw beside it.
    ideal : of a curve's values on the horizontal axis, what a perfect array would have.
    note : of the whole table, a line more for ``about``, or nothing.
    """

    title: str
    about: str
    axis: str
    x_label: str
    y_label: str
    value: Callable[[pl.DataFrame], pl.Series]
    percent: bool = True
    references: tuple[Reference, ...] = ()
    ideal: bool = False
    note: Callable[[pl.DataFrame], str] = field(default=lambda table: "")


def _speed(rows: pl.DataFrame) -> pl.Series:
    cycles = rows["cycles"]
    return cycles[0] / cycles


def _real_work(rows: pl.DataFrame) -> pl.Series:
    return rows["useful_pe_cycles"] / (rows["useful_pe_cycles"] + rows["padding_pe_cycles"])


def _scaling_note(table: pl.DataFrame) -> str:
    """Compare what four times the PEs bring with the paper."""
    cycles = {pes: table.filter(num_pes=pes)["cycles"].to_numpy() for pes in (64, 256)}
    if not len(cycles[64]) or len(cycles[64]) != len(cycles[256]):
        return ""
    measured = float(np.exp(np.mean(np.log(cycles[64] / cycles[256]))))
    return (
        f"\n256 PEs over 64 PEs: {measured:.2f} x here (geometric mean), "
        f"{paper.SPEED_256_OVER_64} x in the paper (section VII)"
    )


_TABLE_IV_DEPTH = Reference(
    "paper, table IV", {name: {8: share} for name, share in paper.LOAD_BALANCE.items()}
)
_TABLE_IV_PES = Reference(
    "paper, table IV", {name: {64: share} for name, share in paper.LOAD_BALANCE.items()}
)
_BALANCE = (
    "load balance = 1 - bubbles / all cycles of all PEs; in a bubble a PE issues no entry, "
    "neither weight nor padding; set-up and drain of the layer count as bubbles"
)

FIGURES: Mapping[str, FigureKind] = {
    "fig8": FigureKind(
        "Load balance by depth of the queues",
        _BALANCE,
        "queue_depth",
        "queue depth (columns)",
        "load balance (%)",
        lambda rows: rows["load_balance"],
        references=(
            _TABLE_IV_DEPTH,
            Reference(
                "authors' simulator, their Alex-8", {"Alex-8": paper.AUTHORS_BALANCE}, line=True
            ),
        ),
    ),
    "fig9": FigureKind(
        "Spmat reads by width of a word",
        "words fetched from the Spmat SRAMs of all PEs; one that a column ends in is there for the "
        "next, where that begins in it",
        "word_bits",
        "Spmat width (bits)",
        "reads (thousands)",
        lambda rows: rows["spmat_words_read"] / 1000,
        percent=False,
        references=(
            Reference(
                "authors' data, their Alex-8",
                {"Alex-8": {w: n / 1000 for w, n in paper.AUTHORS_SPMAT_READS.items()}},
                line=True,
            ),
        ),
    ),
    "fig11": FigureKind(
        "Speed by number of PEs",
        "cycles with the fewest PEs of the table over cycles with more; dotted: linear",
        "num_pes",
        "PEs",
        "speed-up (x)",
        _speed,
        percent=False,
        ideal=True,
        note=_scaling_note,
    ),
    "fig12": FigureKind(
        "Real work by number of PEs",
        "cycles that issue a weight / cycles that issue a weight or padding, all PEs",
        "num_pes",
        "PEs",
        "real work / total work (%)",
        _real_work,
        references=(
            Reference(
                "expected of random weights, 4-bit runs", paper.RANDOM_REAL_WORK, line=True
            ),
        ),
    ),
    "fig13": FigureKind(
        "Load balance by number of PEs",
        _BALANCE,
        "num_pes",
        "PEs",
        "load balance (%)",
        lambda rows: rows["load_balance"],
        references=(_TABLE_IV_PES,),
    ),
}  # fmt: skip
"""The figures, by the paper's numbers."""
