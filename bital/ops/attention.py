"""Scaled dot product attention.

Room: ops. Without dropout it is one instruction, and so is its gradient; what has no such form is
composed of public operators. Formula: Vaswani et al., "Attention Is All You Need" (arXiv
1706.03762), section 3.2.1; the gradient by Dao et al., "FlashAttention" (arXiv 2205.14135), B.4.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, LOW_PRECISION, float32
from bital.ir.meta import Meta
from bital.ir.op import Op, asking, like
from bital.ir.trace import local
from bital.ops.api import public
from bital.ops.descend import descend
from bital.ops.dropout import dropout
from bital.ops.norm import wide
from bital.tensor.dispatch import apply, cast
from bital.tensor.tensor import Tensor, edge_of, from_array

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


#: scores below this in size need no shift before exp, neither do their sums overflow
_SAFE = 30


@functools.lru_cache(32)
def _seen(length: int, source: int) -> np.ndarray:
    """1 where each of `length` places sees a key, those up to its own, else 0."""
    return np.tri(length, source, dtype=np.float32)


def _attend_rule(q: Meta, k: Meta, v: Meta, *rest: Any) -> tuple[tuple, dict]:
    *_, scale, causal, beside = rest
    *lead, length, _ = q.shape
    kind = float32 if q.dtype in LOW_PRECISION else q.dtype
    shape = (lead[0], length, lead[1]) if beside else (*lead, length)
    results = (
        like(q, (*shape, v.shape[-1])),
        like(q, (*lead, length, k.shape[-2]), kind),
        like(q, (*lead, length, 1), kind),
    )
    return results, {"scale": scale, "causal": causal, "beside": beside}


def _apart(x: Any, beside: bool) -> Any:
    """(B, L, H, V), the heads of a place side by side, as (B, H, L, V)."""
    return x.swapaxes(1, 2) if beside else x


def _attend(
    xp: Any, q: Any, k: Any, v: Any, *mask: Any, scale: float, causal: bool, beside: bool
) -> tuple:
    """The result, exp(scores) less a row's constant in the exponent, and the reciprocal sums."""
    kind = q.dtype
    q, k, v = wide(q), wide(k), wide(v)
    # by Cauchy and Schwarz; the smaller scores are, the less it matters when they are scaled
    if not mask and _largest(xp, q) * _largest(xp, k) * scale**2 < _SAFE**2:
        shares = xp.matmul(q * scale, _turned(k))
        xp.exp(shares, out=shares)
        if causal:
            shares *= _seen(*shares.shape[-2:])
    else:
        shares = xp.matmul(q, _turned(k))
        shares *= scale
        _shifted(xp, shares, mask, causal)
    rows = shares.reshape(-1, shares.shape[-1])
    sums = rows.dot(xp.ones(rows.shape[1], rows.dtype)).reshape(*shares.shape[:-1], 1)
    if mask:
        sums[sums == 0] = 1  # a row that sees nothing is zero
    r = xp.reciprocal(sums, out=sums)
    shape = [*q.shape[:-1], v.shape[-1]]
    if beside:
        shape[1], shape[2] = shape[2], shape[1]
    out = xp.empty(shape, q.dtype)
    seen = xp.matmul(shares, v, out=_apart(out, beside))
    seen *= r
    return out.astype(kind, copy=False), shares, r


def _largest(xp: Any, x: Any) -> Any:
    """The largest square of a row's norm."""
    return xp.vecdot(x, x).max()


def _shifted(xp: Any, scores: Any, mask: tuple, causal: bool) -> None:
    """exp(scores - their row's maximum), over the scores."""
    if causal:
        xp.copyto(scores, -xp.inf, where=_seen(*scores.shape[-2:]) == 0)
    for m in mask:
        if m.dtype == bool:
            xp.copyto(scores, -xp.inf, where=~m)
        else:
            scores += m
    most = xp.maximum.reduce(scores, axis=-1, keepdims=True)
    if mask:
        most[most == -xp.inf] = 0
    scores -= most
    xp.exp(scores, out=scores)


def _attend_native(
    xp: Any, q: Any, k: Any, v: Any, *mask: Any, scale: float, causal: bool, beside: bool
) -> tuple:
    """`_attend` in array words; a row's constant is always its largest score."""
    scores = xp.matmul(q, _turned(k)) * scale
    if causal:
        shape = scores.shape[-2:]
        scores = xp.where(xp.iota(shape, 1) <= xp.iota(shape, 0), scores, -xp.inf)
    for m in mask:
        scores = xp.where(m, scores, -xp.inf) if m.dtype == bool else scores + m
    most = xp.max(scores, -1, keepdims=True)
    if mask:
        most = xp.where(xp.equal(most, -xp.inf), 0, most)
    shares = xp.exp(scores - most)
    sums = xp.sum(shares, -1, keepdims=True)
    if mask:
        sums = xp.where(xp.equal(sums, 0), 1, sums)
    r = 1 / sums
    return _apart(xp.matmul(shares, v) * r, beside), shares, r


def _turned(x: Any) -> Any:
    return x.swapaxes(-1, -2)


def _attend_backward(
    xp: Any,
    g: Any,
    q: Any,
    k: Any,
    v: Any,
    out: Any,
    shares: Any,
    r: Any,
    *,
    scale: float,
    beside: bool,
) -> tuple:
    """The gradients of query, key, value, and of the scores after scaling.

    With the shares E, weights P = r E and D = sum of g out: dP = g v^T, dS = P (dP - D).
    """
    kind = q.dtype
    g = _apart(wide(g), beside) * r  # r goes along with g
    q, k, v = wide(q), wide(k), wide(v)
    slope = xp.matmul(g, _turned(v))
    if kind.itemsize == 2:  # the result was rounded
        along = xp.vecdot(slope, shares)[..., None]
        along *= r
    else:
        along = xp.vecdot(g, _apart(out, beside))[..., None]
    slope -= along
    slope *= shares
    dv = xp.matmul(_turned(shares), g)
    dq, dk = xp.matmul(slope, k), xp.matmul(_turned(slope), q)
    dq *= scale
    dk *= scale
    return tuple([x.astype(kind, copy=False) for x in (dq, dk, dv, slope)])


def _backward_rule(g: Meta, q: Meta, k: Meta, v: Meta, *rest: Any) -> tuple[tuple, dict]:
    _, shares, _, scale, beside = rest
    return (q, k, v, like(q, shares.shape)), {"scale": scale, "beside": beside}


_BACKWARD = Op(
    "attention_backward",
    _backward_rule,
    _attend_backward,
    inputs=("g", "query", "key", "value", "out", "shares", "r"),
)


def _attend_vjp(g: tuple, *saved: Any) -> Any:
    *tensors, scale, causal, beside = saved
    inputs, kept = tensors[:-3], tensors[-3:]
    if local.trace.grad:
        return descend(lambda *t: (_composed(*t, scale, causal, beside),), inputs, g[:1])
    operands = (g[0], *inputs[:3], *[t.detach() for t in kept])
    return apply(_BACKWARD, operands, (scale, beside))


def _composed(query: Any, key: Any, value: Any, *rest: Any) -> Any:
    """What the one instruction computes, of public operators."""
    *mask, scale, causal, beside = rest
    out = _weights(query, key, mask[0] if mask else None, scale, causal) @ value
    return out.transpose(1, 2) if beside else out


def _attend_op(name: str, *mask: str) -> Op:
    inputs = ("query", "key", "value", *mask)
    kept = ("out0", "out1", "out2", "scale", "causal", "beside")
    return Op(
        name, _attend_rule, _attend, inputs=inputs, vjp=asking(_attend_vjp, *inputs, *kept),
        grad_fn="ScaledDotProductFlashAttentionForCpuBackward0", native=_attend_native,
    )  # fmt: skip


_ATTEND = _attend_op("attention")
_ATTEND_MASKED = _attend_op("masked_attention", "mask")


def _weights(query: Any, key: Any, mask: Any, scale: float, causal: bool) -> Any:
    """softmax(query key^T scale + mask), zero in rows that see nothing."""
    scores = (query * scale) @ key.transpose(-2, -1)
    if causal:
        seen = np.tri(query._meta.shape[-2], key._meta.shape[-2], dtype=bool)
        scores = _masked(scores, from_array(seen))
    if mask is None:
        return scores.softmax(-1)
    scores = _masked(scores, mask)
    blind = (scores == -math.inf).all(-1, keepdim=True)
    return scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)


def _fits_one(query: Any, key: Any, value: Any, mask: Any) -> bool:
    """Whether the one instruction computes it: batches and widths that need no broadcasting."""
    q, k, v = (tuple(t._meta.shape) for t in (query, key, value))
    if q[:-2] != k[:-2] or k[:-1] != v[:-1] or q[-1] != k[-1] or 0 in (*q, *v):
        return False
    if not query._meta.dtype.is_floating_point:
        return False
    if mask is None:
        return True
    wanted = (*q[:-1], k[-2])
    given = tuple(mask._meta.shape)
    sizes = zip(given[::-1], wanted[::-1])
    return len(given) <= len(wanted) and all(a in (1, b) for a, b in sizes)


def _is_beside(query: Any, value: Any, mask: Any) -> bool:
    """Whether PyTorch's result has the heads of a place side by side: its faster kernel's does."""
    if query._meta.ndim != 4 or query._meta.shape[-1] != value._meta.shape[-1]:
        return False
    return mask is None or edge_of(mask) is None


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
    if is_causal and attn_mask is not None:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True"
        )
    if dropout_p == 0 and _fits_one(query, key, value, attn_mask):
        op, masks = (_ATTEND, ()) if attn_mask is None else (_ATTEND_MASKED, (attn_mask,))
        beside = _is_beside(query, value, attn_mask)
        out = apply(op, (query, key, value, *masks), (scale, is_causal, beside))[0]
        return out.transpose(1, 2) if beside else out
    kind = query._meta.dtype
    if kind in LOW_PRECISION:  # rounded once, as PyTorch does
        query, key, value = (cast(t, float32) for t in (query, key, value))
        if attn_mask is not None and attn_mask._meta.dtype is kind:
            attn_mask = cast(attn_mask, float32)
    weights = _weights(query, key, attn_mask, scale, is_causal)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return cast(weights @ value, kind)
