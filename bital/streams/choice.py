"""Draws of categories from weights: torch.multinomial.

Room: streams; NumPy and the standard library only. Argument errors are PyTorch's.
"""

from __future__ import annotations

import numpy as np

from bital.streams.arithmetic import F32, REAL, TORCH_NAMES, unit64
from bital.streams.continuous import exponential
from bital.streams.mt19937 import Engine

_MOST_CATEGORIES = 1 << 24


def multinomial(engine: Engine, weights: np.ndarray, samples: int, replacement: bool) -> np.ndarray:
    """Categories (int64) drawn from `weights` that need not sum to one.

    weights: (categories,) or (rows, categories), real. Returns (samples,) or (rows, samples).
    Where weights / exponential draws are equal (many zero weights, 16-bit formats) PyTorch leaves
    their order open; here the first comes first.
    """
    _check(weights, samples, replacement)
    rows = np.atleast_2d(weights)
    if not rows.shape[0]:
        return np.empty((0, samples), np.int64)
    if replacement and samples > 1:
        chosen = _with_replacement(engine, rows, samples)
    else:
        chosen = _largest_ratios(engine, rows, samples)
    return chosen if weights.ndim == 2 else chosen[0]


def _check(weights: np.ndarray, samples: int, replacement: bool) -> None:
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    name = weights.dtype.name
    if name not in REAL:
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, "
            f"got: {TORCH_NAMES.get(name, name)}"
        )
    if samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    categories = weights.shape[-1]
    if not replacement and samples > categories:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    if categories > _MOST_CATEGORIES:
        raise RuntimeError("number of categories cannot exceed 2^24")


def _largest_ratios(engine: Engine, rows: np.ndarray, samples: int) -> np.ndarray:
    """Without replacement: the categories with the largest weight / exponential draw.

    The draws fill memory in the order in which `rows` lies there.
    """
    if not (np.isfinite(rows).all() and (rows >= 0).all()):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (rows.sum(axis=1) == 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    draws = exponential(engine, rows.size, rows.dtype, 1.0)
    if rows.flags.f_contiguous and not rows.flags.c_contiguous:
        draws = draws.reshape(rows.shape[::-1]).T
    else:
        draws = draws.reshape(rows.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = rows / draws
    if ratio.itemsize == 2:
        ratio = ratio.astype(np.float32)
    if samples == 1:
        return ratio.argmax(axis=1, keepdims=True)
    return np.ascontiguousarray(np.argsort(-ratio, axis=1, kind="stable")[:, :samples])


def _with_replacement(engine: Engine, rows: np.ndarray, samples: int) -> np.ndarray:
    """With replacement: a float64 uniform is looked up among the running sums of each row."""
    if rows.itemsize == 2:
        rows = rows.astype(F32)
    if not (rows >= 0).all():
        raise RuntimeError("invalid multinomial distribution (encountering probability entry < 0)")
    if not np.isfinite(rows).all():
        raise RuntimeError(
            "invalid multinomial distribution (encountering probability entry = infinity or NaN)"
        )
    sums = np.cumsum(rows, axis=1, dtype=rows.dtype)
    if not rows.shape[1] or not (sums[:, -1] > 0).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    sums /= sums[:, -1:].copy()
    sums[:, -1] = 1
    uniforms = unit64(engine, len(rows) * samples).reshape(len(rows), samples)
    chosen = np.empty(uniforms.shape, np.int64)
    for row, row_sums in enumerate(sums.astype(np.float64)):
        chosen[row] = row_sums.searchsorted(uniforms[row])
    return chosen
