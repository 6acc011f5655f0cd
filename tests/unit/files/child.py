"""Reads mutants of a kind of file under a memory limit; what is not one clear sentence is told.

Run as ``python -m tests.unit.files.child KIND FOLDER COUNT ...``, three words a kind: prints a line
per failure.
"""

import hashlib
import json
import resource
import sys
import traceback
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tests.unit.files.mutants import mutate_bytes, mutate_json, mutate_npz, to_text
from zeroskip.base.errors import ZeroskipError

_ROOM = 768 << 20
"""Bytes that reading may take beside what the process had before."""

_DEEP = "deep"

_MODELS: tuple[Literal["golden", "cycles"], ...] = ("golden", "cycles")

_SHAPES = [
    "(1099511627776,)", "(4, 3, -1)", "(True, 3)", "((" * 400, "(0, 1 << 62)",
    "(4611686018427387904,)", "(3, 4" + ", 1" * 90 + ")",
]  # fmt: skip

Case = tuple[Callable[[], object], Callable[[np.random.Generator], None]]


def main(kind: str, folder: Path, count: int) -> int:
    """Read ``count`` mutants; return how many were not refused, or taken, as they should be."""
    warnings.simplefilter("ignore")
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    read, spoil = _KINDS[kind](folder)
    read()  # Whole, and what is compiled or imported at first is.
    limit = _used() + _ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    failures = refused = 0
    for seed in range(count):
        spoil(np.random.default_rng(seed))
        try:
            read()
        except ZeroskipError as error:
            refused += 1
            if "\n" in str(error) or len(str(error)) > 1000:
                failures += 1
                print(f"{seed}: not one sentence: {str(error)[:300]!r}")
        except BaseException as error:
            failures += 1
            last = traceback.extract_tb(error.__traceback__)[-1]
            print(f"{seed}: {type(error).__name__}: {str(error)[:200]} at {last}")
    print(f"{folder.name}: {count} mutants, {refused} refused")
    return int(failures > 0 or refused < count // 4)


def _used() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _image(folder: Path) -> Case:
    """Load and run an image on both models, its checksums made right again."""
    from zeroskip.compiler.image.image import load
    from zeroskip.sim.run import run

    good = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = json.loads(good["manifest.json"])
    network = manifest["network"]
    shape = network.get("sample_shape", network["input_shape"])

    def read() -> None:
        image = load(folder)
        x = np.ones((1, *shape))
        for on in _MODELS:
            run(image, x, on)

    def spoil(rng: np.random.Generator) -> None:
        files, document, depth = dict(good), manifest, 0
        kind = int(rng.integers(0, 8))
        arrays = [name for name in files if name.endswith(".npz")]
        if kind == 0:
            files["manifest.json"] = mutate_bytes(rng, files["manifest.json"])
        elif kind < 3:
            name = str(rng.choice(arrays))
            files[name] = mutate_npz(rng, files[name])
        elif kind == 3:
            name = str(rng.choice([name for name in files if not name.endswith("manifest.json")]))
            files[name] = mutate_bytes(rng, files[name])
        elif kind == 4 and rng.random() < 0.3:
            document = {**manifest, "report": {"a": _DEEP}}
            depth = int(rng.choice([70, 900, 3000, 100_000]))
        else:
            fields = {key: value for key, value in manifest.items() if key != "files"}
            document = {**mutate_json(rng, fields), "files": manifest["files"]}
        if kind:
            document = json.loads(to_text(document))
            for name, entry in document.get("files", {}).items():
                data = files[name]
                entry |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            document.pop("checksum", None)
            files["manifest.json"] = _signed(document, depth)
        for name, data in files.items():
            (folder / name).write_bytes(data)

    return read, spoil


def _signed(document: dict[str, Any], depth: int) -> bytes:
    """Sign a manifest; ``_DEEP`` in it is as many lists within lists."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    text = text.replace(f'"{_DEEP}"', "[" * depth + "]" * depth)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{text[:-1]},"checksum":"{digest}"}}'.encode()


def _zsk(folder: Path) -> Case:
    """Read a compressed network with its graph."""
    from zeroskip.compiler.compress import zsk
    from zeroskip.compiler.frontend.zsk import import_zsk

    path = folder / "model.zsk"
    good = path.read_bytes()
    _, _, _, length, _ = zsk._START.unpack_from(good)
    start, body = zsk._START.size, good[zsk._START.size + length : -32]
    header = json.loads(zlib.decompress(good[start : start + length]))

    def spoil(rng: np.random.Generator) -> None:
        document, rest = header, body
        kind = int(rng.integers(0, 6))
        if kind == 0:
            path.write_bytes(mutate_bytes(rng, good))
            return
        if kind == 1:
            document = {**header, "tensors": mutate_json(rng, header["tensors"])}
        elif kind == 2:
            document = {**header, "graph": mutate_json(rng, header["graph"])}
        elif kind == 3:
            document = mutate_json(rng, header)
        elif kind == 4:
            document, rest = _promises(rng, header)
        else:
            document, rest = header, _flipped(rng, header, body)
        packed = zlib.compress(to_text(document), 9)
        if kind == 4 and rng.random() < 0.3:
            packed = zlib.compress(b"[" + bytes(rng.choice([b" ", b"[", b"1"])) * (1 << 25), 9)
        data = zsk._START.pack(zsk.MAGIC, 1, 0, len(packed), zlib.crc32(packed)) + packed + rest
        path.write_bytes(data + hashlib.sha256(data).digest())

    return lambda: import_zsk(path), spoil


def _promises(rng: np.random.Generator, header: Any) -> tuple[Any, bytes]:
    """Promise a tensor of many elements in few bytes."""
    record = dict(header["tensors"][0])
    record["shape"] = [[1 << 16, 1 << 15], [1 << 31], [1 << 40, 0], [1 << 12, 1 << 13]][
        int(rng.integers(0, 4))
    ]
    sections: list[bytes]
    if rng.random() < 0.5:
        zeros = zlib.compress(bytes(1 << int(rng.integers(20, 28))), 9)
        record |= {"kind": "plain", "store": "float32", "deflated": True}
        sections = [zeros]
    else:
        record |= {"kind": "sparse", "order": "C", "run_bits": 8, "entries": 0}
        sections = [b"", bytes(128), b""]
    record["bytes"] = [len(one) for one in sections]
    body = b"".join(one + zlib.crc32(one).to_bytes(4, "little") for one in sections)
    return {**header, "tensors": [record]}, body


def _flipped(rng: np.random.Generator, header: Any, body: bytes) -> bytes:
    """Flip a bit of a section, and make its checksum right."""
    sizes = [size for record in header["tensors"] for size in record["bytes"]]
    chosen, at, parts = int(rng.integers(0, len(sizes))), 0, []
    for number, size in enumerate(sizes):
        part = bytearray(body[at : at + size])
        if number == chosen and size:
            part[int(rng.integers(0, size))] ^= 1 << int(rng.integers(0, 8))
        parts += [bytes(part), zlib.crc32(part).to_bytes(4, "little")]
        at += size + 4
    return b"".join(parts)


def _pt2(folder: Path) -> Case:
    """Read an exported program."""
    import io
    import zipfile

    from zeroskip.compiler.frontend.lower import lower
    from zeroskip.compiler.frontend.pt2 import read_pt2, reporting_damage

    path = folder / "model.pt2"
    good = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def read() -> None:
        with reporting_damage(path):
            lower(read_pt2(path))

    def spoil(rng: np.random.Generator) -> None:
        if rng.random() < 0.3:
            path.write_bytes(mutate_bytes(rng, good))
            return
        files = dict(members)
        texts = [name for name in files if name.endswith(".json")]
        name = texts[int(rng.integers(0, len(texts)))]
        if rng.random() < 0.1:
            files[name] = b"[" * 100_000
        elif rng.random() < 0.1:
            files[name] = files[name] + b" " * (1 << 27)
        else:
            files[name] = to_text(mutate_json(rng, json.loads(files[name])))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for key, value in files.items():
                archive.writestr(key, value)
        path.write_bytes(buffer.getvalue())

    return read, spoil


def _npy(folder: Path) -> Case:
    """Read an array of inputs."""
    from zeroskip.cli.files import read_npy

    path = folder / "x.npy"
    good = path.read_bytes()

    def spoil(rng: np.random.Generator) -> None:
        if rng.random() < 0.4:
            path.write_bytes(mutate_bytes(rng, good))
            return
        shape = str(rng.choice(_SHAPES))
        kind = rng.choice(["<f8", "|S0", "|O", "<U1000000000", "|V3", "<M8[ns]"])
        text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
        version = int(rng.integers(1, 5))
        length = len(text).to_bytes(2 if version == 1 else 4, "little")
        path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + length + text + good[-96:])

    return lambda: read_npy(path, "input"), spoil


def _text(folder: Path) -> Case:
    """Read texts of other kinds, by the ending of the one file that is there."""
    from zeroskip.compiler.compress.config_file import load_config
    from zeroskip.compiler.compress.import_net import parse_layers, read_net
    from zeroskip.flow.synth.baseline import read_baseline
    from zeroskip.flow.synth.liberty import read_liberty
    from zeroskip.sim.eie.sweep.columns import EIE_COLUMNS
    from zeroskip.sim.sweep.journal import Journal
    from zeroskip.sim.sweep.table import read_table

    (path,) = folder.iterdir()
    good = path.read_bytes()
    readers: dict[str, Callable[[], object]] = {
        ".json": lambda: read_baseline(path),
        ".gz": lambda: read_liberty(path),
        ".lib": lambda: read_liberty(path),
        ".csv": lambda: read_table(path, EIE_COLUMNS),
        ".journal": lambda: Journal(path, "it").done,
        ".net": lambda: read_net(path, parse_layers("fc1:30x20,fc2:5x30")),
        ".toml": lambda: load_config(path),
    }

    def spoil(rng: np.random.Generator) -> None:
        data = good
        if path.suffix == ".json" and rng.random() < 0.7:
            data = to_text(mutate_json(rng, json.loads(good)))
        elif path.suffix == ".gz" and rng.random() < 0.5:
            import gzip

            data = gzip.compress(bytes(1 << int(rng.integers(24, 29))), 9)
        elif path.suffix == ".journal" and rng.random() < 0.5:
            data = good + to_text(mutate_json(rng, {"point": 3, "rows": [{"a": 1}]})) + b"\n"
        elif rng.random() < 0.05:
            data = b"[" * 100_000
        else:
            data = mutate_bytes(rng, good)
        path.write_bytes(data)

    return readers[path.suffix], spoil


_KINDS = {"image": _image, "zsk": _zsk, "pt2": _pt2, "npy": _npy, "text": _text}

if __name__ == "__main__":
    given = zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3], strict=True)
    sys.exit(sum(main(kind, Path(folder), int(count)) for kind, folder, count in given))
