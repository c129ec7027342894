"""Function: operations whose gradient the user writes (`torch.autograd.Function`).

Room: autograd. The context that forward and backward get is the node itself, as in PyTorch.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from bital.ir.trace import local
from bital.tensor.dispatch import check_writable
from bital.tensor.node import SECOND_TIME, Node, Output, SavedOutput, hooks, raise_modified
from bital.tensor.tensor import Tensor, detached, edge_of, make_view, strides_of, window


class FunctionCtx(Node):
    """What forward leaves for backward: `ctx`."""

    __slots__ = ("__dict__",)
    _function: type[Function]

    def __init__(self) -> None:
        super().__init__((), ())
        self.to_save: tuple = ()
        self.saved: list | None = None
        self.dirty: tuple = ()
        self.non_differentiable: tuple = ()
        self.materialize_grads = True
        self.needs_input_grad: tuple[bool, ...] = ()
        self.output_metas: tuple = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward, where they are `ctx.saved_tensors`."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for forward-mode differentiation."""

    def mark_dirty(self, *args: Tensor) -> None:
        """Say which inputs forward writes in place; they must be returned."""
        self.dirty = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Say which results have no gradient."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether absent gradients come as zeros (the default) or as None."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple:
        if self.saved is None:
            raise RuntimeError(SECOND_TIME)
        return tuple([self._unpack(kept) for kept in self.saved])

    def _unpack(self, kept: Any) -> Any:
        if kept is None:
            return None
        if type(kept) is tuple:
            tensor, version = kept
            if tensor._storage.version != version:
                raise_modified(tensor, self, tensor._storage.version, version)
            return tensor
        return kept.unpack(self)

    def _keep(self, outputs: list[Tensor]) -> None:
        """Turn what save_for_backward was given into what is kept."""
        self.saved = []
        for k, t in enumerate(self.to_save):
            if t is None:
                self.saved.append(None)
            elif not isinstance(t, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {k} is of type "
                    f"{type(t).__name__}"
                )
            elif hooks.pack is not None:
                self.saved.append(hooks.pack(t))
            elif any(t is o for o in outputs):
                at = next(k for k, o in enumerate(outputs) if o is t)
                self.saved.append(SavedOutput(t, at))
            else:
                self.saved.append((t, t._storage.version))
        self.to_save = ()

    def release(self) -> None:
        if self.saved:
            self.saved = None

    def apply(self, g: Any) -> list:
        grads = (g,) if self.outputs == 1 else g
        if self.materialize_grads:
            grads = tuple(
                m.zeros() if each is None and m is not None else each
                for each, m in zip(grads, self.output_metas)
            )
        results = self._function.backward(self, *grads)
        results = results if isinstance(results, tuple) else (results,)
        count = len(self.edges)
        while len(results) > count and results[-1] is None:
            results = results[:-1]
        if len(results) != count:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected "
                f"{count}, got {len(results)})"
            )
        for k, (each, edge) in enumerate(zip(results, self.edges)):
            if each is not None and not isinstance(each, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(each).__name__})")
            if each is not None and edge is None and self.metas[k] is None:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position "
                    f"{k + 1}, but the corresponding forward input was not a Variable"
                )
        return list(results)


class _OutputMeta:
    """Enough of a result to make the zeros that stand for its absent gradient."""

    __slots__ = ("like",)

    def __init__(self, t: Tensor) -> None:
        self.like = t._meta

    def zeros(self) -> Tensor:
        return hooks.zeros(self.like)


class Function:
    """Base of operations with a gradient of the user's own.

    Subclasses define static methods `forward(ctx, *args)`, or `forward(*args)` with
    `setup_context(ctx, inputs, output)`, and `backward(ctx, *grad_outputs)`; they are used through
    `apply`. See PyTorch's "Extending PyTorch".
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            "static, so you should invoke them on the class itself.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use "
            "new-style autograd function with static forward method: call the class method apply."
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> Any:
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward on `args` and attach backward to what it returns."""
        ctx = _node_type(cls)()
        tensors = [a if isinstance(a, Tensor) else None for a in args]
        trace = local.trace
        grad = trace.grad
        edges = tuple([None if t is None or not grad else edge_of(t) for t in tensors])
        ctx.needs_input_grad = tuple([t is not None and t.requires_grad for t in tensors])
        trace.grad = False
        try:
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args, **kwargs)
            else:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
        finally:
            trace.grad = grad
        ctx.edges = edges
        ctx.metas = tuple([None if t is None else t._meta for t in tensors])
        return _attach(ctx, tensors, result)


def _node_type(cls: type[Function]) -> type[FunctionCtx]:
    """The class of the function's nodes, `<Name>Backward`."""
    found = cls.__dict__.get("_node_type")
    if found is None:
        backward = cls.vjp if cls.backward is Function.backward else cls.backward
        found = type(f"{cls.__name__}Backward", (FunctionCtx,), {"_function": cls})
        cls._node_type = found  # type: ignore[attr-defined]
        cls.backward = staticmethod(backward)  # type: ignore[method-assign]
    return found


def _attach(ctx: FunctionCtx, inputs: list, result: Any) -> Any:
    """The results as the user gets them: with the node, aliases of inputs made views."""
    single = not isinstance(result, tuple)
    outputs = [result] if single else list(result)
    differentiable = any(e is not None for e in ctx.edges)
    for dirty in ctx.dirty:
        dirty._storage.version += 1
    for k, out in enumerate(outputs):
        if isinstance(out, Tensor):
            outputs[k] = _own_output(ctx, out, inputs, differentiable)
    made = [o for o in outputs if isinstance(o, Tensor)]
    if differentiable:
        ctx.more().outputs = len(outputs)
        ctx.output_metas = tuple(
            [_OutputMeta(o) if isinstance(o, Tensor) else None for o in outputs]
        )
        for k, out in enumerate(outputs):
            if isinstance(out, Tensor) and _takes_gradient(ctx, out, result, single, k):
                edge = ctx if len(outputs) == 1 else Output(ctx, k)
                if any(out is d for d in ctx.dirty):
                    check_writable(out)
                    hooks.rebase(out, edge)
                else:
                    out._edge = edge
        originals = [result] if single else list(result)
        ctx.to_save = tuple(_replaced(t, originals, outputs) for t in ctx.to_save)
        ctx._keep(made)
    ctx.dirty = ctx.non_differentiable = ()
    return outputs[0] if single else tuple(outputs)


def _replaced(t: Any, originals: list, outputs: list) -> Any:
    for before, after in zip(originals, outputs):
        if t is before:
            return after
    return t


def _takes_gradient(ctx: FunctionCtx, out: Tensor, result: Any, single: bool, k: int) -> bool:
    original = result if single else result[k]
    if any(original is n for n in ctx.non_differentiable):
        return False
    return out._meta.dtype.category > 1


def _own_output(ctx: FunctionCtx, out: Tensor, inputs: list, differentiable: bool) -> Tensor:
    if any(out is d for d in ctx.dirty):
        return out
    if any(out is i for i in inputs):  # returned as it came: a view of it
        alias = make_view(
            out, out._meta.shape, strides_of(out), out.storage_offset(), "ViewBackward0",
            lambda g: g,
        )  # fmt: skip
        alias._edge = None
        return alias
    if edge_of(out) is not None and differentiable:
        return detached(out)
    return out


def once_differentiable(fn: Callable) -> Callable:
    """Mark a backward whose result cannot be differentiated again."""

    @functools.wraps(fn)
    def once(ctx: Any, *grads: Any) -> Any:
        trace = local.trace
        grad = trace.grad
        trace.grad = False
        try:
            results = fn(ctx, *grads)
        finally:
            trace.grad = grad
        if not grad or not any(isinstance(g, Tensor) and g.requires_grad for g in grads):
            return results
        many = isinstance(results, tuple)
        marked = tuple(
            _refusing(r) if isinstance(r, Tensor) else r for r in (results if many else (results,))
        )
        return marked if many else marked[0]

    return once


class _Refuse(Node):
    """The node of a gradient that cannot be differentiated again."""

    __slots__ = ()

    def apply(self, g: Any) -> list:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def _refusing(t: Tensor) -> Tensor:
    out = window(t._storage, t._meta, t._view)
    out._edge = _Refuse((), ())
    return out
