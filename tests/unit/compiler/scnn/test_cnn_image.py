"""Images of networks with convolutions: what was saved comes back, or is refused."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError, ImageError
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, QuantCnn, QuantConv, QuantGraph
from zeroskip.compiler.ir.network import QuantNetwork
from zeroskip.compiler.scnn.compile import compile_quantized_cnn
from zeroskip.compiler.scnn.image import CnnImage, load_image
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS

PARAMS = replace(PRESETS["tile"], pes_x=2, pes_y=2, num_streams=4)
TAIL = EieParams(num_pes=3, acc_bits=40)
DrawNetwork = Callable[..., QuantNetwork]


def _graph() -> QuantGraph:
    """Two convolutions on 5 x 5, the second with a codebook."""
    rng = np.random.default_rng(0)
    book = np.array([0, 3, -4, 7])
    common: dict[str, Any] = {
        "kind": "conv",
        "stride": (1, 1),
        "padding": (1, 1),
        "groups": 1,
        "relu": True,
        "op": "add",
        "signed_input": False,
        "in_frac": 0,
        "weight_frac": 4,
        "out_frac": 0,
    }
    first = QuantConv(
        name="conv1",
        inputs=(INPUT,),
        in_shape=(2, 5, 5),
        out_shape=(4, 5, 5),
        weight=rng.integers(-9, 9, (4, 2, 3, 3)),
        codebook=None,
        bias=rng.integers(-99, 99, 4),
        **common,
    )
    second = QuantConv(
        name="conv2",
        inputs=("conv1",),
        in_shape=(4, 5, 5),
        out_shape=(3, 5, 5),
        weight=rng.choice(book, (3, 4, 3, 3)),
        codebook=book,
        bias=rng.integers(-99, 99, 3),
        **common,
    )
    return QuantGraph((2, 5, 5), (first, second), ("conv2",))


@pytest.fixture(scope="module")
def image(draw_network: DrawNetwork) -> CnnImage:
    tail = draw_network([75, 10, 4], shift=6)
    return compile_quantized_cnn(
        QuantCnn(_graph(), tail), PARAMS, TAIL, name="net", report={"accuracy": 0.5}
    )


@pytest.fixture
def saved(image: CnnImage, tmp_path: Path) -> Path:
    image.save(tmp_path / "net")
    return tmp_path / "net"


def _files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def _same(a: Any, b: Any) -> bool:
    """Compare deeply; arrays have no truth."""
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    if hasattr(a, "__dataclass_fields__"):
        return all(_same(getattr(a, one), getattr(b, one)) for one in a.__dataclass_fields__)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return a == b


def test_comes_back(image: CnnImage, saved: Path) -> None:
    loaded = load_image(saved)
    assert isinstance(loaded, CnnImage)
    assert (loaded.name, loaded.params, loaded.report) == (image.name, image.params, image.report)
    assert _same(loaded.network.graph, image.network.graph)
    assert _same(loaded.runs, image.runs)
    assert loaded.tail is not None
    assert image.tail is not None
    assert _same(loaded.tail.segments, image.tail.segments)
    assert _same(loaded.tail.placement, image.tail.placement)
    loaded.save(saved.parent / "again")
    assert _files(saved.parent / "again") == _files(saved)


def test_without_tail(tmp_path: Path) -> None:
    image = compile_quantized_cnn(QuantCnn(_graph(), None), PARAMS, name="net")
    image.save(tmp_path / "net")
    loaded = load_image(tmp_path / "net")
    assert isinstance(loaded, CnnImage)
    assert loaded.tail is None
    assert not (tmp_path / "net" / "eie").exists()


def test_images_of_linear_layers_are_loaded_too(image: CnnImage, tmp_path: Path) -> None:
    assert image.tail is not None
    image.tail.save(tmp_path / "tail")
    assert isinstance(load_image(tmp_path / "tail"), Image)
    with pytest.raises(
        ImageError,
        match=r"manifest.json is that of an image of Linear layers for EIE alone, but an image of "
        "a network with convolutions for SCNN is needed here$",
    ):
        CnnImage.load(tmp_path / "tail")
    # Either kind replaces the other.
    image.save(tmp_path / "tail")
    assert isinstance(load_image(tmp_path / "tail"), CnnImage)
    assert isinstance(Image.load(tmp_path / "tail"), CnnImage)
    with pytest.raises(ImageError, match="is that of an image of a network with convolutions"):
        Image.load_eie(tmp_path / "tail")


def test_every_byte_is_checked(saved: Path) -> None:
    files = _files(saved)
    assert {"scnn/tensors.npz", "scnn/run_0/program.hex", "eie/manifest.json"} < set(files)
    for name, data in files.items():
        path = saved / name
        for damaged in (data[:-1] + bytes([data[-1] ^ 1]), data[:-2], data + b"\n"):
            if name.endswith("manifest.json") and damaged.strip() == data.strip():
                continue
            path.write_bytes(damaged)
            with pytest.raises(ImageError, match=f"{name} is damaged: "):
                load_image(saved)
        path.unlink()
        with pytest.raises(ImageError, match=path.name):
            load_image(saved)
        path.write_bytes(data)
    (saved / "scnn" / "extra.hex").write_text("0\n")
    with pytest.raises(ImageError, match=r"extra.hex is foreign: no image has such a file"):
        load_image(saved)


def _forge(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and sign it."""
    manifest = json.loads((root / "manifest.json").read_bytes())
    change(manifest)
    manifest.pop("checksum")
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    manifest["checksum"] = hashlib.sha256(text.encode()).hexdigest()
    (root / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(schema=99), "has schema 99, written by zeroskip .* reads schema 2"),
        (lambda m: m["params"].update(banks=7), "banks must be a power of two, not 7"),
        (lambda m: m["layers"][1].update(inputs=["x"]), "layers.1.inputs must be made before"),
        (lambda m: m["layers"][0].update(name="input"), "layers.0.name must be of no other"),
        (lambda m: m["layers"][1].update(in_shape=[5, 5, 5]), r"layers.1.in_shape must be that of"),
        (lambda m: m["layers"][0].update(groups=3), "layers.0.groups must divide the channels"),
        (lambda m: m.update(outputs=["y"]), "outputs must be tensors of the network, not 'y'"),
        (lambda m: m["runs"][0]["program"][0].update(activation=0), "program.0.activation must be"),
        (lambda m: m["runs"][0]["program"][0].update(wo=9), "program must be what scnn/run_0/prog"),
        (lambda m: m["runs"][0]["passes"].reverse(), "runs.0.passes.0 must be the layer bef"),
        (lambda m: m["runs"][0]["srams"].append("pe_9/spmat"), "srams must not name pe_9/spmat"),
        (lambda m: m["runs"][0]["outputs"].reverse(), "outputs.0 must be of a tensor"),
        (lambda m: m["runs"][0]["loads"][0]["layout"].update(height=6), "must end at row 5"),
        (lambda m: m["runs"][0]["loads"][0]["layout"].update(tile_w=0), "sizes of at least 1"),
        (lambda m: m.pop("runs"), "runs: field required"),
    ],
)
def test_forged_manifests_are_refused(
    change: Callable[[dict[str, Any]], object], message: str, saved: Path
) -> None:
    _forge(saved, change)
    with pytest.raises(ImageError, match=message) as caught:
        load_image(saved)
    assert "manifest.json" in str(caught.value)


def test_missing_images(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is no such directory"):
        load_image(tmp_path / "nothing")
    with pytest.raises(ImageError, match=r"it has no manifest.json"):
        load_image(tmp_path)
    (tmp_path / "manifest.json").write_text("[")
    with pytest.raises(ImageError, match="it is not JSON"):
        load_image(tmp_path)


def test_a_tail_needs_an_array(draw_network: DrawNetwork) -> None:
    tail = draw_network([75, 4], shift=6)
    with pytest.raises(
        CompileError, match="Linear layers follow, so EIE must have activations of 16 bits"
    ):
        compile_quantized_cnn(QuantCnn(_graph(), tail), PARAMS, name="net")


def test_columns_stand_as_outputs_come(
    image: CnnImage, machine: Any, convolve: Callable[..., NDArray[np.int64]]
) -> None:
    assert image.tail is not None
    assert image.handoff is not None
    graph = image.network.graph
    rng = np.random.default_rng(1)
    tensors = {INPUT: rng.integers(0, 99, graph.input_shape)}
    array = machine(image.params)
    tensors["conv2"] = np.zeros(graph.shape("conv2"), np.int64)
    for run in image.runs:
        array.run(run, tensors)
    left = array.hand_off(image.runs[-1], image.handoff.fields)
    flat = tensors["conv2"].ravel()
    assert flat.any()
    np.testing.assert_array_equal(np.array(left)[image.tail.placement[0]], flat)
    assert sorted(image.tail.placement[0]) == list(range(75))


def test_outputs_of_many_blocks_can_be_handed_off(machine: Any, draw_network: DrawNetwork) -> None:
    """One layer by itself is spread over blocks; one of them has fewer channels."""
    (first, _), params = _graph().layers, replace(PARAMS, num_streams=4, pes_x=4, pes_y=1)
    wide = replace(
        first,
        out_shape=(7, 5, 5),
        weight=np.tile(first.weight, (2, 1, 1, 1))[:7],
        bias=np.arange(7),
    )
    graph = QuantGraph((2, 5, 5), (wide,), ("conv1",))
    image = compile_quantized_cnn(
        QuantCnn(graph, draw_network([175, 4], shift=6)), params, TAIL, name="net"
    )
    assert image.handoff is not None
    assert len(image.runs[-1].stores[0].blocks) > 1
    rng = np.random.default_rng(1)
    tensors = {INPUT: rng.integers(0, 99, (2, 5, 5)), "conv1": np.zeros((7, 5, 5), np.int64)}
    array = machine(params)
    array.run(image.runs[0], tensors)
    left = np.array(array.hand_off(image.runs[0], image.handoff.fields))
    np.testing.assert_array_equal(left[image.handoff.positions], tensors["conv1"].ravel())


def test_a_column_order_of_its_own_stays_with_the_host(image: CnnImage) -> None:
    assert image.tail is not None
    other = replace(image.tail, placement=(np.arange(75), *image.tail.placement[1:]))
    assert replace(image, tail=other).handoff is None
