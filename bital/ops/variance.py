"""Variance and standard deviation, covariance and correlation.

Room: ops. Computed in two passes: the mean, then the squares of what is left. `correction` is what
is taken from the number of elements in the divisor (Bessel's correction is 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, FLOAT, INT
from bital.ir.batch import again
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import check_tensor, numpy_names, public
from bital.ops.broadcast import repeat_over
from bital.ops.family import conj, masked_op
from bital.ops.reduce import Ints, axes, hashable_dims, reduced, runs_of, total, widened
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, values_of


def _rule(fn: str, pair: bool) -> Callable:
    def rule(x: Meta, dims: Any, correction: float, keepdim: bool) -> tuple:
        if x.dtype.category <= INT:
            raise RuntimeError(f"{fn} only support floating point and complex dtypes")
        axis = axes(x, dims)
        count = math.prod([x.shape[k] for k in axis])
        spread = reduced(x, axis, keepdim, x.dtype.to_real())
        attrs = {
            "axis": axis, "keepdims": keepdim, "count": count, "runs": runs_of(x.shape, axis),
            "left": max(count - correction, 0), "shape": spread.shape, "target": spread.np,
        }  # fmt: skip
        return ((spread, reduced(x, axis, keepdim)) if pair else spread), attrs

    return rule


def _moments(xp: Any, x: Any, axis: Ints, count: int, runs: Any, left: float) -> tuple[Any, Any]:
    """The variance and the mean over `axis`, which stays as 1."""
    x = widened(x)
    mean = total(xp, x, axis, True, runs) / x.real.dtype.type(count)
    rest = x - mean
    if rest.dtype.kind == "c":
        squares = rest.real**2 + rest.imag**2
    else:
        squares = xp.multiply(rest, rest, out=rest) if rest.ndim else rest * rest
    return total(xp, squares, axis, True, runs) / squares.dtype.type(left), mean


def _var_impl(
    xp: Any, x: Any, *, axis: Ints, keepdims: bool, count: int, runs: Any, left: float,
    shape: Ints, target: np.dtype, root: bool = False, pair: bool = False,
) -> Any:  # fmt: skip
    spread, mean = _moments(xp, x, axis, count, runs, left)
    if root:
        spread = xp.sqrt(spread)
    spread = spread.reshape(shape).astype(target, copy=False)
    return (spread, mean.reshape(shape).astype(x.dtype, copy=False)) if pair else spread


def _std_impl(xp: Any, x: Any, **attrs: Any) -> Any:
    return _var_impl(xp, x, root=True, **attrs)


def _var_mean_impl(xp: Any, x: Any, **attrs: Any) -> Any:
    return _var_impl(xp, x, pair=True, **attrs)


def _std_mean_impl(xp: Any, x: Any, **attrs: Any) -> Any:
    return _var_impl(xp, x, root=True, pair=True, **attrs)


def _var_vjp(g: Tensor, x: Tensor, axis: Ints, left: float) -> Tensor:
    shape = x._meta.shape
    rest = x - x.mean(axis, True)
    if not left:
        rest = rest.detach()
        return repeat_over(g, shape, axis) * (rest * rest / 0)
    return repeat_over(g * (2 / left), shape, axis) * rest


#: no gradient where nothing varies, instead of an infinite one
_WHERE_SPREAD = masked_op("std_backward", lambda xp, out: out != 0)


def _std_vjp(g: Tensor, x: Tensor, out: Tensor, axis: Ints, left: float) -> Tensor:
    return _var_vjp(apply(_WHERE_SPREAD, (g / (out * 2), out)), x, axis, left)


def _with_mean(spread: Tensor | None, g: Tensor | None, x: Tensor, axis: Ints, count: int) -> Any:
    """The gradient through a spread, and that through the mean beside it."""
    if g is None:
        return spread
    mean = repeat_over(g / count, x._meta.shape, axis)
    return mean if spread is None else spread + mean


def _var_mean_vjp(g: tuple, x: Tensor, axis: Ints, count: int, left: float) -> Tensor | None:
    spread = None if g[0] is None else _var_vjp(g[0], x, axis, left)
    return _with_mean(spread, g[1], x, axis, count)


def _std_mean_vjp(
    g: tuple, x: Tensor, out0: Tensor, axis: Ints, count: int, left: float
) -> Tensor | None:
    spread = None if g[0] is None else _std_vjp(g[0], x, out0, axis, left)
    return _with_mean(spread, g[1], x, axis, count)


_VAR, _STD, _VAR_MEAN, _STD_MEAN = (
    Op(name, _rule(refused, pair), impl, vjp=(vjp,), batch=again(0, all_for_none=True))
    for name, refused, pair, impl, vjp in (
        ("var", "std and var", False, _var_impl, _var_vjp),
        ("std", "std and var", False, _std_impl, _std_vjp),
        ("var_mean", "var_mean", True, _var_mean_impl, _var_mean_vjp),
        ("std_mean", "std_mean", True, _std_mean_impl, _std_mean_vjp),
    )
)


def _arguments(fn: str, args: tuple, kwargs: dict) -> tuple[Any, float, bool]:
    """(dim, correction, keepdim) of the call forms (unbiased), (dim, unbiased, keepdim) and
    (dim, *, correction, keepdim)."""
    given = (*args, *kwargs.values())
    names = list(kwargs)
    if args and isinstance(args[0], bool):
        args = (None, *args)
    bound = dict(zip(("dim", "unbiased", "keepdim"), args))
    fits = len(args) <= 3 and not bound.keys() & kwargs.keys()
    bound |= kwargs
    fits = fits and bound.keys() <= {"dim", "unbiased", "keepdim", "correction"}
    fits = fits and not ("unbiased" in bound and "correction" in bound)
    dim, unbiased = bound.get("dim"), bound.get("unbiased", True)
    keepdim = bound.get("keepdim", False)
    if not (fits and isinstance(unbiased, bool) and isinstance(keepdim, bool)):
        got = [type(a).__name__ for a in given[: len(given) - len(names)]]
        got += [f"{n}={type(v).__name__}" for n, v in kwargs.items()]
        raise TypeError(
            f"{fn}() received an invalid combination of arguments - got ({', '.join(got)}), but "
            "expected one of:\n * (tuple of ints dim, bool unbiased = True, bool keepdim = False)\n"
            " * (tuple of ints dim = None, *, Number correction = None, bool keepdim = False)\n"
            " * (bool unbiased = True)\n"
        )
    correction = bound.get("correction")
    if correction is None:
        correction = 1 if unbiased else 0
    return hashable_dims(dim, fn), correction, keepdim


def _public(name: str, op: Op, doc: str, method: bool) -> Callable:
    def fn(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        check_tensor(input, name)
        return apply(op, (input,), _arguments(name, args, kwargs))

    fn.__doc__ = doc
    return public(name=name, method=method, out=not op.name.endswith("mean"))(numpy_names(fn))


_FORMS = "Called as (unbiased), as (dim, unbiased, keepdim), or as (dim, *, correction, keepdim)."
var = _public("var", _VAR, f"The variance over `dim`, as `torch.var`. {_FORMS}", True)
std = _public("std", _STD, f"The standard deviation over `dim`, as `torch.std`. {_FORMS}", True)
var_mean = _public("var_mean", _VAR_MEAN, f"(variance, mean) over `dim`. {_FORMS}", False)
std_mean = _public("std_mean", _STD_MEAN, f"(standard deviation, mean) over `dim`. {_FORMS}", False)


def _check_weights(w: Tensor, observations: int, fn: str, what: str, category: int) -> None:
    if w._meta.ndim > 1:
        raise RuntimeError(
            f"{fn}(): expected {what} to have one or fewer dimensions but got {what} with "
            f"{w._meta.ndim} dimensions"
        )
    if w._meta.numel != observations:
        raise RuntimeError(
            f"{fn}(): expected {what} to have the same numel as there are observations in the "
            f"input but got {w._meta.numel} != {observations}"
        )
    if w._meta.dtype.category != category:
        kind = "integral" if category == INT else "floating point"
        raise RuntimeError(
            f"{fn}(): expected {what} to have {kind} dtype but got {what} with "
            f"{w._meta.dtype.legacy_name} dtype"
        )
    if (values_of(w) < 0).any():
        raise RuntimeError(f"{fn}(): {what} cannot be negative")
    whole = what == "fweights"
    if w._meta.dtype.category != (INT if whole else FLOAT):
        kind, name = "integral" if whole else "floating point", w._meta.dtype.legacy_name
        raise RuntimeError(
            f"{fn}(): expected {what} to have {kind} dtype but got {what} with {name} dtype"
        )
    if (values_of(w) < 0).any():
        raise RuntimeError(f"{fn}(): {what} cannot be negative")


@public()
def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """The covariance matrix of variables (rows) over observations (columns), as `torch.cov`.

    `fweights` (integers) say how often each observation counts, `aweights` how much it weighs.
    """
    if input._meta.ndim > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input._meta.ndim} dimensions"
        )
    if input._meta.dtype.category == BOOL:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    rows = input.view(1, -1) if input._meta.ndim < 2 else input
    count = rows._meta.shape[1]
    weights = None
    if fweights is not None:
        _check_weights(fweights, count, "cov", "fweights", INT)
        weights = fweights
    if aweights is not None:
        _check_weights(aweights, count, "cov", "aweights", FLOAT)
        weights = aweights if weights is None else weights * aweights
    if weights is None:
        mean = rows.sum(1) / count
        norm: Any = count - correction
    else:
        weight = weights.sum()
        if not weight:
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        mean = (rows * weights).sum(1) / weight
        norm = weight
        if aweights is None:
            norm = weight - correction
        elif correction:
            norm = weight - correction * (weights * aweights).sum() / weight
    rest = rows - mean.unsqueeze(1)
    scaled = rest if weights is None else rest * weights
    turned = conj(scaled.t())
    norm = max(norm, 0) if isinstance(norm, (int, float)) else norm.clamp(min=0)
    return (rest.mm(turned) / norm).squeeze()


@public()
def corrcoef(input: Tensor) -> Tensor:
    """Pearson's correlation of variables (rows) over observations (columns), clamped to [-1, 1]."""
    if input._meta.ndim > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input._meta.ndim} dimensions"
        )
    c = cov(input)
    if not c._meta.ndim:
        return c / c
    deviation = c.diagonal().sqrt()
    c = c / deviation.view(-1, 1) / deviation.view(1, -1)
    if c._meta.dtype.category == COMPLEX:
        return c
    return c.clamp(-1, 1)
