"""Views with turned, added or removed axes.

Room: ops. Their gradients are the opposite views.
"""

from __future__ import annotations

import warnings
from typing import Any

from bital.base.size import normalize_dim, normalize_dims
from bital.ir.trace import local
from bital.ops.api import method, public
from bital.ops.view import Ints, ints, reshape
from bital.ops.window import permuted
from bital.tensor.dispatch import check_writable
from bital.tensor.storage import view_at
from bital.tensor.tensor import Tensor, edge_of, make_view, strides_of, view_node


@public(aliases=("swapdims",))
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two axes exchanged."""
    shape: tuple[int, ...] = input._meta.shape
    strides = strides_of(input)
    n = len(shape)
    a, b = normalize_dim(dim0, n), normalize_dim(dim1, n)
    if a != b:
        order = list(range(n))
        order[a], order[b] = b, a
        shape, strides = permuted(shape, order), permuted(strides, order)
    return make_view(
        input, shape, strides, input.storage_offset(), "TransposeBackward0",
        lambda g: transpose(g, a, b),
    )  # fmt: skip


@public()
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose(input, axis0, axis1)`."""
    return transpose(input, axis0, axis1)


@public()
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; fewer axes come back as they are."""
    shape, strides = input._meta.shape, strides_of(input)
    if len(shape) > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {len(shape)}D")
    return make_view(
        input, tuple(shape)[::-1], strides[::-1], input.storage_offset(), "TBackward0",
        lambda g: t(g),
    )  # fmt: skip


@public()
def permute(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """A view with the axes in another order."""
    if dims is None and not args:
        raise TypeError('permute() missing 1 required positional arguments: "dims"')
    order = ints("permute", "dims", 1, args if dims is None else (dims,))
    n = input._meta.ndim
    if len(order) != n:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {n} is not equal to "
            f"len(dims) = {len(order)}"
        )
    order = tuple([normalize_dim(k, n) for k in order])
    if len(set(order)) < n:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _permute(input, order)


def _permute(x: Tensor, order: Ints) -> Tensor:
    def back(g: Tensor) -> Tensor:
        inverse = [0] * len(order)
        for place, k in enumerate(order):
            inverse[k] = place
        return _permute(g, tuple(inverse))

    shape, strides = permuted(x._meta.shape, order), permuted(strides_of(x), order)
    return make_view(x, shape, strides, x.storage_offset(), "PermuteBackward0", back)


@public(aliases=("moveaxis",))
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """A view with axes `source` moved to the places `destination`, the others keeping order."""
    n = input._meta.ndim
    src = (source,) if isinstance(source, int) else tuple(source)
    dst = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(src) != len(dst):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(src)} dims) should "
            f"contain the same number of dims as destination ({list(dst)} dims)"
        )
    wrapped = []
    for name, given in (("source", src), ("destination", dst)):
        dims = [normalize_dim(k, n) for k in given]
        if len(set(dims)) < len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(given)})")
        wrapped.append(dims)
    rest = iter([k for k in range(n) if k not in wrapped[0]])
    places = dict(zip(wrapped[1], wrapped[0]))
    return _permute(input, tuple([places[k] if k in places else next(rest) for k in range(n)]))


@public()
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """A view without axes of size 1: all of them, or of those that `dim` names."""
    shape = input._meta.shape
    name = "SqueezeBackward0" if dim is None else "SqueezeBackward1"
    if dim is None:
        gone: Ints = tuple([k for k, n in enumerate(shape) if n == 1])
    elif isinstance(dim, (tuple, list)):
        name = "SqueezeBackward2"
        gone = normalize_dims(tuple(dim), len(shape), empty_is_all=False)
    else:
        gone = (normalize_dim(dim, len(shape)),)
    kept = [k for k, n in enumerate(shape) if k not in gone or n != 1]
    new, strides = permuted(shape, kept), permuted(strides_of(input), kept)
    return make_view(input, new, strides, input.storage_offset(), name, lambda g: reshape(g, shape))


@public()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A view with an axis of size 1 added at `dim`."""
    shape, strides = input._meta.shape, strides_of(input)
    dim = normalize_dim(dim, len(shape) + 1)
    step = shape[dim] * strides[dim] if dim < len(shape) else 1
    return make_view(
        input,
        (*shape[:dim], 1, *shape[dim:]),
        (*strides[:dim], step, *strides[dim:]),
        input.storage_offset(),
        "UnsqueezeBackward0",
        lambda g: squeeze(g, dim),
    )


def _transposed(self: Tensor) -> Tensor:
    if self._meta.ndim != 2:
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
            "deprecated and it will throw an error in a future release. Consider `x.mT` to "
            "transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to "
            "reverse the dimensions of a tensor.",
            UserWarning,
            stacklevel=2,
        )
    return _permute(self, tuple(range(self._meta.ndim - 1, -1, -1)))


def _check_matrices(x: Tensor, what: str) -> None:
    if x._meta.ndim == 1:
        raise RuntimeError(
            f"tensor.{what} is only supported on matrices or batches of matrices. Got 1-D tensor."
        )


def _matrix_transposed(self: Tensor) -> Tensor:
    _check_matrices(self, "mT")
    return transpose(self, -2, -1) if self._meta.ndim else self


def _adjoint(x: Tensor, what: str) -> Tensor:
    _check_matrices(x, what)
    if not x._meta.ndim:
        return x
    turned = transpose(x, -2, -1)
    return turned.conj() if x._meta.dtype.is_complex else turned


def _hermitian(self: Tensor) -> Tensor:
    n = self._meta.ndim
    if n not in (0, 2):
        hint = " For batches of matrices, consider using tensor.mH" if n > 2 else ""
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {n}-D tensor.{hint}"
        )
    return _adjoint(self, "H")


@public()
def adjoint(input: Tensor) -> Tensor:
    """The last two axes exchanged and the numbers conjugated."""
    return _adjoint(input, "adjoint()")


Tensor.T = property(_transposed)  # type: ignore[attr-defined]
Tensor.mT = property(_matrix_transposed)  # type: ignore[attr-defined]
Tensor.H = property(_hermitian)  # type: ignore[attr-defined]
Tensor.mH = property(lambda self: _adjoint(self, "mH"))  # type: ignore[attr-defined]


#: what PyTorch calls the node of a view made in place
_IN_PLACE_NAMES = {
    "TBackward0": "TBackward1", "TransposeBackward0": "TransposeBackward1",
    "SqueezeBackward0": "SqueezeBackward3", "SqueezeBackward1": "SqueezeBackward4",
    "SqueezeBackward2": "SqueezeBackward5", "UnsqueezeBackward0": "UnsqueezeBackward1",
}  # fmt: skip


def turn_in_place(name: str, fn: Any) -> None:
    """Make `Tensor.name`: the tensor itself becomes the view that `fn` gives of it."""

    def turn(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if local.trace.grad:
            check_writable(self)
        if fn is t and self._meta.ndim > 2:
            raise RuntimeError(
                f"t_() expects a tensor with <= 2 dimensions, but self is {self._meta.ndim}D"
            )
        made = fn(self, *args, **kwargs)
        old, view, edge, before = self._view, made._view, edge_of(self), self._meta
        self._meta = made._meta
        self._storage.version += 1
        base = None if old is None else old.base
        self._view = view_at(view.offset, view.strides, base, self._storage.version, view.made)
        if made._edge is not None:
            node = _IN_PLACE_NAMES.get(made._edge.name(), made._edge.name())
            self._edge = view_node(node, edge, before, made._edge.rule)
        return self

    turn.__name__ = turn.__qualname__ = name
    turn.__doc__ = f"The tensor becomes `{name[:-1]}` of itself; no element moves."
    method(turn)


turn_in_place("t_", t)
turn_in_place("squeeze_", squeeze)
turn_in_place("unsqueeze_", unsqueeze)
for _name in ("transpose_", "swapaxes_", "swapdims_"):
    turn_in_place(_name, transpose)
