"""The command line: ``zeroskip compress | compile | run | verify | info``."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any

import typer

from compiler.errors import ZeroskipError
from compiler.manifest import zeroskip_version
from hw.eie.params import ParamError
from scripts.cli import compile, compress, info, run, verify
from scripts.cli.options import name_options
from sim.errors import SimulationError, ToolError

__all__ = ["app", "main", "run_command"]

FAILED, REFUSED, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="zeroskip",
    help="From a pruned, weight-shared PyTorch network to bit-exact sparse-inference RTL.",
    epilog="Exit codes: 0 done, 1 the RTL differs or hangs, 2 bad input or missing tool.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("compress", epilog=compress.EXAMPLES)(compress.compress_model)
app.command("compile", epilog=compile.EXAMPLES)(compile.compile_model)
app.command("run", epilog=run.EXAMPLES)(run.run_image)
app.command("verify", epilog=verify.EXAMPLES)(verify.verify_image)
app.command("info", epilog=info.EXAMPLES)(info.show_image)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"zeroskip {zeroskip_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version


def run_command(arguments: Sequence[str]) -> int:
    """Run a command line; return the exit code. Errors of users are one sentence on stderr."""
    try:
        return int(app(list(arguments), prog_name="zeroskip", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        print("zeroskip: interrupted", file=sys.stderr)
        return INTERRUPTED
    except SimulationError as error:
        return _tell(f"the simulation failed: {_first_line(error)}", FAILED)
    except (ZeroskipError, ToolError, ParamError) as error:
        return _tell(name_options(_first_line(error)), REFUSED)
    except MemoryError as error:
        return _tell(f"there is not enough memory ({error})", REFUSED)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "sklearn"):
            raise
        return _tell(
            f"{error.name} is not installed: install Zeroskip with its extra 'torch'", REFUSED
        )
    except Exception as error:
        # Wrong options; the class is private to the library.
        message: Any = getattr(error, "format_message", None)
        if message is None:
            raise
        return _tell(f"{' '.join(message().split())} (see zeroskip --help)", REFUSED)


def _tell(message: str, code: int) -> int:
    print(f"zeroskip: {message}", file=sys.stderr)
    return code


def _first_line(error: Exception) -> str:
    """Leave out what follows the sentence: the end of a log, which the sentence names."""
    return str(error).split("\n", 1)[0].rstrip(":")


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and exit."""
    # As on Ctrl-C: temporary folders are removed.
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run_command(sys.argv[1:]))


if __name__ == "__main__":
    main()
