"""Run and verify a compiled image of any network, in one call each."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from numpy.typing import ArrayLike

from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.sim.eie.result import RunResult
from zeroskip.sim.eie.run import Target, run_eie
from zeroskip.sim.eie.verify import VerifyResult, verify_eie
from zeroskip.sim.scnn.result import CnnResult
from zeroskip.sim.scnn.run import run_cnn
from zeroskip.sim.scnn.verify import CnnVerifyResult, verify_cnn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["run", "verify"]


@overload
def run(
    image: Image,
    x: "ArrayLike | Tensor",
    on: Target = "golden",
    *,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> RunResult: ...


@overload
def run(
    image: CnnImage,
    x: "ArrayLike | Tensor",
    on: Target = "golden",
    *,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> CnnResult: ...


@overload
def run(
    image: Image | CnnImage,
    x: "ArrayLike | Tensor",
    on: Target = "golden",
    *,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> RunResult | CnnResult: ...


def run(
    image: Image | CnnImage,
    x: "ArrayLike | Tensor",
    on: Target = "golden",
    *,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> RunResult | CnnResult:
    """Run inputs through a compiled network, with or without convolutions.

    Parameters
    ----------
    image : the compiled network.
    x : (n, *input_shape) or one sample (*input_shape), real numbers: array, tensor or lists.
    on : see :data:`.Target`.
    waves : with RTL, where to leave the waves (VCD); see :func:`.run_cnn` of what.
    progress : see :data:`.Progress`.

    Returns
    -------
    Outputs of ``n`` inputs (1 if one sample was given), and what else the models or the RTL tell;
    every attribute of a :class:`.RunResult` is one of a :class:`CnnResult`, too.

    Raises
    ------
    InputError
        If ``image`` is no image; ``x`` has the wrong shape or dtype, is empty, or holds NaN or
        Inf; or ``on`` is unknown.
    ToolError, SimulationError
        If the simulator cannot be built, or a run does not end.
    """
    if isinstance(image, CnnImage):
        return run_cnn(image, x, on, waves=waves, progress=progress)
    return run_eie(_checked(image), x, on, waves=waves, progress=progress)


@overload
def verify(
    image: Image,
    x: "ArrayLike | Tensor",
    *,
    max_differences: int = 10,
    progress: Progress | None = None,
) -> VerifyResult: ...


@overload
def verify(
    image: CnnImage,
    x: "ArrayLike | Tensor",
    *,
    max_differences: int = 10,
    progress: Progress | None = None,
) -> CnnVerifyResult: ...


@overload
def verify(
    image: Image | CnnImage,
    x: "ArrayLike | Tensor",
    *,
    max_differences: int = 10,
    progress: Progress | None = None,
) -> VerifyResult | CnnVerifyResult: ...


def verify(
    image: Image | CnnImage,
    x: "ArrayLike | Tensor",
    *,
    max_differences: int = 10,
    progress: Progress | None = None,
) -> VerifyResult | CnnVerifyResult:
    """Compare golden, cycle model and RTL: every output word of every layer and every counter.

    Parameters
    ----------
    image, x, progress : as for :func:`run`.
    max_differences : list so many of each kind; all are counted.

    Returns
    -------
    What was compared, on both engines; every attribute of a :class:`.VerifyResult` is
    one of a :class:`CnnVerifyResult`, too.

    Raises
    ------
    InputError, ToolError, SimulationError
        As :func:`run` does.
    """
    if isinstance(image, CnnImage):
        return verify_cnn(image, x, max_differences=max_differences, progress=progress)
    return verify_eie(_checked(image), x, max_differences=max_differences, progress=progress)


def _checked(image: Any) -> Image:
    if isinstance(image, Image):
        return image
    raise InputError(f"image must be what compile or Image.load gave, not a {type(image).__name__}")
