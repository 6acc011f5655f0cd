"""Random networks in float, with branches and Linear layers anywhere, to test the compiler."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch.nn import functional

from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatConcat,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatNode,
    FloatPool,
)

__all__ = ["chain", "chains", "networks"]


@st.composite
def networks(draw: st.DrawFn, *, linear: bool = False) -> tuple[FloatGraph, np.ndarray]:
    """Draw a network with branches, with Linear layers in it or without, and samples."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1e-3, 1.0, 1e3]))
    shapes: dict[str, tuple[int, int, int]] = {
        INPUT: (draw(st.integers(1, 3)), draw(st.integers(2, 6)), draw(st.integers(2, 6)))
    }
    nodes: list[FloatNode] = []
    kinds = ["conv", "conv", "max", "avg", "cat", "add", *(["linear"] * 3 if linear else [])]
    for index in range(draw(st.integers(1, 6))):
        name, source = f"n{index}", draw(st.sampled_from(sorted(shapes)))
        c, h, w = shapes[source]
        mates = [one for one in shapes if shapes[one][1:] == (h, w)]
        twins = [one for one in shapes if shapes[one] == (c, h, w)]
        kind, relu = (
            draw(st.sampled_from(kinds)),
            draw(st.booleans()),
        )
        if kind == "cat":
            others = draw(st.lists(st.sampled_from(mates), min_size=1, max_size=2))
            nodes.append(FloatConcat(name, (source, *others)))
            shapes[name] = (c + sum(shapes[one][0] for one in others), h, w)
        elif kind == "add":
            nodes.append(FloatAdd(name, (source, draw(st.sampled_from(twins))), relu))
            shapes[name] = (c, h, w)
        elif kind == "linear":
            node = draw_linear(draw, name, source, c * h * w)
            nodes.append(node)
            shapes[name] = (node.shape[0], 1, 1)
        elif kind == "conv":
            r = draw(st.sampled_from([1, 3]))
            groups = draw(st.sampled_from([1, c]))
            k = groups * draw(st.integers(1, 2))
            stride = draw(st.sampled_from([1, 1, 2]))
            # At times few values, as of a network whose weights are shared.
            weight = rng.normal(size=(k, c // groups, r, r)) * scale
            weight = rng.choice(weight.ravel()[:3], weight.shape) if draw(st.booleans()) else weight
            weight *= rng.random(weight.shape) < 0.6
            bias = rng.normal(size=k) * scale
            nodes.append(
                FloatConv(
                    name, (source,), weight, bias, (stride, stride), (r // 2, r // 2), groups, relu
                )
            )
            shapes[name] = (k, -(-h // stride), -(-w // stride))
        else:
            kernel = draw(st.integers(1, min(3, h))), draw(st.integers(1, min(3, w)))
            padding = kernel[0] // 2 * draw(st.integers(0, 1)), kernel[1] // 2
            ceil, step = draw(st.booleans()), draw(st.integers(1, 3))
            empty = torch.zeros(1, 1, h, w)
            down, across = functional.max_pool2d(empty, kernel, step, padding, 1, ceil).shape[2:]
            size = down, across
            nodes.append(
                FloatPool(
                    name,
                    (source,),
                    "max" if kind == "max" else "avg",
                    kernel,
                    (step, step),
                    padding,
                    size,
                    count_include_pad=draw(st.booleans()),
                    relu=relu,
                    divisor=draw(st.sampled_from([None, None, None, 1, 5, -3])),
                )
            )
            shapes[name] = (c, *size)
    x = rng.normal(size=(4, *shapes[INPUT]))
    return FloatGraph(shapes[INPUT], tuple(nodes), nodes[-1].name), x


def draw_linear(draw: st.DrawFn, name: str, source: str, columns: int) -> FloatLinear:
    """Draw a Linear layer of at most 15 weights, often all of one sign."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(1, 8))
    book = rng.normal(size=15) * draw(st.sampled_from([1e-3, 1.0, 1e3]))
    book = draw(st.sampled_from([book, np.abs(book), -np.abs(book)]))
    weight = rng.choice(book, (rows, columns)) * (rng.random((rows, columns)) < 0.7)
    bias = rng.normal(size=rows) * draw(st.sampled_from([0.0, 1.0, 30.0]))
    return FloatLinear(name, (source,), weight, bias, draw(st.booleans()))


@st.composite
def chains(draw: st.DrawFn, inputs: int) -> FloatGraph:
    """Draw one to four Linear layers, one after the other."""
    nodes: list[FloatLinear] = []
    source, columns = INPUT, inputs
    for at in range(draw(st.integers(1, 4))):
        nodes.append(draw_linear(draw, f"fc{at}", source, columns))
        source, columns = nodes[-1].name, nodes[-1].shape[0]
    return chain(*nodes)


def chain(*nodes: FloatLinear, sample_shape: tuple[int, ...] | None = None) -> FloatGraph:
    """Return Linear layers as a network whose output the last one makes."""
    return FloatGraph((nodes[0].shape[1], 1, 1), nodes, nodes[-1].name, sample_shape)
