"""Start the command line: ``python -m zeroskip``, and the script that is installed."""

import gc
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    # That of another Python has other libraries; all that is imported so far needs none of them.
    if os.environ.pop("PYTHONHOME", None) is not None:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    # Not before.
    from zeroskip.base.environment import own_path

    # A user's folder, on PYTHONPATH or where he works, may have a cocotb.py of its own.
    sys.path[:] = own_path()
    # Of what is imported nothing is garbage: looking for it takes a fifth of the start's time.
    gc.disable()
    try:
        # A second of Ctrl-C, before the command line itself takes it.
        from zeroskip.cli.app import run
    except KeyboardInterrupt:
        print("zeroskip: interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        gc.freeze()
        gc.enable()
    run()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # The folder that the user works in, where the command that is installed finds nothing.
        del sys.path[0]
    main()
