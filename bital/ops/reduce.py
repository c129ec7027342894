"""Reductions: sum, mean, extremes, norms.

Room: ops.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import INT, dtype, int64
from bital.base.size import normalize_dims, reduced_shape
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import method, public
from bital.ops.broadcast import repeat_over
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

Dims = int | tuple[int, ...] | list[int] | None


def dims_of(x: Meta, dim: Any) -> tuple[int, ...]:
    """The axes a reduction runs over: all for None or an empty tuple."""
    if dim is None or dim == ():
        return tuple(range(x.ndim))
    return normalize_dims((dim,) if isinstance(dim, int) else dim, x.ndim)


def _sum_rule(x: Meta, dim: Any, keepdim: bool, d: dtype | None) -> tuple[Meta, dict, dtype]:
    dims = dims_of(x, dim)
    target = d or (int64 if x.dtype.category <= INT else x.dtype)
    out = meta_of(reduced_shape(x.shape, dims, keepdim), target, x.device)
    return out, {"axis": dims, "keepdims": keepdim}, target


def _sum_impl(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return xp.add.reduce(x, axis=axis, keepdims=keepdims)


def spread(g: Tensor, shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Tensor:
    """The gradient of a reduction, repeated over the axes that were reduced."""
    return repeat_over(g, shape, axis)


_SUM = Op(
    "sum",
    _sum_rule,
    _sum_impl,
    vjp=(lambda g, x_shape, axis, keepdims: spread(g, x_shape, axis, keepdims),),
)


def _hashable(dim: Any) -> Any:
    return tuple(dim) if isinstance(dim, list) else dim


@public(out=True)
def sum(  # noqa: A001
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The sum over `dim` (all by default), as `torch.sum`; integers are summed in int64."""
    return apply(_SUM, (input,), (_hashable(dim), keepdim, dtype))


@method
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sum over the axes that broadcasting from `size` would have repeated."""
    target = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    shape = self._meta.shape
    lead = len(shape) - len(target)
    dims = tuple(range(lead)) + tuple(
        lead + k for k, n in enumerate(target) if n == 1 and shape[lead + k] != 1
    )
    if not dims:
        return self
    summed = apply(_SUM, (self,), (dims, True, None))
    return summed.reshape(target) if lead else summed  # type: ignore[attr-defined]
