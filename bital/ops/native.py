"""Operators that PyTorch's own functions are made of, which programs name now and then.

Room: ops. native_layer_norm and its like give their statistics too; `torch.ops.aten` has backward
halves of softmax, dropout and pooling.
"""

from __future__ import annotations

from math import prod
from typing import Any

from bital.base.dtype import LOW_PRECISION, float32, uint8
from bital.base.size import normalize_dim
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.create import fill_
from bital.ops.family import zeros_for
from bital.ops.normalize import batch_statistics, grouped_norm, layer_statistics
from bital.ops.pad import pad as pad_edges
from bital.ops.softmax import softmax, softmax_backward
from bital.ops.view import Ints
from bital.tensor.dispatch import cast, composite
from bital.tensor.tensor import Tensor

_Norms = tuple[Tensor, Tensor, Tensor]


@public(method=False)
def native_layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float
) -> _Norms:
    """(layer_norm's result, mean, 1 / sqrt(var + eps)); the statistics are constants."""
    out, mean, r = layer_statistics(input, normalized_shape, weight, bias, eps)
    size = len(normalized_shape)
    shape = (*input._meta.shape[: input._meta.ndim - size], *[1] * size)
    kind = input._meta.dtype
    return out, cast(mean, kind).reshape(shape), cast(r, kind).reshape(shape)


@public(method=False)
def native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, N: int, C: int, HxW: int,
    group: int, eps: float,
) -> _Norms:  # fmt: skip
    """(group_norm's result, mean, 1 / sqrt(var + eps)), the statistics (N, group)."""
    kind = input._meta.dtype
    wide = cast(input, float32) if kind in LOW_PRECISION else input
    parts = wide.reshape(N, group, C // group * HxW)
    r = (parts.var(-1, correction=0) + eps).rsqrt()
    out = grouped_norm(input, group, weight, bias, eps)
    return out, cast(parts.mean(-1), kind), cast(r, kind)


@public(method=False, out=True)
def native_batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, training: bool, momentum: float, eps: float,
) -> _Norms:  # fmt: skip
    """(batch_norm's result, mean, 1 / sqrt(var + eps)) per channel; none of these in evaluation."""
    out, mean, r = batch_statistics(
        input, running_mean, running_var, weight, bias, training, momentum, eps
    )
    kind = input._meta.dtype
    if mean is None or r is None:
        empty = input.new_empty((0,)).detach()
        return out, empty, empty.clone()
    return out, cast(mean, kind).reshape(-1), cast(r, kind).reshape(-1)


@public(method=False, name="_native_batch_norm_legit", out=True)
def native_batch_norm_legit(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, *more: Any, **named: Any
) -> _Norms:
    """`native_batch_norm`; the running statistics may be left out."""
    if len(more) + len(named) == 3:
        return native_batch_norm(input, weight, bias, None, None, *more, **named)
    return native_batch_norm(input, weight, bias, *more, **named)


@public("ops.aten", method=False, name="_batch_norm_with_update")
def batch_norm_with_update(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor,
    running_var: Tensor, momentum: float, eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """`native_batch_norm` in training, and an empty tensor that other devices need."""
    given = (input, weight, bias, running_mean, running_var, True, momentum, eps)
    return *native_batch_norm(*given), input.new_empty((0,), dtype=uint8)


@public(method=False, out=True)
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` filled with a number, or the element of a 0-d tensor."""
    return fill_(check_tensor(input, "fill").clone(), value)


@public(method=False, out=True)
def constant_pad_nd(input: Tensor, pad: Any, value: Any = 0) -> Tensor:
    """`torch.nn.functional.pad` with a constant."""
    return pad_edges(input, pad, "constant", value)


def _clamped(x: Tensor, indices: Any) -> tuple:
    shape = tuple(x._meta.shape)
    return tuple([i if i is None else i.clamp(-n, n - 1) for i, n in zip(indices, shape)])


@public(method=False, name="_unsafe_masked_index")
def unsafe_masked_index(input: Tensor, mask: Tensor, indices: Any, fill: Any) -> Tensor:
    """`input[indices]` where the mask is true (other indices may be out of range), else `fill`."""
    if not input._meta.numel:
        return input.new_full(mask._meta.shape, fill)
    return input[_clamped(input, indices)].masked_fill(~mask, fill)


@public(method=False, name="_unsafe_masked_index_put_accumulate")
def unsafe_masked_index_put_accumulate(
    input: Tensor, mask: Tensor, indices: Any, values: Tensor
) -> Tensor:
    """A copy of `input` with `values` added at `indices` where the mask is true."""
    if not input._meta.numel:
        return input.clone()
    return input.index_put(_clamped(input, indices), values.masked_fill(~mask, 0), True)


def _safe(x: Tensor, *, dim: int) -> Tensor:
    none = x.isneginf().all(dim, True)
    return softmax(x, dim).masked_fill(none, 0)


_SAFE_SOFTMAX = Op(
    "safe_softmax", lambda x, dim: (x, {"dim": dim}), None,
    vjp=(lambda g, out, dim: softmax_backward(g, out, dim),),
)  # fmt: skip


@public("ops.aten", method=False, name="_safe_softmax")
def safe_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """softmax that gives zeros where all numbers along `dim` are -inf."""
    x = input if dtype is None else cast(input, dtype)
    return composite(_SAFE_SOFTMAX, _safe, (x,), (normalize_dim(dim, x._meta.ndim),))


@public("ops.aten", method=False, name="_softmax_backward_data")
def softmax_backward_data(
    grad_output: Tensor, output: Tensor, dim: int, input_dtype: Any
) -> Tensor:
    """The gradient of softmax's input by that of its output."""
    return cast(softmax_backward(grad_output, output, dim), input_dtype)


@public("ops.aten", method=False)
def native_dropout_backward(grad_output: Tensor, mask: Tensor, scale: float) -> Tensor:
    """The gradient of dropout: that of its output where the mask is true, scaled."""
    return grad_output * (cast(mask, grad_output._meta.dtype) * scale)


def _pool_rule(g: Meta, x: Meta, indices: Meta) -> tuple[Meta, dict]:
    return x, {"shape": x.shape}


def _unpooled(g: Tensor, x: Tensor, indices: Tensor, *, shape: Ints) -> Tensor:
    flat = g.new_zeros((*shape[:-2], prod(shape[-2:])))
    return flat.scatter_add(-1, indices.flatten(-2), g.flatten(-2)).view(shape)


_POOL_BACKWARD = Op(
    "max_pool2d_with_indices_backward", _pool_rule, None, inputs=("g", "x", "indices"),
    vjp=(
        lambda gg, indices: gg.flatten(-2).gather(-1, indices.flatten(-2)).view_as(indices),
        zeros_for,
        None,
    ),
)  # fmt: skip


@public("ops.aten", method=False)
def max_pool2d_with_indices_backward(
    grad_output: Tensor, input: Tensor, kernel_size: Any, stride: Any, padding: Any,
    dilation: Any, ceil_mode: bool, indices: Tensor,
) -> Tensor:  # fmt: skip
    """The gradient of max_pool2d's input: that of its output added where each maximum was."""
    return composite(_POOL_BACKWARD, _unpooled, (grad_output, input, indices))
