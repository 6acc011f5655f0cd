"""What all entries of a manifest have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Count", "Shape", "Size", "StrictEntry", "must_be", "usually"]

Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]
Shape = tuple[Size, Size, Size]


class StrictEntry(BaseModel):
    """Refuses what the schema does not know, and whatever is of another type."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True
    )


def must_be(name: str, value: object, rule: str, expected: object) -> None:
    """Raise ``ValueError`` unless ``value`` is ``expected`` by ``rule``."""
    if value != expected:
        raise ValueError(f"{name} must be {rule} = {expected}, not {value}")


def usually(value: Any) -> Any:
    """Return a field of a manifest's entry, which is left out of the file where it is ``value``."""
    return Field(default=value, exclude_if=lambda given: given == value)
