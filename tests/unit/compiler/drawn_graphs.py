"""Random networks in float, with branches and Linear layers behind, for tests of the compiler."""

import itertools

import numpy as np
import torch
from hypothesis import strategies as st
from torch.nn import functional

from zeroskip.compiler.ir.compute import shapes
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatCnn,
    FloatConcat,
    FloatConv,
    FloatGraph,
    FloatNode,
    FloatPool,
)
from zeroskip.compiler.ir.network import FloatLayer, FloatNetwork

__all__ = ["chains", "networks", "networks_with_tails"]


@st.composite
def networks(draw: st.DrawFn) -> tuple[FloatCnn, np.ndarray]:
    """Draw a network with branches, and samples."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1e-3, 1.0, 1e3]))
    shapes: dict[str, tuple[int, int, int]] = {
        INPUT: (draw(st.integers(1, 3)), draw(st.integers(2, 6)), draw(st.integers(2, 6)))
    }
    nodes: list[FloatNode] = []
    for index in range(draw(st.integers(1, 6))):
        name, source = f"n{index}", draw(st.sampled_from(sorted(shapes)))
        c, h, w = shapes[source]
        mates = [one for one in shapes if shapes[one][1:] == (h, w)]
        twins = [one for one in shapes if shapes[one] == (c, h, w)]
        kind, relu = (
            draw(st.sampled_from(["conv", "conv", "max", "avg", "cat", "add"])),
            draw(st.booleans()),
        )
        if kind == "cat":
            others = draw(st.lists(st.sampled_from(mates), min_size=1, max_size=2))
            nodes.append(FloatConcat(name, (source, *others)))
            shapes[name] = (c + sum(shapes[one][0] for one in others), h, w)
        elif kind == "add":
            nodes.append(FloatAdd(name, (source, draw(st.sampled_from(twins))), relu))
            shapes[name] = (c, h, w)
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
    return FloatCnn(FloatGraph(shapes[INPUT], tuple(nodes), nodes[-1].name), None), x


@st.composite
def chains(draw: st.DrawFn, inputs: int, values: int = 15) -> tuple[FloatLayer, ...]:
    """Draw one to four Linear layers of at most ``values`` weights, often all of one sign."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = [inputs, *draw(st.lists(st.integers(1, 8), min_size=1, max_size=4))]
    layers: list[FloatLayer] = []
    for at, (cols, rows) in enumerate(itertools.pairwise(sizes)):
        book = rng.normal(size=values) * draw(st.sampled_from([1e-3, 1.0, 1e3]))
        book = draw(st.sampled_from([book, np.abs(book), -np.abs(book)]))
        weight = rng.choice(book, (rows, cols)) * (rng.random((rows, cols)) < 0.7)
        bias = rng.normal(size=rows) * draw(st.sampled_from([0.0, 1.0, 30.0]))
        layers.append(FloatLayer(f"fc{at}", weight, bias, draw(st.booleans())))
    return tuple(layers)


@st.composite
def networks_with_tails(draw: st.DrawFn) -> tuple[FloatCnn, np.ndarray]:
    """Draw a network as :func:`networks` does, and Linear layers behind it."""
    cnn, x = draw(networks())
    shape = shapes(cnn.graph)[cnn.graph.output]
    tail = FloatNetwork(shape, draw(chains(int(np.prod(shape)))))
    return FloatCnn(cnn.graph, tail), x
