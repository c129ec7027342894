"""softmax, log_softmax, softmin, gumbel_softmax.

Room: ops. Each has its gradient in one instruction, made from its result.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from bital.base.dtype import dtype
from bital.base.size import normalize_dim
from bital.ir.batch import again
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import NAMESPACES, check_tensor, public
from bital.ops.family import ONLY_FLOATS, check_dtype
from bital.tensor.dispatch import apply, cast
from bital.tensor.recorders import unary_with
from bital.tensor.tensor import Tensor


def _rule(name: str) -> Callable:
    def rule(x: Meta, dim: int) -> tuple[Meta, dict]:
        axis = normalize_dim(dim, x.ndim)
        last = "lastdim_" if axis >= x.ndim - 1 else ""
        check_dtype(x.dtype, ONLY_FLOATS, f"{name}_{last}kernel_impl")
        return x, {"dim": axis}

    return rule


def _in_float32(compute: Callable) -> Callable:
    """An implementation along an axis, for numbers of 16 bits in float32; `dim` 0 of a scalar."""

    def impl(xp: Any, *arrays: Any, dim: int) -> Any:
        kind = arrays[0].dtype
        if not arrays[0].ndim:
            arrays = tuple(xp.reshape(a, 1) for a in arrays)
            return impl(xp, *arrays, dim=0)[0]
        if kind.itemsize == 2:
            wide = [a.astype(xp.float32) for a in arrays]
            return compute(xp, *wide, dim).astype(kind)
        return compute(xp, *arrays, dim)

    return impl


def _shifted(xp: Any, x: Any, dim: int) -> Any:
    """x less its maximum along an axis, so that exp cannot overflow."""
    if not x.shape[dim]:
        return x.copy()
    return xp.subtract(x, xp.maximum.reduce(x, axis=dim, keepdims=True))


def _softmax(xp: Any, x: Any, dim: int) -> Any:
    t = _shifted(xp, x, dim)
    xp.exp(t, out=t)
    t /= xp.add.reduce(t, axis=dim, keepdims=True)
    return t


def _log_softmax(xp: Any, x: Any, dim: int) -> Any:
    t = _shifted(xp, x, dim)
    t -= xp.log(xp.add.reduce(xp.exp(t), axis=dim, keepdims=True))
    return t


def _softmax_backward(xp: Any, g: Any, result: Any, dim: int) -> Any:
    t = xp.multiply(g, result)
    along = xp.add.reduce(t, axis=dim, keepdims=True)
    xp.subtract(g, along, out=t)
    t *= result
    return t


def _log_softmax_backward(xp: Any, g: Any, result: Any, dim: int) -> Any:
    t = xp.exp(result)
    t *= xp.add.reduce(g, axis=dim, keepdims=True)
    return xp.subtract(g, t, out=t)


def _softmax_second(gg: Tensor, g: Tensor, result: Tensor, dim: int) -> Tensor:
    along_g = (g * result).sum(dim, True)
    along_gg = (gg * result).sum(dim, True)
    return gg * (g - along_g) - g * along_gg


def _like_g(g: Meta, result: Meta, dim: int) -> tuple[Meta, dict]:
    return g, {"dim": dim}


_SOFTMAX_BACKWARD = Op(
    "softmax_backward",
    _like_g,
    _in_float32(_softmax_backward),
    inputs=("g", "result"),
    vjp=(
        lambda g, result, dim: apply(_SOFTMAX_BACKWARD, (g, result), (dim,)),
        _softmax_second,
    ),
    batch=again(0),
)
_LOG_SOFTMAX_BACKWARD = Op(
    "log_softmax_backward",
    _like_g,
    _in_float32(_log_softmax_backward),
    inputs=("g", "result"),
    vjp=(
        lambda gg, result, dim: gg - (gg * result.exp()).sum(dim, True),
        lambda gg, g, result, dim: -(gg * result.exp() * g.sum(dim, True)),
    ),
    batch=again(0),
)
_SOFTMAX = Op(
    "softmax",
    _rule("softmax"),
    _in_float32(_softmax),
    vjp=(lambda g, out, dim: apply(_SOFTMAX_BACKWARD, (g, out), (dim,)),),
    batch=again(0),
)
_LOG_SOFTMAX = Op(
    "log_softmax",
    _rule("log_softmax"),
    _in_float32(_log_softmax),
    vjp=(lambda g, out, dim: apply(_LOG_SOFTMAX_BACKWARD, (g, out), (dim,)),),
    batch=again(0),
)


def softmax_backward(g: Tensor, result: Tensor, dim: int) -> Tensor:
    """The gradient of softmax's input by that of its result."""
    return apply(_SOFTMAX_BACKWARD, (g, result), (normalize_dim(dim, g._meta.ndim),))


_softmax_of, _log_softmax_of = unary_with(_SOFTMAX), unary_with(_LOG_SOFTMAX)


@public("torch", "special", out=True)
def softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """exp(x) divided by its sum along `dim`; with `dtype`, of the input cast to it first."""
    if not isinstance(input, Tensor):
        check_tensor(input, "softmax")
    return _softmax_of(input if dtype is None else cast(input, dtype), (dim,))


@public("torch", "special", out=True)
def log_softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """The logarithm of softmax, without overflow."""
    if not isinstance(input, Tensor):
        check_tensor(input, "log_softmax")
    return _log_softmax_of(input if dtype is None else cast(input, dtype), (dim,))


def _dim_or_guess(name: str, dim: int | None, ndim: int, stacklevel: int) -> int:
    """`dim`, or what PyTorch takes where none is given, with its warning."""
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


@public("nn.functional", name="softmax", method=False)
def functional_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None
) -> Tensor:
    """`torch.softmax`."""
    dim = _dim_or_guess("softmax", dim, check_tensor(input, "softmax")._meta.ndim, _stacklevel)
    return softmax(input, dim, dtype)


@public("nn.functional", name="log_softmax", method=False)
def functional_log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None
) -> Tensor:
    """`torch.log_softmax`."""
    ndim = check_tensor(input, "log_softmax")._meta.ndim
    return log_softmax(input, _dim_or_guess("log_softmax", dim, ndim, _stacklevel), dtype)


@public("nn.functional", method=False)
def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None
) -> Tensor:
    """The softmax of `-input`."""
    dim = _dim_or_guess("softmin", dim, check_tensor(input, "softmin")._meta.ndim, _stacklevel)
    return softmax(-input, dim, dtype)


@public("nn.functional", method=False)
def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A differentiable draw from the distribution of `logits`; one-hot forwards where `hard`."""
    draws = NAMESPACES["torch"]["empty_like"](logits).exponential_()
    soft = softmax((logits - draws.log()) / tau, dim)
    if not hard:
        return soft
    chosen = soft.max(dim, keepdim=True)[1]
    one_hot = NAMESPACES["torch"]["zeros_like"](logits).scatter_(dim, chosen, 1.0)
    return one_hot - soft.detach() + soft
