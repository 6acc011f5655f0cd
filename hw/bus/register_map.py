"""Description of registers, from which hardware, documents, headers and drivers are made."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["WORD_BYTES", "Access", "Field", "Register", "RegisterMap"]

WORD_BYTES = 4
"""Bytes of a register."""


class Access(enum.Enum):
    """What an access to a field does.

    The hardware sets bits of CLEAR_ON_READ and TOGGLE; it drives READ and SET, and takes the bits
    of SET and PULSE that are written as 1, in the cycle of the write.
    """

    READ_WRITE = "read, write"
    READ = "read"
    CONSTANT = "constant"
    SET = "write 1 to set"
    PULSE = "write 1; read as 0"
    CLEAR_ON_READ = "cleared by a read"
    TOGGLE = "write 1 to toggle"


@dataclass(frozen=True)
class Field:
    """Bits of a register.

    Parameters
    ----------
    name : unique in its register, in capitals.
    low, width : its lowest bit, and how many.
    access : see :class:`Access`.
    about : what it is, in a sentence without an end.
    reset : its value after a reset, and always if it is constant.
    guarded : a write while ``busy`` is refused, see :class:`.RegisterFile`.
    """

    name: str
    low: int
    width: int
    access: Access
    about: str
    reset: int = 0
    guarded: bool = False

    @property
    def mask(self) -> int:
        """Bits of the register that are the field's."""
        return (1 << self.width) - 1 << self.low


@dataclass(frozen=True)
class Register:
    """A register of 32 bits; bits of no field are read as 0.

    Parameters
    ----------
    name : unique, in capitals.
    address : of its first byte, a multiple of :data:`WORD_BYTES`.
    about : what it is, in a sentence without an end.
    fields : from the lowest up.
    """

    name: str
    address: int
    about: str
    fields: tuple[Field, ...]

    @property
    def reset(self) -> int:
        """What it is read as after a reset, as far as the description says."""
        return sum(field.reset << field.low for field in self.fields)


@dataclass(frozen=True)
class RegisterMap:
    """All registers of a slave. What lies between them is read as 0, and not written.

    Parameters
    ----------
    name : in small letters.
    title : in words.
    address_bits : of a byte address.
    registers : from the lowest address up.

    Raises
    ------
    ValueError
        If registers or fields lie over one another, or outside.
    """

    name: str
    title: str
    address_bits: int
    registers: tuple[Register, ...]

    def __post_init__(self) -> None:
        end = 0
        for register in self.registers:
            if register.address < end or register.address % WORD_BYTES:
                raise ValueError(f"register {register.name} cannot lie at {register.address:#x}")
            end, bit = register.address + WORD_BYTES, 0
            for field in register.fields:
                if field.low < bit or field.reset >> field.width:
                    raise ValueError(f"{register.name}.{field.name} does not fit its bits")
                bit = field.low + field.width
            if bit > 8 * WORD_BYTES:
                raise ValueError(f"register {register.name} has {bit} bits")
        if end > 1 << self.address_bits:
            raise ValueError(f"{self.address_bits} bits do not reach to {end:#x}")

    def fields(self, *access: Access) -> Iterator[tuple[Register, Field]]:
        """Give the fields of these kinds, each with its register."""
        for register in self.registers:
            for field in register.fields:
                if field.access in access:
                    yield register, field
