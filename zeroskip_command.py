"""Start the command line with our packages, whatever folders of the same names a user has.

A project of hardware often has a ``sim`` or ``hw`` of its own; with ``PYTHONPATH=.``, Python would
take those for ours.
"""

import sys
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    # Not only for this process: those that it starts are given the same path.
    sys.path.insert(0, str(Path(__file__).parent))
    # Not before.
    from sim.environment import own_path

    sys.path[:] = own_path()
    from scripts.zeroskip import main as run

    run()


if __name__ == "__main__":
    main()
