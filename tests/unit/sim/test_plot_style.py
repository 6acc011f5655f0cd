"""What all pictures have in common."""

import numpy as np

from zeroskip.sim.plots.area import Commit, draw_area
from zeroskip.sim.plots.style import panels


def test_every_axis_has_numbers() -> None:
    figure, axes = panels(list("abcd"), "title", "about")
    for one in axes:
        one.plot([0, 1], [2, 3])
    figure.canvas.draw()
    for one in axes:
        for axis in (one.xaxis, one.yaxis):
            assert all(tick.label1.get_visible() for tick in axis.get_major_ticks())


def test_names_of_curves_do_not_overlap() -> None:
    units = {f"pe unit_{n}": {"logic_ge": 1000 + n} for n in range(5)} | {"pe": {"logic_ge": 5000}}
    figure = draw_area([Commit("abc", "2026-01-01", {"eie paper": {"units": units}})])
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 6
    heights = sorted((box.y0, box.y1) for box in boxes)
    ends = np.array(heights)
    assert (ends[1:, 0] >= ends[:-1, 1] - 1).all()
