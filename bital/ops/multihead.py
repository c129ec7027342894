"""Attention of several heads, with the projections before and after it.

Room: ops. Composed of public operators, so it has their gradients, of any order. Formula: Vaswani
et al., "Attention Is All You Need" (arXiv 1706.03762), section 3.2.2.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from bital.base.dtype import BOOL, dtype
from bital.ops.api import public
from bital.ops.attention import scaled_dot_product_attention
from bital.ops.create import constant
from bital.ops.dropout import dropout
from bital.ops.join import cat
from bital.ops.linear import linear
from bital.ops.pad import pad
from bital.tensor.tensor import Tensor


def _require(condition: bool, message: str) -> None:
    """PyTorch checks these with assertions of its own."""
    if not condition:
        raise AssertionError(message)


def _check_ranks(
    query: Any, key: Any, value: Any, key_padding_mask: Any, attn_mask: Any, heads: int
) -> bool:
    """PyTorch's errors about ranks; whether the input has a batch axis."""
    n = query.dim()
    _require(
        n in (2, 3),
        f"query should be unbatched 2D or batched 3D tensor but received {n}-D query tensor",
    )
    kind = "batched (3-D)" if n == 3 else "unbatched (2-D)"
    _require(
        key.dim() == n == value.dim(),
        f"For {kind} `query`, expected `key` and `value` to be {n}-D but found {key.dim()}-D and "
        f"{value.dim()}-D tensors respectively",
    )
    if key_padding_mask is not None:
        _require(
            key_padding_mask.dim() == n - 1,
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {n - 1}-D but found "
            f"{key_padding_mask.dim()}-D tensor instead",
        )
    if attn_mask is not None:
        _require(
            attn_mask.dim() in (2, 3),
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
            f"{attn_mask.dim()}-D tensor instead",
        )
        wanted = (heads, query.shape[0], key.shape[0])
        _require(
            n == 3 or attn_mask.dim() == 2 or tuple(attn_mask.shape) == wanted,
            f"Expected `attn_mask` shape to be {wanted} but got {attn_mask.shape}",
        )
    return n == 3


@public("nn.functional", method=False, name="_none_or_dtype")
def none_or_dtype(input: Tensor | None) -> dtype | None:
    """The dtype of a mask, None where there is none."""
    return None if input is None else input._meta.dtype


@public("nn.functional", method=False, name="_canonical_mask")
def canonical_mask(
    mask: Any,
    mask_name: str,
    other_type: dtype | None,
    other_name: str,
    target_type: dtype,
    check_other: bool = True,
) -> Any:
    """A mask as numbers to add: -infinity where a bool mask forbids."""
    if mask is None:
        return None
    kind = mask._meta.dtype
    _require(
        kind.category == BOOL or kind.is_floating_point,
        f"only bool and floating types of {mask_name} are supported",
    )
    if check_other and other_type is not None and kind is not other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for "
            "both instead.",
            stacklevel=2,
        )
    if kind.is_floating_point:
        return mask
    return mask.new_zeros(mask._meta.shape, dtype=target_type).masked_fill(mask, -math.inf)


def _check_sizes(query: Any, key: Any, value: Any, width: int, heads: int, separate: bool) -> None:
    embed = query.shape[2]
    _require(embed == width, f"was expecting embedding dimension of {width}, but got {embed}")
    _require(not embed % heads, f"embed_dim {embed} not divisible by num_heads {heads}")
    if separate:
        _require(
            key.shape[:2] == value.shape[:2],
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
        )
    else:
        _require(
            key.shape == value.shape,
            f"key shape {key.shape} does not match value shape {value.shape}",
        )


def _projected(
    query: Any, key: Any, value: Any, weight: Any, bias: Any, apart: list[Any]
) -> list[Any]:
    """Query, key and value (L, B, E) projected by the thirds of one weight (3E, E), or apart."""
    if apart:
        return _projected_apart([query, key, value], apart, bias)
    _require(weight is not None, "use_separate_proj_weight is False but in_proj_weight is None")
    embed = weight.shape[1]
    if query is key is value:
        return list(linear(query, weight, bias).chunk(3, -1))
    ends = [0, embed, 2 * embed, 3 * embed]
    if key is value:
        ends = [0, embed, 3 * embed]
    inputs = [query, key, value][: len(ends) - 1]
    parts = [
        linear(x, weight[a:b], None if bias is None else bias[a:b])
        for x, a, b in zip(inputs, ends, ends[1:])
    ]
    return parts if len(parts) == 3 else [parts[0], *parts[1].chunk(2, -1)]


def _projected_apart(inputs: list[Any], weights: list[Any], bias: Any) -> list[Any]:
    for name, weight in zip("qkv", weights):
        given = weight is not None
        _require(given, f"use_separate_proj_weight is True but {name}_proj_weight is None")
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    return [linear(x, w, b) for x, w, b in zip(inputs, weights, biases)]


def _heads(x: Any, heads: int) -> Any:
    """(L, B, E) as (B, H, L, E/H)."""
    length, batch, embed = x.shape
    return x.unflatten(-1, (heads, embed // heads)).permute(1, 2, 0, 3)


def _given_heads(static: Any, name: str, batch: int, heads: int, size: int, own: Any) -> Any:
    """Keys or values (B H, S, E/H) that came projected as (B, H, S, E/H), else our own."""
    if static is None:
        return own
    for axis, wanted in ((0, batch * heads), (2, size)):
        _require(
            static.size(axis) == wanted,
            f"expecting {name}.size({axis}) of {wanted}, but got {static.size(axis)}",
        )
    return static.view(batch, heads, static.size(1), size)


def _check_mask(mask: Any, batch: int, heads: int, length: int, source: int) -> Any:
    """An attention mask as (1, 1, L, S) or (B, H, L, S)."""
    shape = tuple(mask.shape)
    wanted = (length, source) if mask.dim() == 2 else (batch * heads, length, source)
    if shape != wanted:
        raise RuntimeError(
            f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be {wanted}."
        )
    return mask.view(1, 1, *shape) if mask.dim() == 2 else mask.view(batch, heads, *shape[1:])


def _attend(
    q: Any, k: Any, v: Any, mask: Any, dropout_p: float, causal: bool, need_weights: bool
) -> tuple[Any, Any]:
    """What the heads (B, H, L, E/H) see, and the weights (B, H, L, S) if wanted."""
    if not need_weights:
        return scaled_dot_product_attention(q, k, v, mask, dropout_p, causal), None
    scores = (q * math.sqrt(1 / q.shape[-1])) @ k.transpose(-2, -1)
    weights = (scores if mask is None else scores + mask).softmax(-1)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return weights @ v, weights


def _as_batch(query: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
    """Query, key and value (L, E) as (L, 1, E); what was one tensor stays one."""
    same_key, same_value = query is key, key is value
    query = query.unsqueeze(1)
    key = query if same_key else key.unsqueeze(1)
    return query, key, key if same_value else value.unsqueeze(1)


def _canonical_masks(
    kind: dtype, mask: Any, padding: Any, is_causal: bool, need_weights: bool
) -> tuple[Any, Any, bool]:
    """Both masks as numbers to add, and whether the causal hint stands for the first."""
    padding = canonical_mask(padding, "key_padding_mask", none_or_dtype(mask), "attn_mask", kind)
    if is_causal and mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and padding is None and not need_weights:
        return None, None, True
    return canonical_mask(mask, "attn_mask", None, "", kind), padding, False


@public("nn.functional", method=False)
def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:
    """What `nn.MultiheadAttention` computes: query (L, B, E), key and value (S, B, E), or no B.

    Returns the output (L, B, E) and, with `need_weights`, the weights (B, L, S), or (B, H, L, S)
    without `average_attn_weights`.
    """
    batched = _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    mask, padding, hint = _canonical_masks(
        query._meta.dtype, attn_mask, key_padding_mask, is_causal, need_weights
    )
    if not batched:
        query, key, value = _as_batch(query, key, value)
        padding = None if padding is None else padding.unsqueeze(0)
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    apart = [q_proj_weight, k_proj_weight, v_proj_weight] if use_separate_proj_weight else []
    parts = _projected(query, key, value, in_proj_weight, in_proj_bias, apart)
    length, batch, embed = query.shape
    if mask is not None:
        mask = _check_mask(mask, batch, num_heads, length, key.shape[0])
    parts, added = _with_biases(parts, bias_k, bias_v, static_k, static_v)
    q, k, v = (_heads(x, num_heads) for x in parts)
    k = _given_heads(static_k, "static_k", batch, num_heads, q.shape[-1], k)
    v = _given_heads(static_v, "static_v", batch, num_heads, q.shape[-1], v)
    if add_zero_attn:
        nothing = constant(k[:, :, :1]._meta, 0)
        k, v, added = cat([k, nothing], 2), cat([v, nothing], 2), added + 1
    mask = _merged(mask, padding, added, batch, k.shape[2])
    seen, weights = _attend(q, k, v, mask, dropout_p if training else 0.0, hint, need_weights)
    seen = seen.permute(2, 0, 1, 3).reshape(length * batch, embed)
    out = linear(seen, out_proj_weight, out_proj_bias).view(length, batch, -1)
    if weights is not None:
        weights = weights.mean(1) if average_attn_weights else weights
        weights = weights if batched else weights.squeeze(0)
    return out if batched else out.squeeze(1), weights


def _with_biases(
    parts: list[Any], bias_k: Any, bias_v: Any, static_k: Any, static_v: Any
) -> tuple[list[Any], int]:
    """Keys and values with the learned one at their end, and how many were added."""
    _require(bias_k is None or bias_v is not None, "bias_k is set but bias_v is None")
    _require(bias_v is None or bias_k is not None, "bias_v is set but bias_k is None")
    if bias_k is None:
        return parts, 0
    _require(static_k is None, "bias cannot be added to static key.")
    _require(static_v is None, "bias cannot be added to static value.")
    q, k, v = parts
    batch = k.shape[1]
    return [q, cat([k, bias_k.repeat(1, batch, 1)]), cat([v, bias_v.repeat(1, batch, 1)])], 1


def _merged(mask: Any, padding: Any, added: int, batch: int, source: int) -> Any:
    """The sum of the masks, open for what was added to the keys."""
    if added and mask is not None:
        mask = pad(mask, (0, added))
    if padding is None:
        return mask
    padding = pad(padding, (0, added)) if added else padding
    for axis, wanted in ((0, batch), (1, source)):
        _require(
            padding.shape[axis] == wanted,
            f"Expected key_padded_mask.shape[{axis}] to be {wanted}, but got {padding.shape[axis]}",
        )
    padding = padding.view(batch, 1, 1, source)
    return padding if mask is None else mask + padding
