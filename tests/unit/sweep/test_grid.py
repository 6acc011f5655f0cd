import pytest

from zeroskip.base.errors import InputError
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.sweep.grid import Point, grid, image_key

BASE = Point(EieParams(num_pes=64, spmat_words=1000, num_acts=512, num_accs=64), "interleave")


def test_points_are_the_product_in_the_order_of_the_table() -> None:
    points = grid(BASE, {"run_bits": [4, 5], "num_pes": [32, 64]})
    assert [(p.params.num_pes, p.params.run_bits) for p in points] == [
        (32, 4), (32, 5), (64, 4), (64, 5),
    ]  # fmt: skip
    assert grid(BASE, {}) == [BASE]


@pytest.mark.parametrize("num_pes", [1, 7, 256])
def test_the_array_keeps_its_memories(num_pes: int) -> None:
    (point,) = grid(BASE, {"num_pes": [num_pes], "word_bits": [32]})
    p = point.params
    assert (p.num_accs - 1) * num_pes < 64 * 64 <= p.num_accs * num_pes
    assert (p.spmat_words - 1) * num_pes * 32 < 64 * 1000 * 64 <= p.spmat_words * num_pes * 32
    assert p.num_pointers == BASE.params.num_pointers


def test_or_each_pe_does() -> None:
    (point,) = grid(BASE, {"num_pes": [8]}, "per-pe")
    assert point.params.num_accs == 64
    assert point.params.spmat_words == 1000


def test_points_that_differ_in_timing_share_an_image() -> None:
    axes = {"queue_depth": [1, 8], "pointers_first": [False, True], "skip_padding": [False, True]}
    assert len({image_key(point) for point in grid(BASE, axes)}) == 1
    axes = {"run_bits": [4, 5], "word_bits": [64, 32], "placement": ["interleave", "balance"]}
    assert len({image_key(point) for point in grid(BASE, axes)}) == 8


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"colour": [1]}, "there is no axis 'colour'; there are num_pes, queue_depth, "),
        ({"num_pes": []}, "num_pes must have at least one value"),
        ({"num_pes": [2, 2]}, "num_pes must have each value once, not 2 twice"),
        ({"num_pes": [4, 300]}, "num_pes must be a whole number from 1 to 256, not 300"),
        ({"word_bits": [8]}, "word_bits must be a whole number from 16 to 512, not 8"),
        ({"placement": ["best"]}, "placement must be one of interleave, balance, schedule"),
    ],
)
def test_wrong_axes_are_refused(axes: dict[str, list[object]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grid(BASE, axes)
