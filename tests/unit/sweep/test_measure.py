import dataclasses
from itertools import groupby

import numpy as np

from tests.unit.sweep.conftest import BASE
from zeroskip.compiler.api import compile_quantized
from zeroskip.hw.eie.host import StallClass
from zeroskip.sim.eie.streams import column_streams
from zeroskip.sim.eie.sweep.grid import Point, grid
from zeroskip.sim.eie.sweep.measure import measure_points
from zeroskip.sim.eie.sweep.work import ImageWork
from zeroskip.sim.run import run


def _points() -> list[Point]:
    return grid(BASE, {"queue_depth": [1, 8], "skip_padding": [False, True]})


def test_rows_are_what_a_run_of_each_image_gives(work: ImageWork) -> None:
    for point, rows in zip(_points(), measure_points(work, _points()), strict=True):
        image = compile_quantized(
            work.network,
            {"eie": point.params},
            options={"placement": point.placement},
            name="again",
        )
        result = run(image, work.x, "cycles").part("eie")
        assert result.counters is not None
        assert result.cycles is not None
        assert [row["layer"] for row in rows] == ["fc1", "fc2"]
        assert sum(row["cycles"] for row in rows) == result.cycles.sum()
        for number, row in enumerate(rows):
            counters = result.counters[:, number].sum(axis=0)
            assert row["possible"]
            assert row["num_pes"] * row["cycles"] == counters.sum()
            for stall in StallClass:
                spent = counters[:, stall : stall + 1].sum()
                assert row[f"{stall.name.lower()}_pe_cycles"] == spent
            issued = counters[:, :2].sum(axis=1)
            assert (row["max_pe_cycles"], row["mean_pe_cycles"]) == (issued.max(), issued.mean())
            assert row["load_balance"] == issued.sum() / counters.sum()
            assert row["entries"] - row["padding_entries"] == row["nonzeros"]


def test_reads_are_the_words_that_broadcast_columns_span(work: ImageWork) -> None:
    narrow = [
        dataclasses.replace(point, params=dataclasses.replace(point.params, word_bits=16))
        for point in _points()[:1]
    ]
    ((first, _),) = measure_points(work, narrow)
    part = compile_quantized(
        work.network,
        {"eie": narrow[0].params},
        options={"placement": narrow[0].placement},
        name="again",
    ).part("eie")
    srams = {name: sram.words for name, sram in part.srams.items()}
    streams = column_streams(srams, part.params, part.program)[0]
    expected = 0
    for stream in streams:
        for x in work.x[:2]:
            entries: list[int] = []
            for column in np.flatnonzero(x).tolist():
                entries += range(stream.pointers[column], stream.pointers[column + 1])
            # Those that follow each other in one word take one read.
            expected += sum(1 for _ in groupby(entry // 2 for entry in entries))
    assert first["spmat_words_read"] == expected


def test_impossible_points_have_their_reason(work: ImageWork) -> None:
    points = grid(BASE, {"num_pes": [256]})
    ((one, other),) = measure_points(work, points)
    assert not one["possible"]
    assert "num_pointers" in one["reason"]
    assert (one["layer"], other["layer"]) == ("fc1", "fc2")
