"""Base of the parameters of every array: ranges, and the widths that follow from them."""

import inspect
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from zeroskip.base.errors import ParameterError
from zeroskip.base.fields import Field

__all__ = ["ArrayParams", "address_bits"]


def address_bits(count: int) -> int:
    """Return how many bits count ``count`` values, at least 1: no signal is ever 0 bits wide."""
    return max(1, (count - 1).bit_length())


class ArrayParams:
    """Sizes of an array; subclasses are frozen dataclasses of whole numbers and booleans.

    Attributes
    ----------
    ranges : smallest and largest value, of each whole number, that the RTL is built and tested
        for; fields that are not named are booleans.
    """

    ranges: ClassVar[Mapping[str, tuple[int, int]]]

    run_bits: int
    code_bits: int
    act_bits: int
    acc_bits: int
    num_biases: int
    num_descriptors: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name not in self.ranges:
                if not isinstance(value, bool):
                    raise ParameterError(name, value, "true or false")
                continue
            low, high = self.ranges[name]
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ParameterError(name, value, f"a whole number from {low} to {high}")
        if self.acc_bits < self.act_bits:
            raise ParameterError("acc_bits", self.acc_bits, f"at least act_bits = {self.act_bits}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make parameters from a dictionary as :func:`dataclasses.asdict` gives it.

        Raises
        ------
        ParameterError
            If one is unknown or out of range.
        """
        names = list(inspect.signature(cls).parameters)
        if unknown := sorted(set(values) - set(names)):
            raise ParameterError.of_names("a parameter", unknown[0], names)
        return cls(**values)

    @classmethod
    def fields(cls) -> tuple[Field, ...]:
        """Return every parameter with its range, and with what the docstring says of it."""
        about: dict[str, str] = {}
        entry = r"^(\w+(?:, \w+)*) : (.+(?:\n +.+)*)"
        for names, text in re.findall(entry, inspect.getdoc(cls) or "", re.MULTILINE):
            about |= dict.fromkeys(names.split(", "), " ".join(text.split()))
        return tuple(
            Field(name, cls.ranges.get(name, (False, True)), about[name])
            for name in inspect.signature(cls).parameters
        )

    @property
    def max_run(self) -> int:
        """Longest run of zeros that one entry can carry."""
        return (1 << self.run_bits) - 1

    @property
    def num_codes(self) -> int:
        """Entries of a codebook; entry 0 is literally 0."""
        return 1 << self.code_bits

    @property
    def bias_addr_bits(self) -> int:
        """Width of an address of a bias SRAM."""
        return address_bits(self.num_biases)

    @property
    def descriptor_addr_bits(self) -> int:
        """Width of a descriptor's number."""
        return address_bits(self.num_descriptors)

    @property
    def max_act(self) -> int:
        """Largest activation."""
        return (1 << (self.act_bits - 1)) - 1

    @property
    def min_act(self) -> int:
        """Smallest activation."""
        return -(1 << (self.act_bits - 1))
