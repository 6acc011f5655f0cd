import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zeroskip.base.errors import ImageError
from zeroskip.compiler.image.image import Image

Contents = Callable[[Path], dict[str, bytes]]
Edit = Callable[..., None]


def forge(edit: Edit, root: Path, name: str, data: bytes) -> None:
    """Put other contents in a file, and their size and digest in the manifest."""
    (root / name).write_bytes(data)
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit(root, lambda manifest: manifest["files"].__setitem__(name, entry))


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere is no image: there is no such directory$"):
        Image.load_eie(tmp_path / "nowhere")


def test_a_directory_without_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"is no image: it has no manifest.json$"):
        Image.load_eie(tmp_path)


@pytest.mark.parametrize("name", ["tensors.npz", "sram/program.hex", "sram/pe_2/spmat.hex"])
def test_damaged_files_are_named(saved: Path, name: str) -> None:
    path = saved / name
    good = path.read_bytes()

    path.write_bytes(good[:-3])
    size = len(good)
    with pytest.raises(
        ImageError, match=rf"{name} is damaged: it is truncated to {size - 3} of {size} bytes$"
    ):
        Image.load_eie(saved)

    for bad in (good + b"\n", bytes([good[0] ^ 1]) + good[1:]):
        path.write_bytes(bad)
        with pytest.raises(
            ImageError, match=rf"{name} is damaged: it was altered after it was written$"
        ):
            Image.load_eie(saved)

    path.unlink()
    with pytest.raises(ImageError, match=rf"{name} is missing$"):
        Image.load_eie(saved)


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
                Image.load_eie(saved)
        (saved / name).write_bytes(good)
    Image.load_eie(saved)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["notes.txt", "sram/pe_3/spmat.hex"])
def test_foreign_files_are_named(saved: Path, name: str) -> None:
    (saved / name).parent.mkdir(exist_ok=True)
    (saved / name).write_text("")
    with pytest.raises(ImageError, match=rf"{name} is foreign: no image has such a file$"):
        Image.load_eie(saved)


@pytest.mark.parametrize("text", [b"", b'{"format": ', b"\xff\xfe"])
def test_a_manifest_that_is_not_json_is_named(saved: Path, text: bytes) -> None:
    (saved / "manifest.json").write_bytes(text)
    with pytest.raises(ImageError, match=r"manifest.json is damaged: it is not JSON \("):
        Image.load_eie(saved)


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": "other", "schema": 4}'])
def test_another_format_is_refused(saved: Path, text: str) -> None:
    (saved / "manifest.json").write_text(text)
    with pytest.raises(
        ImageError,
        match=r"manifest.json is of no zeroskip image: format must be 'zeroskip-image'$",
    ):
        Image.load_eie(saved)


@pytest.mark.parametrize("schema", [0, 1, 2, 3, "4", None])
def test_another_schema_is_refused(saved: Path, schema: object, edit: Edit) -> None:
    edit(saved, lambda manifest: manifest.update(schema=schema, zeroskip="7.0.1"))
    with pytest.raises(
        ImageError,
        match=rf"manifest.json has schema {schema!r}, written by zeroskip 7.0.1, but zeroskip "
        r"\S+ reads schema 4: compile the model again with `zeroskip compile`$",
    ):
        Image.load_eie(saved)


def _set(*path: Any, value: object) -> Callable[[dict[str, Any]], None]:
    """Return an edit of one field of a manifest."""

    def change(manifest: Any) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    return change


EDITS: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (_set("params", "num_pes", value=0), r"params: num_pes must be a whole number from 1 to 256"),
    (_set("params", "num_pes", value="3"), r"params.num_pes: input should be a valid integer"),
    (_set("params", "colour", value=1), r"params.colour: unexpected keyword argument"),
    (_set("params", "num_pes", value=2), r"segments.0.srams must not name pe_2/bias$"),
    (_set("params", "num_pes", value=4), r"segments.0.srams must name pe_3/bias$"),
    (
        _set("input_shape", value=[3, 5]),
        r"product of input_shape must be layers.0.cols = 12, not 15",
    ),
    (_set("input_shape", value=[]), r"input_shape: "),
    (_set("layers", value=[]), r"layers: "),
    (_set("layers", 1, "cols", value=19), r"layers.1.cols must be layers.0.rows = 20, not 19"),
    (_set("layers", 1, "rows", value=0), r"layers.1.rows: "),
    (
        _set("layers", 1, "in_frac", value=7),
        r"layers.1.in_frac must be layers.0.out_frac = 8, not 7",
    ),
    (
        _set("layers", 0, "relu", value=False),
        r"segments.0.program.0.activation must be that of layers.0 = 0, not 1",
    ),
    (_set("layers", 0, "relu", value=1), r"layers.0.relu: input should be a valid boolean"),
    (
        _set("layers", 0, "weight_frac", value=3),
        r"segments.0.program.0.shift must be what the fraction bits of layers.0 say = 3, not 6$",
    ),
    (_set("layers", 0, "more", value=3), r"layers.0.more: extra inputs are not permitted"),
    (
        _set("placement", value="random"),
        r"placement: input should be 'interleave' or 'tensors.npz'",
    ),
    (
        _set("segments", 0, "program", 0, "src_rows", value=5),
        r"segments.0.program.0.src_rows must stay within 4 rows of the source$",
    ),
    (
        _set("segments", 0, "program", 0, "ptr_base", value=5),
        r"segments.0.program must be what sram/program.hex holds$",
    ),
    (
        _set("segments", 0, "program", 0, "ptr_base", value=-5),
        r"ptr_base must be from 0 to 16383, not -5$",
    ),
    (
        _set("segments", 0, "program", 0, "src_base", value=1),
        r"segments.0.program.0.src_base must be the next row to scan = 0, not 1$",
    ),
    (
        _set("segments", 0, "program", 1, "dst_base", value=3),
        r"segments.0.program.1.dst_base must be the next row to write = 4, not 3$",
    ),
    (
        _set("segments", 0, "program", 0, "drain", value=False),
        r"segments.0.program.1.src_base must be the next row to scan = 4, not 0$",
    ),
    (
        _set("segments", 0, "load", value=[1, 3]),
        r"segments.0.program.0.src_base must be the next row to scan = -1, not 0$",
    ),
    (
        _set("segments", 0, "load", value=None),
        r"segments.0.program.0.src_rows must stay within 0 rows of the source$",
    ),
    (
        _set("segments", 0, "store", value=[0, 3]),
        r"segments.0.store must be what program writes, up to = 2, not 3$",
    ),
    (
        _set("segments", 0, "srams", 0, value="pe_0/ptr_even.hex"),
        r"segments.0.srams must not name pe_0/ptr_even.hex$",
    ),
    (_set("segments", value=[]), r"segments: "),
    (
        _set("segments", 0, "program", 0, "src_rows", value=5000),
        r"segments.0.program.0.src_rows must stay within 4 rows of the source$",
    ),
    (
        _set("segments", 0, "program", 0, "src_rows", value=-1),
        r"segments.0.program.1.src_rows, with those before it, must be all rows = -1, not 4$",
    ),
    (
        _set("segments", 0, "program", 0, "swap", value=True),
        r"segments.0.passes.1 must be the layer that program says = 1, not 0$",
    ),
    (
        _set("segments", 0, "program", 0, "last", value=True),
        r"segments.0.program.0.last must be true at the end only",
    ),
    (
        _set("segments", 0, "program", 2, "last", value=False),
        r"segments.0.program.2.last must be true at the end only",
    ),
    (
        _set("segments", 0, "program", 2, "swap", value=False),
        r"segments.0.program must be what sram/program.hex holds$",
    ),
    (
        _set("segments", 0, "passes", value=[0, 0]),
        r"length of segments.0.passes must be that of its program = 3, not 2$",
    ),
    (
        _set("segments", 0, "passes", 1, value=1),
        r"segments.0.passes.1 must be the layer that program says = 0, not 1$",
    ),
    (_set("files", "tensors.npz", "sha256", value="x"), r"files.tensors.npz.sha256: "),
    (_set("files", "../../secret", value={"size": 0, "sha256": "0" * 64}), r"files must not list "),
    (_set("extra", value=1), r"extra: extra inputs are not permitted"),
    (lambda manifest: manifest.pop("layers"), r"layers: field required"),
]


@pytest.mark.parametrize(("change", "message"), EDITS)
def test_edited_fields_are_named(
    saved: Path, change: Callable[[dict[str, Any]], None], message: str, edit: Edit
) -> None:
    edit(saved, change)
    with pytest.raises(ImageError, match=rf"manifest.json is damaged: (the )?{message}"):
        Image.load_eie(saved)


def test_tensors_must_have_the_shapes_of_the_manifest(saved: Path, edit: Edit) -> None:
    edit(saved, lambda manifest: manifest["layers"][0].update(nnz=1))
    with pytest.raises(
        ImageError, match=r"tensors.npz is damaged: layer_0_codes must be 1 x uint8, not \(\d+,\)"
    ):
        Image.load_eie(saved)


def test_an_interleaved_image_has_no_positions(saved: Path, edit: Edit) -> None:
    edit(saved, lambda manifest: manifest.update(placement="interleave"))
    with pytest.raises(ImageError, match=r"tensors.npz is damaged: placement_0 is superfluous$"):
        Image.load_eie(saved)


def test_edits_that_contradict_nothing_are_noticed(saved: Path, edit: Edit) -> None:
    edit(saved, lambda manifest: manifest["report"].update(accuracy=1.0), signed=False)
    with pytest.raises(
        ImageError, match=r"manifest.json is damaged: checksum must be [0-9a-f]{64}"
    ):
        Image.load_eie(saved)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"0\n", r"every line must have \d+ hexadecimal digits$"),
        (b"f" * 5 + b"\n", r"every row must fit 18 bits$"),
        (b"00000\n" * 8193, r"its rows must be at most 8192, not 8193$"),
    ],
)
def test_files_forged_with_their_digests_are_refused(
    saved: Path, lines: bytes, message: str, edit: Edit
) -> None:
    forge(edit, saved, "sram/pe_0/ptr_even.hex", lines)
    with pytest.raises(ImageError, match=rf"sram/pe_0/ptr_even.hex is damaged: {message}"):
        Image.load_eie(saved)


FORGED: list[tuple[str, Callable[[np.ndarray], Any], str]] = [
    ("layer_0_rows", lambda rows: rows + 20, r"layer_0_rows must be from 0 to 19$"),
    ("layer_0_rows", lambda rows: rows[::-1], r"layer_0_rows must rise within a column$"),
    ("layer_0_ends", lambda ends: ends + 1, r"layer_0_ends must rise from 0 to \d+$"),
    ("layer_0_ends", lambda ends: ends[::-1], r"layer_0_ends must rise from 0 to \d+$"),
    ("layer_0_codes", lambda codes: codes * 0, r"layer_0_codes must not be 0$"),
    ("layer_0_codes", lambda codes: codes | 16, r"codes of layer 'fc1' must be below 16"),
    ("layer_0_codebook", lambda book: book + 1, r"the codebook of layer 'fc1' must be 16 weights"),
    ("layer_0_bias", lambda bias: bias << 40, r"biases of layer 'fc1' must be from "),
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
    ("placement_1", lambda places: places * 0, r"placement_1 must give every element a position"),
    ("placement_1", lambda places: places - 1, r"placement_1 must be from 0 to 20, not -1 to 1"),
    (
        "placement_1",
        lambda places: places + 1530,
        r"placement_1 must be from 0 to 20, not 1530 to",
    ),
]


@pytest.mark.parametrize(("name", "change", "message"), FORGED)
def test_tensors_forged_with_their_digest_are_refused(
    saved: Path, name: str, change: Callable[[Any], Any], message: str, edit: Edit
) -> None:
    with np.load(saved / "tensors.npz") as file:
        arrays = dict(file)
    arrays[name] = change(arrays.get(name))
    np.savez(saved / "tensors.npz", **{k: v for k, v in arrays.items() if v is not None})
    forge(edit, saved, "tensors.npz", (saved / "tensors.npz").read_bytes())
    with pytest.raises(ImageError, match=rf"tensors.npz is damaged: {message}"):
        Image.load_eie(saved)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip"])
def test_other_files_are_no_tensors(saved: Path, data: bytes, edit: Edit) -> None:
    forge(edit, saved, "tensors.npz", data)
    with pytest.raises(ImageError, match=r"tensors.npz is damaged: "):
        Image.load_eie(saved)
