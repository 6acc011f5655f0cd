"""Read a ``.pt2`` file (``torch.export.save``) as data.

``torch.export.load`` runs what a file tells it to: it unpickles weights and constants, evaluates
strings as expressions, imports modules by name and loads compiled libraries. Nothing of that is
needed to read a network, so this reads the archive itself: a zip file with a graph in
JSON and one raw file per tensor.
"""

import contextlib
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from zeroskip.base.bounded import parse_json, read_member
from zeroskip.base.errors import InputError
from zeroskip.compiler.frontend.program import Graph, Node, Ref, Tensor, Value

__all__ = ["read_pt2", "reporting_damage"]

_SCHEMA_MAJOR = 8
"""Version of the graph's JSON schema that torch 2.13 writes."""

# Element types by their number in the schema; bfloat16 has no NumPy type and is widened.
_BFLOAT16 = 13
_DTYPES = {
    1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", 7: "<f4", 8: "<f8", 12: "?",
    _BFLOAT16: "<u2",
}  # fmt: skip
# What a file can make the code below, and the lowering, raise; KeyError and the like included.
_NONSENSE = (
    LookupError, TypeError, ValueError, AttributeError, EOFError, ArithmeticError, RuntimeError,
    MemoryError, zipfile.LargeZipFile,
)  # fmt: skip
_SHARING = 16
_SAVED = (
    "was written by torch.save, which keeps tensors or Python objects, but not what is computed of "
    "them: zeroskip import reads a state dict, given the Python file that makes its "
    "network, and torch.load in Python a module, from where torch.export.save writes it"
)
"""Of a file of ``torch.save``, in either of its formats."""
_FLOATING = (6, 7, 8, _BFLOAT16)


def read_pt2(path: str | Path) -> Graph:
    """Read the exported program in file ``path``, without running anything in it.

    Raises
    ------
    InputError
        If the file is missing, truncated, no ``.pt2`` file, of another schema version, or keeps
        a tensor as a pickled Python object.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"model file {path} {'is a folder' if path.is_dir() else 'does not exist'}"
        )
    with reporting_damage(path):
        with path.open("rb") as stream:
            magic = stream.read(4)
        if magic == b"\x80\x02\x8a\x0a":
            raise InputError(f"{path} {_SAVED}")
        if magic != b"PK\x03\x04":
            raise InputError(
                f"{path} holds tensors, but not what is computed of them: zeroskip import reads "
                "it, given the Python file that makes its network"
                if path.suffix == ".safetensors"
                else f"{path} is not a .pt2 file; write one with torch.export.save"
            )
        with zipfile.ZipFile(path) as archive:
            return _Archive(path, archive).graph()


@contextlib.contextmanager
def reporting_damage(path: str | Path) -> Iterator[None]:
    """Turn what nonsense in file ``path`` makes the code raise into one clear sentence.

    Raises
    ------
    InputError
        In place of the errors of Python, NumPy, JSON and zip.
    """
    try:
        yield
    except zipfile.BadZipFile as error:
        raise InputError(f"{path} is truncated or damaged ({error})") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except _NONSENSE as error:
        raise InputError(
            f"{path} is damaged, or written by a version of torch that Zeroskip does not know "
            f"({type(error).__name__}: {error})"
        ) from error


class _Archive:
    """The records of one ``.pt2`` file."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        # Tensors may share a record, as tied weights do, but not without end.
        self._elements = _SHARING * path.stat().st_size
        names = archive.namelist()
        # A record that is itself a zip file ends like one: a cut there shows in the offsets.
        if names and all(info.header_offset for info in archive.infolist()):
            raise zipfile.BadZipFile("its end is missing")
        # All records share one folder, named after the file as it was first written.
        self._root = names[0].split("/")[0] + "/" if names and "/" in names[0] else ""
        models = [name for name in names if name.startswith(self._root + "models/")]
        if len(models) != 1 or not models[0].endswith(".json"):
            if self._root + "data.pkl" in names:
                raise InputError(f"{path} {_SAVED}")
            what = (
                f"holds {len(models)} exported programs" if models else "holds no exported program"
            )
            raise InputError(f"{path} {what}; write one program with torch.export.save")
        self._model = models[0].removeprefix(self._root + "models/").removesuffix(".json")
        records = {name.removeprefix(self._root) for name in names}
        if f"data/weights/{self._model}.pt" in records:
            raise InputError(
                f"{path} stores its weights as one pickle, as earlier versions of torch did; "
                "export the model again with torch 2.13"
            )
        if "byteorder" in records and self._read("byteorder") != b"little":
            raise InputError(f"{path} was written on a big-endian machine, which is not supported")

    def _read(self, record: str) -> bytes:
        return read_member(self._archive, self._root + record)

    def graph(self) -> Graph:
        """Decode the graph and the tensors it uses."""
        program = parse_json(self._read(f"models/{self._model}.json"))
        major = program["schema_version"]["major"]
        if major != _SCHEMA_MAJOR:
            raise InputError(
                f"{self._path} has schema version {major}, but Zeroskip reads "
                f"{_SCHEMA_MAJOR}; export the model again with torch 2.13"
            )
        module = program["graph_module"]
        stored = {
            path: (folder, config)
            for folder in ("weights", "constants")
            for path, config in parse_json(
                self._read(f"data/{folder}/{self._model}_{folder}_config.json")
            )["config"].items()
        }
        inputs: list[str] = []
        tensors: dict[str, Tensor] = {}
        for spec in module["signature"]["input_specs"]:
            (kind, fields), = spec.items()  # fmt: skip
            if kind == "user_input":
                inputs.append(_name(fields["arg"]))
            elif kind in ("parameter", "buffer", "tensor_constant"):
                path = fields[f"{kind}_name"]
                tensors[fields["arg"]["name"]] = Tensor(path, self._tensor(path, *stored[path]))
            else:
                raise InputError(
                    f"{self._path} needs a {kind.replace('_', ' ')}, which only Python code could "
                    "rebuild; export a module of tensors alone"
                )
        specs = [next(iter(s.items())) for s in module["signature"]["output_specs"]]
        return Graph(
            inputs=tuple(inputs),
            outputs=tuple(_name(f["arg"]) for kind, f in specs if kind == "user_output"),
            mutated=tuple(
                str(f.get("buffer_name", kind)) for kind, f in specs if kind != "user_output"
            ),
            tensors=tensors,
            nodes=tuple(_node(node) for node in module["graph"]["nodes"]),
            values={k: _value(v) for k, v in module["graph"]["tensor_values"].items()},
        )

    def _tensor(self, path: str, folder: str, config: dict[str, Any]) -> NDArray[np.float64]:
        """Return the stored tensor ``path`` as float64, without unpickling."""
        record, meta = config["path_name"], config["tensor_meta"]
        if config["use_pickle"] or meta is None or meta["dtype"] not in _DTYPES:
            raise InputError(
                f"{self._path} stores {path!r} as a pickled Python object, which could run code "
                "when loaded; Zeroskip reads plain tensors only"
            )
        flat = np.frombuffer(self._read(f"data/{folder}/{record}"), _DTYPES[meta["dtype"]])
        if meta["dtype"] == _BFLOAT16:
            flat = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
        sizes = [int(size["as_int"]) for size in meta["sizes"]]
        strides = [int(stride["as_int"]) for stride in meta["strides"]]
        offset = int(meta["storage_offset"]["as_int"])
        last = offset + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
        count = math.prod(sizes)
        if (
            min([offset, *sizes, *strides]) < 0
            or count > flat.size
            or (count and last >= flat.size)
        ):
            raise InputError(f"{self._path} is damaged: tensor {path!r} lies outside its record")
        self._elements -= count
        if self._elements < 0:
            raise InputError(
                f"{self._path} is damaged: its tensors have more elements than its bytes warrant"
            )
        steps = [stride * flat.itemsize for stride in strides]
        return as_strided(flat[offset:], sizes, steps).astype(np.float64)


def _name(arg: dict[str, Any]) -> str:
    """Return the name of an input or output, which is a tensor or else described in words."""
    kind, value = next(iter(arg.items()))
    return str(value["name"]) if kind == "as_tensor" else f"<{kind.removeprefix('as_')}>"


def _node(node: dict[str, Any]) -> Node:
    outputs: list[str] = []
    for output in node["outputs"]:
        for kind in ("as_tensor", "as_tensors"):
            refs = output.get(kind) or []
            outputs += [ref["name"] for ref in (refs if isinstance(refs, list) else [refs])]
    stack = node["metadata"].get("nn_module_stack", "").split(";")[-1].split(",")
    return Node(
        name=node.get("name") or (outputs[0] if outputs else node["target"]),
        op=node["target"].removeprefix("torch.ops."),
        args={arg["name"]: _argument(arg["arg"]) for arg in node["inputs"]},
        outputs=tuple(outputs),
        module=stack[1] if len(stack) > 2 and not stack[1].startswith("_") else "",
    )


def _argument(arg: Any) -> Any:
    """Decode an argument, ``{"as_<kind>": value}``; kinds that no layer needs stay as they are."""
    if isinstance(arg, list):
        return [_argument(item) for item in arg]
    if not isinstance(arg, dict) or len(arg) != 1:
        return Ref(arg["name"]) if isinstance(arg, dict) and set(arg) == {"name"} else arg
    kind, value = next(iter(arg.items()))
    if kind == "name" or kind == "as_name":
        return Ref(value)
    return None if kind == "as_none" else _argument(value)


def _value(meta: dict[str, Any]) -> Value:
    return Value(
        tuple(size.get("as_int") for size in meta["sizes"]),
        meta["dtype"] in _FLOATING,
    )
