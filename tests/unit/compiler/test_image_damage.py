"""Images that are damaged, forged or of something else are refused, and the place is named."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zeroskip.base.errors import ImageError
from zeroskip.compiler.image.image import load

Contents = Callable[[Path], dict[str, bytes]]
Edit = Callable[..., None]


def forge(edit: Edit, root: Path, name: str, data: bytes) -> None:
    """Put other contents in a file, and their size and digest in the manifest."""
    (root / name).write_bytes(data)
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit(root, lambda manifest: manifest["files"].__setitem__(name, entry))


def forge_array(edit: Edit, root: Path, file: str, name: str, change: Callable[[Any], Any]) -> None:
    """Change, add or take out an array of a file of arrays."""
    with np.load(root / file) as opened:
        arrays = dict(opened)
    arrays[name] = change(arrays.get(name))
    np.savez(root / file, **{key: one for key, one in arrays.items() if one is not None})
    forge(edit, root, file, (root / file).read_bytes())


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere is no image: there is no such directory$"):
        load(tmp_path / "nowhere")


def test_a_directory_without_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"is no image: it has no manifest.json$"):
        load(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "tensors.npz",
        "0_scnn/run_0/program.hex",
        "0_scnn/run_0/weights.hex",
        "1_eie/placement.npz",
        "1_eie/run_0/program.hex",
        "1_eie/run_0/pe_2/spmat.hex",
    ],
)
def test_damaged_files_are_named(saved_both: Path, name: str) -> None:
    path = saved_both / name
    good = path.read_bytes()

    path.write_bytes(good[:-3])
    size = len(good)
    with pytest.raises(
        ImageError, match=rf"{name} is damaged: it is truncated to {size - 3} of {size} bytes$"
    ):
        load(saved_both)

    for bad in (good + b"\n", bytes([good[0] ^ 1]) + good[1:]):
        path.write_bytes(bad)
        with pytest.raises(
            ImageError, match=rf"{name} is damaged: it was altered after it was written$"
        ):
            load(saved_both)

    path.unlink()
    with pytest.raises(ImageError, match=rf"{name} is missing$"):
        load(saved_both)


def test_any_flipped_bit_is_noticed(saved: Path, contents: Contents) -> None:
    rng = np.random.default_rng(0)
    for name, good in contents(saved).items():
        # Spaces between the manifest's fields mean nothing; whatever means something is hashed.
        for bit in rng.integers(0, 8 * len(good), 3).tolist():
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            (saved / name).write_bytes(bad)
            if name == "manifest.json" and _same_json(bytes(bad), good):
                continue
            with pytest.raises(ImageError, match=rf"{name} "):
                load(saved)
        (saved / name).write_bytes(good)
    load(saved)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["notes.txt", "0_scnn/extra.hex", "1_eie/run_0/pe_3/spmat.hex"])
def test_foreign_files_are_named(saved_both: Path, name: str) -> None:
    (saved_both / name).parent.mkdir(exist_ok=True)
    (saved_both / name).write_text("")
    with pytest.raises(ImageError, match=rf"{name} is foreign: no image has such a file$"):
        load(saved_both)


@pytest.mark.parametrize("text", [b"", b'{"format": ', b"\xff\xfe"])
def test_a_manifest_that_is_not_json_is_named(saved: Path, text: bytes) -> None:
    (saved / "manifest.json").write_bytes(text)
    with pytest.raises(ImageError, match=r"manifest.json is damaged: it is not JSON \("):
        load(saved)


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": "other", "schema": 8}'])
def test_another_format_is_refused(saved: Path, text: str) -> None:
    (saved / "manifest.json").write_text(text)
    with pytest.raises(
        ImageError,
        match=r"manifest.json is of no zeroskip image: format must be 'zeroskip-image'$",
    ):
        load(saved)


@pytest.mark.parametrize("schema", [0, 1, 2, 3, 4, 5, 6, 7, "8", None])
def test_another_schema_is_refused(saved: Path, schema: object, edit: Edit) -> None:
    edit(saved, lambda manifest: manifest.update(schema=schema, zeroskip="7.0.1"))
    with pytest.raises(
        ImageError,
        match=rf"manifest.json has schema {schema!r}, written by zeroskip 7.0.1, but zeroskip "
        r"\S+ reads schema 8: compile the model again$",
    ):
        load(saved)


def _set(*path: Any, value: object) -> Callable[[dict[str, Any]], None]:
    """Return an edit of one field of a manifest."""

    def change(manifest: Any) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    return change


def _part(*path: Any, value: object, part: int = 0) -> Callable[[dict[str, Any]], None]:
    """Return an edit of what an engine says of its part."""
    return _set("parts", part, "content", *path, value=value)


LINEAR: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (
        _set("parts", 0, "params", "num_pes", value=0),
        r"parts.0.params.num_pes must be a whole number from 1 to 256",
    ),
    (
        _set("parts", 0, "params", "num_pes", value="3"),
        r"parts.0.params.num_pes: input should be a valid integer",
    ),
    (
        _set("parts", 0, "params", "colour", value=1),
        r"parts.0.params.colour: there is no such parameter$",
    ),
    (
        _set("parts", 0, "params", "num_pes", value=2),
        r"parts.0.content: segments.0.srams must not name pe_2/bias$",
    ),
    (
        _set("parts", 0, "params", "num_pes", value=4),
        r"parts.0.content: segments.0.srams must name pe_3/bias$",
    ),
    (
        _set("network", "sample_shape", value=[3, 5]),
        r"network: the product of sample_shape must be that = 12, not 15",
    ),
    (_set("network", "sample_shape", value=[]), r"network.sample_shape: "),
    (
        _set("network", "input_shape", value=[3, 5, 1]),
        r"network: the product of sample_shape must be that = 15, not 12",
    ),
    (_set("network", "input_shape", value=[]), r"network.input_shape"),
    (_set("network", "layers", value=[]), r"network.layers: "),
    (
        _set("network", "layers", 1, "in_shape", value=[19, 1, 1]),
        r"network: layers.1.in_shape must be that of its inputs = \(20, 1, 1\), not \(19, 1, 1\)$",
    ),
    (_set("network", "layers", 1, "rows", value=0), r"network.layers.1.linear.rows: "),
    (_set("network", "layers", 1, "kind", value="norm"), r"network.layers.1: "),
    (
        _set("network", "layers", 1, "in_frac", value=7),
        r"network: layers.1.in_frac must be that of 'fc1' = 8, not 7$",
    ),
    (
        _set("network", "layers", 0, "relu", value=False),
        (
            r"parts.0.content: segments.0.program.0.activation must be that of layer 'fc1' = 0, "
            r"not 1$"
        ),
    ),
    (
        _set("network", "layers", 0, "relu", value=1),
        r"network.layers.0.linear.relu: input should be a valid boolean",
    ),
    (
        _set("network", "layers", 0, "weight_frac", value=3),
        (
            r"parts.0.content: segments.0.program.0.shift must be what the fraction bits of "
            r"layer 'fc1' say = 3, not 6$"
        ),
    ),
    (
        _set("network", "layers", 0, "more", value=3),
        r"network.layers.0.linear.more: extra inputs are not permitted",
    ),
    (
        _part("placement", value="random"),
        r"parts.0.content.placement: input should be 'interleave' or 'placement.npz'",
    ),
    (
        _part("segments", 0, "program", 0, "src_rows", value=5),
        r"parts.0.content: segments.0.program.0.src_rows must stay within 4 rows of the source$",
    ),
    (
        _part("segments", 0, "program", 0, "ptr_base", value=5),
        r"parts.0.content: segments.0.program must be what run_0/program holds$",
    ),
    (
        _part("segments", 0, "program", 0, "ptr_base", value=-5),
        r"parts.0.content: .*ptr_base must be from 0 to 16383, not -5$",
    ),
    (
        _part("segments", 0, "program", 0, "src_base", value=1),
        r"parts.0.content: segments.0.program.0.src_base must be the next row to scan = 0, not 1$",
    ),
    (
        _part("segments", 0, "program", 1, "dst_base", value=3),
        r"parts.0.content: segments.0.program.1.dst_base must be the next row to write = 4, not 3$",
    ),
    (
        _part("segments", 0, "program", 0, "drain", value=False),
        r"parts.0.content: segments.0.program.1.src_base must be the next row to scan = 4, not 0$",
    ),
    (
        _part("segments", 0, "load", value=[1, 3]),
        r"parts.0.content: segments.0.program.0.src_base must be the next row to scan = -1, not 0$",
    ),
    (
        _part("segments", 0, "load", value=None),
        r"parts.0.content: segments.0.program.0.src_rows must stay within 0 rows of the source$",
    ),
    (
        _part("segments", 0, "store", value=[0, 3]),
        r"parts.0.content: segments.0.store must be what program writes, up to = 2, not 3$",
    ),
    (
        _part("segments", 0, "srams", 0, value="../tensors"),
        r"files must list 0_eie/run_0/../tensors.hex$",
    ),
    (_part("segments", value=[]), r"parts.0.content.segments: "),
    (
        _part("segments", 0, "program", 0, "src_rows", value=5000),
        r"parts.0.content: segments.0.program.0.src_rows must stay within 4 rows of the source$",
    ),
    (
        _part("segments", 0, "program", 0, "src_rows", value=-1),
        (
            r"parts.0.content: segments.0.program.1.src_rows, with those before it, must be all "
            r"rows = -1, not 4$"
        ),
    ),
    (
        _part("segments", 0, "program", 0, "swap", value=True),
        r"parts.0.content: segments.0.passes.1 must be the layer that program says = 1, not 0$",
    ),
    (
        _part("segments", 0, "program", 0, "last", value=True),
        r"parts.0.content: segments.0.program.0.last must be true at the end only",
    ),
    (
        _part("segments", 0, "program", 2, "last", value=False),
        r"parts.0.content: segments.0.program.2.last must be true at the end only",
    ),
    (
        _part("segments", 0, "program", 2, "swap", value=False),
        r"parts.0.content: segments.0.program must be what run_0/program holds$",
    ),
    (
        _part("segments", 0, "passes", value=[0, 0]),
        r"parts.0.content: the length of segments.0.passes must be that of its program = 3, not 2$",
    ),
    (
        _part("segments", 0, "passes", 1, value=1),
        r"parts.0.content: segments.0.passes.1 must be the layer that program says = 0, not 1$",
    ),
    (_set("files", "tensors.npz", "sha256", value="x"), r"files.tensors.npz.sha256: "),
    (_set("files", "../../secret", value={"size": 0, "sha256": "0" * 64}), r"files must not list "),
    (_set("extra", value=1), r"extra: extra inputs are not permitted"),
    (lambda manifest: manifest.pop("network"), r"network: field required"),
    (lambda manifest: manifest.pop("parts"), r"parts: field required"),
]
"""Edits of an image for EIE, and what is said of them."""

BOTH: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    # Which parts there are.
    (_set("parts", value=[]), r"parts: "),
    (_set("parts", 0, "engine", value="tpu"), r"engine must be one of eie, scnn, not 'tpu'$"),
    (
        _set("parts", 0, "engine", value="eie"),
        r"parts.0.params.act_fifo_words: there is no such parameter$",
    ),
    (lambda m: m["parts"].pop(), r"files must not list 1_eie/"),
    (lambda m: m["parts"].reverse(), r"files must (not )?list 0_"),
    (_set("parts", 0, "layers", value=[]), r"parts.0.layers: "),
    (
        _set("parts", 0, "layers", 0, value="conv9"),
        r"parts.0.layers must be of the network, not 'conv9'$",
    ),
    (
        lambda m: m["parts"][0]["layers"].pop(),
        r"parts.0.content: runs.0.passes must be of neighbouring layers from 0 to 0, ",
    ),
    (
        lambda m: m["parts"][1]["layers"].reverse(),
        r"parts.1.layers must be \['fc1', 'fc2'\], each once and in order, not \['fc2', 'fc1'\]$",
    ),
    (
        lambda m: m["parts"][1]["layers"].insert(0, "conv2"),
        r"parts.1.layers must be of eie's kinds, not 'conv2'$",
    ),
    (
        lambda m: m["parts"][0]["layers"].append("fc1"),
        r"parts.0.layers must be of scnn's kinds, not 'fc1'$",
    ),
    (
        lambda m: m["parts"][1]["layers"].append("fc1"),
        r"parts.1.layers must be \['fc1', 'fc2'\], each once and in order, not .*'fc1'\]$",
    ),
    (
        _set("parts", 0, "params", "act_bits", value=12),
        r"parts must have activations of one width$",
    ),
    # What SCNN's says.
    (
        _set("parts", 0, "params", "banks", value=7),
        r"parts.0.params.banks must be a power of two, not 7",
    ),
    (
        _set("network", "layers", 1, "inputs", value=["x"]),
        r"network: layers.1.inputs must be made before, but 'x' is not$",
    ),
    (
        _set("network", "layers", 0, "name", value="input"),
        r"network: layers.0.name must be of no other tensor, not 'input'$",
    ),
    (
        _set("network", "layers", 1, "in_shape", value=[5, 5, 5]),
        r"network: layers.1.in_shape must be that of its inputs = \(4, 5, 5\), not \(5, 5, 5\)$",
    ),
    (
        _set("network", "layers", 0, "groups", value=3),
        r"network: layers.0.groups must divide the channels, not be 3$",
    ),
    (
        _set("network", "outputs", value=["y"]),
        r"network: outputs must be tensors of the network, not 'y'$",
    ),
    (
        _part("runs", 0, "program", 0, "activation", value=0),
        r"parts.0.content: runs.0.program.0.activation must be that of layer 'conv1' = 1, not 0$",
    ),
    (
        _part("runs", 0, "program", 0, "wo", value=9),
        r"parts.0.content: runs.0.program must be what run_0/program holds$",
    ),
    (
        lambda m: m["parts"][0]["content"]["runs"][0]["passes"].reverse(),
        r"parts.0.content: runs.0.outputs.0 must be of a tensor of the network, not 'conv1'$",
    ),
    (
        lambda m: m["parts"][0]["content"]["runs"][0]["srams"].append("pe_9/spmat"),
        r"files must list 0_scnn/run_0/pe_9/spmat.hex$",
    ),
    (
        lambda m: m["parts"][0]["content"]["runs"][0]["outputs"].reverse(),
        r"parts.0.content: runs.0.outputs.0 must be of a tensor of the network, not 'conv2'$",
    ),
    (
        _part("runs", 0, "loads", 0, "layout", "height", value=6),
        (
            r"parts.0.content: runs.0.loads.layout must end at row 5 and column 5 of 'input', "
            r"not 6 and 5$"
        ),
    ),
    (
        _part("runs", 0, "loads", 0, "layout", "tile_w", value=0),
        r"parts.0.content: runs.0.loads.layout must have sizes of at least 1, not ",
    ),
    (lambda m: m["parts"][0]["content"].pop("runs"), r"parts.0.content.runs: field required"),
    (
        _part("channel_order", value={"conv1": [1, 0]}),
        r"parts.0.content: channel_order must have the numbers of a layer's channels once each",
    ),
    (
        _part("channel_order", value={"fc1": [0]}),
        r"parts.0.content: channel_order must have .*, and of layer 'fc1' it has others$",
    ),
    (_part("channel_order", value=[]), r"parts.0.content.channel_order: "),
    # What EIE's says, in the second part.
    (
        _part("segments", 0, "program", 0, "ptr_base", value=5, part=1),
        r"parts.1.content: segments.0.program must be what run_0/program holds$",
    ),
]
"""Edits of an image for both engines, and what is said of them."""


@pytest.mark.parametrize(("change", "message"), LINEAR)
def test_edited_fields_are_named(
    saved_linear: Path, change: Callable[[dict[str, Any]], None], message: str, edit: Edit
) -> None:
    edit(saved_linear, change)
    with pytest.raises(ImageError, match=rf"manifest.json is damaged: {message}"):
        load(saved_linear)


@pytest.mark.parametrize(("change", "message"), BOTH)
def test_edited_fields_of_two_parts_are_named(
    saved_both: Path, change: Callable[[dict[str, Any]], object], message: str, edit: Edit
) -> None:
    edit(saved_both, change)
    with pytest.raises(ImageError, match=rf"manifest.json is damaged: {message}"):
        load(saved_both)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([1, 0], r"parts.0 must not read 'conv2', made by none before it$"),
        ([0], r"parts must compute layer 'fc1'$"),
        ([1], r"parts.0 must not read 'conv2', made by none before it$"),
        ([0, 0, 1], r"parts.1.layers must not name 'conv1' again$"),
        ([0, 1, 1], r"parts.2.layers must not name 'fc1' again$"),
    ],
)
def test_parts_must_be_all_layers_in_order(
    saved_both: Path, order: list[int], message: str, edit: Edit, contents: Contents
) -> None:
    old = ["0_scnn/", "1_eie/"]
    files = contents(saved_both)
    made = {name: data for name, data in files.items() if "/" not in name}
    origin = {name: name for name in made if name != "manifest.json"}
    for number, at in enumerate(order):
        for name in files:
            if name.startswith(old[at]):
                moved = f"{number}{name[1:]}"
                made[moved], origin[moved] = files[name], name

    def change(manifest: dict[str, Any]) -> None:
        manifest["parts"] = [manifest["parts"][at] for at in order]
        manifest["files"] = {name: manifest["files"][of] for name, of in origin.items()}

    for folder in old:
        shutil.rmtree(saved_both / folder)
    for name, data in made.items():
        (saved_both / name).parent.mkdir(parents=True, exist_ok=True)
        (saved_both / name).write_bytes(data)
    edit(saved_both, change)
    with pytest.raises(ImageError, match=rf"manifest.json is damaged: {message}"):
        load(saved_both)


def test_tensors_must_have_the_shapes_of_the_manifest(saved_linear: Path, edit: Edit) -> None:
    edit(saved_linear, lambda manifest: manifest["network"]["layers"][0].update(nnz=1))
    with pytest.raises(
        ImageError, match=r"tensors.npz is damaged: layer_0_codes must be 1 x uint8, not \(\d+,\)"
    ):
        load(saved_linear)


def test_an_interleaved_image_has_no_positions(saved_linear: Path, edit: Edit) -> None:
    edit(saved_linear, _part("placement", value="interleave"))
    with pytest.raises(
        ImageError,
        match=r"manifest.json is damaged: files must not list 0_eie/placement.npz$",
    ):
        load(saved_linear)


def test_edits_that_contradict_nothing_are_noticed(saved: Path, edit: Edit) -> None:
    edit(saved, lambda manifest: manifest["report"].update(accuracy=1.0), signed=False)
    with pytest.raises(
        ImageError, match=r"manifest.json is damaged: checksum must be [0-9a-f]{64}"
    ):
        load(saved)


def test_convolutions_forged_with_their_digest_are_refused(saved_both: Path, edit: Edit) -> None:
    """Weights that no SRAM of the image holds are left to verification; what cannot be is told."""
    forge_array(edit, saved_both, "tensors.npz", "layer_1_codebook", lambda book: book[::-1])
    with pytest.raises(ImageError, match=r"parts.0.content: .*codebook of layer 'conv2'"):
        load(saved_both)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"0\n", r"every line must have \d+ hexadecimal digits$"),
        (b"f" * 5 + b"\n", r"every row must fit 18 bits$"),
        (b"00000\n" * 8193, r"its rows must be at most 8192, not 8193$"),
    ],
)
def test_files_forged_with_their_digests_are_refused(
    saved_linear: Path, lines: bytes, message: str, edit: Edit
) -> None:
    forge(edit, saved_linear, "0_eie/run_0/pe_0/ptr_even.hex", lines)
    with pytest.raises(ImageError, match=rf"0_eie/run_0/pe_0/ptr_even.hex is damaged: {message}"):
        load(saved_linear)


FORGED: list[tuple[str, Callable[[np.ndarray], Any], str]] = [
    ("layer_0_rows", lambda rows: rows + 20, r"layer_0_rows must be from 0 to 19$"),
    ("layer_0_rows", lambda rows: rows[::-1], r"layer_0_rows must rise within a column$"),
    ("layer_0_ends", lambda ends: ends + 1, r"layer_0_ends must rise from 0 to \d+$"),
    ("layer_0_ends", lambda ends: ends[::-1], r"layer_0_ends must rise from 0 to \d+$"),
    ("layer_0_codes", lambda codes: codes * 0, r"layer_0_codes must not be 0$"),
    ("layer_0_codes", lambda codes: codes | 16, r"layer_0_codes must be below 16, not \d+$"),
    (
        "layer_0_bias",
        lambda bias: bias[1:],
        r"layer_0_bias must be 20 x int64, not \(19,\) x int64$",
    ),
    (
        "layer_0_bias",
        lambda bias: bias * 1.0,
        r"layer_0_bias must be 20 x int64, not \(20,\) x float",
    ),
    ("layer_0_bias", lambda bias: bias.astype(object), r"layer_0_bias must be .* x object"),
    ("layer_0_bias", lambda bias: None, r"layer_0_bias is missing$"),
    ("other", lambda nothing: np.zeros(1), r"other is superfluous$"),
]


@pytest.mark.parametrize(("name", "change", "message"), FORGED)
def test_tensors_forged_with_their_digest_are_refused(
    saved_linear: Path, name: str, change: Callable[[Any], Any], message: str, edit: Edit
) -> None:
    forge_array(edit, saved_linear, "tensors.npz", name, change)
    with pytest.raises(ImageError, match=rf"tensors.npz is damaged: {message}"):
        load(saved_linear)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "layer_0_codebook",
            lambda book: book + 1,
            r"the codebook of layer 'fc1' must be 16 weights",
        ),
        ("layer_0_bias", lambda bias: bias << 40, r"biases of layer 'fc1' must be from "),
    ],
)
def test_tensors_must_fit_the_array(
    saved_linear: Path, name: str, change: Callable[[Any], Any], message: str, edit: Edit
) -> None:
    forge_array(edit, saved_linear, "tensors.npz", name, change)
    with pytest.raises(ImageError, match=rf"manifest.json is damaged: parts.0.content: {message}"):
        load(saved_linear)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("placement_1", lambda at: at * 0, r"placement_1 must give every element a position"),
        ("placement_1", lambda at: at - 1, r"placement_1 must be from 0 to 20, not -1 to 1"),
        ("placement_1", lambda at: at + 1530, r"placement_1 must be from 0 to 20, not 1530 to"),
        ("placement_1", lambda at: at[1:], r"placement_1 must be 20 x int64, not \(19,\) x int64$"),
        ("placement_2", lambda _: None, r"placement_2 is missing$"),
        ("other", lambda _: np.zeros(1), r"other is superfluous$"),
    ],
)
def test_forged_positions_are_refused(
    saved_linear: Path, name: str, change: Callable[[Any], Any], message: str, edit: Edit
) -> None:
    forge_array(edit, saved_linear, "0_eie/placement.npz", name, change)
    with pytest.raises(ImageError, match=rf"manifest.json is damaged: parts.0.content: {message}"):
        load(saved_linear)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip"])
def test_other_files_are_no_tensors(saved_linear: Path, data: bytes, edit: Edit) -> None:
    forge(edit, saved_linear, "tensors.npz", data)
    with pytest.raises(ImageError, match=r"tensors.npz is damaged: "):
        load(saved_linear)
