"""Tensor: a window on a Storage, with what autograd needs to know of it.

Room: tensor. The class here has what every room above stands on: its parts, reading and writing
through windows, views and their gradients. Operators, indexing and conversions attach themselves
to it as methods (see `bital.ops.api`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bital.base.device import Batched, device
from bital.base.dtype import dtype, from_numpy
from bital.base.size import Size, normalize_dim
from bital.base.stride import is_contiguous as strides_contiguous
from bital.ir.meta import Meta, meta_of
from bital.ir.trace import Trace, Value, given, local, ready
from bital.tensor import node as nodes
from bital.tensor.node import NOWHERE, AccumulateGrad, Node, Output, is_leaf_edge
from bital.tensor.storage import (
    Apart,
    ModalStorage,
    Storage,
    View,
    read_window,
    view_at,
    write_window,
)

_new = object.__new__
#: makes the cell of a new tensor; another class while some thread is in inference mode
cell: type[Storage] = Storage


def make_cells(cls: type[Storage]) -> None:
    """Make the cells of new tensors of that class."""
    global cell
    cell = cls


class Tensor:
    """A multi-dimensional array that operations on are recorded, as `torch.Tensor`."""

    __slots__ = ("_storage", "_meta", "_view", "_edge", "_grad", "__dict__", "__weakref__")
    __module__ = "torch"
    __array_priority__ = 1000

    _storage: Storage
    _meta: Meta
    _view: View | None
    _edge: Any  # None, the node this is the result of, an Output of it, or AccumulateGrad
    _grad: Tensor | None

    if TYPE_CHECKING:  # operators attach themselves as methods

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

        grad: Any
        data: Any
        _make_subclass: Any
        __add__: Any
        __radd__: Any
        __sub__: Any
        __rsub__: Any
        __mul__: Any
        __rmul__: Any
        __truediv__: Any
        __rtruediv__: Any
        __floordiv__: Any
        __rfloordiv__: Any
        __mod__: Any
        __rmod__: Any
        __pow__: Any
        __rpow__: Any
        __matmul__: Any
        __rmatmul__: Any
        __and__: Any
        __or__: Any
        __xor__: Any
        __lshift__: Any
        __rshift__: Any
        __lt__: Any
        __le__: Any
        __gt__: Any
        __ge__: Any
        __neg__: Any
        __pos__: Any
        __abs__: Any
        __invert__: Any
        __getitem__: Any
        __setitem__: Any
        __len__: Any
        __iter__: Any
        __bool__: Any
        __int__: Any
        __float__: Any
        __index__: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hooks.subclassed is not None:
            hooks.subclassed(cls)

    @property
    def shape(self) -> Size:
        return self._meta.shape

    @property
    def dtype(self) -> dtype:
        return self._meta.dtype

    @property
    def device(self) -> device:
        where = self._meta.device
        return where.plain if isinstance(where, Batched) else where

    @property
    def ndim(self) -> int:
        return self._meta.ndim

    @property
    def requires_grad(self) -> bool:
        return needs_gradient(self)

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        set_requires_grad(self, wanted)

    @property
    def is_leaf(self) -> bool:
        return is_leaf_edge(edge_of(self))

    @property
    def grad_fn(self) -> Node | None:
        edge = edge_of(self)
        if is_leaf_edge(edge):
            return None
        return edge.node if type(edge) is Output else edge

    @property
    def output_nr(self) -> int:
        edge = self._edge
        return edge.index if type(edge) is Output else 0

    @property
    def _version(self) -> int:
        if self.is_inference():
            raise RuntimeError("Inference tensors do not track version counter.")
        return self._storage.version

    def is_inference(self) -> bool:
        """Whether the tensor was made in inference mode."""
        storage = self._storage.memory
        return type(storage) is ModalStorage and storage.inference

    @property
    def _base(self) -> Tensor | None:
        return None if self._view is None else self._view.base

    def _is_view(self) -> bool:
        return self._base is not None

    def stride(self, dim: int | None = None) -> Any:
        """Strides in elements, or the one of dimension `dim`."""
        strides = strides_of(self)
        if dim is None:
            return strides
        return strides[normalize_dim(dim, len(strides))] if strides else _no_axis(dim)

    def size(self, dim: int | None = None) -> Any:
        """The sizes of all axes, or of axis `dim`."""
        shape = self._meta.shape
        if dim is None:
            return shape
        return shape[normalize_dim(dim, len(shape))] if shape else _no_axis(dim)

    def dim(self) -> int:
        """How many axes the tensor has."""
        return self._meta.ndim

    ndimension = dim

    def storage_offset(self) -> int:
        """Where the first element lies in the storage, in elements."""
        return 0 if self._view is None else self._view.offset


def _no_axis(dim: int) -> int:
    raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")


#: a tensor whose parts are yet to be set
new_tensor: Callable[[], Tensor] = functools.partial(object.__new__, Tensor)


def wrap(value: Value, meta: Meta) -> Tensor:
    """A new tensor that is the whole of a new storage. Hot."""
    t = new_tensor()
    t._storage = storage = cell()
    storage.value = value
    storage.version = 0
    t._meta = meta
    t._view = t._edge = t._grad = None
    return t


def from_array(array: np.ndarray, d: dtype | None = None) -> Tensor:
    """A tensor on an array that is ours alone: contiguous, of a NumPy type that we know."""
    meta = meta_of(array.shape, d or from_numpy(array.dtype))
    return wrap(given(meta, array), meta)


def window(storage: Storage, meta: Meta, view: View | None, cls: type[Tensor] = Tensor) -> Tensor:
    """A tensor on an existing storage."""
    t = new_tensor() if cls is Tensor else _new(cls)
    t._storage = storage
    t._meta = meta
    t._view = view
    t._edge = t._grad = None
    return t


nodes.hooks.rebuild = window


def strides_of(t: Tensor) -> tuple[int, ...]:
    return t._meta.strides if t._view is None else t._view.strides


def contiguous(t: Tensor) -> bool:
    """Whether the elements lie in order without gaps."""
    return t._view is None or strides_contiguous(t._meta.shape, t._view.strides)


def read(t: Tensor, trace: Trace) -> Value:
    """The tensor's elements as a value of its shape."""
    view = t._view
    value = t._storage.value
    if view is None:
        return value
    if view.key is value:
        return view.window  # type: ignore[return-value]
    meta = t._meta
    if not view.offset and value.meta is meta and view.strides == meta.strides:
        return value
    got = read_window(trace, value, meta, view.offset, view.strides)
    view.key, view.window = value, got
    return got


nodes.hooks.read = read


def array_of(t: Tensor) -> np.ndarray:
    """The tensor's elements as an array, computed now; not to be written to."""
    if t._meta.device.lanes:
        raise RuntimeError(
            "vmap: this operation needs the values of a tensor that is different for every "
            "example, which is not supported under vmap"
        )
    return values_of(t)


def values_of(t: Tensor) -> np.ndarray:
    """The same for checks that hold for each element: under vmap those of all examples."""
    return ready(read(t, local.trace))


def known_array(t: Tensor) -> np.ndarray | None:
    """`values_of` where nothing has to be computed for them."""
    return None if t._storage.value.buf is None else values_of(t)


def write(t: Tensor, value: Value, trace: Trace) -> None:
    """Put `value` (of t's dtype, broadcastable) where the tensor looks; no autograd."""
    storage, view, meta = t._storage, t._view, t._meta
    old = storage.value
    storage.version += 1
    if (
        value.meta is meta and old.meta is meta and not old.shared and not value.shared
        and (view is None or (not view.offset and view.strides == meta.strides))
    ):  # fmt: skip
        storage.value = value
    else:
        if value.meta.device.lanes:
            check_lanes(meta, value.meta)
        offset = 0 if view is None else view.offset
        write_window(trace, storage, value, meta, offset, strides_of(t))
    if (t._edge is not None and not trace.grad) or storage.apart:
        note_update(t, trace)


def check_lanes(written: Meta, value: Meta) -> None:
    """PyTorch's error for writing what differs from example to example into what does not."""
    if not set(value.device.lanes) <= set(written.device.lanes):
        raise RuntimeError(
            "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a "
            "Tensor `other` in extra_args that has more elements than `self`. This happened due to "
            "`other` being vmapped over but `self` not being vmapped over in a vmap. Please try to "
            "use out-of-place operators instead of inplace arithmetic. If said operator is being "
            "called inside the PyTorch framework, please file a bug report instead."
        )


def note_update(t: Tensor, trace: Trace) -> None:
    """Remember that a leaf was updated: the iteration ends where the block does (cut rule 2)."""
    apart = t._storage.apart
    if apart and trace.grad is True:
        trace.grad = UPDATED_DATA
    elif apart or t._edge is not None:
        trace.updated = True


class _UpdatedData:
    """The gradient mode 'on' after a write through `.data`: the next recorded use cuts."""

    def __bool__(self) -> bool:
        return True


UPDATED_DATA = _UpdatedData()


def set_requires_grad(t: Tensor, wanted: bool) -> None:
    """Make a leaf (not) require gradients, with PyTorch's errors for what is no leaf."""
    edge = t._edge
    if not is_leaf_edge(edge):
        if not wanted:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        return
    if not wanted:
        t._edge = None
    elif edge is None:
        if t.is_inference() and not local.trace.inference:
            raise RuntimeError(
                "Setting requires_grad=True on inference tensor outside InferenceMode is not "
                "allowed."
            )
        if not (t._meta.dtype.is_floating_point or t._meta.dtype.is_complex):
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        t._edge = AccumulateGrad(t)


def edge_of(t: Tensor) -> Any:
    """Where the gradient of `t` goes; for a view whose base was written to, found anew.

    A view that was made before its base required gradients, or in no_grad mode, requires them
    with it; but its gradient goes nowhere.
    """
    view = t._view
    if view is None or view.base is None:
        return t._edge
    edge, base_edge, version = t._edge, view.base._edge, t._storage.version
    if view.version != version and not (base_edge is None and is_leaf_edge(edge)):
        if view.made != "default":
            refuse_view(t, "its base or another view of its base has been modified inplace")
        edge = t._edge = hooks.strided_view(t, base_edge)
        view.version = version
    return NOWHERE if edge is None and base_edge is not None else edge


def requires(t: Tensor) -> bool:
    """Whether t requires a gradient, for itself or as a view of what does."""
    if t._edge is not None:
        return True
    view = t._view
    return view is not None and view.base is not None and view.base._edge is not None


def needs_gradient(t: Tensor) -> bool:
    """Whether t requires a gradient, where its history is not there for forward mode only."""
    return requires(t) and (not local.trace.forwards or hooks.leads_to_leaf(edge_of(t)))


_WHY_REFUSED = {
    "multi": (
        "This view is the output of a function that returns multiple views. Such functions do not "
        "allow the output views to be modified inplace. You should replace the inplace operation "
        "by an out-of-place one."
    ),
    "no_grad": (
        "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify "
        "your code by moving both the view and the inplace either both inside the no_grad block "
        "(if you don't want the inplace to be tracked) or both outside (if you want the inplace to "
        "be tracked)."
    ),
    "function": (
        "This view was created inside a custom Function (or because an input was returned as-is) "
        "and the autograd logic to handle view+inplace would override the custom backward "
        "associated with the custom Function, leading to incorrect gradients. This behavior is "
        "forbidden. You can fix this by cloning the output of the custom Function."
    ),
}


def refuse_view(t: Tensor, what: str) -> None:
    """PyTorch's error for a view, not made in the ordinary way, that is written to.

    `what` says whether it "is being modified inplace" or something that shares its memory was.
    """
    edge, made = t._edge, t._view.made  # type: ignore[union-attr]
    text, modified = "A view was created in", f"no_grad mode and {what} with grad mode enabled."
    if not is_leaf_edge(edge):
        node, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
        name = node.name().rstrip("0123456789").removesuffix("Backward")
        text = f"Output {index} of {name} is a view"
        if made == "no_grad":
            text += " of a view which was created in"
        else:
            modified = f"and {what}."
    raise RuntimeError(f"{text} {modified} {_WHY_REFUSED[made]}")


class _Hooks:
    """What rooms above give to the tensor."""

    strided_view: Callable[[Tensor, Any], Node]  # the gradient of a window that is found anew
    subclassed: Callable[[type], None] | None = None  # told of every new subclass of Tensor
    leads_to_leaf: Callable[[Any], bool]  # whether anything is to be differentiated backward


hooks = _Hooks()


class ViewNode(Node):
    """The node of a view: its rule turns the view's gradient into the base's."""

    __slots__ = ("rule",)

    def __init__(self, edges: tuple, metas: tuple, rule: Callable) -> None:
        super().__init__(edges, metas)
        self.rule = rule

    def apply(self, g: Any) -> list:
        return [self.rule(g)]

    def sign(self, key: list, named: list, trace: Trace, fresh: dict) -> bool:
        form = nodes.rule_form(self.rule)
        key += (form, self.metas)
        return form is not None


_view_classes: dict[str, type[ViewNode]] = {}


def view_node(name: str, edge: Any, meta: Meta, rule: Callable) -> ViewNode:
    """A view's node, of a class named as PyTorch names it; made without `__init__`. Hot."""
    cls = _view_classes.get(name)
    if cls is None:
        cls = _view_classes[name] = type(name, (ViewNode,), {"__slots__": ()})
    node = _new(cls)
    node.edges, node.metas, node.rule = (edge,), (meta,), rule
    node.number, node.extra = nodes.next_number(), None
    if nodes.hooks.active:
        node.note_modes()
    return node


def make_view(
    t: Tensor,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    name: str,
    rule: Callable[[Tensor], Tensor],
    *,
    storage: Storage | None = None,
) -> Tensor:
    """A differentiable view of `t`: another window on its storage, or on `storage`, its mirror.

    `name` is the node's ("TransposeBackward0"); `rule` turns the view's gradient into t's.
    """
    meta = meta_of(shape, t._meta.dtype, t._meta.device)
    out, edge = onto(t, meta, strides, offset)
    if storage is not None:
        out._storage = storage
    if edge is not None:
        out._edge = view_node(name, edge, t._meta, rule)
    return out


def onto(t: Tensor, meta: Meta, strides: tuple[int, ...], offset: int) -> tuple[Tensor, Any]:
    """A view of t without a node, and where t's gradient goes, None where none is recorded. Hot.

    All is written out: a call costs as much as what it does.
    """
    old, storage, grad = t._view, t._storage, local.trace.grad
    view, out = View(), new_tensor()
    view.strides, view.offset, view.version = strides, offset, storage.version
    view.key = view.window = None
    if old is None:
        edge = t._edge
        view.base, view.made = t, "default"
    else:
        edge = edge_of(t) if grad else None
        view.base, view.made = t if old.base is None else old.base, old.made
    if not grad:
        view.made, edge = "no_grad", None
    out._storage, out._meta, out._view = storage, meta, view
    out._edge = out._grad = None
    return out, edge


def view_of(t: Tensor, offset: int, strides: tuple[int, ...], made: str = "default") -> View:
    """The View of a differentiable view of t; its base is that of t where t is a view itself."""
    old = t._view
    base = t
    if old is not None:
        if old.base is not None:
            base = old.base
        if made == "default":  # a view of one of several views is one, too
            made = old.made
    if not local.trace.grad:
        made = "no_grad"
    return view_at(offset, strides, base, t._storage.version, made)


def attach(out: Tensor, t: Tensor, name: str, rule: Callable[[Tensor], Tensor]) -> Tensor:
    """Give a bare view of t its node, if gradients are recorded and t needs one."""
    if local.trace.grad:
        edge = t._edge if t._view is None else edge_of(t)
        if edge is not None:
            out._edge = view_node(name, edge, t._meta, rule)
    return out


def detached(t: Tensor) -> Tensor:
    """A tensor on the same storage that needs no gradient."""
    view = t._view
    return window(t._storage, t._meta, view and view.bare())


def data_of(t: Tensor) -> Tensor:
    """The same, whose writes `t` does not count: its `.data`. Inference tensors never count."""
    out = detached(t)
    if not t.is_inference():
        out._storage = Apart(t._storage)
    return out
