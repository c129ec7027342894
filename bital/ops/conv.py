"""Convolutions: conv1d to conv3d, the transposed ones, and conv_tbc.

Room: ops. The three products of `convolve.py` are each other's gradients, so derivatives of every
order are convolutions; a transposed convolution is the gradient of a plain one along its input.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, dtype
from bital.ir.batch import Batch, folded
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.convolve import Ints, Taps, correlate, spread, weigh
from bital.ops.family import conj, raise_not_implemented
from bital.ops.matmul import C_NAMES
from bital.ops.pad import pad
from bital.ops.reduce import widened
from bital.tensor.dispatch import apply, composite
from bital.tensor.tensor import Tensor


def _in_float32(kernel: Callable) -> Callable:
    """An implementation by a product of `convolve`: half precision in float32, rounded once."""

    def impl(xp: Any, a: Any, b: Any, *bias: Any, **attrs: Any) -> Any:
        out = kernel(xp, widened(a), widened(b), **attrs)
        if bias:
            out += widened(bias[0]).reshape(-1, *[1] * (out.ndim - 2))
        return out.astype(a.dtype, copy=False)

    return impl


def _in_words(transposed: bool) -> Callable:
    """A convolution in the words of a graph, its bias, where there is one, added."""

    def native(xp: Any, a: Any, b: Any, *bias: Any, taps: Taps, **sizes: Ints) -> Any:
        word = xp.convolution_backward_input if transposed else xp.convolution
        (size,) = sizes.values()
        out = word(a, b, taps, size)
        if bias:
            out = out + bias[0].reshape(-1, *[1] * (out.ndim - 2))
        return out

    return native


def _places(x: Meta, w: Meta, taps: Taps, size: Ints | None) -> tuple[Meta, dict]:
    """The rule of `correlate`: (N, C, *in), (O, C/G, *kernel) -> (N, O, *out).

    `size` is that of the result where it leaves out places at the end.
    """
    out = taps.out_size(x.shape[2:]) if size is None else size
    meta = meta_of((x.shape[0], w.shape[0], *out), x.dtype, x.device)
    return meta, {"taps": taps, "out": out}


def _inputs(g: Meta, w: Meta, taps: Taps, size: Ints) -> tuple[Meta, dict]:
    """The rule of `spread`: (N, O, *out), (O, C/G, *kernel) -> (N, C, *size)."""
    meta = meta_of((g.shape[0], w.shape[1] * taps.groups, *size), g.dtype, g.device)
    return meta, {"taps": taps, "size": size}


def _weights(x: Meta, g: Meta, taps: Taps) -> tuple[Meta, dict]:
    """The rule of `weigh`: (N, C, *in), (N, O, *out) -> (O, C/G, *kernel)."""
    shape = (g.shape[1], x.shape[1] // taps.groups, *taps.kernel)
    return meta_of(shape, g.dtype, g.device), {"taps": taps}


def _spread_over(g: Tensor, w: Tensor, taps: Taps, size: Any) -> Tensor:
    return apply(_SPREAD, (g, conj(w)), (taps, tuple(size)))


def _correlated(x: Tensor, w: Tensor, taps: Taps, size: Any) -> Tensor:
    return apply(_CORRELATE, (x, conj(w)), (taps, tuple(size)))


def _weighed(x: Tensor, g: Tensor, taps: Taps) -> Tensor:
    return apply(_WEIGH, (x, g), (taps,))


def _of_bias(g: Tensor) -> Tensor:
    return g.sum((0, *range(2, g._meta.ndim)))


def _channels_apart(batch: Batch) -> Callable:
    """Many examples as one with their channels side by side, those of each in groups of its own.

    An input that alone is different for every example is a longer batch instead.
    """
    a, b, *bias = batch.metas
    if not b.device.lanes and not any(m.device.lanes for m in bias):
        return folded(0)(batch)
    many, lanes = prod(batch.sizes), len(batch.sizes)
    weighs = len(batch.attrs) == 1  # the gradient of a kernel: two inputs of (N, C, ...)
    taps, *rest = batch.attrs
    full = [batch.full(k) for k in range(len(batch.metas))]

    def beside(x: Any) -> Any:
        """(lanes, N, C, ...) -> (N, lanes C, ...)."""
        x = np.moveaxis(x.reshape(many, *x.shape[lanes:]), 0, 1)
        return x.reshape(x.shape[0], many * x.shape[2], *x.shape[3:])

    def stacked(w: Any) -> Any:
        """(lanes, O, ...) -> (lanes O, ...)."""
        return w.reshape(many * w.shape[lanes], *w.shape[lanes + 1 :])

    def wide(m: Meta, k: int) -> Meta:
        axis = 1 if k == 0 or (weighs and k == 1) else 0
        return meta_of((*m.shape[:axis], many * m.shape[axis], *m.shape[axis + 1 :]), m.dtype)

    metas = tuple([wide(m, k) for k, m in enumerate(batch.metas)])
    groups = taps._replace(groups=many * taps.groups)
    fn = batch.resolve(metas, (groups, *rest)).fn
    out = batch.outs[0].shape

    def call(*args: Any) -> Any:
        arrays = [line(x) for line, x in zip(full, args)]
        beyond = [beside(x) if k == 0 or (weighs and k == 1) else stacked(x)
                  for k, x in enumerate(arrays)]  # fmt: skip
        got = fn(*beyond)
        if not weighs:
            got = np.moveaxis(got.reshape(out[0], many, *out[1:]), 1, 0)
        return got.reshape(*batch.sizes, *out)

    return call


def _op(name: str, transposed: bool, biased: bool, grad_fn: str) -> Op:
    """A convolution of `x` by `w`, with `bias` added where `biased`."""
    rule, kernel = (_inputs, spread) if transposed else (_places, correlate)
    along: tuple[Callable, ...] = (
        lambda g, w, x_shape, taps: _spread_over(g, w, taps, x_shape[2:]),
        lambda g, x, taps: _weighed(conj(x), g, taps),
    )
    if transposed:
        along = (
            lambda g, w, x_shape, taps: _correlated(g, w, taps, x_shape[2:]),
            lambda g, x, taps: _weighed(g, conj(x), taps),
        )

    def with_bias(x: Meta, w: Meta, b: Meta, *attrs: Any) -> tuple[Meta, dict]:
        return rule(x, w, *attrs)

    return Op(
        name, with_bias if biased else rule, _in_float32(kernel),
        inputs=("x", "w", "bias") if biased else ("x", "w"),
        vjp=(*along, _of_bias) if biased else along, grad_fn=grad_fn, batch=_channels_apart,
        native=_in_words(transposed),
    )  # fmt: skip


_CONVOLUTIONS = {
    (t, b): _op(f"convolution{'_transposed' * t}{'_bias' * b}", t, b, "ConvolutionBackward0")
    for t in (False, True)
    for b in (False, True)
}
_CORRELATE = _op("convolution_again", False, False, "ConvolutionBackwardBackward0")
_SPREAD = _op("convolution_backward_input", True, False, "ConvolutionBackwardBackward0")
_WEIGH = Op(
    "convolution_backward_weight",
    _weights,
    _in_float32(weigh),
    inputs=("x", "g_"),
    vjp=(
        lambda h, g_, x_shape, taps: _spread_over(conj(g_), conj(h), taps, x_shape[2:]),
        lambda h, x, g__shape, taps: _correlated(conj(x), conj(h), taps, g__shape[2:]),
    ),
    grad_fn="ConvolutionBackwardBackward0",
    batch=_channels_apart,
    native=lambda xp, x, g, *, taps: xp.convolution_backward_weight(x, g, taps),
)


def _type_name(d: dtype) -> str:
    return f"CPU{d.legacy_name}Type" if d.is_complex else f"torch.{d.legacy_name}Tensor"


def _check_kinds(x: Meta, w: Meta, bias: Meta | None, transposed: bool) -> None:
    if x.dtype is not w.dtype:
        raise RuntimeError(
            f"Input type ({_type_name(x.dtype)}) and weight type ({_type_name(w.dtype)}) should be "
            "the same or input should be a MKLDNN tensor and weight is a dense tensor"
        )
    if bias is not None and bias.dtype is not x.dtype:
        names = [C_NAMES.get(d.name, d.name) for d in (x.dtype, bias.dtype)]
        raise RuntimeError(f"Input type ({names[0]}) and bias type ({names[1]}) should be the same")
    if x.dtype.category == BOOL:
        kernel = "slow_conv_transpose2d_out_cpu" if transposed else "slow_conv2d_cpu"
        raise_not_implemented(kernel, x.dtype)


def _check_numbers(taps: Taps, more: Ints) -> None:
    if taps.groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if min(taps.padding, default=0) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(more, default=0) < 0:
        raise RuntimeError("negative output_padding is not supported")
    if min(taps.stride, default=1) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(taps.dilation, default=1) <= 0:
        raise RuntimeError("non-positive dilation is not supported")
    if not taps.kernel:
        raise RuntimeError("weight should have at least three dimensions")
    if min(taps.kernel) <= 0:
        raise RuntimeError(f"a convolution's kernel has no taps: its size is {list(taps.kernel)}")


def _by(sizes: Any) -> str:
    return " x ".join(map(str, sizes))


def _check_shapes(x: Meta, w: Meta, bias: Meta | None, taps: Taps, transposed: bool) -> None:
    """PyTorch's errors where weight and bias do not fit the input."""
    groups, weight = taps.groups, list(w.shape)
    if weight[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            f"got weight of size {weight} instead"
        )
    if weight[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{weight}] instead"
        )
    inside = weight[0] if transposed else weight[1] * groups
    outside = weight[1] * groups if transposed else weight[0]
    given = "transposed=1" if transposed else f"groups={groups}"
    if x.shape[1] != inside:
        raise RuntimeError(
            f"Given {given}, weight of size {weight}, expected input{list(x.shape)} to have "
            f"{inside} channels, but got {x.shape[1]} channels instead"
        )
    if bias is not None and tuple(bias.shape) != (outside,):
        given = "transposed=1, " if transposed else ""
        raise RuntimeError(
            f"Given {given}weight of size {weight}, expected bias to be 1-dimensional with "
            f"{outside} elements, but got bias of size {list(bias.shape)} instead"
        )


def _check_reach(x: Meta, taps: Taps, out: Ints) -> None:
    """PyTorch's error where a plain convolution's kernel is larger than its input."""
    reach = [d * (k - 1) + 1 for k, d in zip(taps.kernel, taps.dilation)]
    held = [n + 2 * p for n, p in zip(x.shape[2:], taps.padding)]
    if any(n < r for n, r in zip(held, reach)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_by(held)}). Kernel size: ({_by(reach)})."
            " Kernel size can't be greater than actual input size"
        )
    if not prod(x.shape[2:]):
        raise RuntimeError(
            "Only zero batch or zero channel inputs are supported, but got input shape: "
            f"{list(x.shape)}"
        )


def _transposed_size(x: Meta, taps: Taps, more: Ints) -> Ints:
    """The size of a transposed convolution's result, or PyTorch's errors."""
    size = taps.in_size(tuple(x.shape[2:]), more)
    if any(m >= s and m >= d for m, s, d in zip(more, taps.stride, taps.dilation)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got output_padding "
            f"{list(more)}, stride {list(taps.stride)}, dilation {list(taps.dilation)}"
        )
    if min(size, default=1) <= 0:
        raise RuntimeError(
            f"Given input size per channel: ({_by(x.shape[2:])}). Calculated output size per "
            f"channel: ({_by(size)}). Output size is too small"
        )
    return size


#: (metas, numbers) -> the attributes of a convolution that was checked
_checked: dict[tuple, tuple] = {}


def _attributes(
    x: Meta, w: Meta, bias: Meta | None, taps: Taps, transposed: bool, more: Ints
) -> tuple:
    key = (x, w, bias, taps, transposed, more)
    found = _checked.get(key)
    if found is not None:
        return found
    _check_kinds(x, w, bias, transposed)
    _check_numbers(taps, more)
    _check_shapes(x, w, bias, taps, transposed)
    size: Ints | None = None
    if transposed:
        size = _transposed_size(x, taps, more)
    else:
        _check_reach(x, taps, taps.out_size(tuple(x.shape[2:])))
    if len(_checked) > 4096:
        _checked.clear()
    return _checked.setdefault(key, (taps, size))


def expanded(value: Any, axes: int, name: str, fn: str, position: int, named: int = 0) -> Ints:
    """A number per axis, from one for all or one for each; PyTorch's errors for anything else.

    An int stands for `named` numbers where that is not 0: the axes that a function's name tells.
    """
    values = (value,) * (named or 1) if isinstance(value, int) else value
    if not isinstance(values, (tuple, list)) or not all(
        isinstance(n, int) or hasattr(n, "__index__") for n in values
    ):
        raise TypeError(
            f"{fn}() received an invalid combination of arguments: argument '{name}' (position "
            f"{position}) must be tuple of ints, not {type(value).__name__}"
        )
    numbers = tuple([n.__index__() for n in values])
    if len(numbers) == 1:
        return numbers * axes
    if len(numbers) != axes:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {axes} values to match the "
            f"convolution dimensions, but got {name}={list(numbers)}"
        )
    return numbers


def _convolve(
    x: Tensor, w: Tensor, bias: Tensor | None, taps: Taps, transposed: bool, more: Ints
) -> Tensor:
    """A convolution of a batch, after the checks of what surrounds it."""
    b = None if bias is None else bias._meta
    attrs = _attributes(x._meta, w._meta, b, taps, transposed, more)
    tensors = (x, w) if bias is None else (x, w, bias)
    return apply(_CONVOLUTIONS[transposed, bias is not None], tensors, attrs)


def _batched(x: Tensor, axes: int, fn: str) -> bool:
    n = x._meta.ndim
    if n not in (axes + 1, axes + 2):
        raise RuntimeError(
            f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to {fn}, but got "
            f"input of size: {list(x._meta.shape)}"
        )
    return n == axes + 2


def _check_operands(fn: str, input: Any, weight: Any, bias: Any) -> None:
    check_tensor(input, fn)
    check_tensor(weight, fn, "weight", 2)
    if bias is not None:
        check_tensor(bias, fn, "bias", 3)


def _same(x: Tensor, w: Tensor, stride: Ints, dilation: Ints) -> tuple[Tensor, Ints]:
    """The input and its padding for results of its own size; uneven padding goes to the end."""
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(w._meta.shape[2:], dilation)]
    if any(t % 2 for t in total):
        warnings.warn(
            "Using padding='same' with even kernel lengths and odd dilation may require a "
            "zero-padded copy of the input be created",
            UserWarning,
            stacklevel=4,
        )
        x = pad(x, [n for t in reversed(total) for n in (0, t % 2)])
    return x, tuple([t // 2 for t in total])


def _plain(
    fn: str, axes: int, x: Tensor, w: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> Tensor:  # fmt: skip
    _check_operands(fn, x, w, bias)
    batched, named, axes = _batched(x, axes, fn), axes, max(w._meta.ndim - 2, 0)
    stride = expanded(stride, axes, "stride", fn, 4, named)
    dilation = expanded(dilation, axes, "dilation", fn, 6, named)
    if not batched:
        x = x.unsqueeze(0)
    if padding == "same":
        x, padding = _same(x, w, stride, dilation)
    elif padding == "valid":
        padding = (0,) * axes
    elif isinstance(padding, str):
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    else:
        padding = expanded(padding, axes, "padding", fn, 5, named)
    taps = Taps(tuple(w._meta.shape[2:]), stride, padding, dilation, groups)
    out = _convolve(x, w, bias, taps, False, ())
    return out if batched else out.squeeze(0)


def _backwards(
    fn: str, axes: int, x: Tensor, w: Tensor, bias: Any, stride: Any, padding: Any,
    output_padding: Any, groups: int, dilation: Any,
) -> Tensor:  # fmt: skip
    _check_operands(fn, x, w, bias)
    batched, named, axes = _batched(x, axes, fn), axes, max(w._meta.ndim - 2, 0)
    stride = expanded(stride, axes, "stride", fn, 4, named)
    padding = expanded(padding, axes, "padding", fn, 5, named)
    more = expanded(output_padding, axes, "output_padding", fn, 6, named)
    dilation = expanded(dilation, axes, "dilation", fn, 8, named)
    taps = Taps(tuple(w._meta.shape[2:]), stride, padding, dilation, groups)
    out = _convolve(x if batched else x.unsqueeze(0), w, bias, taps, True, more)
    return out if batched else out.squeeze(0)


def _spell(axes: int) -> None:
    """conv and conv_transpose of that many axes."""
    place = ("(N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)")[axes - 1]
    name, back = f"conv{axes}d", f"conv_transpose{axes}d"

    def conv(
        input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        return _plain(name, axes, input, weight, bias, stride, padding, dilation, groups)

    def conv_transpose(
        input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
    ) -> Tensor:  # fmt: skip
        return _backwards(
            back, axes, input, weight, bias, stride, padding, output_padding, groups, dilation
        )

    conv.__doc__ = (
        f"The cross-correlation of {place}, the batch optional, with weight (O, C / groups, "
        "*kernel), plus bias (O). `padding` is a number of zeros at each side, per axis or for "
        'all, "valid" for none or "same" for results of the input\'s size.'
    )
    conv_transpose.__doc__ = (
        f"The transpose of a convolution, of {place}, the batch optional, with weight "
        "(C, O / groups, *kernel), plus bias (O); the result is larger by `output_padding`."
    )
    for named, fn in ((name, conv), (back, conv_transpose)):
        public("torch", "nn.functional", method=False, name=named)(fn)


for _axes in (1, 2, 3):
    _spell(_axes)


@public(method=False)
def convolution(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Tensor:  # fmt: skip
    """A convolution, plain or transposed, of a batch with as many axes as the weight has."""
    _check_operands("convolution", input, weight, bias)
    axes = max(weight._meta.ndim - 2, 0)
    if input._meta.ndim != weight._meta.ndim:
        raise RuntimeError(
            f"Expected {axes + 2}-dimensional input for {axes + 2}-dimensional weight "
            f"{list(weight._meta.shape)}, but got {input._meta.ndim}-dimensional input of size "
            f"{list(input._meta.shape)} instead"
        )
    steps, around, apart, more = [
        expanded(value, axes, name, "convolution", position)
        for value, name, position in (
            (stride, "stride", 4), (padding, "padding", 5), (dilation, "dilation", 6),
            (output_padding, "output_padding", 8),
        )
    ]  # fmt: skip
    taps = Taps(tuple(weight._meta.shape[2:]), steps, around, apart, groups)
    return _convolve(input, weight, bias, taps, transposed, more if transposed else ())


def _tbc_rule(x: Meta, w: Meta, b: Meta, pad: int) -> tuple[Meta, dict]:
    for m, n, what in ((x, 3, "Input"), (w, 3, "Weight"), (b, 1, "Bias")):
        if m.ndim != n:
            raise RuntimeError(f"{what} must have {n} dims, but it has {m.ndim}")
    if x.shape[2] != w.shape[1]:
        raise RuntimeError("Input dim 2 (input channels) is not == dim 1 in the weight tensor")
    if b.shape[0] != w.shape[2]:
        raise RuntimeError("Bias size must equal dim 2 in the weight tensor (output channels).")
    taps = Taps((w.shape[0],), (1,), (pad,), (1,))
    size = taps.out_size((x.shape[0],))
    return meta_of((*size, x.shape[1], w.shape[2]), x.dtype, x.device), {"taps": taps}


def _along_time(t: Tensor) -> Tensor:
    """(T, B, C) -> (B, C, T)."""
    return t.permute(1, 2, 0)


def _channels_first(w: Tensor) -> Tensor:
    """(K, C, O) -> (O, C, K)."""
    return w.permute(2, 1, 0)


def _tbc(x: Tensor, w: Tensor, b: Tensor, *, taps: Taps) -> Tensor:
    out = _convolve(_along_time(x), _channels_first(w), b, taps, False, ())
    return out.permute(2, 0, 1).contiguous()


_TBC = Op(
    "conv_tbc",
    _tbc_rule,
    None,
    inputs=("x", "w", "bias"),
    vjp=(
        lambda g, w, x_shape, taps: _spread_over(
            _along_time(g), _channels_first(w), taps, x_shape[:1]
        ).permute(2, 0, 1),
        lambda g, x, taps: _weighed(_along_time(conj(x)), _along_time(g), taps).permute(2, 1, 0),
        lambda g: g.sum((0, 1)),
    ),
)


@public("torch", "nn.functional", method=False)
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """The convolution along time of input (T, B, C) with weight (kernel, C, O), plus bias (O)."""
    _check_operands("conv_tbc", input, weight, bias)
    return composite(_TBC, _tbc, (input, weight, bias), (pad,))
