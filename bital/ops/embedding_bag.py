"""Sums, means and maxima of bags of embeddings.

Room: ops.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import int32, int64
from bital.base.errors import Unsupported
from bital.ir.meta import Meta
from bital.ir.op import Op, like, same_as
from bital.ops.api import public
from bital.ops.create import constant
from bital.ops.embedding import embedding_of, embedding_renorm_
from bital.tensor.dispatch import apply, composite
from bital.tensor.tensor import Tensor

#: mode -> the reduction's name for scatter_reduce
_MODES = {"sum": "sum", "mean": "sum", "max": "amax"}


def _bags_rule(offsets: Meta, n: int, last: bool) -> tuple[Meta, dict]:
    return like(offsets, (n,), int64), {"n": n, "last": last}


def _bags(xp: Any, offsets: Any, *, n: int, last: bool) -> Any:
    """The bag that each of n indices is in."""
    if offsets.size:
        if offsets[0] != 0:
            raise RuntimeError(
                "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start "
                f"from position 0. However, got {offsets[0]}"
            )
        if offsets[-1] > n:
            raise RuntimeError(
                f"offsets[-1] can not be greater than input's length {n} but got offsets[-1] of "
                f"{offsets[-1]}"
            )
    starts = offsets[:-1] if last else offsets
    return xp.searchsorted(starts, xp.arange(n), side="right") - 1


_BAGS = Op("embedding_bag_places", _bags_rule, _bags, inputs=("offsets",), fallible=True)
#: the node that stands for the whole
_NODE = Op("embedding_bag", same_as, None, vjp=(lambda g: g,), grad_fn="EmbeddingBagBackward0")


def _check(input: Any, offsets: Any, mode: str, weights: Any) -> None:
    n = input._meta.ndim
    if weights is not None and weights._meta.shape != input._meta.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({weights.shape}) is not None, then it must "
            f"have the same shape as the input ({input.shape})"
        )
    if n == 2 and offsets is not None:
        raise ValueError(
            "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of "
            f"fixed length sequences. However, found offsets of type {type(offsets)}"
        )
    if n == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets._meta.ndim != 1:
            raise ValueError("offsets has to be a 1D Tensor")
    elif n != 2:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {n}")
    if mode not in _MODES:
        raise ValueError("mode has to be one of sum, mean or max")
    if weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}')."
        )
    for given in (input, offsets):
        if given is not None and given._meta.dtype not in (int32, int64):
            raise RuntimeError(
                "Expected tensor for argument #1 'indices' to have one of the following scalar "
                f"types: Long, Int; but got torch.{given._meta.dtype.legacy_name}Tensor instead "
                "(while checking arguments for embedding_bag)"
            )


@public("nn.functional", method=False)
def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum over each bag of the rows of `weight` that `input` names.

    input (B, N): B bags of N; or (N), bags beginning at `offsets` (B). Row `padding_idx` counts
    for nothing; an empty bag is zero. Returns (B, D).
    """
    _check(input, offsets, mode, per_sample_weights)
    if sparse:
        raise Unsupported("embedding_bag: sparse=True, bital has no sparse gradients of bags")
    if max_norm is not None:
        embedding_renorm_(weight, input, max_norm, norm_type)
    rows, width = weight._meta.shape
    padding = -1 if padding_idx is None else padding_idx % rows
    found: Any = embedding_of(weight, input.reshape(-1), padding, scale_grad_by_freq)
    if offsets is None:
        bags, n = input._meta.shape
        places = (constant(like(input._meta, (bags, n), int64), 1).cumsum(0) - 1).reshape(-1)
    else:
        bags = offsets._meta.shape[0] - include_last_offset
        places = apply(_BAGS, (offsets,), (input._meta.shape[0], include_last_offset))
    if per_sample_weights is not None:
        found = found * per_sample_weights.reshape(-1, 1)
    if padding >= 0:
        # the row that counts for nothing goes to a bag of its own, which is left out
        places = places.masked_fill(input.reshape(-1) == padding, bags)
    none = constant(like(weight._meta, (bags + 1, width)), 0)
    where = places.unsqueeze(-1).expand(found._meta.shape)
    out: Any = none.scatter_reduce(0, where, found, _MODES[mode], include_self=False)[:bags]
    if mode == "mean":
        counts = constant(like(weight._meta, (bags + 1,)), 0)
        one = constant(like(weight._meta, places._meta.shape), 1)
        out = out / counts.scatter_add(0, places, one)[:bags].clamp(min=1).unsqueeze(-1)
    return composite(_NODE, lambda t: t.clone(), (out,))
