"""backward() and grad(), and what a tensor offers of autograd: hooks, .grad, retain_grad.

Room: autograd. Source of the rules: PyTorch's documentation of torch.autograd.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from bital.autograd import engine
from bital.ops.api import method
from bital.tensor.node import AccumulateGrad, Handle, Output
from bital.tensor.tensor import Tensor, detached, edge_of

Tensors = Tensor | Sequence[Tensor]


def _as_tuple(value: Any) -> tuple:
    if value is None:
        return ()
    return (value,) if isinstance(value, Tensor) or value is None else tuple(value)


def _check_grads(outputs: tuple, grads: tuple) -> tuple:
    """Seeds of the right number and shape; None stands for a one where that is clear."""
    if not grads:
        grads = (None,) * len(outputs)
    if len(grads) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    for k, (out, g) in enumerate(zip(outputs, grads)):
        if g is None:
            continue
        if not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
        if g._meta.shape != out._meta.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{k}] has a shape of {g._meta.shape} and "
                f"output[{k}] has a shape of {out._meta.shape}."
            )
        if out._meta.dtype.is_complex != g._meta.dtype.is_complex:
            raise RuntimeError(
                "For complex Tensors, both grad_output and output are required to have the same "
                f"dtype. Mismatch in dtype: grad_output[{k}] has a dtype of {g._meta.dtype} and "
                f"output[{k}] has a dtype of {out._meta.dtype}."
            )
    return grads


def _check_roots(outputs: tuple) -> None:
    for k, out in enumerate(outputs):
        if edge_of(out) is None:
            raise RuntimeError(
                f"element {k} of tensors does not require grad and does not have a grad_fn"
            )


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of `tensors` to the `.grad` of leaves (`torch.autograd.backward`)."""
    if grad_variables is not None:
        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning,
                      stacklevel=2)  # fmt: skip
        grad_tensors = grad_variables if grad_tensors is None else grad_tensors
    outputs = _as_tuple(tensors)
    keep = create_graph if retain_graph is None else retain_graph
    targets = None if inputs is None else _as_tuple(inputs)
    if targets is not None and not targets:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    grads = _check_grads(outputs, _as_tuple(grad_tensors))
    _check_roots(outputs)
    if targets is None:
        engine.backward(outputs, grads, keep_graph=keep, create_graph=create_graph)
        return
    for each in targets:
        if edge_of(each) is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    found = engine.backward(
        outputs, grads, keep_graph=keep, create_graph=create_graph, inputs=targets
    )
    for each, g in zip(targets, found):
        if g is not None and not each.is_leaf:
            each._grad = g if each._grad is None else each._grad + g


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` with respect to `inputs` (`torch.autograd.grad`).

    With `is_grads_batched` the first axis of each of `grad_outputs` numbers separate seeds; the
    gradients come stacked along a first axis.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    if allow_unused is None:
        allow_unused = materialize_grads
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To "
            "accumulate gradient for other parts of the graph, please use "
            "torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    outs, targets = _as_tuple(outputs), _as_tuple(inputs)
    seeds = _as_tuple(grad_outputs)
    keep = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        return _batched(outs, targets, seeds, keep, create_graph, allow_unused, materialize_grads)
    grads = _check_grads(outs, seeds)
    _check_roots(outs)
    for each in targets:
        if edge_of(each) is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    found = engine.backward(
        outs, grads, keep_graph=keep, create_graph=create_graph, inputs=targets,
        accumulate_grad=False,
    )  # fmt: skip
    if not allow_unused and any(g is None for g in found):
        raise RuntimeError(
            "One of the differentiated Tensors appears to not have been used in the graph. Set "
            "allow_unused=True if this is the desired behavior."
        )
    if materialize_grads:
        found = [_zeros_like(t) if g is None else g for t, g in zip(targets, found)]
    return tuple(found)


def _zeros_like(t: Tensor) -> Tensor:
    return t.new_zeros(t._meta.shape)  # type: ignore[attr-defined]


def _batched(
    outs: tuple, targets: tuple, seeds: tuple, keep: bool, create: bool, unused: bool, fill: bool
) -> tuple:
    """One backward per seed, the results stacked."""
    rows = []
    count = seeds[0]._meta.shape[0]
    for k in range(count):
        last = k == count - 1
        rows.append(
            grad(
                outs, targets, [s[k] for s in seeds], retain_graph=keep or not last,
                create_graph=create, allow_unused=unused, materialize_grads=fill,
            )
        )  # fmt: skip
    return tuple(
        None if column[0] is None else _stack(column) for column in zip(*rows, strict=True)
    )


def _stack(rows: tuple) -> Tensor:
    return engine.hooks.stack(rows)


def _tensor_backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of this tensor to the `.grad` of the leaves it was made from."""
    backward(self, gradient, retain_graph, create_graph, inputs=inputs)


Tensor.backward = _tensor_backward  # type: ignore[attr-defined]


def _get_grad(self: Tensor) -> Tensor | None:
    if self._grad is None and not self.is_leaf and not self.retains_grad:  # type: ignore[attr-defined]
        warnings.warn(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its "
            ".grad attribute won't be populated during autograd.backward(). If you indeed want "
            "the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on the "
            "non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access "
            "the leaf Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more "
            "informations.",
            UserWarning,
            stacklevel=2,
        )
    return self._grad


def _set_grad(self: Tensor, new: Tensor | None) -> None:
    if new is None:
        self._grad = None
        return
    if not isinstance(new, Tensor):
        raise TypeError(
            f"assigned grad expected to be a Tensor or None but got grad of type {type(new)}"
        )
    if new is self:
        raise RuntimeError("can't assign Variable as its own grad")
    if new._meta.dtype is not self._meta.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{_type_word(new)}' to a tensor with "
            f"dtype '{_type_word(self)}'. The gradient must match the tensor's dtype (unless "
            "grad_dtype is set to a different value)."
        )
    if new._meta.shape != self._meta.shape:
        raise RuntimeError(
            f"assigned grad has data of a different size: {list(new._meta.shape)} for a tensor of "
            f"size {list(self._meta.shape)}"
        )
    self._grad = new


def _type_word(t: Tensor) -> str:
    return {"float32": "float", "float64": "double"}.get(t._meta.dtype.name, t._meta.dtype.name)


def _del_grad(self: Tensor) -> None:
    self._grad = None


Tensor.grad = property(_get_grad, _set_grad, _del_grad)  # type: ignore[attr-defined]


@method
def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> Handle:
    """Call `hook(grad)` whenever this tensor's gradient is computed; it may return another."""
    edge = edge_of(self)
    if edge is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if isinstance(edge, AccumulateGrad):
        if edge.tensor_hooks is None:
            edge.tensor_hooks = {}
        return Handle(edge.tensor_hooks, hook)
    node, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)

    def on_node(grads: tuple) -> list | None:
        if grads[index] is None:
            return None
        got = hook(grads[index])
        if got is None:
            return None
        replaced = list(grads)
        replaced[index] = _checked(got, grads[index])
        return replaced

    return node.register_prehook(on_node)


def _checked(new: Any, old: Tensor) -> Tensor:
    if not isinstance(new, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(new).__name__}'")
    if new._meta.shape != old._meta.shape:
        raise RuntimeError(
            f"hook '<unnamed>' has changed the size of value"
            f" (was {list(old._meta.shape)}, got {list(new._meta.shape)})"
        )
    return new


@method
def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> Handle:
    """Call `hook(tensor)` after this leaf's `.grad` has been added to."""
    edge = edge_of(self)
    if edge is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if not isinstance(edge, AccumulateGrad):
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    if edge.post_hooks is None:
        edge.post_hooks = {}
    return Handle(edge.post_hooks, hook)


class _Retain:
    """The pre-hook that keeps a result's gradient as its `.grad`; runs after all others."""

    def __init__(self, tensor: Tensor, index: int) -> None:
        self.tensor, self.index = weakref.ref(tensor), index

    def __call__(self, grads: tuple) -> None:
        tensor, g = self.tensor(), grads[self.index]
        if tensor is not None and g is not None:
            tensor._grad = g if tensor._grad is None else tensor._grad + g


@method
def retain_grad(self: Tensor) -> None:
    """Keep this tensor's gradient in `.grad` though it is no leaf."""
    edge = edge_of(self)
    if edge is None:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if isinstance(edge, AccumulateGrad) or _retains_grad(self):
        return
    node, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
    node.more().retained[index] = _Retain(self, index)


def _retains_grad(self: Tensor) -> bool:
    edge = edge_of(self)
    if edge is None or isinstance(edge, AccumulateGrad):
        return False
    node, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
    return node.extra is not None and index in node.extra.retained


Tensor.retains_grad = property(_retains_grad)  # type: ignore[attr-defined]


@method
def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Make this leaf (not) require gradients, in place."""
    self.requires_grad = requires_grad
    return self


@method
def detach(self: Tensor) -> Tensor:
    """A tensor on the same storage that is cut off from the graph."""
    return detached(self)


def _get_data(self: Tensor) -> Tensor:
    return detached(self, quiet=True)


def _set_data(self: Tensor, new: Tensor) -> None:
    if not isinstance(new, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(new).__name__}")
    self._storage, self._meta, self._view = new._storage, new._meta, new._view


Tensor.data = property(_get_data, _set_data)  # type: ignore[attr-defined]
