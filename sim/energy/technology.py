"""Energies of accesses: the table of constants, read from a file and checked."""

import bisect
import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from zeroskip.base.errors import InputError
from zeroskip.compiler.image.manifest import first_error
from zeroskip.compiler.image.strict import StrictEntry

__all__ = ["DEFAULT_TECHNOLOGY", "Technology", "interpolate", "read_technology"]

DEFAULT_TECHNOLOGY = Path(__file__).parent / "tech_45nm.toml"
"""The constants that are used unless others are given."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
Points = Annotated[list[Positive], Field(min_length=2)]


class _Sourced(StrictEntry):
    """Numbers with where they are from.

    Fields
    ------
    source : paper, program or library, and its settings.
    cell : what they are the numbers of.
    """

    source: Text
    cell: Text


class Curve(_Sourced):
    """Energy of an operation.

    Fields
    ------
    bits : widths of operands, ascending.
    pj : energies at these.
    """

    bits: Points
    pj: Points

    @model_validator(mode="after")
    def _check(self) -> "Curve":
        _check_points("bits", self.bits, pj=self.pj)
        return self

    def at(self, bits: float) -> float:
        """Return the energy at a width, in pJ."""
        return interpolate(self.bits, self.pj, bits)


class SramTable(StrictEntry):
    """Energies of memories with rows of one width.

    Fields
    ------
    bits : of a row.
    bytes : sizes, ascending.
    read_pj, write_pj : of a row, at these sizes.
    """

    bits: Annotated[int, Field(ge=1)]
    bytes: Points
    read_pj: Points
    write_pj: Points

    @model_validator(mode="after")
    def _check(self) -> "SramTable":
        _check_points("bytes", self.bytes, read_pj=self.read_pj, write_pj=self.write_pj)
        return self


class Srams(_Sourced):
    """Energies of memories.

    Fields
    ------
    shared, two_ports : by width, ascending: of memories with one port for reads and writes, and of
        those with a port for each.
    """

    shared: Annotated[list[SramTable], Field(min_length=2)]
    two_ports: Annotated[list[SramTable], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> "Srams":
        for name in ("shared", "two_ports"):
            widths = [table.bits for table in getattr(self, name)]
            if widths != sorted(set(widths)):
                raise ValueError(f"bits of the tables of {name} must ascend, not {widths}")
        return self


class SramLeakage(_Sourced):
    """Power of memories at rest, ``nw_per_kbit``."""

    nw_per_kbit: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FlipFlop(_Sourced):
    """A flip-flop.

    Fields
    ------
    gated_rows : rows of queues are clocked when they are written only, as synthesis makes them of
        flip-flops with enables; else in every cycle, as all others are.
    clock_fj : of a cycle of its clock.
    data_fj : of a change of its bit.
    leakage_nw : power at rest.
    """

    gated_rows: bool
    clock_fj: Positive
    data_fj: Positive
    leakage_nw: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Gate(_Sourced):
    """A gate of two inputs.

    Fields
    ------
    switch_fj : of a change of its output.
    leakage_nw : power at rest.
    """

    switch_fj: Positive
    leakage_nw: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Dram(_Sourced):
    """Memory outside the chip, ``pj_per_bit`` that is moved."""

    pj_per_bit: Positive


class Technology(StrictEntry):
    """Energies of accesses.

    Fields
    ------
    name : of the technology.
    clock_mhz : at which arrays run; only power at rest depends on it.
    sram, sram_leakage, multiply, add, flip_flop, gate, dram : see these classes.
    """

    name: Text
    clock_mhz: Positive
    sram: Srams
    sram_leakage: SramLeakage
    multiply: Curve
    add: Curve
    flip_flop: FlipFlop
    gate: Gate
    dram: Dram

    def sram_pj(
        self, what: Literal["read", "write"], rows: int, bits: int, *, two_ports: bool
    ) -> float:
        """Return the energy of an access to a row of a memory, in pJ.

        Parameters
        ----------
        what : is done.
        rows, bits : of the memory, and of a row.
        two_ports : whether it can read and write in one cycle.
        """
        tables = self.sram.two_ports if two_ports else self.sram.shared
        size = rows * bits / 8
        widths = [float(table.bits) for table in tables]
        energies = [
            interpolate(table.bytes, getattr(table, f"{what}_pj"), size) for table in tables
        ]
        return interpolate(widths, energies, bits)


def interpolate(xs: list[float], ys: list[float], x: float) -> float:
    """Go between points on straight lines in logarithms, beyond them along the lines at the ends.

    Parameters
    ----------
    xs, ys : at least two points, ``xs`` ascending, all above 0.
    x : where, above 0.

    Examples
    --------
    >>> interpolate([8, 32], [1, 4], 16)
    2.0
    """
    at = min(max(bisect.bisect_right(xs, x), 1), len(xs) - 1)
    (x0, x1), (y0, y1) = xs[at - 1 : at + 1], ys[at - 1 : at + 1]
    slope = math.log(y1 / y0) / math.log(x1 / x0)
    return y0 * (x / x0) ** slope


def read_technology(path: Path | None = None) -> Technology:
    """Read a file of constants, or the one that comes with the package.

    Raises
    ------
    InputError
        If it cannot be read, is no TOML, or lacks a number, has one that is none, or something
        that is not known; the sentence names the first.
    """
    file = path or DEFAULT_TECHNOLOGY
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise InputError(f"technology file {file} {what}; name a TOML file like {_example()}")
    try:
        raw: Any = tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise InputError(f"technology file {file} cannot be read: {error}") from error
    except ValueError as error:
        raise InputError(f"technology file {file} is not TOML: {error}") from error
    try:
        return Technology.model_validate(_floats(raw))
    except ValidationError as error:
        raise InputError(
            f"technology file {file}: {first_error(error)}; {_example()} has what is needed"
        ) from error


def _example() -> str:
    return DEFAULT_TECHNOLOGY.name


def _floats(value: Any, key: str = "") -> Any:
    """Let whole numbers stand where any number may: TOML tells 800 from 800.0."""
    if isinstance(value, dict):
        return {name: _floats(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_floats(one) for one in value]
    # The width of a row is the one number that must be whole.
    return float(value) if type(value) is int and key != "bits" else value


def _check_points(name: str, xs: list[float], **curves: list[float]) -> None:
    if xs != sorted(set(xs)):
        raise ValueError(f"{name} must ascend, not {xs}")
    for other, ys in curves.items():
        if len(ys) != len(xs):
            raise ValueError(f"{other} must have {len(xs)} numbers, as {name} has, not {len(ys)}")
