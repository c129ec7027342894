"""backward() and grad(), and what a tensor offers of autograd: hooks, .grad, retain_grad.

Room: autograd. Source of the rules: PyTorch's documentation of torch.autograd.
"""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bital.autograd import engine
from bital.base.dtype import INT
from bital.ir.trace import local
from bital.ops.api import method, public
from bital.ops.lanes import Level, batch, unbatch
from bital.tensor.handle import RemovableHandle
from bital.tensor.node import NOWHERE, AccumulateGrad, Node, Output, is_leaf_edge, output_of
from bital.tensor.storage import Apart
from bital.tensor.tensor import Tensor, data_of, detached, edge_of, requires

Tensors = Tensor | Sequence[Tensor]


class GradientEdge(NamedTuple):
    """Result `output_nr` of `node`: a place in the graph, without the tensor."""

    node: Node
    output_nr: int

    @property
    def edge(self) -> Any:
        return self.node if self.node.outputs == 1 else output_of(self.node, self.output_nr)


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of `tensor` is computed or, for a leaf, accumulated."""
    edge = edge_of(tensor)
    if edge is None or edge is NOWHERE:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not "
                           "require gradients")  # fmt: skip
    return GradientEdge(edge.node, edge.index) if type(edge) is Output else GradientEdge(edge, 0)


def _edge(place: Tensor | GradientEdge) -> Any:
    return place.edge if isinstance(place, GradientEdge) else edge_of(place)


def _as_tuple(value: Any) -> tuple:
    if value is None:
        return ()
    return (value,) if isinstance(value, (Tensor, GradientEdge)) else tuple(value)


def _check_grads(outputs: tuple, grads: tuple) -> tuple:
    """Seeds of the right number and shape; None stands for a one where that is clear."""
    if not grads:
        grads = (None,) * len(outputs)
    for g in grads:
        if g is not None and not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if len(grads) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    for k, (out, g) in enumerate(zip(outputs, grads)):
        if g is None or isinstance(out, GradientEdge):
            continue
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
    return tuple([_one(out) if g is None else g for out, g in zip(outputs, grads)])


def _one(out: Any) -> Tensor:
    """The gradient of a scalar result by itself."""
    if not isinstance(out, Tensor) or out._meta.numel != 1:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if not out._meta.dtype.is_floating_point:
        raise RuntimeError(
            f"grad can be implicitly created only for real scalar outputs but got {out._meta.dtype}"
        )
    return engine.hooks.ones(out._meta)


def _roots(outputs: tuple) -> list:
    """The edges to begin at."""
    for out in outputs:
        if not isinstance(out, (Tensor, GradientEdge)):
            raise AssertionError(f"Expected output to be a torch.Tensor, got {type(out).__name__}")
    edges = [_edge(out) for out in outputs]
    for k, edge in enumerate(edges):
        if edge is None or edge is NOWHERE:
            raise RuntimeError(
                f"element {k} of tensors does not require grad and does not have a grad_fn"
            )
    return edges


def _refuse_in_transforms() -> None:
    if local.trace.tapes or local.trace.levels:
        raise RuntimeError(
            "backward() called inside a functorch transform. This is not supported, please use "
            "functorch.grad or functorch.vjp instead or call backward() outside of functorch "
            "transforms."
        )


def refuse_in_transforms(call: str) -> None:
    """PyTorch's error for what functions being transformed must not call."""
    trace = local.trace
    if trace.tapes or trace.levels:
        name, _, hint = call.partition(" ")
        raise RuntimeError(
            f"You are attempting to call Tensor.{name} {hint}{' ' if hint else ''}inside of a "
            "function being transformed by a functorch transform. This is unsupported, please "
            "attempt to use the functorch transforms (e.g. grad, vjp, jacrev, jacfwd, hessian) or "
            f"call {name} outside of a function being transformed instead."
        )


REQUIRES = "requires_grad_() (or perhaps using torch.autograd.functional.* APIs)"


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
    _refuse_in_transforms()
    outputs = _as_tuple(tensors)
    keep = create_graph if retain_graph is None else retain_graph
    targets = None if inputs is None else _as_tuple(inputs)
    if targets is not None and not targets:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    roots = _roots(outputs)
    grads = _check_grads(outputs, _as_tuple(grad_tensors))
    towards = None
    if targets is not None:
        for each in targets:
            retain_grad(each)
        towards = [_edge(each) for each in targets]
    engine.backward(roots, grads, keep_graph=keep, create_graph=create_graph, inputs=towards)


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
    roots = _roots(outs)
    grads = _check_grads(outs, seeds)
    if not targets:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    for each in targets:
        if _edge(each) is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    found = engine.backward(
        roots,
        grads,
        keep_graph=keep,
        create_graph=create_graph,
        inputs=[_edge(each) for each in targets],
        accumulate_grad=False,
    )
    if not allow_unused and any(g is None for g in found):
        raise RuntimeError(
            f"The differentiated Tensor at index {[g is None for g in found].index(True)} appears "
            "to not have been used in the graph. Set allow_unused=True if this is the desired "
            "behavior."
        )
    if materialize_grads:
        found = [_zeros_like(t) if g is None else g for t, g in zip(targets, found)]
    return tuple(found)


def _zeros_like(t: Tensor) -> Tensor:
    return t.new_zeros(t._meta.shape)


def _batched(
    outs: tuple, targets: tuple, seeds: tuple, keep: bool, create: bool, unused: bool, fill: bool
) -> tuple:
    """One backward pass of all seeds."""
    with Level(seeds[0]._meta.shape[0], "error") as level:
        found = grad(
            outs, targets, [batch(s, level) for s in seeds], retain_graph=keep,
            create_graph=create, allow_unused=unused, materialize_grads=fill,
        )  # fmt: skip
        return tuple([None if g is None else unbatch(g, level) for g in found])


def _tensor_backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of this tensor to the `.grad` of the leaves it was made from."""
    if gradient is None and inputs is None:  # the usual call, by the short way
        keep = create_graph if retain_graph is None else retain_graph
        if engine.replayed(self, keep, create_graph):
            return
        _refuse_in_transforms()
        roots = _roots((self,))
        engine.backward(roots, (_one(self),), keep_graph=keep, create_graph=create_graph)
    else:
        backward(self, gradient, retain_graph, create_graph, inputs=inputs)


Tensor.backward = _tensor_backward  # type: ignore[attr-defined]


def _get_grad(self: Tensor) -> Tensor | None:
    if self._grad is None and not is_leaf_edge(self._edge) and not _retains_grad(self):
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
            f"grad_dtype '{self._meta.dtype.legacy_name}'. The gradient must match the tensor's "
            "dtype."
        )
    if new._meta.shape != self._meta.shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(new._meta.shape)}' to a tensor of "
            f"size '{list(self._meta.shape)}'. Please ensure that the gradient and the tensor are "
            "the same size"
        )
    self._grad = new


def _type_word(t: Tensor) -> str:
    words = {"float32": "float", "float64": "double", "int64": "long int", "int32": "int"}
    return words.get(t._meta.dtype.name, f"c10::{t._meta.dtype.legacy_name}")


def _del_grad(self: Tensor) -> None:
    self._grad = None


Tensor.grad = property(_get_grad, _set_grad, _del_grad)


@method
def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Call `hook(grad)` whenever this tensor's gradient is computed; it may return another."""
    edge = edge_of(self)
    if edge is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if edge is NOWHERE:
        return _never_called(hook)
    if type(edge) is AccumulateGrad:
        if edge.tensor_hooks is None:
            edge.tensor_hooks = OrderedDict()
        return RemovableHandle.to(edge.tensor_hooks, hook)
    node, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)

    def on_node(grads: tuple) -> tuple:
        return (*grads[:index], engine.hooked(hook, grads[index]), *grads[index + 1 :])

    return RemovableHandle.to(node.more().tensor_hooks, on_node)


@method
def register_post_accumulate_grad_hook(
    self: Tensor, hook: Callable[[Tensor], None]
) -> RemovableHandle:
    """Call `hook(tensor)` after this leaf's `.grad` has been added to."""
    edge = edge_of(self)
    if edge is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if edge is NOWHERE:
        return _never_called(hook)
    if not isinstance(edge, AccumulateGrad):
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    if edge.post_hooks is None:
        edge.post_hooks = OrderedDict()
    return RemovableHandle.to(edge.post_hooks, hook)


def _never_called(hook: Callable) -> RemovableHandle:
    """The handle of a hook on a gradient that goes nowhere."""
    return RemovableHandle.to(OrderedDict(), hook)


class _Together:
    """What `register_multi_grad_hook` returns: `remove()` takes all the hooks away."""

    def __init__(self, handles: list[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Together:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: str = "all"
) -> _Together:
    """Call `fn` once per backward when the gradients of `tensors` are known.

    With mode "all" it gets the list of them, None for tensors that the backward does not reach;
    with "any" it gets the first that is computed.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    state: dict[str, Any] = {"run": None}

    def arrived(which: int, g: Tensor) -> None:
        run = engine.running.run
        assert run is not None
        if state["run"] is not run:
            state.update(run=run, grads=[None] * len(tensors))
            state["missing"] = sum(run.reaches(_edge(t)) for t in tensors)
            if mode == "any":
                fn(g)
        state["grads"][which] = g
        state["missing"] -= 1
        if not state["missing"]:
            grads = state["grads"]
            state.update(run=None, grads=None)
            if mode == "all":
                fn(grads)

    def hook_of(which: int) -> Callable[[Tensor], None]:
        return lambda g: arrived(which, g)

    return _Together([register_hook(t, hook_of(k)) for k, t in enumerate(tensors)])


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
    """Keep this tensor's gradient in `.grad` though it is not a leaf."""
    if not requires(self):
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if is_leaf_edge(self._edge) or _retains_grad(self):
        return
    refuse_in_transforms("retain_grad()")
    edge = edge_of(self)
    node, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
    node.more().retained[index] = _Retain(self, index)


def _retains_grad(self: Tensor) -> bool:
    edge = self._edge
    if is_leaf_edge(edge):
        return False
    node, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
    return node.extra is not None and index in node.extra.retained


Tensor.retains_grad = property(_retains_grad)  # type: ignore[attr-defined]


@method
def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Make this leaf (not) require gradients, in place."""
    if requires_grad:
        refuse_in_transforms(REQUIRES)
    if requires_grad and self._meta.dtype.category <= INT:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    self.requires_grad = requires_grad
    return self


@public()
def detach(input: Tensor) -> Tensor:
    """A tensor on the same storage that is cut off from the graph."""
    return detached(input)


@public(name="detach_")
def detach_(self: Tensor) -> Tensor:
    """Cut this tensor off from the graph, in place."""
    if self._base is not None:
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead. If you are using "
            "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is set as "
            "True, gradients are views of DDP buckets, and hence detach_() cannot be called on "
            "these gradients."
        )
    self._edge = None
    return self


def _get_data(self: Tensor) -> Tensor:
    return data_of(self)


def _set_data(self: Tensor, new: Tensor) -> None:
    if not isinstance(new, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(new).__name__}")
    view, version = new._view, self._storage.version
    self._storage, self._meta = new._storage, new._meta
    self._view = view and view.bare()
    if new._storage.apart:
        self._storage = Apart(new._storage)
        self._storage.version = version


Tensor.data = property(_get_data, _set_data)
