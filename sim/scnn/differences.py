"""What is said of a word of SCNN's RTL that is not golden's."""

from dataclasses import dataclass

__all__ = ["ConvDifference", "StoreDifference"]


@dataclass(frozen=True)
class ConvDifference:
    """An output of the RTL that is not golden's; beyond the plane 0 is expected.

    ``channel`` is its number in the user's network.
    """

    sample: int
    layer: str
    channel: int
    y: int
    x: int
    pe: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"input {self.sample}, layer {self.layer}, channel {self.channel}, row {self.y}, "
            f"column {self.x}, PE {self.pe}: expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True)
class StoreDifference:
    """A word that a PE has stored, and that is not what the encoder makes of golden's outputs."""

    sample: int
    layer: str
    pe: int
    memory: str
    row: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"input {self.sample}, layer {self.layer}, PE {self.pe} of its block, {self.memory} "
            f"{self.row}: expected {self.expected:#x}, got {self.got:#x}"
        )
