"""The distance of vectors in a p-norm.

Room: ops.
"""

from __future__ import annotations

from typing import Any

from bital.base.size import reduced_shape
from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.ops.api import public
from bital.ops.loss import widened
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _norm_rule(x: Meta, p: float, keepdim: bool) -> tuple[Meta, dict]:
    dims = (x.ndim - 1,) if x.ndim else ()
    return like(x, reduced_shape(x.shape, dims, keepdim)), {"p": p, "keepdim": keepdim}


@widened
def _norm(xp: Any, x: Any, *, p: float, keepdim: bool) -> Any:
    if not x.ndim:
        return xp.abs(x)
    if p == 2:
        return xp.sqrt(xp.add.reduce(x * x, axis=-1, keepdims=keepdim))
    a = xp.abs(x)
    if p == 1:
        return xp.add.reduce(a, axis=-1, keepdims=keepdim)
    if p == float("inf"):
        return xp.maximum.reduce(a, axis=-1, keepdims=keepdim)
    if p == float("-inf"):
        return xp.minimum.reduce(a, axis=-1, keepdims=keepdim)
    if p == 0:
        return xp.add.reduce((x != 0).astype(x.dtype), axis=-1, keepdims=keepdim)
    return xp.add.reduce(a**p, axis=-1, keepdims=keepdim) ** (1 / p)


def _slope(g: Any, x: Any, out: Any, p: float, keepdim: bool) -> Any:
    """g d|x|_p / dx; zero where the norm has a corner."""
    if not keepdim and x._meta.ndim:
        g, out = g.unsqueeze(-1), out.unsqueeze(-1)
    if p == 0:
        return g * 0
    if p == 1:
        return g * x.sign()
    if p == 2:
        return x * (g / out).masked_fill(out == 0, 0)
    if p in (float("inf"), float("-inf")):
        reached = (x.abs() == out).to(x.dtype)
        return x.sign() * reached * (g / reached.sum(-1, keepdim=True))
    steep = x.sign() * x.abs().pow(p - 1) if p < 2 else x * x.abs().pow(p - 2)
    if p < 1:
        steep = steep.masked_fill(x == 0, 0)
    return steep * (g / out.pow(p - 1)).masked_fill(out == 0, 0)


_NORM = Op("row_norm", _norm_rule, _norm, vjp=(_slope,), grad_fn="NormBackward1")


@public("torch", "nn.functional", method=False)
def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm over the last axis of `x1 - x2 + eps`; shapes are broadcast."""
    return apply(_NORM, (x1 - x2 + eps,), (float(p), keepdim))
