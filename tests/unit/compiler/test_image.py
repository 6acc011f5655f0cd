import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.eie.place import Strategy, place
from compiler.eie.program import build
from compiler.errors import ImageError
from compiler.image import Image
from compiler.network import QuantNetwork
from hw.eie.formats import sram_files
from hw.eie.params import EieParams

DrawNetwork = Callable[..., QuantNetwork]


def compile_image(
    network: QuantNetwork, strategy: Strategy = "balance", report: dict[str, Any] | None = None
) -> Image:
    params = EieParams(num_pes=3, num_accs=4, acc_bits=40)
    placement = place(network, params, strategy)
    return Image(
        "net", params, network, placement, *build(network, placement, params), report or {}
    )


@pytest.fixture(scope="session")
def image(draw_network: DrawNetwork) -> Image:
    return compile_image(draw_network([12, 20, 5], shift=6), report={"accuracy": 0.5})


@pytest.fixture
def saved(image: Image, tmp_path: Path) -> Path:
    image.save(tmp_path / "net")
    return tmp_path / "net"


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def sign(manifest: dict[str, Any]) -> None:
    """Make the checksum right, as a careful forger would."""
    manifest.pop("checksum", None)
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    manifest["checksum"] = hashlib.sha256(text.encode()).hexdigest()


def edit(root: Path, change: Callable[[dict[str, Any]], object], *, signed: bool = True) -> None:
    manifest = json.loads((root / "manifest.json").read_bytes())
    change(manifest)
    if signed:
        sign(manifest)
    (root / "manifest.json").write_text(json.dumps(manifest))


def forge(root: Path, name: str, data: bytes) -> None:
    """Put other contents in a file, and their size and digest in the manifest."""
    (root / name).write_bytes(data)
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit(root, lambda manifest: manifest["files"].__setitem__(name, entry))


@pytest.mark.parametrize("strategy", ["interleave", "balance"])
def test_what_is_saved_is_loaded(
    draw_network: DrawNetwork, tmp_path: Path, strategy: Strategy
) -> None:
    image = compile_image(draw_network([12, 20, 5]), strategy, {"notes": ["a", {"b": None}]})
    image.save(tmp_path / "deep" / "net")
    loaded = Image.load(tmp_path / "deep" / "net")
    for name in ("name", "params", "program", "passes", "report"):
        assert getattr(loaded, name) == getattr(image, name)
    assert loaded.network.input_shape == image.network.input_shape
    for got, layer in zip(loaded.network.layers, image.network.layers, strict=True):
        for name in ("name", "relu", "in_frac", "weight_frac", "out_frac"):
            assert getattr(got, name) == getattr(layer, name)
        assert np.array_equal(got.codes.toarray(), layer.codes.toarray())
        assert got.codes.dtype == np.uint8
        assert np.array_equal(got.codebook, layer.codebook)
        assert np.array_equal(got.bias, layer.bias)
    for got, positions in zip(loaded.placement, image.placement, strict=True):
        assert np.array_equal(got, positions)
    assert list(loaded.srams) == list(image.srams)
    for name, sram in image.srams.items():
        assert loaded.srams[name].width == sram.width
        assert np.array_equal(loaded.srams[name].words, sram.words)


def test_the_same_network_gives_the_same_bytes(image: Image, saved: Path, tmp_path: Path) -> None:
    image.save(tmp_path / "again")
    assert contents(saved) == contents(tmp_path / "again")


def test_an_image_has_a_file_for_every_sram(image: Image, saved: Path) -> None:
    srams = {f"sram/{name}.hex" for name in sram_files(image.params)}
    assert set(contents(saved)) == {"manifest.json", "tensors.npz"} | srams
    manifest = json.loads((saved / "manifest.json").read_bytes())
    assert manifest["format"] == "zeroskip-image"
    assert manifest["schema"] == 1
    assert manifest["placement"] == "tensors.npz"


def test_progress_counts_the_files(image: Image, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    image.save(tmp_path / "net", progress=lambda done, total: seen.append((done, total)))
    total = len(sram_files(image.params)) + 1
    assert seen == [(done, total) for done in range(1, total + 1)]


def test_an_image_is_replaced(draw_network: DrawNetwork, saved: Path) -> None:
    other = compile_image(draw_network([4, 4], seed=9))
    other.save(saved)
    assert Image.load(saved).network.input_shape == (4,)
    assert [path.name for path in saved.parent.iterdir()] == ["net"]


def test_an_empty_directory_is_filled(image: Image, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    image.save(tmp_path / "net")
    Image.load(tmp_path / "net")


def test_an_image_of_another_version_is_replaced(image: Image, saved: Path) -> None:
    edit(saved, lambda manifest: manifest.update(schema=99))
    image.save(saved)
    Image.load(saved)


def test_an_image_is_kept_if_asked(image: Image, saved: Path) -> None:
    before = contents(saved)
    with pytest.raises(ImageError, match=r"net exists: choose another folder or remove it$"):
        image.save(saved, replace=False)
    assert contents(saved) == before


def test_a_foreign_directory_is_never_replaced(image: Image, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(
        ImageError,
        match=r"thesis exists and is not a zeroskip image: choose another folder or remove it$",
    ):
        image.save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": "other"}', "not JSON"])
def test_another_programs_manifest_makes_no_image(image: Image, tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ImageError, match=r"exists and is not a zeroskip image"):
        image.save(tmp_path)


def test_a_directory_of_directories_is_foreign(image: Image, tmp_path: Path) -> None:
    (tmp_path / "net" / "empty").mkdir(parents=True)
    with pytest.raises(ImageError, match=r"net exists and is not a zeroskip image"):
        image.save(tmp_path / "net")


def test_a_file_is_never_replaced(image: Image, tmp_path: Path) -> None:
    (tmp_path / "net").write_text("mine")
    with pytest.raises(
        ImageError, match=r"net exists and is a file: choose another folder or remove it$"
    ):
        image.save(tmp_path / "net")
    assert (tmp_path / "net").read_text() == "mine"


def test_an_image_that_holds_something_else_is_not_replaced(image: Image, saved: Path) -> None:
    (saved / "results.npy").write_text("mine")
    with pytest.raises(
        ImageError,
        match=r"net cannot be replaced: results.npy is not part of the image, so move it first$",
    ):
        image.save(saved)
    assert (saved / "results.npy").read_text() == "mine"


def test_a_path_below_a_file_is_refused(image: Image, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ImageError, match=r"file/net cannot be made: \S+/file is a file$"):
        image.save(tmp_path / "file" / "net")


def test_a_failure_leaves_the_old_image(
    image: Image, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(saved)
    written: list[Path] = []

    def fail(path: Path, data: bytes) -> int:
        written.append(path)
        if len(written) == 5:
            raise OSError(28, "No space left on device")
        return len(data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        with pytest.raises(ImageError, match=r"net cannot be written: No space left on device$"):
            image.save(saved)
    assert contents(saved) == before
    assert [path.name for path in saved.parent.iterdir()] == ["net"]


def test_a_failing_swap_puts_the_old_image_back(
    image: Image, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(saved)
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(ImageError, match=r"net cannot be written: Input/output error$"):
            image.save(saved)
    assert contents(saved) == before
    assert [path.name for path in saved.parent.iterdir()] == ["net"]


@pytest.mark.parametrize("value", [float("nan"), np.float32(1), {1, 2}])
def test_a_report_must_be_json(draw_network: DrawNetwork, tmp_path: Path, value: object) -> None:
    image = compile_image(draw_network([2, 2]), report={"value": value})
    with pytest.raises(ImageError, match=r"^report must be JSON: "):
        image.save(tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere is no image: there is no such directory$"):
        Image.load(tmp_path / "nowhere")


def test_a_directory_without_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"is no image: it has no manifest.json$"):
        Image.load(tmp_path)


@pytest.mark.parametrize("name", ["tensors.npz", "sram/program.hex", "sram/pe_2/spmat.hex"])
def test_damaged_files_are_named(saved: Path, name: str) -> None:
    path = saved / name
    good = path.read_bytes()

    path.write_bytes(good[:-3])
    size = len(good)
    with pytest.raises(
        ImageError, match=rf"{name} is damaged: it is truncated to {size - 3} of {size} bytes$"
    ):
        Image.load(saved)

    for bad in (good + b"\n", bytes([good[0] ^ 1]) + good[1:]):
        path.write_bytes(bad)
        with pytest.raises(
            ImageError, match=rf"{name} is damaged: it was altered after it was written$"
        ):
            Image.load(saved)

    path.unlink()
    with pytest.raises(ImageError, match=rf"{name} is missing$"):
        Image.load(saved)


def test_any_flipped_bit_is_noticed(saved: Path) -> None:
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
                Image.load(saved)
        (saved / name).write_bytes(good)
    Image.load(saved)


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
        Image.load(saved)


@pytest.mark.parametrize("text", [b"", b'{"format": ', b"\xff\xfe"])
def test_a_manifest_that_is_not_json_is_named(saved: Path, text: bytes) -> None:
    (saved / "manifest.json").write_bytes(text)
    with pytest.raises(ImageError, match=r"manifest.json is damaged: it is not JSON \("):
        Image.load(saved)


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": "other", "schema": 1}'])
def test_another_format_is_refused(saved: Path, text: str) -> None:
    (saved / "manifest.json").write_text(text)
    with pytest.raises(
        ImageError,
        match=r"manifest.json is of no zeroskip image: format must be 'zeroskip-image'$",
    ):
        Image.load(saved)


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_another_schema_is_refused(saved: Path, schema: object) -> None:
    edit(saved, lambda manifest: manifest.update(schema=schema, zeroskip="7.0.1"))
    with pytest.raises(
        ImageError,
        match=rf"manifest.json has schema {schema!r}, written by zeroskip 7.0.1, but zeroskip "
        r"\S+ reads schema 1: compile the model again with `zeroskip compile`$",
    ):
        Image.load(saved)


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
    (_set("params", "num_pes", value=2), r"files must not list sram/pe_2/bias.hex"),
    (_set("params", "num_pes", value=4), r"files must list sram/pe_3/bias.hex"),
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
        r"program.0.relu must be layers.0.relu = False, not True",
    ),
    (_set("layers", 0, "relu", value=1), r"layers.0.relu: input should be a valid boolean"),
    (
        _set("layers", 0, "weight_frac", value=3),
        r"program.0.shift must be 3, as the fraction bits ",
    ),
    (_set("layers", 0, "more", value=3), r"layers.0.more: extra inputs are not permitted"),
    (
        _set("placement", value="random"),
        r"placement: input should be 'interleave' or 'tensors.npz'",
    ),
    (_set("program", 0, "src_rows", value=5), r"program must be what sram/program.hex holds"),
    (_set("program", 0, "src_rows", value=5000), r"src_rows must be from 0 to 1023, not 5000"),
    (_set("program", 0, "src_rows", value=-1), r"src_rows must be from 0 to 1023, not -1"),
    (_set("program", 0, "swap", value=True), r"passes.1 must be the layer that program says = 1"),
    (_set("program", 0, "last", value=True), r"program.0.last must be true at the end only"),
    (_set("program", 2, "last", value=False), r"program.2.last must be true at the end only"),
    (
        _set("program", 2, "swap", value=False),
        r"the number of layers must be what program says = 1",
    ),
    (_set("passes", value=[0, 0]), r"the length of passes must be that of program = 3, not 2"),
    (_set("passes", 1, value=1), r"passes.1 must be the layer that program says = 0, not 1"),
    (_set("files", "tensors.npz", "sha256", value="x"), r"files.tensors.npz.sha256: "),
    (_set("files", "../../secret", value={"size": 0, "sha256": "0" * 64}), r"files must not list "),
    (_set("extra", value=1), r"extra: extra inputs are not permitted"),
    (lambda manifest: manifest.pop("layers"), r"layers: field required"),
]


@pytest.mark.parametrize(("change", "message"), EDITS)
def test_edited_fields_are_named(
    saved: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    edit(saved, change)
    with pytest.raises(ImageError, match=rf"manifest.json is damaged: (the )?{message}"):
        Image.load(saved)


def test_tensors_must_have_the_shapes_of_the_manifest(saved: Path) -> None:
    edit(saved, lambda manifest: manifest["layers"][0].update(nnz=1))
    with pytest.raises(
        ImageError, match=r"tensors.npz is damaged: layer_0_codes must be 1 x uint8, not \(\d+,\)"
    ):
        Image.load(saved)


def test_an_interleaved_image_has_no_positions(saved: Path) -> None:
    edit(saved, lambda manifest: manifest.update(placement="interleave"))
    with pytest.raises(ImageError, match=r"tensors.npz is damaged: placement_0 is superfluous$"):
        Image.load(saved)


def test_edits_that_contradict_nothing_are_noticed(saved: Path) -> None:
    edit(saved, lambda manifest: manifest["report"].update(accuracy=1.0), signed=False)
    with pytest.raises(
        ImageError, match=r"manifest.json is damaged: checksum must be [0-9a-f]{64}"
    ):
        Image.load(saved)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"0\n", r"every line must have \d+ hexadecimal digits$"),
        (b"f" * 5 + b"\n", r"every row must fit 18 bits$"),
        (b"00000\n" * 8193, r"its rows must be at most 8192, not 8193$"),
    ],
)
def test_files_forged_with_their_digests_are_refused(
    saved: Path, lines: bytes, message: str
) -> None:
    forge(saved, "sram/pe_0/ptr_even.hex", lines)
    with pytest.raises(ImageError, match=rf"sram/pe_0/ptr_even.hex is damaged: {message}"):
        Image.load(saved)


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
    ("layer_0_bias", lambda bias: bias.astype(object), r".*pickle"),
    ("layer_0_bias", lambda bias: None, r"layer_0_bias is missing$"),
    ("other", lambda nothing: np.zeros(1), r"other is superfluous$"),
    ("placement_1", lambda places: places * 0, r"placement_1 must give every element a position"),
    ("placement_1", lambda places: places - 1, r"placement_1 must be from 0 to 1535, not -1 to 1"),
    (
        "placement_1",
        lambda places: places + 1530,
        r"placement_1 must be from 0 to 1535, not 1530 to",
    ),
]


@pytest.mark.parametrize(("name", "change", "message"), FORGED)
def test_tensors_forged_with_their_digest_are_refused(
    saved: Path, name: str, change: Callable[[Any], Any], message: str
) -> None:
    with np.load(saved / "tensors.npz") as file:
        arrays = dict(file)
    arrays[name] = change(arrays.get(name))
    np.savez(saved / "tensors.npz", **{k: v for k, v in arrays.items() if v is not None})
    forge(saved, "tensors.npz", (saved / "tensors.npz").read_bytes())
    with pytest.raises(ImageError, match=rf"tensors.npz is damaged: {message}"):
        Image.load(saved)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip"])
def test_other_files_are_no_tensors(saved: Path, data: bytes) -> None:
    forge(saved, "tensors.npz", data)
    with pytest.raises(ImageError, match=r"tensors.npz is damaged: "):
        Image.load(saved)


def test_an_image_can_be_moved(image: Image, saved: Path, tmp_path: Path) -> None:
    shutil.move(saved, tmp_path / "moved")
    assert dataclasses.asdict(Image.load(tmp_path / "moved").params) == dataclasses.asdict(
        image.params
    )
