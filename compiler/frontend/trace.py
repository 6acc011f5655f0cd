"""Trace a torch module to a graph with ``torch.export``."""

import contextlib
import io
import logging
import operator
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Node as FxNode
from torch.fx import config as fx_config

from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.frontend.program import Graph, Node, Ref, Tensor, Value

__all__ = ["evaluating", "graph_of_module", "graph_of_program"]

_REASONS = {
    "data-dependent": "its Python code decides by values that depend on the input, and a network "
    "on the arrays does the same for every input",
    "uninitialized parameter": "it has lazy modules whose sizes are not known yet; call it once "
    "with a sample before",
    "zeros(): argument 'size' failed to unpack": "it makes a tensor whose size is the value of "
    "another, as a recurrent layer of packed sequences does: let that take padded ones, and give "
    "their lengths to run",
}
"""What to say instead of torch's own words, by what these contain."""

_TENSOR_KINDS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


def graph_of_module(module: nn.Module, example_input: Any) -> Graph:
    """Trace ``module`` in eval mode with ``example_input``, batch first, and return its graph.

    The module is left as it was, its training flags included.

    Raises
    ------
    InputError
        If ``module`` is no module or ``example_input`` no batch of floats.
    CompileError
        If ``torch.export`` cannot trace the module.
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"module must be a torch.nn.Module, not {type(module).__name__}")
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError(
            "module must be a torch.nn.Module as it was before torch.jit, not a "
            f"{type(module).__name__}"
        )
    if isinstance(example_input, tuple | dict):
        raise InputError(
            "example_input must be one tensor or array, as a network has one input, not a "
            f"{type(example_input).__name__} of {len(example_input)}"
        )
    try:
        example = torch.as_tensor(example_input).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"example_input must be one tensor or array, {error}") from error
    if not example.dim() or not example.shape[0] or not example.is_floating_point():
        raise InputError(
            "example_input must be a batch of floating-point samples, batch first, not "
            f"{str(example.dtype).removeprefix('torch.')} of shape {tuple(example.shape)}"
        )
    if not example.numel():
        raise InputError(
            f"example_input of shape {tuple(example.shape)} is empty: a sequence has a step at "
            "least, and other samples have an element"
        )
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), example.dtype)
    example = example.to(dtype)
    try:
        with evaluating(module), torch.no_grad(), _quiet():
            program = torch.export.export(module, (example,))
    except Exception as error:
        # torch.export raises whatever the traced code raises, and dozens of types of its own.
        raise CompileError(
            f"torch.export cannot trace {type(module).__name__} with an input of shape "
            f"{tuple(example.shape)}: {_reason(error)}"
        ) from error
    return graph_of_program(program)


def graph_of_program(program: ExportedProgram) -> Graph:
    """Return the graph of an exported program.

    Raises
    ------
    CompileError
        If it needs anything but tensors.
    """
    signature = program.graph_signature
    stored = {**program.state_dict, **program.constants}
    inputs: list[str] = []
    tensors: dict[str, Tensor] = {}
    for spec in signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            inputs.append(spec.arg.name)
        elif spec.kind in _TENSOR_KINDS and spec.target is not None:
            found = stored[spec.target].detach()
            # Pruned weights may be kept in a sparse layout.
            whole = found if found.layout == torch.strided else found.to_dense()
            array = whole.to(torch.float64).cpu().numpy()
            tensors[spec.arg.name] = Tensor(spec.target, array)
        else:
            raise CompileError(f"the module needs {spec.arg.name!r}, which is not a tensor")
    nodes = list(program.graph.nodes)
    return Graph(
        inputs=tuple(inputs),
        outputs=tuple(
            _output_name(spec.arg)
            for spec in signature.output_specs
            if spec.kind is OutputKind.USER_OUTPUT
        ),
        mutated=tuple(
            spec.target or spec.kind.name.lower()
            for spec in signature.output_specs
            if spec.kind is not OutputKind.USER_OUTPUT
        ),
        tensors=tensors,
        nodes=tuple(_node(node) for node in nodes if _is_operation(node)),
        values={name: _value(v) for node in nodes for name, v in _results(node).items()},
    )


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put ``module`` in eval mode, and every submodule back in its own mode at the end."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from writing warnings and its own stack to the terminal; the error says it.

    It notes no stacks of nodes, either, which nobody looks at: they take a tenth of the time.
    """
    before = logging.root.manager.disable, fx_config.do_not_emit_stack_traces
    logging.disable(logging.CRITICAL)
    fx_config.do_not_emit_stack_traces = True
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before[0])
        fx_config.do_not_emit_stack_traces = before[1]


def _reason(error: Exception) -> str:
    """Return why torch gave up, in one sentence without colours and code."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(error)).strip()
    for sign, why in _REASONS.items():
        if sign in text:
            return why
    lines = text.splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__


def _is_operation(node: FxNode) -> bool:
    # A getitem only picks one of several results, which then carries the getitem's name.
    return node.op in ("call_function", "get_attr") and node.target is not operator.getitem


def _output_name(arg: Any) -> str:
    return getattr(arg, "name", None) or f"<{getattr(arg, 'value', arg)!r}>"


def _node(node: FxNode) -> Node:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    schema = getattr(node.target, "_schema", None)
    names = [argument.name for argument in schema.arguments] if schema else []
    names += [f"argument {i}" for i in range(len(names), len(node.args))]
    args = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    return Node(
        name=node.name,
        op=str(node.target),
        args={name: _argument(arg) for name, arg in args.items()},
        outputs=tuple(_results(node)),
        module=str(stack[-1][0]) if stack else "",
    )


def _argument(arg: Any) -> Any:
    if isinstance(arg, FxNode):
        return Ref(arg.name)
    return [_argument(item) for item in arg] if isinstance(arg, (list, tuple)) else arg


def _results(node: FxNode) -> dict[str, torch.Tensor]:
    """Return the tensors that a node makes by name; one of several has that of who picks it."""
    value = node.meta.get("val")
    if isinstance(value, torch.Tensor):
        return {node.name: value}
    if not isinstance(value, (tuple, list)):
        return {}
    picks = {user.args[1]: user.name for user in node.users if user.target is operator.getitem}
    return {
        picks.get(index, f"{node.name}[{index}]"): tensor
        for index, tensor in enumerate(value)
        if isinstance(tensor, torch.Tensor)
    }


def _value(tensor: torch.Tensor) -> Value:
    # A size that depends on the batch is a torch.SymInt.
    sizes = tuple(size if isinstance(size, int) else None for size in tensor.shape)
    return Value(sizes, tensor.is_floating_point())
