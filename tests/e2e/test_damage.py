"""Images altered after they were written: refused, or, if made to look whole, found by RTL."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zeroskip import load
from zeroskip.compiler.image.manifest import FileEntry, Manifest

Cli = Callable[..., Any]
Refused = Callable[..., None]


def _copy(files: Any, tmp_path: Path) -> Path:
    image = tmp_path / "image"
    shutil.copytree(files.image, image)
    return image


def _spmat(image: Path) -> Path:
    """Return the file of a Spmat SRAM that has entries."""
    paths = sorted(image.rglob("pe_0/spmat.hex"))
    assert paths
    return paths[0]


def _flip(path: Path, row: int, bit: int) -> None:
    """Flip one bit of a row, which keeps its width."""
    lines = path.read_text().splitlines()
    lines[row] = f"{int(lines[row], 16) ^ 1 << bit:0{len(lines[row])}x}"
    path.write_text("\n".join(lines) + "\n")


def _sign(image: Path) -> None:
    """Let the manifest say what the files are now."""
    path = image / "manifest.json"
    manifest = Manifest.from_json(path.read_bytes(), str(path))
    entries = {}
    for name in manifest.files:
        data = (image / name).read_bytes()
        entries[name] = FileEntry(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    path.write_bytes(manifest.model_copy(update={"files": entries}).to_json())


@pytest.mark.parametrize("command", ["run", "verify", "info"])
def test_altered_file_is_refused(
    command: str, cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    image = _copy(files, tmp_path)
    path = _spmat(image)
    _flip(path, 0, 0)
    given = [] if command == "info" else ["--input", files.inputs]
    refused(cli(command, image, *given), f"{path} is damaged", "altered")


@pytest.mark.parametrize("command", ["run", "verify", "info"])
def test_truncated_file_is_refused(
    command: str, cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    image = _copy(files, tmp_path)
    path = _spmat(image)
    path.write_bytes(path.read_bytes()[:-9])
    given = [] if command == "info" else ["--input", files.inputs]
    refused(cli(command, image, *given), f"{path} is damaged", "truncated")


def test_every_file_of_an_image_is_checked(
    cli: Cli, refused: Refused, files: Any, tmp_path: Path
) -> None:
    image = _copy(files, tmp_path)
    for path in sorted(path for path in image.rglob("*") if path.is_file()):
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        refused(cli("info", image), str(path))
        path.unlink()
        refused(cli("info", image), path.name)
        path.write_bytes(data)
    assert cli("info", image).code == 0


@pytest.mark.cosim
def test_flipped_weight_is_found_by_comparing_words(cli: Cli, files: Any, tmp_path: Path) -> None:
    image = _copy(files, tmp_path)
    # A bit of the code of the first entry: the hardware reads another weight than golden.
    _flip(_spmat(image), 0, 1)
    _sign(image)
    assert cli("info", image).code == 0
    result = cli("verify", image, "--input", files.inputs)
    assert result.code == 1
    first, last = re.search(r"^input .*$", result.out, re.MULTILINE), result.out.splitlines()[-1]
    assert first is not None
    assert re.fullmatch(r"input \d, layer fc1, row \d+: expected -?\d+, got -?\d+", first[0])
    assert re.fullmatch(r"NOT bit-exact: 310 words compared, \d+ differ", last)
    document = cli("verify", image, "--input", files.inputs, "--json").document
    assert document["exact"] is False
    assert document["differ"] > 0
    difference = document["parts"][0]["differences"][0]
    assert difference["layer"] == "fc1"
    assert difference["expected"] != difference["got"]
    # What verify says golden expects is what golden computes.
    x = np.load(files.inputs)
    from zeroskip import run

    golden = run(load(files.image), x).layer_outputs[0]
    assert golden[difference["sample"], difference["row"]] == difference["expected"]


@pytest.mark.cosim
def test_array_that_hangs_is_a_failure(
    cli: Cli, refused: Refused, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _copy(files, tmp_path)
    # The end of the first column, before its beginning: the hardware would never reach it.
    paths = sorted(image.rglob("pe_0/ptr_even.hex"))
    _flip(paths[0], 1, 10)
    _sign(image)
    refused(cli("info", image), "damaged", "pointers of pe_0")
    given = ["--input", files.inputs]
    refused(cli("verify", image, *given), "damaged", "pointers of pe_0")
    refused(cli("run", image, *given, "--on", "rtl"), "damaged", "pointers of pe_0")
    # A run that takes longer than it can is taken to hang.
    monkeypatch.setattr("zeroskip.sim.eie.rtl_image._max_cycles", lambda _: 5)
    command = ["run", files.image, *given, "--on", "rtl"]
    refused(cli(*command), "the simulation failed", "did not come to an end", code=1)
    assert cli(*command, "--json").document["exit_code"] == 1


def test_manifest_must_be_ours(cli: Cli, refused: Refused, files: Any, tmp_path: Path) -> None:
    image = _copy(files, tmp_path)
    manifest = image / "manifest.json"
    fields = json.loads(manifest.read_text())
    for text, says in (
        ("{", "not JSON"),
        ("[]", "no zeroskip image"),
        (json.dumps({**fields, "format": "other"}), "no zeroskip image"),
        (json.dumps({**fields, "name": "other"}), "checksum"),
        (json.dumps({**fields, "surplus": 1}), "surplus"),
    ):
        manifest.write_text(text)
        refused(cli("info", image), "manifest.json", says)
