"""Differences and integrals of samples: diff, gradient, trapezoid.

Room: ops. Made of other functions, so gradients follow by themselves.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import BOOL
from bital.base.size import normalize_dim, normalize_dims
from bital.ops.api import check_tensor, numpy_names, public
from bital.ops.create import constant
from bital.ops.family import conj, scalar_op
from bital.ops.join import cat
from bital.tensor.recorders import with_scalar
from bital.tensor.tensor import Tensor

#: products and quotients with numbers that stand inside PyTorch's own functions: other nodes
_times = with_scalar(
    scalar_op("mul_number", "multiply", lambda g, scalar: g * conj(scalar), grad_fn="MulBackward1")
)
_over = with_scalar(
    scalar_op(
        "div_number", "divide", lambda g, scalar: g / conj(scalar), grad_fn="DivBackward1",
        kind="float",
    )
)  # fmt: skip


def _part(t: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """The elements start … stop - 1 along `dim`; stop counts from the end where it is not > 0."""
    n = t._meta.shape[dim]
    stop = stop if stop > 0 else n + stop
    return t.narrow(dim, start, max(stop - start, 0))


def _added_at_ends(t: Tensor, dim: int, prepend: Any, append: Any) -> Tensor:
    for end in (prepend, append):
        if end is None:
            continue
        if end._meta.ndim != t._meta.ndim:
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
        for k, (mine, given) in enumerate(zip(t._meta.shape, end._meta.shape)):
            if k != dim and mine != given:
                raise RuntimeError(
                    "diff expects the shape of tensor to prepend or append to match that of "
                    f"input except along the differencing dimension; input.size({k}) = {mine}, but "
                    f"got tensor.size({k}) = {given}"
                )
    parts = [p for p in (prepend, t, append) if p is not None]
    return cat(parts, dim) if len(parts) > 1 else t


@public(out=True)
@numpy_names
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The n-th differences of neighbours along `dim`, of bools whether they differ."""
    meta = check_tensor(input, "diff")._meta
    if not meta.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    axis = normalize_dim(dim, meta.ndim)
    t = _added_at_ends(input, axis, prepend, append)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if not n:
        return constant(meta, 0).copy_(input)
    for _ in range(min(n, t._meta.shape[axis])):
        ahead, behind = _part(t, axis, 1, 0), _part(t, axis, 0, -1)
        if meta.dtype.category == BOOL:
            t = ahead.logical_xor(behind)
        else:
            t = ahead - behind
    return t


def _steps(y: Tensor, x: Tensor, dim: int, fn: str) -> Tensor:
    """The distances of sample points, shaped to meet y along `dim`."""
    if x._meta.ndim == 1:
        if x._meta.shape[0] != y._meta.shape[dim]:
            raise RuntimeError(f"{fn}: There must be one `x` value for each sample point")
        x = x.view([-1] + [1] * (y._meta.ndim - dim - 1))
        return diff(x, dim=0)
    lead = y._meta.ndim - x._meta.ndim
    if lead > 0:
        x = x.view([1] * lead + list(x._meta.shape))
    if x._meta.shape[dim] != y._meta.shape[dim]:
        raise RuntimeError(f"{fn}: There must be one `x` value for each sample point")
    return diff(x, dim=dim)


def _check_arguments(fn: str, x: Any, dx: Any) -> None:
    if x is not None and dx is not None:
        raise TypeError(
            f"{fn}() received an invalid combination of arguments - got (Tensor, Tensor, "
            f"dx={type(dx).__name__}), but expected one of:\n * (Tensor y, Tensor x, *, int dim = "
            "-1)\n * (Tensor y, *, Number dx = 1, int dim = -1)\n"
        )


@public(method=False, aliases=("trapz",))
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral of samples y along `dim` by the trapezoidal rule, at points x or `dx` apart."""
    _check_arguments("trapezoid", x, dx)
    axis = normalize_dim(dim, check_tensor(y, "trapezoid", "y")._meta.ndim)
    if not y._meta.shape[axis]:
        shape = [n for k, n in enumerate(y._meta.shape) if k != axis]
        return y.new_zeros(shape)
    if x is not None:
        steps = _steps(y, x, axis, "trapezoid")
        areas = ((_part(y, axis, 1, 0) + _part(y, axis, 0, -1)) * steps).sum(axis)
        return _over(areas, 2.0)
    ends = y.select(axis, 0) + y.select(axis, -1)
    return _times(y.sum(axis) - ends * 0.5, 1 if dx is None else dx)


@public(method=False)
def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1
) -> Tensor:
    """The integral of samples y up to each point along `dim`, as `torch.cumulative_trapezoid`."""
    _check_arguments("cumulative_trapezoid", x, dx)
    axis = normalize_dim(dim, check_tensor(y, "cumulative_trapezoid", "y")._meta.ndim)
    both = _part(y, axis, 1, 0) + _part(y, axis, 0, -1)
    if x is not None:
        steps = _steps(y, x, axis, "cumulative_trapezoid")
        return _over((both * steps).cumsum(axis), 2.0)
    return ((0.5 if dx is None else dx / 2.0) * both).cumsum(axis)


def _gradient_along(t: Tensor, dim: int, spacing: Any, edge_order: int) -> Tensor:
    """Central differences inside, one-sided ones at the ends, exact to `edge_order`."""
    h = spacing
    if isinstance(h, Tensor):
        return _gradient_at(t, dim, h, edge_order)
    middle = (_part(t, dim, 2, 0) - _part(t, dim, 0, -2)) / (2 * h)
    if edge_order == 1:
        first = (_part(t, dim, 1, 2) - _part(t, dim, 0, 1)) / h
        last = (_part(t, dim, t._meta.shape[dim] - 1, 0) - t.narrow(dim, -2, 1)) / h
        return cat([first, middle, last], dim)

    def at(k: int) -> Tensor:
        return t.narrow(dim, k, 1)

    first = (at(0) * -3 + at(1) * 4 - at(2)) / (2 * h)
    last = (at(-1) * 3 - at(-2) * 4 + at(-3)) / (2 * h)
    return cat([first, middle, last], dim)


def _gradient_at(t: Tensor, dim: int, points: Tensor, edge_order: int) -> Tensor:
    """The same at points of any distance (Fornberg's three-point formulas)."""
    h = diff(points).reshape([-1] + [1] * (t._meta.ndim - dim - 1))
    a, b = _part(h, 0, 0, -1), _part(h, 0, 1, 0)  # before and after each inner point

    def at(k: int) -> Tensor:
        return t.narrow(dim, k, 1)

    middle = (
        _part(t, dim, 0, -2) * (-b / (a * (a + b)))
        + _part(t, dim, 1, -1) * ((b - a) / (a * b))
        + _part(t, dim, 2, 0) * (a / (b * (a + b)))
    )
    if edge_order == 1:
        first, last = (at(1) - at(0)) / h[0], (at(-1) - at(-2)) / h[-1]
        return cat([first, middle, last], dim)
    a, b = h[0], h[1]
    first = at(0) * (-(2 * a + b) / (a * (a + b))) + at(1) * ((a + b) / (a * b))
    first = first - at(2) * (a / (b * (a + b)))
    a, b = h[-2], h[-1]
    last = at(-3) * (b / (a * (a + b))) - at(-2) * ((a + b) / (a * b))
    last = last + at(-1) * ((2 * b + a) / (b * (a + b)))
    return cat([first, middle, last], dim)


@public(method=False)
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The derivatives of samples along each of `dim` by second-order differences.

    `spacing` is the distance of samples (one for all dimensions or one each), or their coordinates.
    """
    ndim = check_tensor(input, "gradient")._meta.ndim
    spacing = 1 if spacing is None else spacing
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if dim is None:
        dims = list(range(ndim))
    else:
        dims = list(normalize_dims([dim] if isinstance(dim, int) else dim, ndim))
    if isinstance(spacing, (list, tuple)):
        distances = list(spacing)
        if len(distances) != len(dims):
            raise RuntimeError(
                f"torch.gradient expected spacing to be unspecified, a scalar or a list of length "
                f"equal to 'self.dim() = {ndim}', since dim argument was not given, but got a list "
                f"of length {len(distances)}"
            )
    else:
        distances = [spacing] * len(dims)
    for k in dims:
        if input._meta.shape[k] < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1"
            )
    return tuple([_gradient_along(input, k, h, edge_order) for k, h in zip(dims, distances)])
