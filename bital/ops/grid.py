"""grid_sample: images read at given places; affine_grid: the places of an affine map.

Room: ops. A place is read as a sum over taps per axis: two neighbours (linear), the nearest one, or
four (bicubic). Formulas: PyTorch's documentation of `grid_sample`; Jaderberg et al., "Spatial
Transformer Networks" (2015).
"""

from __future__ import annotations

import functools
import itertools
import operator
import warnings
from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, INT
from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.ops.api import check_tensor, public
from bital.ops.family import check_dtype
from bital.ops.reduce import widened
from bital.ops.resample import cubic_weights
from bital.tensor.dispatch import apply, composite
from bital.tensor.tensor import Tensor

Ints = tuple[int, ...]
LINEAR, NEAREST, CUBIC = range(3)
ZEROS, BORDER, REFLECTION = range(3)


class Reading(NamedTuple):
    """How places are read: the way between elements, what lies outside, where corners are."""

    mode: int
    padding: int
    aligned: bool


def _reflected(xp: Any, x: Any, low: int, high: int) -> tuple[Any, Any]:
    """x reflected at low/2 and high/2, and the derivative."""
    if low == high:
        return xp.zeros_like(x), xp.zeros_like(x)
    start, span = x.dtype.type(low / 2), x.dtype.type((high - low) / 2)
    away = x - start
    sign = xp.where(away < 0, -1, 1).astype(x.dtype)
    away = xp.abs(away)
    more = xp.fmod(away, span)
    even = xp.floor(away / span) % 2 == 0
    return xp.where(even, more + start, span - more + start), xp.where(even, sign, -sign)


def _inside(xp: Any, x: Any, size: int, how: Reading) -> tuple[Any, Any]:
    """Coordinates brought inside as the padding says, and the derivative."""
    slope = xp.ones_like(x)
    if how.padding == ZEROS:
        return x, slope
    if how.padding == REFLECTION:
        low, high = (0, 2 * (size - 1)) if how.aligned else (-1, 2 * size - 1)
        x, slope = _reflected(xp, x, low, high)
    slope = xp.where((x <= 0) | (x >= size - 1), x.dtype.type(0), slope)
    return xp.clip(x, 0, size - 1), slope


def _places(xp: Any, x: Any, size: int, how: Reading) -> tuple[Any, float]:
    """Coordinates in -1 … 1 as places between elements, and the derivative."""
    if how.aligned:
        return (x + 1) * x.dtype.type((size - 1) / 2), (size - 1) / 2
    return ((x + 1) * size - 1) / 2, size / 2


class Tap(NamedTuple):
    """One element that each place of an axis reads."""

    index: Any  # the element, inside
    valid: Any  # whether there is one
    weights: tuple  # the weight and its first and second derivatives along the coordinate


def _taps(xp: Any, x: Any, size: int, how: Reading) -> list[Tap]:
    """What coordinates (N, P) along one axis read."""
    at, scale = _places(xp, x, size, how)
    if how.mode == CUBIC:
        return _cubic_taps(xp, at, scale, size, how)
    at, slope = _inside(xp, at, size, how)
    slope = slope * at.dtype.type(scale)
    zero = xp.zeros_like(at)
    if how.mode == NEAREST:
        return [_tap(xp, xp.rint(at), size, (zero + 1, zero, zero))]
    first = xp.floor(at)
    far = at - first
    return [
        _tap(xp, first, size, (1 - far, -slope, zero)),
        _tap(xp, first + 1, size, (far, slope, zero)),
    ]


def _tap(xp: Any, at: Any, size: int, weights: tuple) -> Tap:
    valid = (at >= 0) & (at <= size - 1)
    return Tap(xp.where(valid, at, 0).astype(xp.int64), valid, weights)


def _cubic_taps(xp: Any, at: Any, scale: float, size: int, how: Reading) -> list[Tap]:
    first = xp.floor(at)
    t = at - first
    a, one = -0.75, at.dtype.type(scale)
    near, far = (lambda x: 3 * (a + 2) * x - 2 * (a + 3)), (lambda x: 3 * x * a - 10 * a)
    slopes = (
        far(t + 1) * (t + 1) + 8 * a, near(t) * t, -near(1 - t) * (1 - t),
        -far(2 - t) * (2 - t) - 8 * a,
    )  # fmt: skip
    curves = (
        6 * a * (t + 1) - 10 * a, 6 * (a + 2) * t - 2 * (a + 3),
        6 * (a + 2) * (1 - t) - 2 * (a + 3), 6 * a * (2 - t) - 10 * a,
    )  # fmt: skip
    taps = []
    for k, weight in enumerate(cubic_weights(t)):
        element, _ = _inside(xp, first + (k - 1), size, how)
        weights = (weight, slopes[k] * one, curves[k] * (one * one))
        # an element's own place is a whole number, up to rounding where it was reflected
        taps.append(_tap(xp, xp.trunc(element), size, weights))
    return taps


def _corners(xp: Any, grid: Any, sizes: Ints, how: Reading) -> Iterator[tuple[Any, Any, tuple]]:
    """Per combination of taps: the flat element (N, P), whether there is one, and the taps."""
    n = len(sizes)
    places = grid.reshape(grid.shape[0], prod(grid.shape[1:-1]), n)
    axes = [_taps(xp, places[..., n - 1 - k], sizes[k], how) for k in range(n)]
    for taps in itertools.product(*axes):
        flat, valid = taps[0].index, taps[0].valid
        for k in range(1, n):
            flat, valid = flat * sizes[k] + taps[k].index, valid & taps[k].valid
        yield flat, valid, taps


def _weight(taps: tuple, *along: int) -> Any:
    """The product of the taps' weights, derived once along each of the axes given."""
    factors = [tap.weights[along.count(k)] for k, tap in enumerate(taps)]
    return functools.reduce(operator.mul, factors)


def _along_step(taps: tuple, step: Any, *along: int) -> Any:
    """The derivative of `_weight(taps, *along)` along a step (N, P, axes) of the places."""
    n = len(taps)
    parts = [step[..., n - 1 - k] * _weight(taps, k, *along) for k in range(n)]
    return functools.reduce(operator.add, parts)


def _rule(x: Meta, grid: Meta, how: Reading) -> tuple[Meta, dict]:
    n = x.ndim - 2
    if x.dtype is not grid.dtype:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{x.dtype.legacy_name} and grid has {grid.dtype.legacy_name}"
        )
    if grid.ndim != x.ndim or n not in (2, 3):
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            f"got input with sizes {list(x.shape)} and grid with sizes {list(grid.shape)}"
        )
    if x.shape[0] != grid.shape[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with "
            f"sizes {list(x.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != n:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {n} in last dimension, but got grid with "
            f"sizes {list(grid.shape)}"
        )
    if not all(x.shape[2:]):
        raise RuntimeError(
            "grid_sampler(): expected input to have non-empty spatial dimensions, but input has "
            f"sizes {list(x.shape)}"
        )
    if how.mode == CUBIC and n == 3:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    check_dtype(x.dtype, (BOOL, INT, COMPLEX), f"grid_sampler_{n}d_cpu")
    return like(x, (*x.shape[:2], *grid.shape[1:-1])), {"how": how}


def _rows(x: Any) -> Any:
    """(N, C, *in) with its places in one axis."""
    return widened(x).reshape(*x.shape[:2], prod(x.shape[2:]))


def _read(xp: Any, x: Any, grid: Any, step: Any, how: Reading) -> Any:
    """x at the places of the grid, or with a step of these (N, *out, axes) what it changes by."""
    rows = _rows(x)
    out = xp.zeros((*x.shape[:2], prod(grid.shape[1:-1])), rows.dtype)
    for flat, valid, taps in _corners(xp, widened(grid), x.shape[2:], how):
        weight = _weight(taps) if step is None else _along_step(taps, _flat_step(step))
        read = xp.take_along_axis(rows, flat[:, None], 2)
        out += xp.where(valid[:, None], read * weight[:, None], 0)
    return out.reshape(*x.shape[:2], *grid.shape[1:-1]).astype(x.dtype, copy=False)


def _flat_step(step: Any) -> Any:
    return widened(step).reshape(step.shape[0], prod(step.shape[1:-1]), step.shape[-1])


def _put(xp: Any, g: Any, x: Any, grid: Any, step: Any, how: Reading) -> Any:
    """The transpose of `_read`, (N, C, *out) -> x's shape."""
    wide = _rows(g)
    n, c = x.shape[:2]
    places = prod(x.shape[2:])
    out = xp.zeros(n * c * places)
    channel = (xp.arange(n * c) * places).reshape(n, c, 1)
    for flat, valid, taps in _corners(xp, widened(grid), x.shape[2:], how):
        weight = _weight(taps) if step is None else _along_step(taps, _flat_step(step))
        share = xp.where(valid[:, None], wide * weight[:, None], 0)
        out += xp.bincount((channel + flat[:, None]).ravel(), share.ravel(), out.size)
    return out.reshape(x.shape).astype(x.dtype)


def _meet(xp: Any, g: Any, x: Any, grid: Any, step: Any, how: Reading) -> Any:
    """The derivative of the sum of g `_read(x)` along the places, (N, *out, axes)."""
    rows, wide = _rows(x), _rows(g)
    sizes = x.shape[2:]
    n = len(sizes)
    out = xp.zeros((grid.shape[0], wide.shape[2], n), rows.dtype)
    if how.mode != NEAREST:
        for flat, valid, taps in _corners(xp, widened(grid), sizes, how):
            read = xp.take_along_axis(rows, flat[:, None], 2)
            met = xp.where(valid, (read * wide).sum(1), 0)
            for k in range(n):
                if step is None:
                    weight = _weight(taps, k)
                else:
                    weight = _along_step(taps, _flat_step(step), k)
                out[..., n - 1 - k] += met * weight
    return out.reshape(grid.shape).astype(grid.dtype, copy=False)


def _third(*_: Any) -> Any:
    raise RuntimeError("grid_sample has no third derivatives")


def _op(name: str, inputs: tuple[str, ...], like_what: int, impl: Callable, *vjp: Any) -> Op:
    """A derivative of `grid_sample`: the result looks like one of the inputs."""

    def rule(*given: Any) -> tuple[Meta, dict]:
        return given[like_what], {"how": given[-1]}

    return Op(name, rule, impl, inputs=inputs, vjp=vjp, grad_fn="GridSamplerBackwardBackward0")


_GXY = ("g", "x", "grid")
_CHANGE = _op(
    "grid_sampler_change", ("g", "x", "grid", "step"), 0,
    lambda xp, g, x, grid, step, *, how: _read(xp, x, grid, step, how),
    lambda h, g: None, _third, _third, _third,
)  # fmt: skip
_PUT_CHANGE = _op(
    "grid_sampler_put_change", (*_GXY, "step"), 1,
    lambda xp, g, x, grid, step, *, how: _put(xp, g, x, grid, step, how),
    _third, lambda h, x: None, _third, _third,
)  # fmt: skip
_MEET_CHANGE = _op(
    "grid_sampler_meet_change", (*_GXY, "step"), 2,
    lambda xp, g, x, grid, step, *, how: _meet(xp, g, x, grid, step, how),
    _third, _third, _third, _third,
)  # fmt: skip
#: the gradient by the input: g's places put back; linear in g, x lends its shape only
_ALONG_INPUT = _op(
    "grid_sampler_backward_input", _GXY, 1,
    lambda xp, g, x, grid, *, how: _put(xp, g, x, grid, None, how),
    lambda v, grid, how: _sampled(v, grid, how),
    None,
    lambda v, g, grid, how: apply(_ALONG_GRID, (g, v, grid), (how,)),
)  # fmt: skip
#: the gradient by the grid: linear in g and in x
_ALONG_GRID = _op(
    "grid_sampler_backward_grid", _GXY, 2,
    lambda xp, g, x, grid, *, how: _meet(xp, g, x, grid, None, how),
    lambda v, g, x, grid, how: apply(_CHANGE, (g, x, grid, v), (how,)),
    lambda v, g, x, grid, how: apply(_PUT_CHANGE, (g, x, grid, v), (how,)),
    lambda v, g, x, grid, how: apply(_MEET_CHANGE, (g, x, grid, v), (how,)),
)  # fmt: skip


def _sampled(x: Tensor, grid: Tensor, how: Reading) -> Tensor:
    return apply(_SAMPLERS.get(x._meta.ndim - 2, _SAMPLERS[2]), (x, grid), (how,))


_SAMPLERS = {
    n: Op(
        f"grid_sampler_{n}d", _rule,
        lambda xp, x, grid, *, how: _read(xp, x, grid, None, how), inputs=("x", "grid"),
        vjp=(
            lambda g, x, grid, how: apply(_ALONG_INPUT, (g, x, grid), (how,)),
            lambda g, x, grid, how: apply(_ALONG_GRID, (g, x, grid), (how,)),
        ),
        grad_fn=f"GridSampler{n}DBackward0",
    )
    for n in (2, 3)
}  # fmt: skip


@public(method=False)
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sample` with its words as ATen numbers them."""
    check_tensor(input, "grid_sampler")
    check_tensor(grid, "grid_sampler", "grid", 2)
    return _sampled(input, grid, Reading(interpolation_mode, padding_mode, bool(align_corners)))


def _spell(n: int) -> None:
    def sampler(
        input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int,
        align_corners: bool,
    ) -> Tensor:  # fmt: skip
        return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)

    sampler.__doc__ = f"`grid_sampler` of {n} axes."
    public(method=False, name=f"grid_sampler_{n}d")(sampler)


for _n in (2, 3):
    _spell(_n)

_MODES = {"bilinear": LINEAR, "nearest": NEAREST, "bicubic": CUBIC}
_PADDINGS = {"zeros": ZEROS, "border": BORDER, "reflection": REFLECTION}


def _aligned(align_corners: bool | None) -> bool:
    """What `align_corners` means, with PyTorch's warning where it is left open."""
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
            "documentation of grid_sample for details.",
            UserWarning,
            stacklevel=3,
        )
    return bool(align_corners)


@public("nn.functional", method=False)
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """(N, C, H, W) read at `grid` (N, *out, 2), or (N, C, D, H, W) at (N, *out, 3).

    A place is (x, y) or (x, y, z), each from -1 to 1: between the centres of the outermost
    elements with `align_corners`, else between their outer borders. mode: "bilinear", "nearest",
    "bicubic"; padding_mode, for what lies outside: "zeros", "border", "reflection".
    """
    for word, value, known in (("mode", mode, _MODES), ("padding_mode", padding_mode, _PADDINGS)):
        if value not in known:
            names = [f"'{n}'" for n in known]
            raise ValueError(
                f"nn.functional.grid_sample(): expected {word} to be {', '.join(names[:-1])} or "
                f"{names[-1]}, but got: '{value}'"
            )
    return grid_sampler(input, grid, _MODES[mode], _PADDINGS[padding_mode], _aligned(align_corners))


def _base_grid(theta: Any, sizes: Ints, aligned: bool) -> Any:
    """Homogeneous coordinates of all places, (1, places, axes + 1)."""
    lines = []
    for size in sizes:
        line = np.linspace(-1, 1, size) if size > 1 else np.zeros(size)
        lines.append(line if aligned else line * (size - 1) / max(size, 1))
    mesh = np.meshgrid(*lines, indexing="ij")
    columns = [*[m.ravel() for m in reversed(mesh)], np.ones(mesh[0].size)]
    return theta.new_tensor(np.stack(columns, -1)[None])


def _affine_rule(theta: Meta, size: Ints, aligned: bool) -> tuple[Meta, dict]:
    n = len(size) - 2
    out = like(theta, (size[0], *size[2:], n))
    return out, {"size": size, "aligned": aligned}


def _affine(theta: Any, *, size: Ints, aligned: bool) -> Any:
    base = _base_grid(theta, size[2:], aligned)
    return base.matmul(theta.transpose(1, 2)).view(size[0], *size[2:], len(size) - 2)


def _affine_vjp(g: Any, size: Ints, aligned: bool) -> Any:
    base = _base_grid(g, size[2:], aligned)
    return g.reshape(size[0], -1, len(size) - 2).transpose(1, 2).matmul(base)


_AFFINE = Op("affine_grid_generator", _affine_rule, None, inputs=("theta",), vjp=(_affine_vjp,))


def _check_theta(theta: Any, size: Ints) -> None:
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    if theta._meta.ndim != 3 or tuple(theta._meta.shape[-2:]) != (n, n + 1):
        raise ValueError(
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {size}. Got "
            f"{tuple(theta._meta.shape)}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")


@public("nn.functional", method=False)
def affine_grid(theta: Any, size: Any, align_corners: bool | None = None) -> Tensor:
    """The places (N, *out, axes) for `grid_sample` that matrices theta (N, axes, axes + 1) map to.

    `size` is the result's: (N, C, *out).
    """
    check_tensor(theta, "affine_grid", "theta")
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    sizes = tuple([int(n) for n in size])
    _check_theta(theta, sizes)
    return composite(_AFFINE, _affine, (theta,), (sizes, _aligned(align_corners)))


@public(method=False)
def affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """`affine_grid` under ATen's name."""
    return affine_grid(theta, size, align_corners)
