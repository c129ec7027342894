"""Cross entropy of linear scores in one call.

Room: ops. Composed of `linear` and `cross_entropy`, so it has their gradients, of any order.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from bital.base.dtype import LOW_PRECISION, float32, int64
from bital.ops.api import public
from bital.ops.classes import cross_entropy
from bital.ops.linear import linear
from bital.tensor.dispatch import cast


def _check(input: Any, linear_weight: Any, linear_bias: Any) -> None:
    x, w = tuple(input._meta.shape), tuple(linear_weight._meta.shape)
    if not 1 <= len(x) <= 2:
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {len(x)}")
    if len(w) < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {len(w)}")
    if x[-1] != w[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{x[-1]} and {w[-1]}, respectively"
        )
    if linear_bias is not None and tuple(linear_bias._meta.shape) != w[:-1]:
        raise RuntimeError(
            f"expected linear_bias shape {w[:-1]}, got {tuple(linear_bias._meta.shape)}"
        )
    if len(w) > 2 and len(x) == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {w} requires batched input, "
            f"(N, {x[-1]}), got unbatched input with shape {x}"
        )


def _obeys_options(reduction: str, label_smoothing: float, target: Any, w: tuple) -> bool:
    """Whether PyTorch takes scores piece by piece; a warning, as PyTorch gives, where not."""
    kind = target._meta.dtype
    known = reduction in ("mean", "sum", "none")
    if len(w) == 2 and known and not label_smoothing and kind is int64:
        return True
    warnings.warn(
        "linear_cross_entropy: ``options`` ignored; chunked path needs reduction in "
        "{'mean','sum','none'}, label_smoothing == 0, target.dtype == int64, out_features == (). "
        f"Got reduction={reduction!r}, label_smoothing={label_smoothing}, target.dtype={kind}, "
        f"out_features={w[1:-1]}.",
        stacklevel=3,
    )
    return False


@public("nn.functional", method=False)
def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Any:
    """`cross_entropy(linear(input, linear_weight, linear_bias), target, weight, ...)`.

    input (I) or (N, I); linear_weight (C, I) or (C, d1, ..., dK, I), with linear_bias (C, d1, ...);
    target as in cross_entropy for scores (N, C, d1, ..., dK). `options` say how PyTorch would save
    memory; here they change nothing.
    """
    _check(input, linear_weight, linear_bias)
    w = tuple(linear_weight._meta.shape)
    shape = (*input._meta.shape[:-1], *w[:-1])
    if tuple(target._meta.shape) == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    kind = input._meta.dtype
    if options is not None and _obeys_options(reduction, label_smoothing, target, w):
        if kind in LOW_PRECISION:  # in pieces, PyTorch sums in float32
            given = (input, linear_weight, linear_bias, weight)
            input, linear_weight, linear_bias, weight = (
                None if t is None else cast(t, float32) for t in given
            )
    if len(w) > 2:
        linear_weight = linear_weight.reshape(math.prod(w[:-1]), w[-1])
        linear_bias = None if linear_bias is None else linear_bias.reshape(-1)
    loss = cross_entropy(
        linear(input, linear_weight, linear_bias).reshape(shape),
        target,
        weight=weight,
        reduction=reduction,
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
    )
    return cast(loss, kind)
