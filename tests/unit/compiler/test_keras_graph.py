"""Graphs of Keras files: what networks compute against Keras' definitions, and refusals."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.compress.keras_file import read_keras
from zeroskip.compiler.frontend.networks import import_file
from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.passes.fixed_point import check_planes

pytest.importorskip("onnx")
RNG = np.random.default_rng(3)
Layer = tuple[str, dict[str, Any], list[NDArray[np.float64]], list[str]]
"""Class, configuration, arrays in Keras' order, and the layers that it reads."""


def drawn(*shape: int) -> NDArray[np.float64]:
    return RNG.normal(size=shape).astype(np.float32).astype(np.float64)


def tensor(name: str) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def write_keras_3(
    path: Path,
    layers: Mapping[str, Layer],
    output: str,
    cells: Mapping[str, list[NDArray[np.float64]]] | None = None,
) -> None:
    """Write a functional model as Keras 3 does, which keeps arrays of ``cells`` one deeper."""
    entries: list[Any] = []
    weights, used = io.BytesIO(), dict[str, int]()
    groups = {"Conv2D": "conv2d", "BatchNormalization": "batch_normalization"}
    with h5py.File(weights, "w") as file:
        for name, (kind, config, arrays, read) in layers.items():
            tensors = [tensor(source) for source in read]
            args = [tensors] if len(tensors) > 1 else tensors
            calls = [{"args": args, "kwargs": {}}] if read else []
            entry = {"class_name": kind, "config": {"name": name, **config}}
            entries.append({**entry, "inbound_nodes": calls})
            group = groups.get(kind, kind.lower())
            number = used[group] = used.get(group, -1) + 1
            held = file.create_group(f"layers/{group}_{number}" if number else f"layers/{group}")
            of_cell = (cells or {}).get(name, [])
            for place, array in enumerate(arrays or of_cell):
                at = f"cell/vars/{place}" if of_cell else f"vars/{place}"
                held.create_dataset(at, data=array.astype(np.float32))
    model = {"layers": entries, "output_layers": [output, 0, 0]}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": model}))
        archive.writestr("model.weights.h5", weights.getvalue())


def write_keras_2(
    path: Path, layers: Mapping[str, Layer], roles: Mapping[str, Sequence[str]]
) -> None:
    """Write a chain of layers as Keras 2 does, without a layer for the input."""
    entries = [
        {"class_name": kind, "config": {"name": name, **config}}
        for name, (kind, config, _, _) in layers.items()
    ]
    with h5py.File(path, "w") as file:
        model = {"class_name": "Sequential", "config": {"layers": entries}}
        file.attrs["model_config"] = json.dumps(model)
        held = file.create_group("model_weights")
        held.attrs["layer_names"] = [name.encode() for name in layers]
        for name, (_, _, arrays, _) in layers.items():
            group, names = held.create_group(name), [f"{name}/{role}:0" for role in roles[name]]
            group.attrs["weight_names"] = [full.encode() for full in names]
            for full, array in zip(names, arrays, strict=True):
                group.create_dataset(full, data=array.astype(np.float32))


def computed(path: Path, x: NDArray[np.float64]) -> NDArray[np.float64]:
    network = import_file(path)
    made = run_nodes(network, check_planes(x, network, "input", single=True))
    return next(y for node, y in made if node.name == network.output).reshape(len(x), -1)


def convolved(x: NDArray[Any], w: NDArray[Any], step: int, *, same: bool) -> NDArray[Any]:
    """Convolve (n, rows, columns, channels) as Keras does; the larger half of padding is behind."""
    kernel, size = w.shape[0], x.shape[1]
    places = -(-size // step) if same else (size - kernel) // step + 1
    total = max(0, (places - 1) * step + kernel - size) if same else 0
    side = (total // 2, total - total // 2)
    x = np.pad(x, ((0, 0), side, side, (0, 0)))
    y = np.empty((len(x), places, places, w.shape[3]))
    for i in range(places):
        for j in range(places):
            window = x[:, i * step : i * step + kernel, j * step : j * step + kernel]
            y[:, i, j] = np.tensordot(window, w, 3)
    return y


INPUT: Layer = ("InputLayer", {"batch_shape": [None, 8, 8, 3]}, [], [])


def test_a_network_computes_what_keras_does(tmp_path: Path) -> None:
    """Strides with padding, a norm without scale, a residual, branches, a softmax at the end."""
    w1, w2, fc, bias = drawn(3, 3, 3, 4), drawn(1, 1, 4, 4), drawn(4 * 4 * 8, 5), drawn(5)
    beta, mean, variance = drawn(4), drawn(4), np.abs(drawn(4)) + 0.5
    layers: dict[str, Layer] = {
        "in": INPUT,
        "c1": (
            "Conv2D", {"kernel_size": [3, 3], "strides": [2, 2], "padding": "same"}, [w1], ["in"]
        ),
        "bn": (
            "BatchNormalization", {"scale": False, "epsilon": 1e-2}, [beta, mean, variance], ["c1"]
        ),
        "act": ("Activation", {"activation": "relu"}, [], ["bn"]),
        "c2": ("Conv2D", {"kernel_size": [1, 1], "activation": "relu6"}, [w2], ["act"]),
        "sum": ("Add", {}, [], ["act", "c2"]),
        "cat": ("Concatenate", {"axis": -1}, [], ["sum", "act"]),
        "flat": ("Flatten", {}, [], ["cat"]),
        "drop": ("Dropout", {"rate": 0.5}, [], ["flat"]),
        "out": ("Dense", {"activation": "softmax"}, [fc, bias], ["drop"]),
    }  # fmt: skip
    write_keras_3(tmp_path / "net.keras", layers, "out")
    x = drawn(3, 8, 8, 3)
    y = (convolved(x, w1, 2, same=True) - mean) / np.sqrt(variance + 1e-2) + beta
    act = np.maximum(y, 0)
    total = act + np.clip(convolved(act, w2, 1, same=False), 0, 6)
    expected = np.concatenate([total, act], axis=3).reshape(3, -1) @ fc + bias
    made = computed(tmp_path / "net.keras", np.moveaxis(x, 3, 1))
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5)
    network = import_file(tmp_path / "net.keras")
    assert network.notes[0].startswith("Softmax 'out' at the end is left out")
    assert {"c1", "c2", "out"} < {node.name for node in network.nodes}


def test_a_chain_of_keras_2(tmp_path: Path) -> None:
    w, fc, bias = drawn(2, 2, 3, 4), drawn(3 * 3 * 4, 5), drawn(5)
    first = {"batch_input_shape": [None, 7, 7, 3], "kernel_size": [2, 2], "activation": "relu"}
    layers: dict[str, Layer] = {
        "conv": ("Conv2D", first, [w], []),
        "pool": ("AveragePooling2D", {"pool_size": [2, 2], "strides": [2, 2]}, [], []),
        "flat": ("Flatten", {}, [], []),
        "out": ("Dense", {}, [fc, bias], []),
    }
    roles = {"conv": ["kernel"], "pool": [], "flat": [], "out": ["kernel", "bias"]}
    write_keras_2(tmp_path / "net.h5", layers, roles)
    x = drawn(3, 7, 7, 3)
    y = np.maximum(convolved(x, w, 1, same=False), 0)
    pooled = y.reshape(3, 3, 2, 3, 2, 4).mean((2, 4))
    made = computed(tmp_path / "net.h5", np.moveaxis(x, 3, 1))
    np.testing.assert_allclose(made, pooled.reshape(3, -1) @ fc + bias, rtol=1e-5, atol=1e-5)


def cell(
    kind: str, x: NDArray[Any], w: NDArray[Any], u: NDArray[Any], b: NDArray[Any]
) -> NDArray[Any]:
    """Return every h of a layer of Keras, whose gates are i, f, c, o, or z, r, h."""

    def sigmoid(z: NDArray[Any]) -> NDArray[Any]:
        return 1 / (1 + np.exp(-z))

    units, steps = len(u), []
    h, c = np.zeros((len(x), units)), np.zeros((len(x), units))
    for step in range(x.shape[1]):
        if kind == "LSTM":
            i, f, new, o = np.split(x[:, step] @ w + h @ u + b, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
            h = sigmoid(o) * np.tanh(c)
        else:
            z, r, new = np.split(x[:, step] @ w + b[0], 3, axis=1)
            past_z, past_r, past = np.split(h @ u + b[1], 3, axis=1)
            z, r = sigmoid(z + past_z), sigmoid(r + past_r)
            h = z * h + (1 - z) * np.tanh(new + r * past)
        steps.append(h)
    return np.stack(steps, axis=1)


@pytest.mark.parametrize("every", [False, True])
def test_cells_compute_what_keras_does(every: bool, tmp_path: Path) -> None:
    """Inputs are (steps, values), as in Keras; a convolution before them reads channels first."""
    w1, u1, b1 = drawn(4, 24), drawn(6, 24), drawn(24)
    w2, u2, b2 = drawn(6, 15), drawn(5, 15), drawn(2, 15)
    fc, bias, kernel = drawn(5, 3), drawn(3), drawn(1, 4, 4)
    layers: dict[str, Layer] = {
        "in": ("InputLayer", {"batch_shape": [None, 7, 4]}, [], []),
        "lstm": ("LSTM", {"return_sequences": True}, [], ["in"]),
        "drop": ("Dropout", {"rate": 0.5}, [], ["lstm"]),
        "gru": ("GRU", {"return_sequences": every}, [], ["drop"]),
        "out": ("Dense", {}, [fc, bias], ["gru"]),
    }
    path, x = tmp_path / "net.keras", drawn(3, 7, 4)
    arrays = {"lstm": [w1, u1, b1], "gru": [w2, u2, b2]}
    h = cell("GRU", cell("LSTM", x, w1, u1, b1), w2, u2, b2)
    expected = (h if every else h[:, -1]) @ fc + bias
    write_keras_3(path, layers, "out", arrays)
    network = import_file(path)
    assert (network.sample_shape, network.every_step) == ((7, 4), every)
    made = next(y for node, y in run_nodes(network, x.reshape(21, 4, 1, 1)) if node.name == "out")
    made = made.reshape(3, 7, 3)
    np.testing.assert_allclose(made if every else made[:, -1], expected, rtol=1e-5, atol=1e-5)
    conv: Layer = ("Conv1D", {"kernel_size": [1]}, [kernel], ["in"])
    lstm: Layer = ("LSTM", {"return_sequences": True}, [], ["conv"])
    write_keras_3(path, {"in": layers["in"], "conv": conv, **layers, "lstm": lstm}, "out", arrays)
    assert import_file(path).sample_shape == (4, 7)


def call(*read: tuple[str, int]) -> dict[str, Any]:
    """Return a use of a layer, which reads results of layers by name and by the use of them."""
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"keras_history": [name, use, 0]}}
        for name, use in read
    ]
    return {"args": [tensors] if len(tensors) > 1 else tensors, "kwargs": {}}


def entry(kind: str, name: str, *calls: Any, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}, "inbound_nodes": list(calls)}


def write(
    path: Path, config: Any, arrays: Mapping[str, Sequence[NDArray[np.float64]]]
) -> NDArray[np.float64]:
    """Write a model of Keras 3, arrays by their groups' paths; return inputs for it."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for group, held in arrays.items():
            for place, array in enumerate(held):
                file.create_dataset(f"{group}/vars/{place}", data=array.astype(np.float32))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return drawn(3, *config["config"]["layers"][0]["config"]["batch_shape"][1:])


def test_models_in_models_and_layers_that_are_used_twice(tmp_path: Path) -> None:
    """A model is used twice in one, in which a layer is, too, and reads a later one's result."""
    shape = {"batch_shape": [None, 4]}
    inner = [
        entry("InputLayer", "in", **shape),
        entry("Dense", "twice", call(("in", 0)), call(("other", 0)), activation="relu"),
        entry("Dense", "other", call(("twice", 0))),
    ]
    layers = [
        entry("InputLayer", "in", **shape),
        entry(
            "Functional", "encoder", call(("in", 0)), call(("encoder", 0)),
            layers=inner, input_layers=["in", 0, 0], output_layers=["twice", 1, 0],
        ),
        entry("Subtract", "less", call(("encoder", 1), ("in", 0))),
        entry(
            "Sequential", "head", call(("less", 0)),
            layers=[entry("InputLayer", "in", **shape), entry("Dense", "twice")],
        ),
    ]  # fmt: skip
    config = {
        "class_name": "Functional",
        "config": {
            "layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["head", 0, 0]],
        },
    }  # fmt: skip
    w, v, u = drawn(4, 4), drawn(4, 4), drawn(4, 2)
    arrays = {
        "layers/functional/layers/dense": [w],
        "layers/functional/layers/dense_1": [v],
        "layers/sequential/layers/dense": [u],
    }
    x = write(tmp_path / "net.keras", config, arrays)

    def encoder(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.maximum(np.maximum(x @ w, 0) @ v @ w, 0)

    expected = (encoder(encoder(x)) - x) @ u
    np.testing.assert_allclose(computed(tmp_path / "net.keras", x), expected, rtol=1e-5, atol=1e-5)
    state = read_keras(tmp_path / "net.keras").state
    assert [*state] == ["encoder.twice.weight", "encoder.other.weight", "head.twice.weight"]
    layers[1]["inbound_nodes"][0] = call(("less", 0))
    write(tmp_path / "net.keras", config, arrays)
    with pytest.raises(InputError, match="reads what is made of its own result"):
        import_file(tmp_path / "net.keras")


@pytest.mark.parametrize(
    ("read", "end", "why"),
    [
        (("twice", 1, 0), ("twice", 2, 0), "'twice' is used 2 times, .* asks for use 2, counted"),
        (("twice", -1, 0), ("twice", 1, 0), "'twice' is used 2 times, .* asks for use -1"),
        (("in", 1, 0), ("twice", 1, 0), "'in' is used once, .* asks for use 1"),
        (("twice", 0, -1), ("twice", 1, 0), "'twice' has no result -1"),
        (("twice", 0, 0), ("gone", 0, 0), "reads layer 'gone', which the model does not have"),
        (("twice", 0, 0), ("model", 3, 0), "'model' is used once, .* asks for use 3"),
    ],
)
def test_uses_and_results_that_are_not_there(
    read: tuple[str, int, int], end: tuple[str, int, int], why: str, tmp_path: Path
) -> None:
    """Such a file is refused, and not read as another use of the layer."""
    reading = call(("in", 0))
    reading["args"][0]["config"]["keras_history"] = list(read)
    shape = {"batch_shape": [None, 4]}
    chain = [entry("InputLayer", "in", **shape), entry("Dense", "one")]
    layers = [
        entry("InputLayer", "in", **shape),
        entry("Dense", "twice", call(("in", 0)), reading),
        entry("Sequential", "model", call(("twice", 1)), layers=chain),
    ]
    model = {"layers": layers, "input_layers": ["in", 0, 0], "output_layers": list(end)}
    arrays = {"layers/dense": [drawn(4, 4)], "layers/sequential/layers/dense": [drawn(4, 4)]}
    write(tmp_path / "net.keras", {"class_name": "Functional", "config": model}, arrays)
    with pytest.raises(InputError, match=why):
        import_file(tmp_path / "net.keras")


@pytest.mark.parametrize(
    ("config", "arrays", "why"),
    [
        ({"use_bias": True}, [(4, 3)], r"'out' \(Dense\) has no bias in the file"),
        ({"use_bias": False}, [(4, 3), (3,)], "has a bias, and its configuration says use_bias=F"),
        ({"units": 2}, [(4, 3)], r"has an array of \(4, 3\), which is not of units=2"),
        ({"units": 3}, [], "damaged"),
    ],
)
def test_arrays_that_are_not_those_of_the_configuration(
    config: dict[str, Any], arrays: list[tuple[int, ...]], why: str, tmp_path: Path
) -> None:
    layers = [entry("InputLayer", "in", batch_shape=[None, 4]), entry("Dense", "out", **config)]
    model = {"class_name": "Sequential", "config": {"layers": layers}}
    write(tmp_path / "net.keras", model, {"layers/dense": [drawn(*shape) for shape in arrays]})
    with pytest.raises(InputError, match=why):
        import_file(tmp_path / "net.keras")


def test_files_that_promise_more_than_they_have(tmp_path: Path) -> None:
    """No memory is taken for an array that nobody wrote, nor for zeros that were deflated."""
    path = tmp_path / "net.keras"
    layers = [entry("InputLayer", "in", batch_shape=[None, 4]), entry("Dense", "out")]
    model = {"class_name": "Sequential", "config": {"layers": layers}}
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_dataset("layers/dense/vars/0", (10**6, 10**6), "f4", chunks=(1, 10**6))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", weights.getvalue())
    with pytest.raises(InputError, match="has 0 bytes, not 4000000000000"):
        import_file(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", bytes(10**8))
    with pytest.raises(InputError, match="cannot become 100000000"):
        import_file(path)


@pytest.mark.parametrize("every", [False, True])
def test_both_directions(every: bool, tmp_path: Path) -> None:
    """A Dense layer on each step, and behind it a layer in both directions."""
    cells = [entry("GRU", f"{way}_gru", return_sequences=every) for way in ("forward", "backward")]
    both = {"layer": cells[0], "backward_layer": cells[1], "merge_mode": "concat"}
    dense = entry("Dense", "each", activation="relu")
    layers = [
        entry("InputLayer", "in", batch_shape=[None, 5, 4]),
        entry("TimeDistributed", "steps", layer=dense),
        entry("Bidirectional", "both", **both),
    ]
    config = {"class_name": "Sequential", "config": {"layers": layers}}
    d = drawn(4, 4)
    weights = [[drawn(4, 6), drawn(2, 6), drawn(2, 6)] for _ in cells]
    arrays = {"layers/time_distributed/layer": [d]} | {
        f"layers/bidirectional/{way}_layer/cell": held
        for way, held in zip(("forward", "backward"), weights, strict=True)
    }
    x = write(tmp_path / "net.keras", config, arrays)
    y = np.maximum(x @ d, 0)
    (fw, fu, fb), (bw, bu, bb) = weights
    forward, backward = cell("GRU", y, fw, fu, fb), cell("GRU", y[:, ::-1], bw, bu, bb)
    network = import_file(tmp_path / "net.keras")
    made = [
        m for node, m in run_nodes(network, x.reshape(15, 4, 1, 1)) if node.name == network.output
    ]
    result = made[0].reshape(3, 5, 4)
    if every:
        expected = np.concatenate([forward, backward[:, ::-1]], axis=2)
    else:
        result, expected = result[:, -1], np.concatenate([forward[:, -1], backward[:, -1]], axis=1)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    state = read_keras(tmp_path / "net.keras").state
    assert {"steps.weight", "both.weight_ih_l0", "both.weight_ih_l0_reverse"} <= {*state}


def test_layers_that_are_one_operator(tmp_path: Path) -> None:
    """Pictures are scaled by what was seen of them, and slopes are those of each channel."""
    slopes, kernel = np.abs(drawn(1, 1, 2)), drawn(1, 1, 2, 2)
    mean, variance = drawn(2), np.abs(drawn(2))
    layers = [
        entry("InputLayer", "in", batch_shape=[None, 3, 3, 2]),
        entry("RandomFlip", "flip"),
        entry("Normalization", "scaled", axis=[-1]),
        entry("Conv2D", "conv", kernel_size=[1, 1]),
        entry("PReLU", "slopes"),
        entry("LeakyReLU", "leaky", negative_slope=0.5),
    ]
    config = {"class_name": "Sequential", "config": {"layers": layers}}
    arrays = {
        "layers/normalization": [mean, variance, np.array(9.0)],
        "layers/conv2d": [kernel],
        "layers/p_re_lu": [slopes],
    }
    x = write(tmp_path / "net.keras", config, arrays)
    y = (x - mean) / np.sqrt(variance) @ kernel[0, 0]
    y = np.where(y > 0, y, slopes * y)
    expected = np.moveaxis(np.where(y > 0, y, 0.5 * y), 3, 1).reshape(3, -1)
    made = computed(tmp_path / "net.keras", np.moveaxis(x, 3, 1))
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4)
    write(tmp_path / "net.keras", config, arrays | {"layers/p_re_lu": [drawn(3, 3, 2)]})
    with pytest.raises(CompileError, match=r"the same all over a channel .*shared_axes"):
        import_file(tmp_path / "net.keras")


@pytest.mark.parametrize(
    ("kind", "config", "moved"),
    [
        ("Cropping2D", {"cropping": [[1, 2], [3, 0]]}, lambda x: x[:, 1:-2, 3:]),
        ("Permute", {"dims": [2, 1, 3]}, lambda x: x.transpose(0, 2, 1, 3)),
    ],
)
def test_layers_that_move_elements(
    kind: str,
    config: dict[str, Any],
    moved: Callable[[NDArray[Any]], NDArray[Any]],
    tmp_path: Path,
) -> None:
    x = drawn(2, 8, 8, 3)
    expected = moved(x)
    w, fc = drawn(2, 2, 3, 4), drawn(expected[0, 1:, 1:, 0].size * 4, 5)
    layers: dict[str, Layer] = {
        "in": INPUT,
        "move": (kind, config, [], ["in"]),
        "conv": ("Conv2D", {"kernel_size": [2, 2], "activation": "relu"}, [w], ["move"]),
        "flat": ("Flatten", {}, [], ["conv"]),
        "out": ("Dense", {"use_bias": False}, [fc], ["flat"]),
    }
    write_keras_3(tmp_path / "net.keras", layers, "out")
    rows, columns = (size - 1 for size in expected.shape[1:3])
    y = np.zeros((2, rows, columns, 4))
    for r in range(2):
        for s in range(2):
            y += expected[:, r : r + rows, s : s + columns] @ w[r, s]
    made = computed(tmp_path / "net.keras", np.moveaxis(x, 3, 1))
    np.testing.assert_allclose(made, np.maximum(y, 0).reshape(2, -1) @ fc, rtol=1e-5, atol=1e-5)


def test_a_dense_layer_on_each_place_of_a_plane(tmp_path: Path) -> None:
    w, bias = drawn(3, 2), drawn(2)
    dense: Layer = ("Dense", {"activation": "relu"}, [w, bias], ["in"])
    write_keras_3(tmp_path / "net.keras", {"in": INPUT, "out": dense}, "out")
    x = drawn(2, 8, 8, 3)
    made = computed(tmp_path / "net.keras", np.moveaxis(x, 3, 1))
    expected = np.moveaxis(np.maximum(x @ w + bias, 0), 3, 1)
    np.testing.assert_allclose(made, expected.reshape(2, -1), rtol=1e-5, atol=1e-5)


def test_what_is_not_supported_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    refused: list[tuple[Layer, str]] = [
        (("LayerNormalization", {}, [], ["in"]), r"'x' \(keras.LayerNormalization"),
        (("Activation", {"activation": "gelu"}, [], ["in"]), r"'x' \(keras.gelu"),
        (
            ("Conv2D", {"kernel_size": [1, 1], "data_format": "channels_first"}, [], ["in"]),
            "data_format='channels_first': save the model with 'channels_last'",
        ),
        (("LSTM", {"activation": "relu"}, [], ["in"]), "only with tanh and sigmoid"),
        (("GRU", {"reset_after": False}, [], ["in"]), "with reset_after=True"),
        (
            (
                "Bidirectional",
                {"layer": {"class_name": "SimpleRNN", "config": {"name": "rnn"}}},
                [],
                ["in"],
            ),
            "of an LSTM or a GRU",
        ),
    ]
    for layer, why in refused:
        write_keras_3(path, {"in": INPUT, "x": layer}, "x")
        with pytest.raises(CompileError, match=why):
            import_file(path)
    free: Layer = ("InputLayer", {"batch_shape": [None, None, None, 3]}, [], [])
    conv: Layer = ("Conv2D", {"kernel_size": [1, 1]}, [drawn(1, 1, 3, 2)], ["in"])
    write_keras_3(path, {"in": free, "x": conv}, "x")
    with pytest.raises(CompileError, match="--shape"):
        import_file(path)
    assert import_file(path, (3, 4, 5)).input_shape == (3, 4, 5)


def test_damaged_configurations_end_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    conv: Layer = (
        "Conv2D", {"kernel_size": [1, 1], "strides": "x"}, [drawn(1, 1, 3, 2)], ["in"]
    )  # fmt: skip
    for layers in ({"in": INPUT, "x": conv}, {"x": conv}, {"in": ("InputLayer", {}, [], [])}):
        write_keras_3(path, layers, "x")
        with pytest.raises(InputError, match=r"net\.keras"):
            import_file(path)
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.ones((3, 2)))
    with pytest.raises(InputError, match="has weights alone: zeroskip import gives"):
        import_file(tmp_path / "w.weights.h5")
