"""ONNX files: what networks compute against the operators of the package onnx, and refusals."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.api import compile_file
from zeroskip.compiler.frontend.networks import import_file, import_pieces
from zeroskip.compiler.ir.compute import run_nodes, shapes
from zeroskip.compiler.ir.graph import INPUT, FloatGraph, FloatLinear

onnx = pytest.importorskip("onnx")
h, numpy_helper = onnx.helper, onnx.numpy_helper


class Net:
    """A network under construction: nodes, and constants with random contents."""

    def __init__(self, *shape: int | str, opset: int = 17, seed: int = 1) -> None:
        self.shape = shape
        self.opset = opset
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.rng = np.random.default_rng(seed)

    def weight(self, name: str, *shape: int) -> str:
        """Make a constant of small random numbers."""
        self.constants[name] = self.rng.normal(size=shape).astype(np.float32)
        return name

    def const(self, name: str, value: Any, kind: Any = np.int64) -> str:
        self.constants[name] = np.array(value, kind)
        return name

    def add(
        self, kind: str, *inputs: str, out: str = "", outputs: Sequence[str] = (), **more: Any
    ) -> str:
        """Append a node; return its (first) output, which the next reads by default."""
        names = list(outputs) or [out or f"t{len(self.nodes)}"]
        self.nodes.append(h.make_node(kind, list(inputs), names, **more))
        return names[0]

    def model(self, output: str, rank: int = 2) -> Any:
        inputs = [h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, list(self.shape))]
        outputs = [h.make_tensor_value_info(output, onnx.TensorProto.FLOAT, [None] * rank)]
        constants = [numpy_helper.from_array(a, name) for name, a in self.constants.items()]
        graph = h.make_graph(self.nodes, "net", inputs, outputs, constants)
        opsets = [h.make_opsetid("", self.opset)]
        opsets += [h.make_opsetid(domain, 1) for domain in ("com.other", QONNX)]
        model = h.make_model(graph, opset_imports=opsets)
        onnx.checker.check_model(model)
        return model

    def save(self, folder: Path, output: str, rank: int = 2) -> Path:
        path = folder / "net.onnx"
        onnx.save(self.model(output, rank), path)
        return path


def computed(network: FloatGraph, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Run samples through what was read."""
    made = run_nodes(network, x.reshape(len(x), *network.input_shape))
    return next(y for node, y in made if node.name == network.output)


def check(net: Net, output: str, folder: Path, *, rank: int = 2) -> FloatGraph:
    """Compare a network that was read with the operators of onnx, a sample at a time."""
    from onnx.reference import ReferenceEvaluator

    path = net.save(folder, output, rank)
    network = import_file(path)
    sizes = [size if isinstance(size, int) else 1 for size in net.shape]
    x = net.rng.normal(size=(3, *sizes[1:]))
    session = ReferenceEvaluator(onnx.load(path))
    wanted: list[Any] = []
    for sample in x:
        results: Any = session.run([output], {"x": sample[None].astype(np.float32)})
        wanted.append(results[0])
    made = computed(network, x)
    np.testing.assert_allclose(
        made.reshape(3, -1), np.concatenate(wanted).reshape(3, -1), rtol=1e-4, atol=1e-5
    )
    assert shapes(network)[network.output] == made.shape[1:]
    return network


def conv(net: Net, source: str, name: str, weight: tuple[int, ...], **more: Any) -> str:
    inputs = [source, net.weight(f"{name}.weight", *weight)]
    return net.add("Conv", *inputs, net.weight(f"{name}.bias", weight[0]), out=name, **more)


def gemm_chain(net: Net) -> str:
    a = net.add("Gemm", "x", net.weight("fc1.weight", 6, 5), net.weight("fc1.bias", 6), transB=1)
    a = net.add("Relu", a)
    a = net.add("Dropout", a)
    more = net.weight("w2", 6, 4), net.weight("b2", 1, 4)
    return net.add("Gemm", a, *more, alpha=0.5, beta=2.0)


def matmul_add(net: Net) -> str:
    a = net.add("MatMul", "x", net.weight("m", 5, 7))
    a = net.add("Add", a, net.weight("offset", 7))
    a = net.add("Relu", a)
    a = net.add("Mul", a, net.weight("scale", 7))
    return net.add("MatMul", a, net.weight("m2", 7, 3))


def bn_conv(net: Net) -> str:
    a = conv(net, "x", "c1", (4, 2, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    net.constants["var"] = np.abs(net.rng.normal(size=4)).astype(np.float32) + 0.5
    names = [net.weight(n, 4) for n in ("gain", "offset", "mean")]
    a = net.add("BatchNormalization", a, *names, "var", epsilon=1e-3)
    a = net.add("Clip", a, net.const("low", 0, np.float32), net.const("high", 6, np.float32))
    a = net.add("GlobalAveragePool", a)
    a = net.add("Flatten", a)
    return net.add("Gemm", a, net.weight("w", 3, 4), transB=1)


def residual(net: Net) -> str:
    a = net.add("Relu", conv(net, "x", "c1", (2, 2, 3, 3), auto_pad="SAME_UPPER"))
    a = net.add("Add", a, "x")
    b = conv(net, a, "c2", (3, 2, 1, 1))
    a = net.add("Concat", a, b, axis=1)
    a = net.add("MaxPool", a, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    a = net.add("Sum", a, a)
    return net.add("Flatten", a)


def grouped(net: Net) -> str:
    a = conv(net, "x", "c", (4, 1, 3, 2), group=2, dilations=[2, 1], pads=[2, 0, 1, 1])
    a = net.add("AveragePool", a, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    return net.add("Flatten", a)


def shape_arithmetic(net: Net) -> str:
    a = conv(net, "x", "c", (4, 2, 3, 3))
    n = net.add("Shape", a)
    n = net.add("Gather", n, net.const("zero", 0), axis=0)
    n = net.add("Unsqueeze", n, net.const("axis", [0]))
    n = net.add("Concat", n, net.const("rest", [-1]), axis=0)
    a = net.add("Reshape", a, n)
    return net.add("MatMul", a, net.weight("w", 4 * 5 * 6, 3))


def moves(net: Net) -> str:
    a = net.add("Pad", "x", net.const("pads", [0, 0, 1, 0, 0, 0, 0, 2]))
    a = net.add("Slice", a, net.const("from", [1, 0]), net.const("to", [99, -1]),
                net.const("axes", [2, 3]), net.const("steps", [2, 1]))  # fmt: skip
    a = net.add("Transpose", a, perm=[0, 1, 3, 2])
    a = net.add("Gather", a, net.const("order", [1, 0]), axis=1)
    parts = net.add("Split", a, net.const("sizes", [1, 1]), outputs=["one", "two"], axis=1)
    a = net.add("Concat", "two", parts, axis=1)
    a = net.add("Identity", a)
    a = net.add("Flatten", a)
    return net.add("MatMul", a, net.weight("w", 2 * 9 * 4, 3))


def reductions(net: Net) -> str:
    a = net.add("Relu", conv(net, "x", "c", (4, 2, 3, 3)))
    mean = net.add("ReduceMean", a, axes=[2, 3], keepdims=0)
    top = net.add("GlobalMaxPool", a)
    top = net.add("Squeeze", top, net.const("axes", [2, 3]))
    total = net.add("ReduceSum", a, net.const("planes", [2, 3]), keepdims=0)
    return net.add("Sum", mean, top, total)


def copies(net: Net) -> str:
    """Make planes larger, right before a matrix product, which takes that in."""
    scales = net.const("scales", [1, 1, 2, 2], np.float32)
    a = net.add("Resize", "x", "", scales, mode="nearest")
    a = net.add("Flatten", a)
    a = net.add("Clip", a, "", net.const("most", 0.5, np.float32))
    return net.add("MatMul", a, net.weight("w", 2 * 6 * 8, 3))


def rounded_weights(net: Net) -> str:
    """Round a weight to codes with a scale a row, and back, as the QDQ format has it."""
    net.opset = 21
    numbers = net.const("step", [0.25, 0.5, 0.125], np.float32), net.const("zero", [0, 0, 0],
                                                                           np.int8)  # fmt: skip
    codes = net.add("QuantizeLinear", net.weight("fc.weight", 3, 5), *numbers, axis=0)
    return net.add("Gemm", "x", net.add("DequantizeLinear", codes, *numbers, axis=0), transB=1)


def line(net: Net) -> str:
    a = net.add("Relu", conv(net, "x", "c", (4, 2, 3), strides=[2], pads=[1, 1]))
    a = net.add("MaxPool", a, kernel_shape=[2])
    a = net.add("MaxPool", net.add("Neg", a), kernel_shape=[1], dilations=[2])
    return net.add("Flatten", a)


CASES: dict[str, tuple[Callable[[Net], str], tuple[int | str, ...]]] = {
    "gemm": (gemm_chain, ("batch", 5)),
    "matmul": (matmul_add, (1, 5)),
    "batch norm": (bn_conv, ("N", 2, 9, 8)),
    "residual": (residual, ("N", 2, 8, 8)),
    "groups": (grouped, (1, 2, 9, 8)),
    "shapes": (shape_arithmetic, ("N", 2, 7, 8)),
    "moves": (moves, ("N", 2, 7, 8)),
    "reductions": (reductions, ("N", 2, 7, 8)),
    "copies": (copies, ("N", 2, 3, 4)),
    "rounded weights": (rounded_weights, ("N", 5)),
    "line": (line, ("N", 2, 12)),
}


@pytest.mark.parametrize("case", CASES)
def test_networks_compute_what_onnx_does(case: str, tmp_path: Path) -> None:
    build, shape = CASES[case]
    net = Net(*shape)
    check(net, build(net), tmp_path)


@pytest.mark.parametrize("opset", [11, 13, 18, 22])
def test_opsets(opset: int, tmp_path: Path) -> None:
    """A network is the same in all; onnx itself takes a norm before opset 14 as in training."""
    net = Net("N", 2, 9, 8)
    network = check(net, bn_conv(net), tmp_path)
    net.opset = opset
    x = net.rng.normal(size=(3, *network.input_shape))
    other = import_file(net.save(tmp_path, net.nodes[-1].output[0]))
    np.testing.assert_array_equal(computed(other, x), computed(network, x))


@settings(max_examples=60)
@given(data=st.data())
def test_windows(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Convolutions and poolings with any kernel, stride, padding, and way to say these."""
    draw = data.draw
    kernel = draw(st.lists(st.integers(1, 4), min_size=2, max_size=2))
    strides = draw(st.lists(st.integers(1, 3), min_size=2, max_size=2))
    net = Net("N", 2, draw(st.integers(5, 9)), draw(st.integers(5, 9)), opset=19)
    more: dict[str, Any] = {"strides": strides}
    kind = draw(st.sampled_from(["Conv", "MaxPool", "AveragePool"]))
    if draw(st.booleans()):
        more["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "VALID"]))
    else:
        most = 3 if kind == "Conv" else min(kernel) // 2
        before = draw(st.lists(st.integers(0, most), min_size=2, max_size=2))
        after = draw(st.lists(st.integers(0, most), min_size=2, max_size=2))
        more["pads"] = [*before, *(after if kind == "Conv" else before)]
    if kind == "Conv":
        output = conv(net, "x", "c", (3, 2, *kernel), **more)
    else:
        if kind == "AveragePool":
            more["count_include_pad"] = draw(st.integers(0, 1))
        output = net.add(kind, "x", kernel_shape=kernel, **more)
    check(net, output, tmp_path_factory.mktemp("windows"), rank=4)


@pytest.mark.parametrize(
    ("kind", "size", "kernel", "step", "pads"),
    [
        ("MaxPool", 5, 2, 1, [0, 0, 1, 1]),
        ("MaxPool", 6, 3, 2, [1, 1, 0, 0]),
        ("AveragePool", 6, 7, 1, [0, 0, 1, 1]),
    ],
)
def test_padding_on_one_side_of_windows(
    kind: str, size: int, kernel: int, step: int, pads: list[int], tmp_path: Path
) -> None:
    """What is beyond the plane counts for nothing; onnx's own operators have that wrong."""
    net = Net("N", 2, size, size)
    made = net.add(kind, "x", kernel_shape=[kernel] * 2, strides=[step] * 2, pads=pads)
    network = import_file(net.save(tmp_path, made, 4))
    x = net.rng.normal(size=(3, 2, size, size))
    sides = (0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])
    windows = sliding_window_view(
        np.pad(x, sides, constant_values=np.nan), (kernel, kernel), (2, 3)
    )
    reduce = np.nanmax if kind == "MaxPool" else np.nanmean
    expected = reduce(windows[:, :, ::step, ::step], axis=(4, 5))
    np.testing.assert_allclose(computed(network, x), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("Softmax", "it does not change which output is the largest"),
        ("Sigmoid", "it is above 0.5 where its argument, the output now, is above 0"),
    ],
)
def test_what_is_left_out_at_the_end_with_a_note(kind: str, why: str, tmp_path: Path) -> None:
    net = Net("N", 5)
    scores = net.add("Gemm", "x", net.weight("w", 4, 5), transB=1)
    path = net.save(tmp_path, net.add(kind, scores, name="prob"))
    network = import_file(path)
    assert [type(node).__name__ for node in network.nodes] == ["FloatLinear"]
    assert network.notes == (f"{kind} 'prob' at the end is left out: {why}",)
    image = compile_file(path, net.rng.normal(size=(8, 5)), share=True)
    assert image.report["notes"] == list(network.notes)


QONNX = "qonnx.custom_op.general"


def quantizer(net: Net, x: str, bits: int, scale: Any, **flags: int | str) -> str:
    more = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **flags}
    count = len(net.nodes)
    numbers = [
        net.const(f"scale{count}", scale, np.float32),
        net.const(f"zero{count}", 0, np.float32),
        net.const(f"bits{count}", bits, np.float32),
    ]
    return net.add("Quant", x, *numbers, domain=QONNX, **more)


def test_quantizers_of_qonnx(tmp_path: Path) -> None:
    """Weights are rounded as they are; of activations, the range is what is left."""
    net = Net("N", 5)
    w1 = quantizer(net, net.weight("w1", 6, 5), 3, [[0.25], [0.5]] * 3, narrow=1)
    bits = [net.const("one", 0.5, np.float32)]
    w2 = net.add("BipolarQuant", net.weight("w2", 4, 6), *bits, domain=QONNX)
    w3 = quantizer(net, net.weight("w3", 2, 4), 2, 0.5, rounding_mode="FLOOR")
    a = net.add("Gemm", quantizer(net, "x", 8, 0.01), w1, transB=1)
    a = net.add("Gemm", quantizer(net, a, 4, 0.125, signed=0), w2, transB=1)
    path = net.save(tmp_path, net.add("Gemm", quantizer(net, a, 8, 0.1, signed=0), w3, transB=1))
    network = import_file(path)
    x = net.rng.normal(size=(9, 5))
    scale = np.array([[0.25], [0.5]] * 3)
    first = np.clip(np.round(net.constants["w1"] / scale), -3, 3) * scale
    last = np.clip(np.floor(net.constants["w3"] / 0.5), -2, 1) * 0.5
    y = np.clip(x @ first.T, 0, 15 * 0.125) @ np.where(net.constants["w2"] >= 0, 0.5, -0.5).T
    expected = np.maximum(y, 0) @ last.T
    np.testing.assert_allclose(computed(network, x).reshape(9, -1), expected, atol=1e-9)
    assert network.notes[0].startswith("3 quantizers of activations ('t3', 't5', 't7') are taken")


@pytest.mark.parametrize("limited", [False, True])
def test_pairs_of_quantizers_are_ranges(limited: bool, tmp_path: Path) -> None:
    """A lower limit of 0 is the ReLU that the writer left out; 4 bits stand between two limits."""
    net = Net("N", 5)
    numbers = net.const("step", 0.05, np.float32), net.const("zero", 0 if limited else -128,
                                                             np.int8)  # fmt: skip
    a = net.add("QuantizeLinear", net.add("Gemm", "x", net.weight("w", 4, 5), transB=1), *numbers)
    if limited:
        a = net.add("Clip", a, net.const("low", -8, np.int8), net.const("high", 7, np.int8))
    a = net.add("DequantizeLinear", a, *numbers)
    network = import_file(net.save(tmp_path, net.add("Gemm", a, net.weight("v", 3, 4), transB=1)))
    x = net.rng.normal(size=(9, 5))
    y = x @ net.constants["w"].T
    y = np.clip(y, -0.4, 0.35) if limited else np.maximum(y, 0)
    expected = y @ net.constants["v"].T
    np.testing.assert_allclose(computed(network, x).reshape(9, -1), expected, atol=1e-6)
    assert len(network.nodes) == (4 if limited else 2)


def test_layers_have_the_names_of_modules(tmp_path: Path) -> None:
    net = Net("N", 2, 6, 6)
    a = net.add("Conv", "x", net.weight("onnx::Conv_7", 3, 2, 3, 3), name="/layer1/layer1.0/c/Conv")
    a = net.add("Relu", a, name="/layer1/layer1.0/relu/Relu")
    a = net.add("Conv", a, net.weight("head.weight", 2, 3, 1, 1), name="/head/Conv")
    network = import_file(net.save(tmp_path, a, 4))
    assert [node.name for node in network.nodes] == ["layer1.0.c", "head"]
    assert INPUT in network.nodes[0].inputs


def test_compress_takes_a_file(tmp_path: Path) -> None:
    """What it trains computes what the file does."""
    torch = pytest.importorskip("torch")
    from zeroskip.compiler.compress.module import read_model

    net = Net("N", 2, 9, 8)
    network = check(net, bn_conv(net), tmp_path)
    make, shape, _ = read_model(tmp_path / "net.onnx")
    assert shape == (2, 9, 8)
    x = net.rng.normal(size=(3, 2, 9, 8))
    with torch.no_grad():
        made = make().eval()(torch.tensor(x, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(made, computed(network, x).reshape(3, -1), rtol=1e-3, atol=1e-4)


def test_external_data_and_functions(tmp_path: Path) -> None:
    net = Net("N", 5)
    model = net.model(gemm_chain(net))
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, size_threshold=0)
    assert len(import_file(tmp_path / "net.onnx").nodes) == 2
    for beside in tmp_path.iterdir():
        if beside.suffix != ".onnx":
            beside.unlink()
    with pytest.raises(InputError, match="a file of weights beside it is missing"):
        import_file(tmp_path / "net.onnx")


REFUSED: dict[str, tuple[Callable[[Net], str], str]] = {
    "tanh": (lambda n: n.add("Tanh", "x", name="act"), r"node 'act' \(Tanh.*only within LSTM"),
    "softmax inside": (
        lambda n: n.add("Relu", n.add("Softmax", "x", axis=1)),
        r"\(Softmax.*leave it out",
    ),
    "gate": (
        lambda n: n.add("Where", n.add("Greater", "x", n.weight("c", 1)), n.weight("one", 1), "x"),
        r"only where\(x > 0, x, 0\)",
    ),
    "outer product": (
        lambda n: n.add("Einsum", "x", n.weight("k", 3), equation="bchw,k->bkchw"),
        "'bchw,k->bkchw' is no matrix product",
    ),
    "elu": (lambda n: n.add("Elu", "x"), r"\(Elu.*not that of a ReLU; use ReLU"),
    "erf of a gelu": (lambda n: n.add("Erf", "x"), r"\(Erf.*use ReLU"),
    "mish": (lambda n: n.add("Mish", "x"), r"\(Mish.*not that of a ReLU; use ReLU"),
    "two activations": (lambda n: n.add("Mul", "x", "x"), "only additions of two tensors"),
    "indices": (
        lambda n: n.add("MaxPool", "x", outputs=["m", "i"], kernel_shape=[2, 2]),
        "Indices",
    ),
    "holes": (
        lambda n: n.add("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 2]),
        "windows have holes",
    ),
    "transposed": (
        lambda n: n.add("ConvTranspose", "x", n.weight("w", 2, 3, 2, 2)),
        r"\(ConvTranspose.*planes smaller",
    ),
    "rounding": (
        lambda n: n.add("Cast", n.add("Cast", "x", to=onnx.TensorProto.INT32), to=1),
        "rounds to int32",
    ),
    "another domain": (
        lambda n: n.add("Gelu", "x", domain="com.other", name="act"),
        r"node 'act' \(com.other.Gelu",
    ),
    "scales of channels": (
        lambda n: quantizer(n, "x", 4, [[[0.5]], [[0.25]]]),
        r"\(qonnx.custom_op.general.Quant.*one constant scale",
    ),
    "integers": (
        lambda n: n.add("DynamicQuantizeLinear", "x", outputs=["q", "s", "z"]),
        "quantize statically, in the QDQ format",
    ),
    "linear resize": (
        lambda n: n.add("Resize", "x", "", n.const("s", [1, 1, 2, 2], np.float32), mode="linear"),
        r"\(Resize",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_array_computes_is_named(case: str, tmp_path: Path) -> None:
    build, why = REFUSED[case]
    net = Net("N", 2, 6, 6, opset=18)
    path = net.save(tmp_path, build(net), 4)
    with pytest.raises(CompileError, match=why):
        import_file(path)


def test_what_is_refused_alike_is_said_once(tmp_path: Path) -> None:
    net = Net("N", 5)
    a = "x"
    for number in range(3):
        a = net.add("Tanh", net.add("Gemm", a, net.weight(f"w{number}", 5, 5)))
    pieces = import_pieces(net.save(tmp_path, net.add("Softmax", a)))
    (sentence,) = pieces.refused
    assert sentence.endswith("explored as if it were not there; so are 2 more like it")
    assert len(pieces.graphs[0].nodes) == 3
    assert len(pieces.notes) == 1


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    with pytest.raises(InputError, match="does not exist"):
        import_file(path)
    for contents in (b"", b"not a model", bytes(range(256)) * 8):
        path.write_bytes(contents)
        with pytest.raises(InputError, match="no ONNX"):
            import_file(path)
    net = Net("N", 5)
    whole = net.save(tmp_path, gemm_chain(net)).read_bytes()
    for cut in range(1, len(whole), 37):
        path.write_bytes(whole[:cut])
        with pytest.raises((InputError, CompileError)):
            import_file(path)


def test_old_opsets_and_free_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout had its ratio as an attribute before opset 12."""
    net = Net("N", 5, opset=9)
    net.add("Dropout", net.add("MatMul", "x", net.weight("w", 5, 3)), ratio=0.5)
    (layer,) = import_file(net.save(tmp_path, "t1")).nodes
    assert isinstance(layer, FloatLinear)
    np.testing.assert_array_equal(layer.weight, net.constants["w"].T)

    def fails(*_: object) -> None:
        raise RuntimeError("no adapter")

    monkeypatch.setattr(onnx.version_converter, "convert_version", fails)
    with pytest.raises(InputError, match="opset 9, which the package onnx cannot convert to 11"):
        import_file(tmp_path / "net.onnx")
    net = Net("N", 3, "H", "W")
    net.add("Relu", "x")
    path = net.save(tmp_path, "t0", 4)
    with pytest.raises(CompileError, match=r"shape \(N, 3, H, W\), of which only.*--shape"):
        import_file(path)
    with pytest.raises(CompileError, match=r"samples of shape \(1, 4, 5\) are none of it"):
        import_file(path, (1, 4, 5))
    assert import_file(path, (3, 4, 5)).input_shape == (3, 4, 5)


def test_constants_that_would_be_huge_are_not_made(tmp_path: Path) -> None:
    net = Net("N", 5)
    big = net.add("ConstantOfShape", net.const("size", [1 << 20, 1 << 20]))
    cast = net.add("ReduceSum", big)
    net.add("Add", "x", cast, out="y")
    with pytest.raises(CompileError, match="ConstantOfShape"):
        import_file(net.save(tmp_path, "y"))


def test_one_of_several_outputs(tmp_path: Path) -> None:
    """One is chosen, or a tensor before; what only the others need may be unsupported."""
    net = Net("n", 6)
    net.add("Gemm", "x", net.weight("w", 6, 4), out="shared")
    net.add("Relu", "shared", out="a")
    net.add("Erf", "shared", out="b")
    model = net.model("a")
    model.graph.output.append(h.make_tensor_value_info("b", onnx.TensorProto.FLOAT, [None] * 2))
    path, x = tmp_path / "net.onnx", np.random.default_rng(2).normal(size=(3, 6))
    onnx.save(model, path)
    with pytest.raises(CompileError, match=r"\(Erf.* --output-name takes one of its outputs alone"):
        import_file(path)
    products = x @ net.constants["w"]
    made = computed(import_file(path, None, "a"), x).reshape(3, 4)
    np.testing.assert_allclose(made, np.maximum(products, 0), atol=1e-6)
    made = computed(import_file(path, None, "shared"), x).reshape(3, 4)
    np.testing.assert_allclose(made, products, atol=1e-6)
    assert not import_pieces(path, None, "a").refused
    assert len(compile_file(path, x, output_name="a").graph.layers) == 1
    with pytest.raises(CompileError, match=r"\(Erf"):
        import_file(path, None, "b")
    with pytest.raises(InputError, match=r"no node .* makes 'sharde', .* did you mean shared"):
        import_file(path, None, "sharde")
