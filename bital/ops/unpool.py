"""Max unpooling, and fractional max pooling, whose windows are placed by chance.

Room: ops. Fractional pooling: Graham, "Fractional Max-Pooling" (2014), with the pseudo-random
sequences that PyTorch uses: window i starts at int((i + u) a) - int(u a), a the mean step.
"""

from __future__ import annotations

import math
from typing import Any

from bital.base.dtype import BOOL, COMPLEX, INT, int64
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op, like
from bital.ops.api import NAMESPACES, check_tensor, public
from bital.ops.family import check_dtype
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

Ints = tuple[int, ...]


def _unpool_rule(x: Meta, indices: Meta, size: Ints) -> tuple[Meta, dict]:
    n = len(size)
    if indices.dtype is not int64:
        raise RuntimeError(
            f"elements in indices should be type int64 but got: {indices.dtype.legacy_name}"
        )
    if x.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"Input to max_unpooling{n}d should be a {n + 1}d or {n + 2}d Tensor, but got a tensor "
            f"with {x.ndim} dimensions."
        )
    if x.shape != indices.shape:
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({list(x.shape)}) but got indices tensor with shape: {list(indices.shape)}"
        )
    if not all(x.shape[1 if x.ndim == n + 2 else 0 :]):
        raise RuntimeError(
            f"max_unpooling{n}d(): Expected input to have non-zero size for non-batch dimensions, "
            f"but got {list(x.shape)}"
        )
    check_dtype(x.dtype, (BOOL, INT, COMPLEX), f"max_unpool{n}d")
    return like(x, (*x.shape[:-n], *size)), {"size": size}


def _unpool(xp: Any, x: Any, indices: Any, *, size: Ints) -> Any:
    n, places = len(size), math.prod(size)
    wrong = (indices < 0) | (indices >= places)
    if wrong.any():
        raise RuntimeError(
            f"Found an invalid max index: {indices[wrong][0]} (output volumes are of size "
            f"{'x'.join(map(str, size))})"
        )
    lead = x.shape[:-n]
    out = xp.zeros((*lead, places), x.dtype)
    flat = (*lead, math.prod(x.shape[-n:]))
    xp.put_along_axis(out, indices.reshape(flat), x.reshape(flat), -1)
    return out.reshape(*lead, *size)


def _taken(g: Any, indices: Any, size: Ints) -> Tensor:
    """The gradient at the indices: flat in the last axes."""
    n = len(size)
    return g.flatten(-n).gather(-1, indices.flatten(-n)).view(indices._meta.shape)


_UNPOOL = {
    n: Op(
        f"max_unpool{n}d", _unpool_rule, _unpool, inputs=("x", "indices"),
        vjp=(lambda g, indices, size: _taken(g, indices, size), None),
        grad_fn=f"MaxUnpool{n}DBackward0", fallible=True,
    )
    for n in (2, 3)
}  # fmt: skip


def _tuple(value: Any, n: int) -> Ints:
    return (value,) * n if isinstance(value, int) else tuple(value)


def _unpooled_size(x: Tensor, kernel: Ints, stride: Ints, padding: Ints, wanted: Any) -> Ints:
    """The size of what was pooled, or PyTorch's errors for one that cannot be."""
    n = len(kernel)
    usual = tuple(
        [(m - 1) * s + k - 2 * p for m, k, s, p in zip(x.shape[-n:], kernel, stride, padding)]
    )
    if wanted is None:
        return usual
    size = tuple(wanted)
    if len(size) == n + 2:
        size = size[2:]
    if len(size) != n:
        raise ValueError(
            f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a "
            f"length of '{len(size)}'"
        )
    for k in range(n):
        low, high = usual[k] - stride[k], usual[k] + stride[k]
        if not low < size[k] < high:
            raise ValueError(
                f'invalid output_size "{size}" (dim {k} must be between {low} and {high})'
            )
    return size


def _spell_unpool(n: int) -> None:
    name = f"max_unpool{n}d"

    def unpool(
        input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
        output_size: Any = None,
    ) -> Tensor:  # fmt: skip
        kernel = _tuple(kernel_size, n)
        step = kernel if stride is None else _tuple(stride, n)
        size = _unpooled_size(
            check_tensor(input, name), kernel, step, _tuple(padding, n), output_size
        )
        if n > 1:
            return apply(_UNPOOL[n], (input, indices), (size,))
        out: Any = apply(_UNPOOL[2], (input.unsqueeze(-1), indices.unsqueeze(-1)), ((*size, 1),))
        return out.squeeze(-1)

    unpool.__doc__ = (
        f"Zeros with each element of the pooled input at its index, flat in the last {n} axes; "
        "`output_size` tells apart the sizes that pool to one."
    )
    public("nn.functional", method=False, name=name)(unpool)


for _n in (1, 2, 3):
    _spell_unpool(_n)


def _fractional_rule(
    x: Meta, samples: Meta, kernel: Ints, out: Ints, fn: str
) -> tuple[tuple[Meta, Meta], dict]:
    n = len(kernel)
    if len(out) != n:
        raise RuntimeError(f"{fn}: output_size must either be a single Int or tuple of Ints")
    if min(kernel) < 1 or min(out) < 1:
        raise RuntimeError(f"{fn}(): kernel and output must be greater than zero")
    if x.ndim not in (n + 1, n + 2) or not all(x.shape[x.ndim - n - 1 :]):
        raise RuntimeError(
            f"{fn}(): Expected {n + 1}D or {n + 2}D tensor with non-empty dimensions, but got "
            f"{list(x.shape)}"
        )
    for size, k, m in zip(x.shape[-n:], kernel, out):
        if m + k - 1 > size - (n == 3):  # in three dimensions PyTorch wants one place more
            raise RuntimeError(f"{fn}(): pool size {k} too large relative to input size {size}")
    if samples.dtype is not x.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    batch = x.shape[0] if x.ndim == n + 2 else 1
    if samples.ndim != 3:
        raise RuntimeError(f"Expect _random_samples to have 3 dimensions, got {samples.ndim}")
    for k, (word, most) in enumerate((("batch", batch), ("channel", x.shape[-n - 1]))):
        if samples.shape[k] < most:
            raise RuntimeError(f"Expect _random_samples.size({k}) no less then input {word} size.")
    if samples.shape[2] != n:
        raise RuntimeError(f"Expect _random_samples.size(2) equals to {n}")
    check_dtype(x.dtype, (BOOL, INT, COMPLEX), f"{fn}_out_frame")
    shape = (*x.shape[:-n], *out)
    return (like(x, shape), meta_of(shape, int64, x.device)), {"kernel": kernel, "out": out}


def _starts(xp: Any, u: Any, size: int, out: int, kernel: int) -> Any:
    """Where the windows of an axis start, for samples (N, C): (N, C, out)."""
    last = xp.full((*u.shape, 1), size - kernel, xp.int64)
    if out == 1:
        return last
    step = u.dtype.type(size - kernel) / u.dtype.type(out - 1)
    number = xp.arange(out - 1).astype(u.dtype)
    first = ((number + u[..., None]) * step).astype(xp.int64) - (u * step).astype(xp.int64)[
        ..., None
    ]
    return xp.concatenate([first, last], -1)


def _fractional(xp: Any, x: Any, samples: Any, *, kernel: Ints, out: Ints) -> tuple[Any, Any]:
    n = len(kernel)
    batch = x if x.ndim == n + 2 else x[None]
    lead, sizes = batch.shape[:2], batch.shape[2:]
    samples = samples[: lead[0], : lead[1]]
    order = (1, 0) if n == 2 else (0, 1, 2)  # for two axes the first sample is the last axis's
    flat = xp.zeros((*lead, *[1] * 2 * n), xp.int64)
    for axis in range(n):
        starts = _starts(xp, samples[..., order[axis]], sizes[axis], out[axis], kernel[axis])
        reach = starts[..., None] + xp.arange(kernel[axis])  # (N, C, out, kernel)
        shape = [*lead, *[1] * 2 * n]
        shape[2 + axis], shape[2 + n + axis] = out[axis], kernel[axis]
        flat = flat * sizes[axis] + reach.reshape(shape)
    flat = flat.reshape(*lead, math.prod(out), math.prod(kernel))
    rows = batch.reshape(*lead, math.prod(sizes))
    found = xp.take_along_axis(
        rows, flat.reshape(*lead, flat.shape[2] * flat.shape[3]), -1
    ).reshape(flat.shape)
    best = found.argmax(-1)[..., None]
    gone = found != found
    if gone.any():  # the last NaN counts
        best = xp.where(
            gone.any(-1, keepdims=True),
            flat.shape[-1] - 1 - gone[..., ::-1].argmax(-1)[..., None],
            best,
        )
    result = (*x.shape[:-n], *out)
    peak = xp.take_along_axis(found, best, -1).reshape(result)
    return peak, xp.take_along_axis(flat, best, -1).reshape(result)


def _to_places(g: Any, x: Meta, indices: Any, n: int) -> Tensor:
    zeros = g.new_zeros((*x.shape[:-n], math.prod(x.shape[-n:])))
    return zeros.scatter_add(-1, indices.flatten(-n), g.flatten(-n)).view(x.shape)


def _fractional_op(n: int) -> Op:
    fn = f"fractional_max_pool{n}d"
    return Op(
        fn, lambda x, samples, kernel, out: _fractional_rule(x, samples, kernel, out, fn),
        _fractional, inputs=("x", "samples"), grad_fn=f"FractionalMaxPool{n}DBackward0",
        vjp=(lambda g, x_meta, out1: _to_places(g[0], x_meta, out1, n), None),
    )  # fmt: skip


_FRACTIONAL = {n: _fractional_op(n) for n in (2, 3)}


def _spell_fractional(n: int) -> None:
    name = f"fractional_max_pool{n}d"

    def with_indices(
        input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Any = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
        shape = check_tensor(input, name)._meta.shape
        if output_size is None:
            ratio = (
                (output_ratio,) * n if n == 3 and isinstance(output_ratio, float) else output_ratio
            )
            if len(ratio) > n:
                raise ValueError(
                    f"{name} requires output_ratio to either be a single Int or tuple of Ints."
                )
            output_size = [int(size * r) for size, r in zip(shape[-n:], ratio)]
        if _random_samples is None:
            batch = 1 if len(shape) == n + 1 else shape[0]
            channels = input.size(-n - 1)
            _random_samples = NAMESPACES["torch"]["rand"](batch, channels, n, dtype=input.dtype)
        sizes = (_tuple(kernel_size, n), _tuple(output_size, n))
        return apply(_FRACTIONAL[n], (input, _random_samples), sizes)

    def pool(
        input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Any = None,
    ) -> Any:  # fmt: skip
        both = with_indices(
            input, kernel_size, output_size, output_ratio, return_indices, _random_samples
        )
        return both if return_indices else both[0]

    pool.__doc__ = with_indices.__doc__ = (
        f"The largest element of windows of the last {n} axes that chance places, and its number; "
        "`output_size` says how many, or `output_ratio` times the input's size."
    )
    public("nn.functional", method=False, name=name)(pool)
    public("nn.functional", method=False, name=f"{name}_with_indices")(with_indices)


for _n in (2, 3):
    _spell_fractional(_n)
