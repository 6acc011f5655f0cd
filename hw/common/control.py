"""The control space of a host port: its rows, its commands, and what its status says.

Plain Python: a host that drives a board needs no hardware description for them.
"""

import enum

__all__ = ["CONTROL_SPACE", "Command", "Control", "StatusBit"]

CONTROL_SPACE = 0
"""Number of the control space among the address spaces of every array."""


class Control(enum.IntEnum):
    """Rows of the control space."""

    COMMAND = 0
    """Write a :class:`Command`."""
    STATUS = 1
    """Bits of :class:`StatusBit`; write ``StatusBit.BAD_READ`` to clear that one."""
    VERSION = 2
    """Version of the interface in the low half, number of PEs in the high half of 32 bits."""
    CYCLES = 3
    """Cycles of the last run, from start to the end of the program, modulo 2**32; while one is
    under way, those so far."""


class Command(enum.IntFlag):
    """Commands that can be written to ``Control.COMMAND``.

    They take effect in their order, and commands to memories behind one of them wait until what it
    began is over. None of these waits: it cuts short the run, or the clearing of all, that is
    under way, whose sums and source file are lost, so all is cleared before it is done. Only a
    CLEAR_COUNTERS loses nothing: what comes behind it finds sums and source file as they were.
    """

    START = 1
    """Run the program, from descriptor 0, with its input in activation file 0."""
    CLEAR = 2
    """Set accumulators and counters to 0, and make file 0 the source."""
    KEEP = 4
    """With START: go on with the source file that the last run left, where a network has more
    weights than the SRAMs hold and the host reloads them between runs. With a clearing of all, or
    behind one that may still be under way, that is file 0."""
    CLEAR_COUNTERS = 8
    """Set the counters to 0, and leave accumulators and files as they are."""
    NEXT = 16
    """With START, of an array with three activation files: the file that rows were loaded into, or
    are still streaming into, becomes the source, and what was the source is loaded next. Goes
    before KEEP; with a clearing of all, it is file 0."""
    BEGIN = 32
    """With START, of an array with recurrent cells: a sequence begins. States, and what the step
    before has left, count as 0."""


class StatusBit(enum.IntFlag):
    """Bits of an array's status (``Control.STATUS``)."""

    RUNNING = 1
    """A run or a clearing is under way."""
    SOURCE = 2
    """The file that is the source; after a run, the one that holds the result."""
    LOST = 4
    """Outputs of the last run found no room in an activation RAM."""
    BAD_READ = 8
    """Something was read that cannot be: a space, row, PE or register that does not exist or is
    only written. The answer was 0. Stays until cleared by a write of this bit to the status."""
    SOURCE_2 = 32
    """The source is file 2; only of an array with three activation files."""

    @property
    def source(self) -> int:
        """Number of the file that is the source."""
        return 2 if self & StatusBit.SOURCE_2 else int(bool(self & StatusBit.SOURCE))
