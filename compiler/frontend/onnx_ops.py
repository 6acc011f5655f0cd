"""What ONNX operators are in the operators that the lowering knows, those of exported programs."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.hints import hint
from zeroskip.compiler.frontend.program import Node, Ref, Tensor

__all__ = ["Operation", "Translator"]

_UNNAMED = re.compile(r"[^\w.\-]+")
_LARGE = np.finfo(np.float32).max

# Of ONNX operators that no array computes, what torch calls them, as hints go by that.
_TORCH_NAMES = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "HardSwish": "hardswish",
    "HardSigmoid": "hardsigmoid",
    "Swish": "silu",
    "LeakyRelu": "leaky_relu",
    "ConvTranspose": "conv_transpose",
    "GroupNormalization": "group_norm",
    "LayerNormalization": "layer_norm",
    "InstanceNormalization": "instance_norm",
    "LpPool": "lp_pool",
    "Pow": "pow",
}


@dataclass(frozen=True)
class Operation:
    """A node of an ONNX graph.

    Parameters
    ----------
    name : as in the graph, or that of its first result.
    kind : the operator, with its domain unless that is ONNX's own.
    inputs, outputs : names of tensors; an input that is left out is empty.
    attributes : by name.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @classmethod
    def of(cls, node: Any) -> "Operation":
        """Take a ``NodeProto``."""
        from onnx import helper

        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
        values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        return cls(
            name=node.name or node.output[0],
            kind=domain + node.op_type,
            inputs=tuple(node.input),
            outputs=tuple(name for name in node.output if name),
            attributes={
                name: value.decode() if isinstance(value, bytes) else value
                for name, value in values.items()
            },
        )

    @property
    def layer(self) -> str:
        """Path that the module had: ``/layer1/layer1.0/conv1/Conv`` is ``layer1.0.conv1``."""
        parts = [part for part in self.name.split("/") if part]
        if len(parts) > 1 and parts[-1].split("_")[0] == self.kind:
            parts = parts[:-1]
        path: list[str] = []
        for part in parts:
            if path and part.startswith(path[-1] + "."):
                path.pop()
            path.append(part)
        return _UNNAMED.sub("_", ".".join(path)) or self.kind


class Translator:
    """Makes nodes of exported programs of ONNX operations.

    Parameters
    ----------
    shapes : of tensors, by name; those of constants, too.
    constants : by name.

    Attributes
    ----------
    nodes : what was made so far.
    tensors : constants that these read.
    shapes : of tensors, and of those between nodes that were made of one.
    """

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], constants: Mapping[str, NDArray[Any]]
    ) -> None:
        self.shapes = dict(shapes)
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self._constants = constants

    def add(self, op: Operation) -> None:
        """Add what an operation is.

        Raises
        ------
        CompileError
            If it is not supported; names the node.
        """
        if op.kind not in _TRANSLATIONS:
            raise self._error(op, hint(_TORCH_NAMES.get(op.kind, op.kind.lower())))
        known, translate = _TRANSLATIONS[op.kind]
        for name, value in op.attributes.items():
            if name not in known:
                raise self._error(op, f"its attribute {name} = {value!r} is not known")
        for name in op.outputs[:1]:
            if name not in self.shapes:
                raise self._error(
                    op,
                    "the shape of its result cannot be inferred: simplify the file, for instance "
                    "with onnxsim, or export it with fixed sizes",
                )
        translate(self, op)

    def _error(self, op: Operation, why: str) -> CompileError:
        return ops.node_error(Node(op.name, op.kind, {}, op.outputs, op.layer), why)

    def make(
        self, op: Operation, base: str, args: dict[str, Any], outputs: Sequence[str] = ()
    ) -> None:
        """Append a node of operator ``aten.<base>``."""
        name = op.outputs[0] if not outputs else outputs[0]
        node = Node(op.name, f"aten.{base}.default", args, tuple(outputs) or (name,), op.layer)
        self.nodes.append(node)

    def ref(self, op: Operation, number: int) -> Ref | None:
        """Return an input as an argument; None if it is left out."""
        if number >= len(op.inputs) or not op.inputs[number]:
            return None
        return self.constant(op, op.inputs[number])

    def constant(self, op: Operation, name: str, array: NDArray[Any] | None = None) -> Ref:
        """Return a tensor as an argument; a constant, or the ``array`` given, gets a path."""
        held = self._constants.get(name) if array is None else array
        if held is not None and name not in self.tensors:
            plain = "." in name and "/" not in name and ":" not in name
            path = name if plain else f"{op.layer}.{_UNNAMED.sub('_', name.rpartition('.')[2])}"
            self.tensors[name] = Tensor(path, np.asarray(held, np.float64))
        return Ref(name)

    def array(self, op: Operation, number: int, what: str) -> NDArray[Any] | None:
        """Return an input that must be a constant; None if it is left out."""
        if number >= len(op.inputs) or not op.inputs[number]:
            return None
        found = self._constants.get(op.inputs[number])
        if found is None:
            raise self._error(op, f"its {what} is not constant")
        return found

    def integers(self, op: Operation, number: int, attribute: str) -> list[int] | None:
        """Return whole numbers that are an attribute, or in later opsets an input."""
        if attribute in op.attributes:
            return [int(n) for n in op.attributes[attribute]]
        found = self.array(op, number, attribute)
        return None if found is None else [int(n) for n in found.ravel()]

    def shape(self, op: Operation, number: int = 0) -> tuple[int, ...]:
        """Return the shape of an input."""
        found = self.shapes.get(op.inputs[number])
        if found is None:
            raise self._error(op, "the shape of what it reads cannot be inferred")
        return found

    # Products.

    def gemm(self, op: Operation) -> None:
        if op.attributes.get("transA"):
            raise self._error(op, "it transposes the activation (transA)")
        weight = self.array(op, 1, "matrix")
        assert weight is not None
        weight = np.asarray(weight, np.float64)
        weight = weight if op.attributes.get("transB") else weight.T
        args: dict[str, Any] = {"input": self.ref(op, 0)}
        alpha, beta = op.attributes.get("alpha", 1.0), op.attributes.get("beta", 1.0)
        plain = bool(op.attributes.get("transB")) and alpha == 1.0
        name = op.inputs[1] if plain else f"{op.inputs[1]}.of.{op.name}"
        args["weight"] = self._renamed(op, op.inputs[1], name, alpha * weight)
        bias = self.array(op, 2, "bias")
        if bias is not None:
            name = op.inputs[2] if beta == 1.0 else f"{op.inputs[2]}.of.{op.name}"
            args["bias"] = self._renamed(op, op.inputs[2], name, beta * np.asarray(bias))
        self.make(op, "linear", args)

    def matmul(self, op: Operation) -> None:
        if op.inputs[0] in self._constants or op.inputs[1] not in self._constants:
            raise self._error(op, "only with the activation first and constant weights")
        weight = np.asarray(self._constants[op.inputs[1]], np.float64)
        if weight.ndim != 2:
            raise self._error(op, f"its weights have {weight.ndim} dimensions instead of 2")
        name = f"{op.inputs[1]}.of.{op.name}"
        matrix = self._renamed(op, op.inputs[1], name, weight.T)
        self.make(op, "linear", {"input": self.ref(op, 0), "weight": matrix})

    def _renamed(self, op: Operation, given: str, name: str, array: NDArray[Any]) -> Ref:
        """Return a constant that was computed of ``given``, with the path of that."""
        path = self.tensors.get(given)
        self.constant(op, given)
        self.tensors[name] = Tensor(self.tensors[given].path, np.asarray(array, np.float64))
        if path is None and name != given:
            del self.tensors[given]
        return Ref(name)

    def conv(self, op: Operation) -> None:
        weight = self.array(op, 1, "weight")
        assert weight is not None
        spatial = weight.ndim - 2
        if spatial not in (1, 2):
            raise self._error(op, hint("conv"))
        strides = list(op.attributes.get("strides", [1] * spatial))
        dilation = list(op.attributes.get("dilations", [1] * spatial))
        sizes = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
        before, after = self._pads(op, sizes, strides)
        source = self._padded(op, before, after) if before != after else op.inputs[0]
        self.make(
            op,
            f"conv{spatial}d",
            {
                "input": self.constant(op, source),
                "weight": self.ref(op, 1),
                "bias": self.ref(op, 2),
                "stride": strides,
                "padding": before if before == after else [0] * spatial,
                "dilation": dilation,
                "groups": int(op.attributes.get("group", 1)),
            },
        )

    def _pads(
        self, op: Operation, kernel: Sequence[int], strides: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """Return padding before and behind, by dimension of the plane; holes are in ``kernel``."""
        auto = op.attributes.get("auto_pad", "NOTSET")
        count = len(kernel)
        if auto in ("NOTSET", ""):
            pads = [int(n) for n in op.attributes.get("pads", [0] * (2 * count))]
            if min(pads, default=0) < 0:
                raise self._error(op, f"its padding {pads} is negative")
            return pads[:count], pads[count:]
        if auto == "VALID":
            return [0] * count, [0] * count
        if auto not in ("SAME_UPPER", "SAME_LOWER"):
            raise self._error(op, f"its auto_pad {auto!r} is not known")
        before: list[int] = []
        after: list[int] = []
        for size, width, step in zip(self.shape(op)[2:], kernel, strides, strict=True):
            whole = max(0, (-(-size // step) - 1) * step + width - size)
            less, more = whole // 2, whole - whole // 2
            before.append(less if auto == "SAME_UPPER" else more)
            after.append(more if auto == "SAME_UPPER" else less)
        return before, after

    def _padded(self, op: Operation, before: Sequence[int], after: Sequence[int]) -> str:
        """Add zeros around the input's planes, and return the name of the result."""
        name, shape = f"{op.outputs[0]}.padded", self.shape(op)
        sides = [
            n for pair in reversed(list(zip(before, after, strict=True))) for n in pair
        ]  # fmt: skip
        grown = (a + n + b for a, n, b in zip(before, shape[2:], after, strict=True))
        self.shapes[name] = (*shape[:2], *grown)
        args = {"self": self.ref(op, 0), "pad": sides, "value": 0.0}
        self.make(op, "constant_pad_nd", args, [name])
        return name

    # Pooling.

    def pool(self, op: Operation) -> None:
        if len(op.outputs) > 1:
            raise self._error(op, "it gives the places of its maxima, too (Indices)")
        kernel = [int(n) for n in op.attributes["kernel_shape"]]
        if len(kernel) not in (1, 2):
            raise self._error(op, hint("pool"))
        if max(op.attributes.get("dilations", [1])) > 1:
            raise self._error(op, "its windows have holes (dilations); use dilation 1")
        strides = [int(n) for n in op.attributes.get("strides", [1] * len(kernel))]
        before, after = self._pads(op, kernel, strides)
        average = op.kind == "AveragePool"
        inside = not average or not op.attributes.get("count_include_pad", 0)
        ceil = bool(op.attributes.get("ceil_mode", 0))
        source = op.inputs[0]
        if before != after:
            if not inside:
                source, before = self._padded(op, before, after), [0] * len(kernel)
            elif all(a >= b for a, b in zip(after, before, strict=True)):
                # Windows that hang over the plane do not see what is beyond it.
                ceil = True
            else:
                raise self._error(op, f"its padding is larger before, {before}, than after {after}")
        args: dict[str, Any] = {
            "self": self.constant(op, source),
            "kernel_size": kernel,
            "stride": strides,
            "padding": before,
            "ceil_mode": ceil,
        }
        if average:
            args["count_include_pad"] = not inside
        self.make(op, f"{'avg' if average else 'max'}_pool{len(kernel)}d", args)

    def global_pool(self, op: Operation) -> None:
        dims = list(range(2, len(self.shape(op))))
        base = "mean" if op.kind == "GlobalAveragePool" else "amax"
        self.make(op, base, {"self": self.ref(op, 0), "dim": dims, "keepdim": True})

    def reduce(self, op: Operation) -> None:
        axes = self.integers(op, 1, "axes")
        ndim = len(self.shape(op))
        if not axes:
            if op.attributes.get("noop_with_empty_axes"):
                return self.same(op)
            axes = list(range(ndim))
        base = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "amax"}[op.kind]
        keep = bool(op.attributes.get("keepdims", 1))
        self.make(op, base, {"self": self.ref(op, 0), "dim": axes, "keepdim": keep})
        return None

    # Element by element.

    def batch_norm(self, op: Operation) -> None:
        names = ("weight", "bias", "running_mean", "running_var")
        args = {name: self.ref(op, number + 1) for number, name in enumerate(names)}
        for number, name in enumerate(names):
            self.array(op, number + 1, name)
        self.make(
            op,
            "batch_norm",
            {
                "input": self.ref(op, 0),
                **args,
                "training": bool(op.attributes.get("training_mode", 0)),
                "eps": float(op.attributes.get("epsilon", 1e-5)),
            },
        )

    def relu(self, op: Operation) -> None:
        self.make(op, "relu", {"self": self.ref(op, 0)})

    def clip(self, op: Operation) -> None:
        args: dict[str, Any] = {"self": self.ref(op, 0)}
        for number, name in enumerate(("min", "max"), 1):
            limit = self.array(op, number, name)
            if limit is not None:
                value = float(np.ravel(limit)[0])
                args[name] = None if abs(value) >= _LARGE else value
        if args.get("min") is None and args.get("max") is None:
            return self.same(op)
        self.make(op, "clamp", args)
        return None

    def elementwise(self, op: Operation) -> None:
        base = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}[op.kind]
        self.make(op, base, {"self": self.ref(op, 0), "other": self.ref(op, 1)})

    def sum_all(self, op: Operation) -> None:
        name = op.inputs[0]
        for number, other in enumerate(op.inputs[1:], 1):
            last = number == len(op.inputs) - 1
            made = op.outputs[0] if last else f"{op.outputs[0]}.{number}"
            self.shapes[made] = self.shapes[op.outputs[0]]
            args = {"self": self.constant(op, name), "other": self.constant(op, other)}
            self.make(op, "add", args, [made])
            name = made
        if len(op.inputs) == 1:
            self.same(op)

    def same(self, op: Operation) -> None:
        self.make(op, "alias", {"self": self.ref(op, 0)})

    def cast(self, op: Operation) -> None:
        from onnx import helper

        kind = helper.tensor_dtype_to_np_dtype(op.attributes["to"])
        if kind.kind != "f":
            raise self._error(op, f"it rounds to {kind}, and the array's activations are fractions")
        self.same(op)

    def dropout(self, op: Operation) -> None:
        training = self.array(op, 2, "training_mode")
        if training is not None and bool(np.any(training)):
            raise self._error(op, "it is in training mode; export the network in eval mode")
        self.same(op)

    # What moves elements.

    def concat(self, op: Operation) -> None:
        tensors = [self.ref(op, number) for number in range(len(op.inputs))]
        self.make(op, "cat", {"tensors": tensors, "dim": int(op.attributes["axis"])})

    def reshape(self, op: Operation) -> None:
        self.make(op, "reshape", {"self": self.ref(op, 0), "shape": self.shapes[op.outputs[0]]})

    def transpose(self, op: Operation) -> None:
        ndim = len(self.shape(op))
        dims = [int(n) for n in op.attributes.get("perm", range(ndim)[::-1])]
        self.make(op, "permute", {"self": self.ref(op, 0), "dims": dims})

    def pad(self, op: Operation) -> None:
        mode = op.attributes.get("mode", "constant")
        pads = self.integers(op, 1, "pads") or []
        value = self.array(op, 2, "value")
        ndim, axes = len(self.shape(op)), self.integers(op, 3, "axes")
        dims = list(range(ndim)) if axes is None else [axis % ndim for axis in axes]
        sides = {dim: (pads[place], pads[place + len(dims)]) for place, dim in enumerate(dims)}
        flat = [n for dim in reversed(range(ndim)) for n in sides.get(dim, (0, 0))]
        while len(flat) > 2 and flat[-2:] == [0, 0]:
            flat = flat[:-2]
        names = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
        if mode not in names:
            raise self._error(op, f"its mode {mode!r} is not known")
        number = 0.0 if value is None else float(np.ravel(value)[0])
        args = {"self": self.ref(op, 0), "pad": flat, "mode": names[mode], "value": number}
        self.make(op, "pad", args)

    def cut(self, op: Operation) -> None:
        found = [
            self.array(op, n, w) for n, w in ((1, "starts"), (2, "ends"), (3, "axes"), (4, "steps"))
        ]
        starts, ends = ([int(n) for n in np.ravel(a)] for a in found[:2] if a is not None)
        axes = range(len(starts)) if found[2] is None else [int(n) for n in found[2].ravel()]
        steps = [1] * len(starts) if found[3] is None else [int(n) for n in found[3].ravel()]
        name, shape = op.inputs[0], list(self.shape(op))
        for number, (axis, start, end, step) in enumerate(
            zip(axes, starts, ends, steps, strict=True)
        ):
            if step < 1:
                raise self._error(op, f"its step {step} goes backwards")
            last = number == len(starts) - 1
            made = op.outputs[0] if last else f"{op.outputs[0]}.{number}"
            size = shape[axis]
            chosen = range(*slice(start, end, step).indices(size))
            shape[axis] = len(chosen)
            self.shapes[made] = tuple(shape)
            args = {
                "self": self.constant(op, name),
                "dim": axis % len(shape),
                "start": chosen.start,
                "end": chosen.stop,
                "step": step,
            }
            self.make(op, "slice", args, [made])
            name = made

    def split(self, op: Operation) -> None:
        axis = int(op.attributes.get("axis", 0))
        sizes = [self.shapes[name][axis] for name in op.outputs]
        args = {"self": self.ref(op, 0), "split_sizes": sizes, "dim": axis % len(self.shape(op))}
        self.make(op, "split_with_sizes", args, op.outputs)

    def gather(self, op: Operation) -> None:
        index = self.array(op, 1, "index")
        assert index is not None
        ndim = len(self.shape(op))
        axis = int(op.attributes.get("axis", 0)) % ndim
        if index.ndim == 0:
            args = {"self": self.ref(op, 0), "dim": axis, "index": int(index)}
            self.make(op, "select", args)
        elif index.ndim == 1:
            index = np.where(index < 0, index + self.shape(op)[axis], index)
            name = self.constant(op, f"{op.inputs[1]}.of.{op.name}", index)
            self.make(op, "index_select", {"self": self.ref(op, 0), "dim": axis, "index": name})
        else:
            raise self._error(op, f"its index has {index.ndim} dimensions, not one")

    def depth_to_space(self, op: Operation) -> None:
        if op.attributes.get("mode", "DCR") != "CRD":
            raise self._error(op, "its mode is DCR; only CRD, which is PixelShuffle")
        factor = int(op.attributes["blocksize"])
        self.make(op, "pixel_shuffle", {"self": self.ref(op, 0), "upscale_factor": factor})

    def resize(self, op: Operation) -> None:
        read, made = self.shape(op), self.shapes[op.outputs[0]]
        nearest = op.attributes.get("mode", "nearest") == "nearest"
        whole = all(new % old == 0 for old, new in zip(read, made, strict=True))
        asymmetric = op.attributes.get("coordinate_transformation_mode") == "asymmetric"
        floor = op.attributes.get("nearest_mode", "round_prefer_floor") == "floor"
        halves = op.attributes.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
        if not (nearest and whole and ((asymmetric and floor) or halves)):
            raise self._error(op, hint("upsample"))
        # Copies of whole elements; of those, both ways of counting choose the same.
        spatial = len(read) - 2
        args = {"self": self.ref(op, 0), "output_size": list(made[2:])}
        self.make(op, f"upsample_nearest{spatial}d", args)


_WINDOWS = ("auto_pad", "pads", "strides", "dilations", "kernel_shape")
_REDUCE = ("axes", "keepdims", "noop_with_empty_axes")

_TRANSLATIONS: dict[str, tuple[tuple[str, ...], Callable[[Translator, Operation], Any]]] = {
    "Add": ((), Translator.elementwise),
    "AveragePool": ((*_WINDOWS, "count_include_pad", "ceil_mode"), Translator.pool),
    "BatchNormalization": (("epsilon", "momentum", "training_mode"), Translator.batch_norm),
    "Cast": (("to", "saturate", "round_mode"), Translator.cast),
    "Clip": ((), Translator.clip),
    "Concat": (("axis",), Translator.concat),
    "Conv": ((*_WINDOWS, "group"), Translator.conv),
    "DepthToSpace": (("blocksize", "mode"), Translator.depth_to_space),
    "Div": ((), Translator.elementwise),
    "Dropout": (("seed",), Translator.dropout),
    "Flatten": (("axis",), Translator.reshape),
    "Gather": (("axis",), Translator.gather),
    "Gemm": (("alpha", "beta", "transA", "transB"), Translator.gemm),
    "GlobalAveragePool": ((), Translator.global_pool),
    "GlobalMaxPool": ((), Translator.global_pool),
    "Identity": ((), Translator.same),
    "MatMul": ((), Translator.matmul),
    "MaxPool": ((*_WINDOWS, "ceil_mode", "storage_order"), Translator.pool),
    "Mul": ((), Translator.elementwise),
    "Pad": (("mode",), Translator.pad),
    "ReduceMax": (_REDUCE, Translator.reduce),
    "ReduceMean": (_REDUCE, Translator.reduce),
    "ReduceSum": (_REDUCE, Translator.reduce),
    "Relu": ((), Translator.relu),
    "Reshape": (("allowzero",), Translator.reshape),
    "Resize": (
        (
            "coordinate_transformation_mode",
            "cubic_coeff_a",
            "exclude_outside",
            "extrapolation_value",
            "mode",
            "nearest_mode",
            "antialias",
            "axes",
            "keep_aspect_ratio_policy",
        ),
        Translator.resize,
    ),
    "Slice": ((), Translator.cut),
    "Split": (("axis", "split", "num_outputs"), Translator.split),
    "Squeeze": (("axes",), Translator.reshape),
    "Sub": ((), Translator.elementwise),
    "Sum": ((), Translator.sum_all),
    "Transpose": (("perm",), Translator.transpose),
    "Unsqueeze": (("axes",), Translator.reshape),
}
"""Attributes that an operator may have, and what it is."""
