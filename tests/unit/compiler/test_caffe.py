"""Caffe's files: what networks compute, against Caffe's definitions; damage and refusals."""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.tiers import examples
from zeroskip.base.errors import CompileError, InputError
from zeroskip.cli.app import app
from zeroskip.cli.guard import run_guarded
from zeroskip.compiler.frontend.caffe_text import parse_text
from zeroskip.compiler.frontend.networks import import_file, import_pieces
from zeroskip.compiler.ir.compute import run_nodes

pytest.importorskip("google.protobuf")
Array = NDArray[np.float64]


def field(number: int, data: bytes) -> bytes:
    """Encode a field of bytes, text or a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    low = value & 127
    return bytes([low | 128]) + varint(value >> 7) if value >> 7 else bytes([low])


def blob(array: Array, *, old: bool) -> bytes:
    """Encode a BlobProto: floats in field 5, and a shape in 7, or formerly in 1 to 4."""
    data = field(5, struct.pack(f"<{array.size}f", *array.ravel()))
    if old:
        sizes = (1,) * (4 - array.ndim) + array.shape
        return b"".join(varint(n << 3) + varint(size) for n, size in enumerate(sizes, 1)) + data
    return field(7, field(1, b"".join(map(varint, array.shape)))) + data


def caffemodel(layers: Mapping[str, Sequence[Array]], *, old: bool = False) -> bytes:
    """Encode a NetParameter: layers in field 100, with names in 1 and blobs in 7, or formerly."""
    outer, name, blobs = (2, 4, 6) if old else (100, 1, 7)
    return b"".join(
        field(
            outer,
            field(name, key.encode())
            + b"".join(field(blobs, blob(array, old=old)) for array in arrays),
        )
        for key, arrays in layers.items()
    )


def layer(name: str, kind: str, bottom: str, top: str = "", **parameters: str) -> str:
    bottoms = " ".join(f'bottom: "{one}"' for one in bottom.split())
    more = " ".join(f"{key} {{ {value} }}" for key, value in parameters.items())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top or name}" {more} }}\n'


HEAD = """name: "net"
input: "data"  # the picture
input_dim: 10 input_dim: %d input_dim: %d input_dim: %d
"""
RNG = np.random.default_rng(7)


def drawn(*shape: int) -> Array:
    """Draw weights that 32 bits hold."""
    return RNG.normal(size=shape).astype(np.float32).astype(np.float64)


def save(
    folder: Path, text: str, weights: Mapping[str, Sequence[Array]], *, old: bool = False
) -> Path:
    (folder / "net.prototxt").write_text(text)
    (folder / "net.caffemodel").write_bytes(caffemodel(weights, old=old))
    return folder / "net.caffemodel"


def computed(path: Path, x: Array) -> Array:
    network = import_file(path)
    made = run_nodes(network, x.reshape(len(x), *network.input_shape))
    return next(y for node, y in made if node.name == network.output)


def convolved(x: Array, w: Array, b: Array, pad: int = 0, stride: int = 1, group: int = 1) -> Array:
    """Convolve samples, window by window."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    kh, kw = w.shape[2:]
    down, across = ((size - k) // stride + 1 for size, k in zip(x.shape[2:], (kh, kw), strict=True))
    y = np.zeros((len(x), len(w), down, across))
    for n in range(len(w)):
        first = n // (len(w) // group) * w.shape[1]
        for i in range(down):
            for j in range(across):
                window = x[:, first : first + w.shape[1], i * stride :, j * stride :][..., :kh, :kw]
                y[:, n, i, j] = (window * w[n]).sum((1, 2, 3)) + b[n]
    return y


def pooled(x: Array, kind: str, kernel: int, stride: int, pad: int) -> Array:
    """Pool as pooling_layer.cpp of Caffe does, index by index."""
    height, width = x.shape[2:]
    sizes = []
    for size in (height, width):
        count = int(np.ceil((size + 2 * pad - kernel) / stride)) + 1
        if pad and (count - 1) * stride >= size + pad:
            count -= 1
        sizes.append(count)
    y = np.zeros((*x.shape[:2], *sizes))
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            top, left = i * stride - pad, j * stride - pad
            bottom, right = min(top + kernel, height + pad), min(left + kernel, width + pad)
            count = (bottom - top) * (right - left)
            window = x[:, :, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
            y[:, :, i, j] = window.max((2, 3)) if kind == "MAX" else window.sum((2, 3)) / count
    return y


def test_a_network_computes_what_caffe_does(tmp_path: Path) -> None:
    """Groups, in-place layers, norms with a scale, a residual, branches, a softmax at the end."""
    w1, w2, w3, fc = drawn(4, 3, 3, 3), drawn(4, 2, 1, 1), drawn(2, 4, 3, 3), drawn(5, 6 * 2 * 2)
    b1, b3, b4 = drawn(4), drawn(2), drawn(5)
    mean, variance, factor = drawn(4), np.abs(drawn(4)) + 0.5, np.array([4.0])
    gain, offset = drawn(4), drawn(4)
    text = (
        HEAD % (3, 7, 7)
        + layer("c1", "Convolution", "data", convolution_param="num_output: 4 kernel_size: 3 pad: 1"
                ' weight_filler { type: "xavier" }')
        + layer("bn", "BatchNorm", "c1", "c1", batch_norm_param="use_global_stats: true eps: 1e-3")
        + layer("sc", "Scale", "c1", "c1", scale_param="bias_term: true")
        + layer("r1", "ReLU", "c1", "c1")
        + layer("c2", "Convolution", "c1", convolution_param="num_output: 4 kernel_h: 1 kernel_w: 1"
                " group: 2 bias_term: false")
        + layer("sum", "Eltwise", "c1 c2", eltwise_param="operation: SUM coeff: 1 coeff: -0.5")
        + layer("p1", "Pooling", "sum", pooling_param="pool: AVE kernel_size: 3 stride: 2 pad: 1")
        + layer("f/c3", "Convolution", "p1",
                convolution_param="num_output: 2 pad: 1 kernel_size: 3")
        + layer("cat", "Concat", "f/c3 p1")
        + layer("p2", "Pooling", "cat", pooling_param="kernel_size: 3 stride: 2")
        + layer("drop", "Dropout", "p2", "p2", dropout_param="dropout_ratio: 0.5")
        + layer("ip", "InnerProduct", "p2", inner_product_param="num_output: 5")
        + layer("loss", "SoftmaxWithLoss", "ip")
        + layer("prob", "Softmax", "ip")
    )  # fmt: skip
    weights = {
        "c1": (w1, b1), "bn": (mean, variance, factor), "sc": (gain, offset), "c2": (w2,),
        "f/c3": (w3, b3), "ip": (fc, b4),
    }  # fmt: skip
    path = save(tmp_path, text, weights)
    x = drawn(3, 3, 7, 7)
    column = (slice(None), None, None)
    y = convolved(x, w1, b1, pad=1)
    y = (y - (mean / 4)[column]) / np.sqrt((variance / 4)[column] + 1e-3)
    y = np.maximum(y * gain[column] + offset[column], 0)
    y = y - 0.5 * convolved(y, w2, np.zeros(4), group=2)
    y = pooled(y, "AVE", 3, 2, 1)
    y = pooled(np.concatenate([convolved(y, w3, b3, pad=1), y], 1), "MAX", 3, 2, 0)
    expected = y.reshape(3, -1) @ fc.T + b4
    np.testing.assert_allclose(computed(path, x).reshape(3, -1), expected, rtol=1e-6, atol=1e-6)
    network = import_file(tmp_path / "net.prototxt")
    assert {"c1", "f.c3", "ip"} < {node.name for node in network.nodes}
    assert network.notes[0].startswith("Softmax 'prob' at the end is left out")


@examples(12)
@given(data=st.data())
def test_pooling_has_the_windows_of_caffe(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    draw = data.draw
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    pad, size = draw(st.integers(0, kernel // 2)), draw(st.integers(4, 9))
    kind = draw(st.sampled_from(["MAX", "AVE"]))
    parameters = f"pool: {kind} kernel_size: {kernel} stride: {stride} pad: {pad}"
    text = (
        HEAD % (2, size, size)
        + layer("c", "Convolution", "data", convolution_param="num_output: 2 kernel_size: 1")
        + layer("p", "Pooling", "c", pooling_param=parameters)
    )
    w, b, x = drawn(2, 2, 1, 1), drawn(2), drawn(2, 2, size, size)
    path = save(tmp_path_factory.mktemp("pool"), text, {"c": (w, b)})
    if stride > kernel and -(-(size - kernel) // stride) * stride >= size and not pad:
        with pytest.raises(CompileError, match="'p'"):  # a window outside, which is of nothing
            import_file(path)
        return
    np.testing.assert_allclose(
        computed(path, x), pooled(convolved(x, w, b), kind, kernel, stride, pad), atol=1e-9
    )


def test_layers_that_are_sums_of_relus(tmp_path: Path) -> None:
    """Slopes of each channel and of all, absolute values, and the larger of two tensors."""
    text = (
        HEAD % (2, 3, 3)
        + layer("c", "Convolution", "data", convolution_param="num_output: 2 kernel_size: 1")
        + layer("p", "PReLU", "c")
        + layer("a", "AbsVal", "c")
        + layer("m", "Eltwise", "p a", eltwise_param="operation: MAX")
        + layer("q", "PReLU", "m", prelu_param="channel_shared: true")
        + layer("d", "Convolution", "q", convolution_param="num_output: 2 kernel_size: 1")
    )
    w, b, v, x = drawn(2, 2, 1, 1), drawn(2), drawn(2, 2, 1, 1), drawn(3, 2, 3, 3)
    slopes = np.array([1.5, -0.25])
    weights = {"c": (w, b), "p": (slopes,), "q": (np.array(0.5),), "d": (v, b)}
    y = convolved(x, w, b)
    y = np.maximum(np.where(y > 0, y, slopes[:, None, None] * y), np.abs(y))
    expected = convolved(np.where(y > 0, y, 0.5 * y), v, b)
    np.testing.assert_allclose(computed(save(tmp_path, text, weights), x), expected, atol=1e-9)


def test_old_files_and_small_layers(tmp_path: Path) -> None:
    """What Caffe wrote until 2014, Power and Slice, and matrices with four dimensions."""
    text = """input: "x" input_shape { dim: 1 dim: 4 }
    layers { name: "s" type: POWER bottom: "x" top: "s" power_param { scale: 2 shift: -1 } }
    layers { name: "cut" type: SLICE bottom: "s" top: "a" top: "b" slice_param { slice_point: 1 } }
    layers { name: "ip" type: INNER_PRODUCT bottom: "b" top: "ip"
             inner_product_param { num_output: 2, bias_term: false } include: { phase: TEST } }
    layers { name: "relu" type: RELU bottom: "ip" top: "ip" }
    layers { name: "no" type: SIGMOID bottom: "ip" top: "no" include < phase: TRAIN > }
    layers { name: "silent" type: SILENCE bottom: "a" }"""
    w = drawn(2, 3)
    path = save(tmp_path, text, {"ip": (w,)}, old=True)
    x = drawn(3, 4)
    expected = np.maximum((2 * x - 1)[:, 1:] @ w.T, 0)
    np.testing.assert_allclose(computed(path, x).reshape(3, -1), expected, atol=1e-6)


def test_the_authors_compressed_files_take_shapes_from_a_prototxt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Codes and runs by hand: a convolution of 8-bit codes, a matrix of 4-bit ones."""
    text = (
        HEAD % (1, 2, 2)
        + layer("conv", "Convolution", "data", convolution_param="num_output: 2 kernel_size: 2")
        + layer("fc", "InnerProduct", "conv", inner_product_param="num_output: 1")
    )
    wide, narrow = np.zeros(256, "<f4"), np.zeros(16, "<f4")
    wide[[3, 200]], narrow[5] = (0.5, -2), 4
    bias = np.array([0.25, -1], "<f4")
    (tmp_path / "small.net").write_bytes(
        np.array([2, 1], "<u4").tobytes()
        + wide.tobytes() + bias.tobytes() + bytes([3, 200]) + bytes([1 | 4 << 4])
        + narrow.tobytes() + np.array([1], "<f4").tobytes() + bytes([5]) + bytes([1])
    )  # fmt: skip
    (tmp_path / "train_val.prototxt").write_text("not for use")
    (tmp_path / "deploy.prototxt").write_text(text)
    x = drawn(3, 1, 2, 2)
    expected = (x[:, 0, 1, 0] * -2 - 1) * 4 + 1
    np.testing.assert_allclose(computed(tmp_path / "small.net", x).ravel(), expected, atol=1e-6)
    code, out, error = run(["import", tmp_path / "small.net", "--json"], capsys)
    assert not code, error
    assert [(one["name"], one["nnz"]) for one in json.loads(out)["layers"]] == [
        ("conv", 2), ("fc", 1)
    ]  # fmt: skip


def run(words: Sequence[object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = run_guarded(app, "zeroskip", list(map(str, words)))
    out = capsys.readouterr()
    return code, out.out, out.err


IP = layer("ip", "InnerProduct", "data", inner_product_param="num_output: 2")
REFUSED = {
    "LRN": (layer("n", "LRN", "data"), r"'n' \(LRN.*neighbouring channels"),
    "product": (layer("e", "Eltwise", "data data", eltwise_param="operation: PROD"), "SUM"),
    "unknown": (layer("y", "Yolo", "data"), r"'y' \(Yolo"),
    "parameter": (layer("r", "ReLU", "data", relu_param="odd: 3"), r"attribute odd = \[3\]"),
    "large": (
        layer("c", "Convolution", "data", convolution_param="kernel_size: 9 num_output: 2"),
        "it makes nothing of samples of shape",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_array_computes_is_named(case: str, tmp_path: Path) -> None:
    text, why = REFUSED[case]
    weights = {"c": (drawn(2, 1, 9, 9), drawn(2))}
    path = save(tmp_path, HEAD % (1, 2, 2) + text, weights)
    with pytest.raises(CompileError, match=why):
        import_file(path)


def test_explore_goes_on_behind_a_norm(tmp_path: Path) -> None:
    text = HEAD % (1, 2, 2) + layer("n", "LRN", "data") + IP.replace("data", "n")
    found = import_pieces(save(tmp_path, text, {"ip": (drawn(2, 4), drawn(2))}))
    assert "explored as if it were not there" in found.refused[0]
    assert [node.name for graph in found.graphs for node in graph.nodes] == ["ip"]


def _shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no prototxt": (
        lambda path: path.with_suffix(".prototxt").unlink(),
        "needs the network, a .prototxt file: put it beside as net.prototxt",
    ),
    "two": (
        lambda path: [
            path.with_suffix(".prototxt").rename(path.parent / "a.prototxt"),
            (path.parent / "b.prototxt").write_text(""),
        ],
        r"may belong to a.prototxt, b.prototxt: name the right one net.prototxt",
    ),
    "truncated": (_shortened, "is no caffemodel, or it is truncated"),
    "empty": (lambda path: path.write_bytes(b""), "holds no weights"),
    "other": (
        lambda path: path.write_bytes(caffemodel({"ip": (drawn(2, 3), drawn(2))})),
        r"has a weight of 2 x 3 for layer 'ip', and net.prototxt wants 2 x 4",
    ),
    "fewer": (
        lambda path: path.write_bytes(caffemodel({"ip": (drawn(2, 4),)})),
        r"has 1 arrays of layer 'ip', and net.prototxt wants 2",
    ),
    "open": (
        lambda path: path.with_suffix(".prototxt").write_text("layer { name: 'x'"),
        r"net.prototxt is damaged or no prototxt of Caffe: it is truncated",
    ),
    "no shape": (
        lambda path: path.with_suffix(".prototxt").write_text(IP),
        "does not say the shape of an input",
    ),
    "first format": (
        lambda path: path.with_suffix(".prototxt").write_text("layers { layer { name: 'x' } }"),
        "upgrade_net_proto_text",
    ),
    "nothing makes": (
        lambda path: path.with_suffix(".prototxt").write_text(
            HEAD % (1, 2, 2) + IP.replace('"data"', '"date"')
        ),
        "layer 'ip' reads 'date', which nothing makes",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_end_in_one_sentence(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, why = BAD[case]
    path = save(tmp_path, HEAD % (1, 2, 2) + IP, {"ip": (drawn(2, 4), drawn(2))})
    assert import_file(path).nodes
    damage(path)
    with pytest.raises(InputError, match=why):
        import_file(path)
    code, _, error = run(["import", path], capsys)
    assert code == 2
    assert error.count("\n") == 1


def test_damaged_prototxts_never_end_in_a_traceback(tmp_path: Path) -> None:
    text = HEAD % (1, 2, 2) + IP
    path = save(tmp_path, text, {"ip": (drawn(2, 4), drawn(2))})
    for cut in range(0, len(text) - 2, 7):
        for wrong in (text[:cut], text[:cut] + "7" + text[cut + 3 :]):
            path.with_suffix(".prototxt").write_text(wrong)
            try:
                import_file(path)
            except (InputError, CompileError):
                continue


def test_text_is_read_without_a_schema() -> None:
    text = "a: 1 # one\nb { c: 'x\\'y' d: [1, 2.5], e: true; } b < f: MAX > a: 0x1F a: -2"
    found = parse_text(text.replace("0x1F", "31"))
    assert found == {
        "a": [1, 31, -2],
        "b": [{"c": ["x'y"], "d": [1, 2.5], "e": [True]}, {"f": ["MAX"]}],
    }
    for wrong, why in (("a: 'b", "does not end"), ("} a: 1", "closes nothing"), ("{", "a name")):
        with pytest.raises(ValueError, match=f"line 1.*{why}"):
            parse_text(wrong)
