"""Images are saved whole or not at all, over nothing else, and come back as they were."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csc_array

from zeroskip.base.errors import ImageError
from zeroskip.compiler.eie.place import Strategy
from zeroskip.compiler.image.image import Image, load
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.eie.formats import sram_files

CompileImage = Callable[..., Image]
Contents = Callable[[Path], dict[str, bytes]]
DrawNetwork = Callable[..., QuantGraph[QuantLinear]]
Edit = Callable[..., None]


def _same(one: Any, other: Any) -> bool:
    """Compare deeply; arrays and sparse matrices have no truth."""
    if isinstance(one, csc_array):
        return one.dtype == other.dtype and _same(one.toarray(), other.toarray())
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if hasattr(one, "__dataclass_fields__"):
        names = one.__dataclass_fields__
        return type(one) is type(other) and all(
            _same(getattr(one, name), getattr(other, name)) for name in names
        )
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


@pytest.mark.parametrize("strategy", ["interleave", "balance"])
def test_placements_are_loaded(
    draw_network: DrawNetwork, tmp_path: Path, strategy: Strategy, compile_image: CompileImage
) -> None:
    image = compile_image(draw_network([12, 20, 5]), strategy, {"notes": ["a", {"b": None}]})
    image.save(tmp_path / "deep" / "net")
    assert _same(load(tmp_path / "deep" / "net"), image)
    placed = (tmp_path / "deep" / "net" / "0_eie" / "placement.npz").exists()
    assert placed == (strategy != "interleave")


def test_what_is_saved_is_loaded(
    image: Image, saved: Path, tmp_path: Path, contents: Contents
) -> None:
    loaded = load(saved)
    assert _same(loaded, image)
    assert repr(loaded) == repr(image)
    loaded.save(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(saved)


def test_the_same_network_gives_the_same_bytes(
    image: Image, saved: Path, tmp_path: Path, contents: Contents
) -> None:
    image.save(tmp_path / "again")
    assert contents(saved) == contents(tmp_path / "again")


def test_an_image_has_a_file_for_every_sram(
    both_image: Image, saved_both: Path, contents: Contents
) -> None:
    srams = {f"1_eie/run_0/{name}.hex" for name in sram_files(both_image.part("eie").params)}
    runs = enumerate(both_image.part("scnn").runs)
    srams |= {f"0_scnn/run_{number}/{name}.hex" for number, run in runs for name in run.srams}
    assert "0_scnn/run_0/program.hex" in srams
    others = {"manifest.json", "tensors.npz", "1_eie/placement.npz"}
    assert set(contents(saved_both)) == others | srams
    manifest = json.loads((saved_both / "manifest.json").read_bytes())
    assert manifest["format"] == "zeroskip-image"
    assert manifest["schema"] == 8
    assert [part["engine"] for part in manifest["parts"]] == ["scnn", "eie"]
    assert [part["layers"] for part in manifest["parts"]] == [["conv1", "conv2"], ["fc1", "fc2"]]
    assert manifest["parts"][1]["content"]["placement"] == "placement.npz"


def test_progress_counts_the_files(image: Image, tmp_path: Path, contents: Contents) -> None:
    seen: list[tuple[int, int]] = []
    image.save(tmp_path / "net", progress=lambda done, total: seen.append((done, total)))
    total = len(contents(tmp_path / "net")) - 1  # the manifest comes at the end
    assert seen == [(done, total) for done in range(1, total + 1)]


def test_an_image_is_replaced(
    draw_network: DrawNetwork, saved: Path, compile_image: CompileImage
) -> None:
    other = compile_image(draw_network([4, 4], seed=9))
    other.save(saved)
    assert load(saved).sample_shape == (4,)
    assert [path.name for path in saved.parent.iterdir()] == ["net"]


def test_an_empty_directory_is_filled(image: Image, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    image.save(tmp_path / "net")
    load(tmp_path / "net")


def test_an_image_of_another_version_is_replaced(image: Image, saved: Path, edit: Edit) -> None:
    edit(saved, lambda manifest: manifest.update(schema=99))
    image.save(saved)
    load(saved)


def test_an_image_is_kept_if_asked(image: Image, saved: Path, contents: Contents) -> None:
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
    image: Image, saved: Path, monkeypatch: pytest.MonkeyPatch, contents: Contents
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
    image: Image, saved: Path, monkeypatch: pytest.MonkeyPatch, contents: Contents
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
def test_a_report_must_be_json(
    draw_network: DrawNetwork, tmp_path: Path, value: object, compile_image: CompileImage
) -> None:
    image = compile_image(draw_network([2, 2]), report={"value": value})
    with pytest.raises(ImageError, match=r"^report must be JSON: "):
        image.save(tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_an_image_can_be_moved(image: Image, saved: Path, tmp_path: Path) -> None:
    shutil.move(saved, tmp_path / "moved")
    assert _same(load(tmp_path / "moved"), image)
