"""Steps of published cells, against what was published."""

import pytest

from zeroskip.sim.eie.benchmark.recurrent import CellBench, bench_recurrent


@pytest.fixture(scope="module")
def cells() -> dict[tuple[str, str, str], CellBench]:
    found = bench_recurrent().cells
    return {(cell.name, cell.pruning, cell.placement): cell for cell in found}


def test_published_cells(cells: dict[tuple[str, str, str], CellBench]) -> None:
    ese = cells["ESE", "balanced", "schedule"]
    # 364,320 weights, of which ours are drawn at the densities that were published.
    assert (ese.weights, abs(ese.nnz - 364320) < 200) == (3248128, True)
    assert ese.cycles <= 12100
    nt = cells["NT-LSTM", "balanced", "schedule"]
    assert nt.over_bound <= 1.06
    assert nt.elementwise_share <= 0.03


def test_gain_of_even_pruning(cells: dict[tuple[str, str, str], CellBench]) -> None:
    """ESE went from 5.5 to 6.2 times as fast as dense; placement gives as much without it."""
    plain, balanced, placed = (
        cells["ESE", *way].speedup
        for way in (
            ("plain", "interleave"), ("balanced", "interleave"), ("plain", "schedule"),
        )
    )  # fmt: skip
    assert balanced / plain >= 6.2 / 5.5
    assert placed / plain >= 6.2 / 5.5
