"""Function: operations whose gradient the user writes (`torch.autograd.Function`).

Room: autograd. The context that forward and backward get is the node itself, as in PyTorch.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from bital.autograd import engine
from bital.autograd.tape import seed_of
from bital.base.tree import broadcast_prefix, tree_flatten
from bital.ir.trace import local
from bital.ops.lanes import batch, is_batched, unbatch
from bital.tensor.dispatch import check_writable
from bital.tensor.node import (
    SECOND_TIME,
    Node,
    hooks,
    output_of,
    raise_modified,
    saved_output,
)
from bital.tensor.tensor import Tensor, detached, edge_of, make_view, strides_of


class FunctionCtx(Node):
    """What forward leaves for backward: `ctx`."""

    __slots__ = ("__dict__",)
    _function: type[Function]

    def __init__(self) -> None:
        super().__init__((), ())
        self.to_save: tuple = ()
        self.to_save_forward: tuple = ()
        self.saved: list | None = None
        self.saved_forward: list | None = None
        self.dirty: tuple = ()
        self.non_differentiable: tuple = ()
        self.materialize_grads = True
        self.needs_input_grad: tuple[bool, ...] = ()
        self.output_metas: tuple = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward, where they are `ctx.saved_tensors`."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `jvp`, where they are `ctx.saved_tensors`."""
        self.to_save_forward = tensors

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
        run = engine.running.run
        forward = run is not None and run.forward and self.saved_forward
        saved = self.saved_forward if forward else self.saved
        if saved is None:
            raise RuntimeError(SECOND_TIME)
        return tuple([self._unpack(kept) for kept in saved])

    def _unpack(self, kept: Any) -> Any:
        if kept is None:
            return None
        if type(kept) is tuple:
            tensor, version = kept
            if tensor._storage.version != version:
                raise_modified(tensor._meta, tensor._edge, tensor._storage.version, version)
            return tensor
        return kept.unpack(self)

    def _keep(self, outputs: list[Tensor]) -> None:
        """Turn what save_for_backward and save_for_forward were given into what is kept."""
        self.saved = self._kept(self.to_save, outputs)
        self.saved_forward = self._kept(self.to_save_forward, outputs)
        self.to_save = self.to_save_forward = ()

    def _kept(self, given: tuple, outputs: list[Tensor]) -> list:
        kept: list = []
        for k, t in enumerate(given):
            if t is None:
                kept.append(None)
            elif not isinstance(t, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {k} is of type "
                    f"{type(t).__name__}"
                )
            elif hooks.pack is not None:
                kept.append(hooks.pack(t))
            elif any(t is o for o in outputs):
                at = next(k for k, o in enumerate(outputs) if o is t)
                kept.append(saved_output(t, at))
            else:
                kept.append((t, t._storage.version))
        return kept

    def release(self) -> None:
        if self.saved:
            self.saved = None
            self.saved_forward = None

    def apply(self, g: Any) -> list:
        grads = (g,) if self.outputs == 1 else g
        if self.materialize_grads:
            grads = tuple(
                m.zeros() if each is None and m is not None else each
                for each, m in zip(grads, self.output_metas)
            )
        run = engine.running.run
        if run is not None and run.forward:
            return self._transposed_jvp(grads)
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

    def _transposed_jvp(self, grads: tuple) -> list:
        """J^T of the gradients, in one half of a derivative forward: J is the function's `jvp`."""
        tangents = [
            None if meta is None else seed_of(meta, edge is not None)
            for meta, edge in zip(self.metas, self.edges)
        ]
        results = self._function.jvp(self, *tangents)
        results = results if isinstance(results, tuple) else (results,)
        pairs = [
            (edge_of(r), g)
            for r, g in zip(results, grads)
            if r is not None and g is not None and edge_of(r) is not None
        ]
        targets = [t._edge for t in tangents if t is not None and t._edge is not None]
        found = engine.backward(
            [edge for edge, _ in pairs],
            [g for _, g in pairs],
            keep_graph=True,
            create_graph=True,
            inputs=targets,
            accumulate_grad=False,
        )
        gradient_of = dict(zip(targets, found))
        return [None if t is None else gradient_of.get(t._edge) for t in tangents]


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
    #: whether vmap may run forward, backward and jvp on examples as it runs any function
    generate_vmap_rule = False

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @staticmethod
    def vmap(info: VmapInfo, in_dims: tuple, *args: Any) -> Any:
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or "
            "set generate_vmap_rule=True."
        )

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
                if trace.levels or trace.tapes:
                    raise RuntimeError(_NEEDS_SETUP_CONTEXT)
                result = cls.forward(ctx, *args, **kwargs)
            else:
                if trace.levels:
                    result = _of_examples(cls, args, kwargs)
                else:
                    result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
        finally:
            trace.grad = grad
        ctx.edges = edges
        ctx.metas = tuple([None if t is None else t._meta for t in tensors])
        return _attach(ctx, tensors, result)


_NEEDS_SETUP_CONTEXT = (
    "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, "
    "...), it must override the setup_context staticmethod. For more details, please see "
    "https://pytorch.org/docs/main/notes/extending.func.html"
)


class VmapInfo(NamedTuple):
    """What a function's `vmap` is told of the call of vmap that it serves."""

    batch_size: int
    randomness: str


def _of_examples(cls: type[Function], args: tuple, kwargs: dict) -> Any:
    """forward under vmap: as it is where the class allows that, else the class's `vmap`."""
    trace = local.trace
    levels = trace.levels
    leaves, spec = tree_flatten(args)
    lanes = {lane for t in leaves if isinstance(t, Tensor) for lane in t._meta.device.lanes}
    inner = [k for k, level in enumerate(levels) if (level.id, level.size) in lanes]
    if not inner:
        return cls.forward(*args, **kwargs)
    see = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"
    own = cls.vmap is not Function.vmap
    if cls.generate_vmap_rule:
        if own:
            raise RuntimeError(
                f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True "
                "and an overridden vmap staticmethod. Please set generate_vmap_rule=False or "
                f"delete the overridden vmap staticmethod to avoid ambiguity. {see}"
            )
        return cls.forward(*args, **kwargs)
    if not own:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it does not have vmap support. Please "
            f"override and implement the vmap staticmethod or set generate_vmap_rule=True. {see}"
        )
    level = levels[inner[-1]]
    taken = [is_batched(t, level) for t in leaves]
    whole = [unbatch(t, level) if mine else t for t, mine in zip(leaves, taken)]
    in_dims = spec.unflatten([0 if mine else None for mine in taken])
    trace.levels = levels[: inner[-1]]
    try:
        result = cls.vmap(VmapInfo(level.size, level.randomness), in_dims, *spec.unflatten(whole))
        if not isinstance(result, tuple) or len(result) != 2:
            got = f"{len(result)} returns" if isinstance(result, tuple) else f"a {type(result)}"
            raise RuntimeError(
                "Expected the vmap staticmethod to have two returns, an output and out_dims with "
                f"pytree structure compatible with the output. Got {got} instead"
            )
    finally:
        trace.levels = levels
    outs, out_spec = tree_flatten(result[0])
    dims = broadcast_prefix(result[1], out_spec)
    if dims is None:
        raise RuntimeError(
            "The autograd.Function's vmap staticmethod returned an incompatible (output, out_dims) "
            f"tuple. Expected out_dims={result[1]} to be compatible with the structure of "
            f"`output`. out_dims has structure {tree_flatten(result[1])[1]} but output has "
            f"structure {out_spec}. {see}"
        )
    return out_spec.unflatten(
        [t if dim is None else batch(t.movedim(dim, 0), level) for t, dim in zip(outs, dims)]
    )


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
                edge = ctx if len(outputs) == 1 else output_of(ctx, k)
                if any(out is d for d in ctx.dirty):
                    check_writable(out)
                    hooks.rebase(out, edge)
                else:
                    out._edge = edge
        originals = [result] if single else list(result)
        ctx.to_save = tuple(_replaced(t, originals, outputs) for t in ctx.to_save)
        ctx.to_save_forward = tuple(_replaced(t, originals, outputs) for t in ctx.to_save_forward)
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
        return _marked(alias, differentiable)
    if out._edge is not None and differentiable:  # not only as a view of what has a history
        return detached(out)
    return _marked(out, differentiable)


def _marked(out: Tensor, differentiable: bool) -> Tensor:
    """`out`; a view is not to be written in place, since its base's history lacks the function."""
    if differentiable and out._view is not None and out._view.base is not None:
        out._view.made = "function"
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
    out = detached(t)
    out._edge = _Refuse((), ())
    return out
