"""Dispatch: from an operator and tensors to a recorded instruction, a result and its node.

Room: tensor. `apply` is what every operator goes through; `bital.tensor.recorders` does the same
for families of operators, written out. Here is also what writing in place means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.base.dtype import INT, can_cast, dtype
from bital.base.stride import (
    elementwise_strides,
    is_dense_nonoverlapping,
    may_overlap_internally,
)
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op, Spec
from bital.ir.prefix import UNKNOWN, Prefix
from bital.ir.trace import (
    FORWARD_ONLY,
    Trace,
    Value,
    end_iteration,
    given,
    local,
    record,
    record_many,
)
from bital.tensor import tensor as tensor_module
from bital.tensor.node import (
    AccumulateGrad,
    Node,
    Output,
    is_leaf_edge,
    new_node,
    node_kind,
    output_of,
)
from bital.tensor.node import hooks as nodes
from bital.tensor.storage import new_cell, view_at
from bital.tensor.tensor import (
    Tensor,
    array_of,
    check_lanes,
    edge_of,
    new_tensor,
    read,
    refuse_view,
    requires,
    strides_of,
    window,
    wrap,
    write,
)


def _cast_rule(x: Meta, target: dtype) -> tuple[Meta, dict]:
    return meta_of(x.shape, target, x.device), {"target": target.np}


def _cast_impl(xp: Any, x: Any, target: Any) -> Any:
    if x.dtype.kind == "c" and target.kind != "c":
        x = x.real
    if target.kind == "b":
        return x != 0
    if target.kind in "iu" and x.dtype.kind not in "iub":
        return _float_to_int(xp, x, target)
    if target.itemsize == 2 and x.dtype.itemsize > 4 and x.dtype.kind == "f":
        x = x.astype(xp.float32)  # as PyTorch does, so that numbers are rounded twice
    return x.astype(target)


def _float_to_int(xp: Any, x: Any, target: Any) -> Any:
    """Floats out of an integer's range become what the processor's conversions give PyTorch.

    Narrow integers are the low bits of an int32, which is its least number where it overflows.
    """
    if target.itemsize < 4:
        return x.astype(xp.int32).astype(target)
    return x.astype(xp.int64).astype(target) if target == xp.uint32 else x.astype(target)


CAST = Op(
    "to",
    _cast_rule,
    _cast_impl,
    vjp=(lambda g, x_meta: cast(g, x_meta.dtype),),
    grad_fn="ToCopyBackward0",
    elementwise=True,
)


def cast_value(trace: Trace, value: Value, target: dtype) -> Value:
    """The value in another dtype; itself where it has it."""
    if value.meta.dtype is target:
        return value
    key = ((value.meta,), (target,))
    return record(trace, CAST.memo.get(key) or CAST.resolve(*key), value)


def cast(t: Tensor, target: dtype) -> Tensor:
    """The tensor in another dtype, differentiably; itself where it has it."""
    return t if t._meta.dtype is target else apply(CAST, (t,), (target,))


def apply(op: Op, tensors: tuple[Tensor, ...], attrs: tuple = (), params: tuple = ()) -> Any:
    """Record `op` on tensors; the result is a tensor, or a tuple where op has several results.

    `attrs` are the hashable arguments of op's rule, `params` the run-time scalars.
    """
    if len(tensors) == 1:
        metas: tuple = (tensors[0]._meta,)
    elif len(tensors) == 2:
        metas = (tensors[0]._meta, tensors[1]._meta)
    else:
        metas = tuple([t._meta for t in tensors])
    spec = op.memo.get((metas, attrs)) or op.resolve(metas, attrs)
    trace = local.trace
    strided = False
    values = []
    for t in tensors:
        if t._view is None:
            values.append(t._storage.value)
        else:
            strided = True
            values.append(read(t, trace))
    if strided and op.elementwise:
        got = _in_memory_order(op, spec, tensors, attrs, params, trace)
        if got is not None:
            return got
    if spec.compute is not None:
        values = [cast_value(trace, v, spec.compute) for v in values]
    result: Any = record_many(trace, spec, values, params)
    if type(spec.out) is tuple:
        out: Any = tuple([wrap(v, v.meta) for v in result])
    else:
        out = new_tensor()  # `wrap`, without a call
        out._storage = storage = tensor_module.cell()
        storage.value, storage.version = result, 0
        out._meta = spec.out
        out._view = out._edge = out._grad = None
    if not trace.grad or not spec.op.vjp:
        return out
    prefix = trace.prefix  # at the root where the trace was cut
    if prefix.number < 0:
        prefix = UNKNOWN
    return differentiable(trace, spec, tensors, out, params, prefix)


#: (spec, operands' strides) -> the result's strides, or None where they are the plain ones
_result_strides: dict[tuple, tuple[int, ...] | None] = {}


#: the metas and strides, in turn, of operands whose elementwise results have plain strides
in_order: set[tuple] = set()


def _in_memory_order(
    op: Op, spec: Spec, tensors: tuple, attrs: tuple, params: tuple, trace: Trace
) -> Tensor | None:
    """An elementwise result laid out as its operands are, or None where that is the plain order.

    The operands are read with their axes permuted to the order of memory, so that the result is
    a contiguous value; the tensor returned is the window that undoes the permutation.
    """
    key = (spec, *[strides_of(t) for t in tensors])
    if key in _result_strides:
        strides = _result_strides[key]
    else:
        if len(_result_strides) > 4096:
            _result_strides.clear()
            in_order.clear()
        strides = _result_strides[key] = _strides_of_result(spec, tensors)
    if strides is None:
        in_order.add(tuple([each for t in tensors for each in (t._meta, strides_of(t))]))
        return None
    out: Meta = spec.out
    order = sorted(range(out.ndim), key=lambda k: (-strides[k], k))
    turned = []
    for t in tensors:
        if not t._meta.ndim:  # stays without axes, by which promotion knows it
            turned.append(t)
            continue
        lead = out.ndim - t._meta.ndim
        shape = (1,) * lead + t._meta.shape
        steps = (0,) * lead + strides_of(t)
        meta = meta_of(tuple([shape[k] for k in order]), t._meta.dtype, t._meta.device)
        view = view_at(t.storage_offset(), tuple([steps[k] for k in order]))
        turned.append(window(t._storage, meta, view))
    metas = tuple([t._meta for t in turned])
    inner = op.memo.get((metas, attrs)) or op.resolve(metas, attrs)
    values = [read(t, trace) for t in turned]
    if inner.compute is not None:
        values = [cast_value(trace, v, inner.compute) for v in values]
    value = record_many(trace, inner, values, params)
    result = window(new_cell(value), out, view_at(0, strides))  # type: ignore[arg-type]
    if trace.grad:
        return differentiable(trace, spec, tensors, result, params)
    return result


def _strides_of_result(spec: Spec, tensors: tuple) -> tuple[int, ...] | None:
    if type(spec.out) is not Meta:
        return None
    operands = [(tuple(t._meta.shape), strides_of(t)) for t in tensors]
    strides = tuple(elementwise_strides(tuple(spec.out.shape), operands))
    return None if strides == spec.out.strides else strides


def differentiable(
    trace: Trace,
    spec: Spec,
    tensors: tuple,
    out: Any,
    params: tuple = (),
    prefix: Prefix = UNKNOWN,
) -> Any:
    """Give a result its node where one of `tensors` needs a gradient and op has a rule for it."""
    if not spec.op.vjp:
        return out
    wanted, bit, edges = 0, 1, []
    for t in tensors:
        edge = t._edge if t._view is None else edge_of(t)
        edges.append(edge)
        if edge is not None:
            wanted += bit
        bit += bit
    if not wanted:
        return out
    return attach(trace, spec, tuple(edges), wanted, tensors, out, params, prefix)


def attach(
    trace: Trace,
    spec: Spec,
    edges: tuple,
    wanted: int,
    tensors: tuple,
    out: Any,
    params: tuple = (),
    prefix: Prefix = UNKNOWN,
) -> Any:
    """Give `out` the node of `spec`; the bits of `wanted` say which inputs need gradients.

    `prefix` is where the trace stood after recording `out`, where one instruction did that.
    """
    if trace.grad is not True or nodes.active:
        prefix = UNKNOWN
    if trace.grad is not True:
        _cut_after_data_update(trace)
    kind = spec.nodes.get(wanted)
    if kind is None:
        kind = node_kind(spec, wanted)
    if not kind:
        return out
    if out.__class__ is not tuple:
        node = new_node(kind, spec, edges, tensors, params, out)
        node.prefix, node.epoch = prefix, trace.epoch
        if nodes.active:
            node.keep_by_hooks(tensors)
            node.keep_output(0, out)
        out._edge = node
        return out
    node = new_node(kind, spec, edges, tensors, params, None)
    if nodes.active:
        node.keep_by_hooks(tensors)
    node.prefix, node.epoch = prefix, trace.epoch
    for k, each in enumerate(out):
        if each._meta.dtype.category > INT:
            each._edge = output_of(node, k)
        node.keep_output(k, each)
    return out


def composite(
    op: Op, forward: Callable, tensors: tuple[Tensor, ...], attrs: tuple = (), params: tuple = ()
) -> Any:
    """A result made of other operators that has a gradient rule, and a node, of its own.

    `op` is declared without an implementation; its rule checks the operands, and `forward` gets
    the tensors, the params, and the rule's attributes as keywords, with gradients off.
    """
    key = (tuple([t._meta for t in tensors]), attrs)
    spec = op.memo.get(key) or op.resolve(*key)
    trace = local.trace
    grad = trace.grad
    trace.grad = False
    try:
        out = forward(*tensors, *params, **spec.attrs)
    finally:
        trace.grad = grad
    return differentiable(trace, spec, tensors, out, params) if grad else out


def _cut_after_data_update(trace: Trace) -> None:
    """A leaf written through `.data` is used with gradients on: the iteration ended before."""
    if trace.grad is FORWARD_ONLY:
        return
    trace.grad = True
    end_iteration("a leaf updated through .data is used again")


def inplace(t: Tensor, fn: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """`t = fn(t, ...)` in t's own memory, with PyTorch's rules: what `t.fn_()` does."""
    trace = local.trace
    grad = trace.grad
    if grad:
        check_writable(t)
        source = as_it_is(t)
    else:
        source = t
    for other in args:
        if isinstance(other, Tensor):
            check_overlap(t, other)
    out = fn(source, *args, **kwargs)
    return assign(t, out, trace)


def check_overlap(t: Tensor, other: Tensor, whole: bool = False) -> None:
    """Refuse to write to t while reading a tensor that shares part of its memory.

    As in PyTorch only tensors without gaps are compared; t itself may be read, unless `whole`.
    """
    if t._storage is not other._storage and t._storage.memory is not other._storage.memory:
        return
    if t is other:
        if whole:
            raise RuntimeError(_OVERLAP)
        return
    if not t._meta.numel or not other._meta.numel:
        return
    spans = []
    for each in (t, other):
        shape, strides = each._meta.shape, strides_of(each)
        if not is_dense_nonoverlapping(shape, strides):
            return
        start = each.storage_offset() * each._meta.dtype.itemsize
        spans.append((start, start + each._meta.nbytes))
    (a, b), (c, d) = spans
    if (a, b) == (c, d) and strides_of(t) == strides_of(other) and not whole:
        return
    if a < d and c < b:
        raise RuntimeError(_OVERLAP)


OVERLAPS_ITSELF = (
    "unsupported operation: more than one element of the written-to tensor refers to a single "
    "memory location. Please clone() the tensor before performing the operation."
)
_OVERLAP = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a "
    "single memory location. Please clone() the tensor before performing the operation."
)


def as_it_is(t: Tensor) -> Tensor:
    """t as it is now: a copy that costs nothing, for a node to keep whatever is written to t."""
    value, view = t._storage.value, t._view
    if value.shared:  # memory that others see is written to at once, so its elements are copied
        value, view = given(t._meta, array_of(t).copy(order="C")), None
    before = window(new_cell(value), t._meta, view and view.bare())
    before._storage.version = t._storage.version
    before._edge = edge_of(t)
    return before


def assign(t: Tensor, out: Tensor, trace: Trace) -> Tensor:
    """Write the result `out` of an in-place operation into t and make its node t's."""
    meta = t._meta
    storage = t._storage
    value = out._storage.value
    if (
        not trace.grad
        and t._view is None
        and out._view is None
        and out._meta is meta
        and value.meta is meta
        and storage.value.meta is meta
        and not storage.value.shared
        and not value.shared
    ):  # the usual case of all that follows
        storage.value = value
        storage.version += 1
        if t._edge is not None or storage.apart:
            trace.updated = True
        return t
    if out._meta is not meta:
        _check_fits(out._meta, meta)
    if t._view is not None and may_overlap_internally(meta.shape, t._view.strides):
        raise RuntimeError(OVERLAPS_ITSELF)
    edge = out._edge if trace.grad else None
    if edge is not None:
        check_part(t)
    value = read(out, trace)
    if out._meta.dtype is not meta.dtype:
        value = cast_value(trace, value, meta.dtype)
    write(t, value, trace)
    if edge is not None or (trace.grad and t._view is not None and requires(t)):
        rebase(t, edge)
    return t


def rebase(t: Tensor, edge: Any) -> None:
    """t's history is now `edge`; for a view, its base's history gets the write."""
    view = t._view
    if local.trace.grad is FORWARD_ONLY:
        leaf = t if view is None or view.base is None else view.base
        if isinstance(leaf._edge, AccumulateGrad):
            return
    node = edge.node if type(edge) is Output else edge
    if node is not None and hasattr(node, "keep_output"):
        node.keep_output(0, t)
    if view is None or view.base is None:
        old = t._edge
        t._edge = edge
        if old is not None:
            _keep_retaining(t, old, edge)
        return
    base = view.base
    old = base._edge
    base._edge = hooks.copy_slices(base, t, edge)
    if old is not None:
        _keep_retaining(base, old, base._edge)
    t._edge, view.version = base._edge, -1  # so that edge_of finds the view's node anew


def _keep_retaining(t: Tensor, old: Any, new: Any) -> None:
    """After a write in place, retain_grad() keeps the gradient of what t is now."""
    node, index = (old.node, old.index) if type(old) is Output else (old, 0)
    extra = node.extra
    if extra is None or new is None or not extra.retained:
        return
    kept = extra.retained.get(index)
    if kept is not None and kept.tensor() is t:
        del extra.retained[index]
        node, index = (new.node, new.index) if type(new) is Output else (new, 0)
        kept.index = index
        node.more().retained[index] = kept


def check_writable(t: Tensor) -> None:
    """PyTorch's errors for writing in place to a leaf, to a view of one, or where forbidden."""
    if local.trace.grad is FORWARD_ONLY:
        return
    edge, view = t._edge, t._view
    if view is not None and view.base is not None:
        base_edge = view.base._edge
        if edge is None and base_edge is None:
            return
        check_part(t)
        if is_leaf_edge(base_edge):
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place "
                "operation."
            )
        if edge is None:  # the base got its history later, and nobody asked for the view's since
            raise RuntimeError(_LEAF)
    if isinstance(edge, AccumulateGrad):
        raise RuntimeError(_LEAF)


_LEAF = "a leaf Variable that requires grad is being used in an in-place operation."


def check_part(t: Tensor) -> None:
    """Refuse to give a history to one of several views, or a view made in no_grad mode."""
    view = t._view
    if view is not None and view.made != "default" and view.base is not None:
        refuse_view(t, "is being modified inplace")


def _check_fits(got: Meta, wanted: Meta) -> None:
    if not can_cast(got.dtype, wanted.dtype):
        raise RuntimeError(
            f"result type {got.dtype.legacy_name} can't be cast to the desired output type "
            f"{wanted.dtype.legacy_name}"
        )
    if got.device.lanes:
        check_lanes(wanted, got)
    if got.shape != wanted.shape:
        raise RuntimeError(
            f"output with shape {list(wanted.shape)} doesn't match the broadcast shape "
            f"{list(got.shape)}"
        )


class _Hooks:
    """What the ops room gives: the node of a write into part of a tensor."""

    copy_slices: Callable[[Tensor, Tensor, Any], Node]


hooks = _Hooks()

nodes.rebase = rebase
