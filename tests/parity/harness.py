"""Run a case under a namespace, write down everything that can be seen, and compare two records.

Nothing here imports PyTorch or bital: the namespace comes in as an argument.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.parity.case import COMPLEX, FLOATING, Op
from tests.tolerance import difference, limits


@dataclass
class Seen:
    """One output: its numbers and everything around them."""

    values: np.ndarray
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool
    grad_fn: str | None


@dataclass
class Record:
    """What a case did: the structure of what it returned, its tensors, versions and gradients."""

    form: Any
    outputs: list[Seen]
    versions: list[int]
    changed: list[np.ndarray | None]
    grads: list[np.ndarray | None] = field(default_factory=list)
    grads2: list[np.ndarray | None] = field(default_factory=list)


def to_array(tensor) -> np.ndarray:
    """The numbers of a tensor; bfloat16 as float32, which holds them all."""
    if dtype_name(tensor) == "bfloat16":
        tensor = tensor.float()
    return np.array(tensor.numpy(force=True))


def dtype_name(tensor) -> str:
    """`float32` for `torch.float32`."""
    return str(tensor.dtype).removeprefix("torch.")


def flatten(torch, value: Any, tensors: list) -> Any:
    """Append the tensors in `value` to `tensors`; return its structure as plain JSON data."""
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return "Tensor"
    if isinstance(value, torch.Size):
        return f"torch.Size({list(value)})"
    if isinstance(value, (tuple, list)):
        kind = type(value).__name__
        return [kind, *(flatten(torch, item, tensors) for item in value)]
    if isinstance(value, dict):
        return ["dict", *([key, flatten(torch, item, tensors)] for key, item in value.items())]
    return repr(value)


def run_case(torch, op: Op, dtype: str) -> Record:
    """Run `op` in `dtype` under `torch`: outputs, first and second derivatives."""
    tensors = op.tensors(torch, dtype)
    found: list = []
    form = flatten(torch, op.run(torch, tensors), found)
    versions = [tensor._version for tensor in tensors]
    record = Record(
        form,
        [see(out) for out in found],
        versions,
        [to_array(t) if n else None for t, n in zip(tensors, versions, strict=True)],
    )
    outputs = [out for out in found if out.requires_grad]
    inputs = [tensor for tensor in tensors if tensor.requires_grad and tensor.is_leaf]
    if op.order and outputs and inputs:
        grads, grads2 = derivatives(torch, op, outputs, inputs)
        record.grads = [None if g is None else to_array(g) for g in grads]
        record.grads2 = [None if g is None else to_array(g) for g in grads2]
    return record


def see(out) -> Seen:
    """Everything that can be seen of one output."""
    node = out.grad_fn
    return Seen(
        to_array(out),
        dtype_name(out),
        tuple(out.shape),
        tuple(out.stride()),
        bool(out.requires_grad),
        None if node is None else type(node).__name__,
    )


def derivatives(torch, op: Op, outputs: list, inputs: list) -> tuple[list, list]:
    """First-order gradients for a random cotangent, and the gradient of their projection."""
    rng = op.rng()
    cotangents = [random_like(torch, rng, out) for out in outputs]
    second = op.order > 1
    grads = torch.autograd.grad(outputs, inputs, cotangents, create_graph=second, allow_unused=True)
    again = [g for g in grads if g is not None and g.requires_grad] if second else []
    if not again:
        return list(grads), []
    cotangents = [random_like(torch, rng, g) for g in again]
    return list(grads), list(torch.autograd.grad(again, inputs, cotangents, allow_unused=True))


def random_like(torch, rng: np.random.Generator, tensor):
    """A tensor of normal numbers with the shape and dtype of `tensor`, from a NumPy stream."""
    data = np.asarray(rng.standard_normal(tuple(tensor.shape)))
    if tensor.is_complex():
        data = data + 1j * rng.standard_normal(tuple(tensor.shape))
    return torch.from_numpy(np.array(data)).to(tensor.dtype)


def compare(op: Op, ours: Record, theirs: Record) -> list[str]:
    """Every difference between two records of one case, as readable lines."""
    wrong = []
    if ours.form != theirs.form:
        return [f"returned {ours.form} for {theirs.form}"]
    for n, (mine, true) in enumerate(zip(ours.outputs, theirs.outputs, strict=True)):
        wrong += [f"output {n}: {line}" for line in compare_output(op, mine, true)]
    if ours.versions != theirs.versions:
        wrong.append(f"versions of the inputs {ours.versions} for {theirs.versions}")
    else:
        wrong += compare_arrays(op, "changed input", ours.changed, theirs.changed, 0)
    if wrong:
        return wrong
    coarse = any(out.dtype == "bfloat16" for out in theirs.outputs)
    wrong += compare_arrays(op, "gradient", ours.grads, theirs.grads, 1, coarse)
    return wrong or compare_arrays(op, "second gradient", ours.grads2, theirs.grads2, 2, coarse)


def compare_output(op: Op, ours: Seen, theirs: Seen) -> list[str]:
    """The differences of one output."""
    wrong = []
    for word in ("dtype", "shape", "requires_grad", "grad_fn"):
        mine, true = getattr(ours, word), getattr(theirs, word)
        if mine != true:
            wrong.append(f"{word} {mine} for {true}")
    if wrong:
        return wrong
    if op.strides and laid_out(ours) != laid_out(theirs):
        wrong.append(f"stride {ours.stride} for {theirs.stride} (shape {ours.shape})")
    if op.values:
        rtol, atol = (0.0, 0.0) if op.exact else limits(theirs.dtype, op.key)
        line = difference(ours.values, theirs.values, rtol, atol)
        wrong += [f"values: {line}"] if line else []
    return wrong


def laid_out(seen: Seen) -> tuple:
    """The strides that matter: an axis of length 1, or a tensor without elements, has none."""
    if 0 in seen.shape:
        return ()
    return tuple(s for s, n in zip(seen.stride, seen.shape, strict=True) if n > 1)


def compare_arrays(
    op: Op, what: str, ours: list, theirs: list, order: int, coarse: bool = False
) -> list[str]:
    """The differences between two lists of arrays; in second order, None is a zero.

    With `coarse`, float32 arrays hold what was computed in bfloat16 and are compared as such.
    """
    if order == 2 and len(ours) != len(theirs):
        ours, theirs = ours or [None] * len(theirs), theirs or [None] * len(ours)
    if len(ours) != len(theirs):
        return [f"{what}: {len(ours)} of them for {len(theirs)}"]
    wrong = []
    for n, (mine, true) in enumerate(zip(ours, theirs, strict=True)):
        if order == 2:
            mine = np.zeros_like(true) if mine is None and true is not None else mine
            true = np.zeros_like(mine) if true is None and mine is not None else true
        if mine is None or true is None:
            if mine is not true:
                wrong.append(f"{what} {n}: {mine!r:.60} for {true!r:.60}")
            continue
        if mine.shape != true.shape or mine.dtype != true.dtype:
            wrong.append(f"{what} {n}: {mine.dtype}{mine.shape} for {true.dtype}{true.shape}")
            continue
        if op.values:
            dtype = str(true.dtype)
            dtype = "bfloat16" if coarse and dtype == "float32" else dtype
            line = difference(mine, true, *limits(dtype, op.key, order))
            wrong += [f"{what} {n}: {line}"] if line else []
    return wrong


def check(op: Op, ours: Record, theirs: Record) -> None:
    """Raise AssertionError that lists every difference."""
    wrong = compare(op, ours, theirs)
    if wrong:
        raise AssertionError(f"{op.key}:\n  " + "\n  ".join(wrong))


def is_smooth(op: Op) -> bool:
    """Whether the case has inputs to differentiate in float64."""
    return (
        bool(op.order)
        and any(s.differentiable("float64") and s.dtype not in COMPLEX for s in op.inputs)
        and bool(set(op.dtypes) & set(FLOATING))
    )
