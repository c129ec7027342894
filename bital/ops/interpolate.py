"""interpolate and its older names: images made larger or smaller.

Room: ops.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from bital.base.dtype import float64, uint8
from bital.ops.api import NAMESPACES, check_tensor, public
from bital.ops.resample import Line, resampling
from bital.tensor.tensor import Tensor

#: mode -> the number of axes it is for
_AXES = {"linear": 1, "bilinear": 2, "bicubic": 2, "lanczos": 2, "trilinear": 3}
#: mode -> the filter along one axis
_FILTERS = {
    "nearest": "nearest", "nearest-exact": "nearest-exact", "linear": "linear",
    "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic", "lanczos": "lanczos",
}  # fmt: skip


def _function(mode: str, n: int, antialias: bool) -> Any:
    words = {"nearest-exact": "nearest_exact"}.get(mode, mode)
    fn = f"{'_' * (antialias or mode == 'nearest-exact')}upsample_{words}{n}d{'_aa' * antialias}"
    title = "".join(part.title() for part in fn.split("_")).replace(f"{n}D", f"{n}D")
    return resampling(fn, f"{title}Backward0")


#: (mode, axes, antialiased) -> the function that resamples
_FUNCTIONS = {
    (mode, n, antialias): _function(mode, n, antialias)
    for mode, n, antialias in [
        *[(m, n, False) for m in ("nearest", "nearest-exact") for n in (1, 2, 3)],
        *[(m, n, False) for m, n in _AXES.items() if m != "lanczos"],
        *[(m, 2, True) for m in ("bilinear", "bicubic", "lanczos")],
    ]
}


def _resampled(
    x: Tensor, mode: str, out: list[int], aligned: bool, scales: Any, antialias: bool
) -> Tensor:
    """x (N, C, *) resampled to `out`, by the user's `scales` where they are given."""
    shape, n = x._meta.shape, len(out)
    if min(out, default=1) <= 0 or not all(shape[1:]):
        raise RuntimeError(
            "Input and output sizes should be greater than 0, but got input "
            f"{list(shape[2:])} and output {list(out)}"
        )
    wide = x._meta.dtype is float64 or x._meta.dtype is uint8
    lines = tuple(
        [
            Line(
                _FILTERS[mode], shape[2 + k], out[k], aligned,
                None if scales is None or scales[k] is None else float(scales[k]), antialias, wide,
            )
            for k in range(n)
        ]
    )  # fmt: skip
    return _FUNCTIONS[mode, n, antialias](x, lines)


def _wrong_rank(ndim: int, mode: str) -> NotImplementedError:
    if ndim in (3, 4, 5) and mode in _AXES:
        return NotImplementedError(
            f"Got {ndim}D input, but {mode} mode needs {_AXES[mode] + 2}D input"
        )
    return NotImplementedError(
        "Input Error: Only 3D, 4D and 5D input Tensors supported (got "
        f"{ndim}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | "
        f"area | nearest-exact (got {mode})"
    )


def _sizes(x: Tensor, size: Any, scale: Any) -> tuple[list[int] | None, list | None]:
    """The user's size and scale factors, one per axis; PyTorch's errors."""
    n = x._meta.ndim - 2
    if size is not None and scale is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale is None:
        raise ValueError("either size or scale_factor should be defined")
    given, word = (size, "output size") if scale is None else (scale, "scale_factor")
    if not isinstance(given, (list, tuple)):
        given = [given] * n
    elif len(given) != n:
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(x._meta.shape[2:])} and {word} of {given}. Please "
            "provide input tensor in (N, C, d1, d2, ...,dK) format and "
            f"{word} in (o1, o2, ...,oK) format."
        )
    if scale is not None:
        return None, list(given)
    if not all(hasattr(v, "__index__") for v in given):
        raise TypeError(
            "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, "
            f"int], but got size with types {[type(v) for v in given]}"
        )
    return [v.__index__() for v in given], None


def _check_options(x: Tensor, mode: str, align_corners: Any, antialias: bool) -> None:
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear "
            "| bicubic | trilinear"
        )
    smooth = mode in ("bilinear", "bicubic", "lanczos")
    if antialias and not (smooth and x._meta.ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if mode == "lanczos" and not antialias:
        raise ValueError("lanczos mode requires antialias=True")
    if mode == "lanczos" and align_corners:
        raise ValueError("Lanczos mode does not support align_corners=True")


@public("nn.functional", method=False)
def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:  # fmt: skip
    """(N, C, *) resampled to `size`, or to its own size times `scale_factor`.

    mode: "nearest" (and "nearest-exact"), "linear", "bilinear", "bicubic", "trilinear" by the
    number of axes, "area" for means, "lanczos" with `antialias`. With `align_corners` the first
    and the last places of both lie on each other, else the borders do. `recompute_scale_factor`
    takes the scale from the sizes rather than from `scale_factor`.
    """
    check_tensor(input, "interpolate")
    _check_options(input, mode, align_corners, antialias)
    out, scales = _sizes(input, size, scale_factor)
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    ndim, n = input._meta.ndim, input._meta.ndim - 2
    if out is None:
        assert scales is not None
        pairs = zip(input._meta.shape[2:], scales)
        out = [math.floor(float(m) * float(s)) for m, s in pairs]
        if recompute_scale_factor or mode == "area":
            scales = None
    known = mode in ("nearest", "nearest-exact", "area") and ndim in (3, 4, 5)
    if not known and _AXES.get(mode) != n:
        raise _wrong_rank(ndim, mode)
    if mode == "area":
        return NAMESPACES["nn.functional"][f"adaptive_avg_pool{n}d"](input, out)
    return _resampled(input, mode, out, bool(align_corners), scales, antialias)


def _older(name: str, instead: str) -> None:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.{instead}` instead.",
        UserWarning,
        stacklevel=3,
    )


@public("nn.functional", method=False)
def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """`interpolate` under its older name."""
    _older("upsample", "interpolate")
    return interpolate(input, size, scale_factor, mode, align_corners)


@public("nn.functional", method=False)
def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` by the nearest element."""
    _older("upsample_nearest", "interpolate")
    return interpolate(input, size, scale_factor, mode="nearest")


@public("nn.functional", method=False)
def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` bilinearly with aligned corners."""
    _older("upsample_bilinear", "interpolate")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def _spell_antialiased(mode: str) -> None:
    def upsample_aa(
        input: Tensor, output_size: Any, align_corners: bool, scale_factors: Any = None, *,
        scales_h: float | None = None, scales_w: float | None = None,
    ) -> Tensor:  # fmt: skip
        out, scales = output_size, scale_factors or (scales_h, scales_w)
        if out is None:
            out = [math.floor(m * s) for m, s in zip(input._meta.shape[2:], scales)]
        return _resampled(input, mode, list(out), align_corners, scales, True)

    upsample_aa.__doc__ = f"`interpolate` in mode {mode} with `antialias`, under ATen's name."
    public("ops.aten", method=False, name=f"_upsample_{mode}2d_aa")(upsample_aa)


for _mode in ("bilinear", "bicubic"):
    _spell_antialiased(_mode)
