"""Start the command line with our packages, whatever folders of the same names a user has.

A project of hardware often has a ``sim`` or ``hw`` of its own; with ``PYTHONPATH=.``, Python would
take those for ours.
"""

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    # That of another Python has other libraries; all that is imported so far needs none of them.
    if os.environ.pop("PYTHONHOME", None) is not None:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    # Not only for this process: those that it starts are given the same path.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    # Not before.
    from sim.environment import own_path

    sys.path[:] = own_path()
    from scripts.zeroskip import main as run

    run()


if __name__ == "__main__":
    main()
