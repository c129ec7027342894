"""Average pooling, adaptive average pooling, and pooling by powers.

Room: ops. Averages are sums over windows divided by counts; the gradient is the transpose: every
element gets its windows' quotients. Both are linear, and each other's gradient.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, INT, LOW_PRECISION
from bital.ir.batch import leading
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.family import check_dtype, raise_not_implemented
from bital.ops.pool_size import (
    Axes,
    Numbers,
    adaptive_windows,
    check_one_axis,
    numbers_of,
    one_axis,
    output_size_of,
    plain_windows,
)
from bital.ops.pooling import one_window, reduced, shared_out
from bital.ops.reduce import widened
from bital.plan.node import Untraceable
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


@functools.lru_cache(256)
def _counts(axes: Axes, with_padding: bool) -> Any:
    """How many elements each window has: a number, or an array for the last axes."""
    lengths = []
    for w in axes:
        start, end = w.ends(with_padding)
        lengths.append((end - start).astype(np.float64))
    table = functools.reduce(np.multiply.outer, lengths)
    if table.size and (table == table.flat[0]).all():
        return float(table.flat[0])
    return table


def _divided(xp: Any, x: Any, axes: Axes, with_padding: bool, divisor: int | None) -> Any:
    """x, an array of our own over windows, divided by the windows' counts in place."""
    by: Any = _counts(axes, with_padding) if divisor is None else divisor
    if x.dtype.kind in "iu":
        quotient = x / by
        return xp.trunc(quotient).astype(x.dtype)
    x /= by if np.isscalar(by) else by.astype(x.dtype)
    return x


def _average(xp: Any, x: Any, *, axes: Axes, with_padding: bool, divisor: int | None) -> Any:
    summed = reduced(xp, xp.add, widened(x), axes, 0)
    return _divided(xp, summed, axes, with_padding, divisor).astype(x.dtype, copy=False)


def _spread(xp: Any, g: Any, *, axes: Axes, with_padding: bool, divisor: int | None) -> Any:
    shares = _divided(xp, xp.array(widened(g), order="K"), axes, with_padding, divisor)
    return shared_out(xp, shares, axes).astype(g.dtype, copy=False)


def _average_native(xp: Any, x: Any, **attrs: Any) -> Any:
    if one_window(attrs["axes"]):
        summed = x.sum(axis=tuple(range(-len(attrs["axes"]), 0)), keepdims=True)
        return _divided(xp, summed, **attrs)
    try:
        return xp.mean_pool(x, **attrs)
    except Untraceable:
        return _average(xp, x, **attrs)


def _spread_native(xp: Any, g: Any, *, axes: Axes, **attrs: Any) -> Any:
    if one_window(axes):
        shape = (*g.shape[: -len(axes)], *[w.size for w in axes])
        return xp.broadcast_to(_divided(xp, g.copy(), axes, **attrs), shape)
    try:
        return xp.mean_pool_backward(g, axes, **attrs)
    except Untraceable:
        return _spread(xp, g, axes=axes, **attrs)


def _ops(fn: str, n: int, title: str) -> Op:
    """The operator of one kind of average over the last n axes."""
    adaptive = fn.startswith("adaptive")

    def over(x: Meta, axes: Axes, sizes: list[int]) -> Meta:
        return meta_of((*x.shape[:-n], *sizes), x.dtype, x.device)

    def rule(x: Meta, size: Any, with_padding: bool, divisor: int | None) -> tuple[Meta, dict]:
        axes = (adaptive_windows if adaptive else plain_windows)(x, n, size, fn)
        _check_dtype(x, fn)
        if divisor == 0:
            raise RuntimeError("divisor must be not zero")
        attrs = {"axes": axes, "with_padding": with_padding, "divisor": divisor}
        return over(x, axes, [w.out for w in axes]), attrs

    def again(x: Meta, *attrs: Any) -> tuple[Meta, dict]:
        named = dict(zip(("axes", "with_padding", "divisor"), attrs))
        return over(x, attrs[0], [w.out for w in attrs[0]]), named

    def back(g: Meta, *attrs: Any) -> tuple[Meta, dict]:
        named = dict(zip(("axes", "with_padding", "divisor"), attrs))
        return over(g, attrs[0], [w.size for w in attrs[0]]), named

    def spread(g: Tensor, axes: Axes, with_padding: bool, divisor: int | None) -> Tensor:
        return apply(spreading, (g,), (axes, with_padding, divisor))

    def average(g: Tensor, axes: Axes, with_padding: bool, divisor: int | None) -> Tensor:
        return apply(averaging, (g,), (axes, with_padding, divisor))

    spreading = Op(
        f"{fn}_backward", back, _spread, inputs=("g",), vjp=(average,),
        grad_fn=f"{title}BackwardBackward0", batch=leading, native=_spread_native,
    )  # fmt: skip
    given: dict[str, Any] = {
        "vjp": (spread,), "grad_fn": f"{title}Backward0", "native": _average_native,
    }  # fmt: skip
    averaging = Op(f"{fn}_again", again, _average, batch=leading, **given)
    return Op(fn, rule, _average, batch=leading, **given)


def _check_dtype(x: Meta, fn: str) -> None:
    if fn.startswith("adaptive"):
        check_dtype(x.dtype, (BOOL, INT, COMPLEX), fn + "_cpu" * fn.endswith("3d"))
        return
    kernel = "avg_pool3d_out_frame" if fn == "avg_pool3d" else fn
    check_dtype(x.dtype, (BOOL, COMPLEX), kernel)
    narrow = x.dtype.category == INT and x.dtype.name != "int64"
    if narrow or (fn == "avg_pool3d" and x.dtype in LOW_PRECISION):
        raise_not_implemented(kernel, x.dtype)


_PLAIN = {n: _ops(f"avg_pool{n}d", n, f"AvgPool{n}D") for n in (2, 3)}
_ADAPTIVE = {n: _ops(f"adaptive_avg_pool{n}d", n, f"AdaptiveAvgPool{n}D") for n in (2, 3)}


@public("torch", "nn.functional", method=False)
def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of every window of (N, C, L), the batch optional."""
    fn = "avg_pool1d"
    numbers = numbers_of(fn, kernel_size, stride, padding, 1, ceil_mode)
    check_one_axis(check_tensor(input, fn)._meta, fn)
    given: list[int] = []
    for name, value in zip(("kernel_size", "stride", "padding"), numbers):
        value = (value,) if isinstance(value, int) else value
        if len(value) > 1:
            raise RuntimeError(
                f"{fn}() argument '{name}' should contain one int (got {len(value)})"
            )
        given.append(value[0] if value else given[0])
    k, s, p = given
    numbers = Numbers((1, k), (1, s), (0, p), 1, numbers.ceil)
    out = apply(_PLAIN[2], (input.unsqueeze(-2),), (numbers, bool(count_include_pad), None))
    return out.squeeze(-2)


def _spell(n: int) -> None:
    """avg_pool and adaptive_avg_pool of n axes, 2 or 3."""
    name, place = f"avg_pool{n}d", "(N, C, H, W)" if n == 2 else "(N, C, D, H, W)"

    def pool(
        input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:  # fmt: skip
        numbers = numbers_of(name, kernel_size, stride, padding, 1, ceil_mode)
        attrs = (numbers, bool(count_include_pad), divisor_override)
        return apply(_PLAIN[n], (check_tensor(input, name),), attrs)

    def adaptive(input: Tensor, output_size: Any) -> Tensor:
        size = output_size_of(output_size, n, f"adaptive_{name}")
        check_tensor(input, f"adaptive_{name}")
        if (
            size == 1
            or size == (1,) * n
            and input._meta.numel
            and input._meta.ndim in (n + 1, n + 2)
        ):
            return input.mean(tuple(range(-n, 0)), keepdim=True)
        return apply(_ADAPTIVE[n], (input,), (size, True, None))

    pool.__doc__ = (
        f"The mean of every window of {place}, the batch optional; the sum divided by "
        "`divisor_override` where given. Padding counts unless `count_include_pad` is false."
    )
    adaptive.__doc__ = f"The means of {place} over windows that divide its axes into `output_size`."
    public("nn.functional", method=False, name=name, out=True)(pool)
    public("nn.functional", method=False, name=f"adaptive_{name}")(adaptive)


for _n in (2, 3):
    _spell(_n)


@public("torch", "nn.functional", method=False)
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The means of (N, C, L), the batch optional, over `output_size` windows that divide L."""
    fn = "adaptive_avg_pool1d"
    size = one_axis(check_tensor(input, fn)._meta, output_size_of(output_size, 1, fn), fn)
    out = input.unsqueeze(-2)
    if size == (1, 1) and input._meta.numel:
        return out.mean((-2, -1), keepdim=True).squeeze(-2)
    return apply(_ADAPTIVE[2], (out,), (size, True, None)).squeeze(-2)


def _by_powers(pooled: Any, p: float, count: Any) -> Tensor:
    """The p-th root of sums of p-th powers, given their means over `count` elements."""
    return (pooled.sign() * pooled.abs().relu()).mul(count).pow(1.0 / p)


@public("nn.functional", method=False)
def lp_pool1d(
    input: Any, norm_type: float, kernel_size: int, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm (without absolute values) of every window of (N, C, L), p = `norm_type`."""
    means = avg_pool1d(
        input.pow(norm_type), kernel_size, () if stride is None else stride, 0, ceil_mode
    )
    return _by_powers(means, norm_type, kernel_size)


def _spell_powers(n: int) -> None:
    name = f"lp_pool{n}d"
    pool = _PLAIN[n]

    def lp_pool(
        input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Tensor:
        numbers = numbers_of(f"avg_pool{n}d", kernel_size, stride, 0, 1, ceil_mode)
        means = apply(pool, (input.pow(norm_type),), (numbers, True, None))
        sizes = (kernel_size,) * n if isinstance(kernel_size, int) else kernel_size
        return _by_powers(means, norm_type, math.prod(sizes))

    lp_pool.__doc__ = (
        f"The p-norm (without absolute values) of every window of the last {n} axes, "
        "p = `norm_type`."
    )
    public("nn.functional", method=False, name=name)(lp_pool)


for _n in (2, 3):
    _spell_powers(_n)
