"""Scaled dot product attention.

Room: ops. Composed of public operators, so it has their gradients, of any order. Formula:
Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), section 3.2.1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bital.base.dtype import BOOL
from bital.ops.api import public
from bital.ops.dropout import dropout
from bital.tensor.tensor import Tensor, from_array

_C_NAMES = {
    "float32": "float", "float64": "double", "float16": "c10::Half", "bfloat16": "c10::BFloat16",
    "int64": "long int", "int32": "int",
}  # fmt: skip


def _c_name(t: Tensor) -> str:
    return _C_NAMES.get(t._meta.dtype.name, t._meta.dtype.name)


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    dims = [t._meta.ndim for t in (query, key, value)]
    if min(dims) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got "
            f"query.dim: {dims[0]} key.dim: {dims[1]} and value.dim: {dims[2]} instead."
        )
    if not query._meta.dtype is key._meta.dtype is value._meta.dtype:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{_c_name(query)} key.dtype: {_c_name(key)} and value.dtype: {_c_name(value)} instead."
        )
    if mask is not None and mask._meta.dtype.category != BOOL:
        if mask._meta.dtype is not query._meta.dtype:
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                f"attn_mask.dtype: {_c_name(mask)} and  query.dtype: {_c_name(query)} instead."
            )


def _repeated(t: Any, heads: int) -> Any:
    """Keys or values (…, H, S, E) whose heads are repeated to `heads`."""
    *lead, own, s, e = t._meta.shape
    if own == heads:
        return t
    if heads % own:
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in query"
        )
    return t.unsqueeze(-3).expand(*lead, own, heads // own, s, e).reshape(*lead, heads, s, e)


def _masked(scores: Any, mask: Any) -> Any:
    """Scores with what may not be attended to at -infinity."""
    if mask._meta.dtype.category == BOOL:
        return scores.masked_fill(mask.logical_not(), -math.inf)
    return scores + mask


@public("nn.functional", method=False)
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`softmax(query key^T * scale + mask) value`, with dropout on the weights.

    query (…, L, E), key (…, S, E), value (…, S, V) -> (…, L, V). attn_mask, broadcastable to
    (…, L, S), is added, or, where bool, says what takes part; `is_causal` lets each of L see the
    first ones of S up to its own place. A row that sees nothing is zero. `scale`: 1 / sqrt(E) by
    default. `enable_gqa`: several heads of the query, axis -3, share one of key and value.
    """
    _check(query, key, value, attn_mask)
    if enable_gqa:
        heads = query._meta.shape[-3]
        key, value = _repeated(key, heads), _repeated(value, heads)
    if scale is None:
        scale = 1 / math.sqrt(query._meta.shape[-1])
    scores = (query * scale) @ key.transpose(-2, -1)
    if is_causal:
        seen = np.tri(query._meta.shape[-2], key._meta.shape[-2], dtype=bool)
        scores = _masked(scores, from_array(seen))
    if attn_mask is None:
        weights = scores.softmax(-1)
    else:
        scores = _masked(scores, attn_mask)
        blind = (scores == -math.inf).all(-1, keepdim=True)
        weights = scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return weights @ value
