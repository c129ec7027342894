"""Max pooling: the largest element of every window, and adaptive windows.

Room: ops. The gradient goes to the largest element's place. It is found again from input and
result, tap by tap, so that nothing but these is kept; where PyTorch returns indices they are
computed, flat in the last axes.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import BOOL, COMPLEX, INT, int64
from bital.ir.batch import leading
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ir.trace import local
from bital.ops.api import check_tensor, public
from bital.ops.create import constant
from bital.ops.family import check_dtype, masked
from bital.ops.pool_size import (
    Axes,
    Numbers,
    adaptive_windows,
    numbers_of,
    one_axis,
    output_size_of,
    plain_windows,
)
from bital.ops.pooling import (
    laid_like,
    largest,
    like,
    lowest,
    one_window,
    reduced,
    winners,
)
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, edge_of

#: what PyTorch calls the nodes
_TITLES = {
    "max_pool2d": "MaxPool2DWithIndices", "max_pool3d": "MaxPool3DWithIndices",
    "adaptive_max_pool2d": "AdaptiveMaxPool2D", "adaptive_max_pool3d": "AdaptiveMaxPool3D",
}  # fmt: skip


def _over(x: Meta, axes: Axes) -> Meta:
    return meta_of((*x.shape[: -len(axes)], *[w.out for w in axes]), x.dtype, x.device)


def _values(xp: Any, x: Any, *, axes: Axes) -> Any:
    return reduced(xp, xp.maximum, x, axes, lowest(x))


def _values_native(xp: Any, x: Any, *, axes: Axes) -> Any:
    if one_window(axes):
        return x.max(axis=tuple(range(-len(axes), 0)), keepdims=True)
    return xp.max_pool(x, axes)


def _values_and_indices(xp: Any, x: Any, *, axes: Axes) -> tuple[Any, Any]:
    return largest(xp, x, axes)


def _to_winners(xp: Any, g: Any, x: Any, peak: Any, *, axes: Axes) -> Any:
    """(windows) -> (input): each window's number goes to its largest element."""
    g = laid_like(xp, g, peak)
    apart = all(w.kernel and w.kernel <= w.stride and w.dilation == 1 for w in axes)
    if apart and all(not w.padding and w.out * w.kernel == w.size for w in axes):
        out = xp.empty_like(x)  # every element lies in one window
    else:
        out = like(xp, x, x.shape, 0)
    for having, met, is_it in winners(xp, x, peak, axes):
        share = masked(xp, g[having], is_it)
        if apart:
            out[met] = share
        else:
            out[met] += share
    return out


def _zeros(g: Tensor, x_meta: Meta) -> Tensor:
    return constant(x_meta, 0)


def _of_winners(xp: Any, h: Any, x: Any, peak: Any, *, axes: Axes) -> Any:
    """(input) -> (windows): the number at each window's largest element."""
    out = like(xp, h, peak.shape, 0)
    for having, met, is_it in winners(xp, x, peak, axes):
        out[having] = xp.where(is_it, h[met], out[having])
    return out


def _ops(fn: str, n: int) -> tuple[Op, Op]:
    """The operators of values alone, and of values and indices, over the last n axes."""
    adaptive = fn.startswith("adaptive")

    def rule(x: Meta, size: Any) -> tuple[Meta, dict]:
        axes = (adaptive_windows if adaptive else plain_windows)(x, n, size, fn)
        kernel = f"{fn}_cpu" if fn == "adaptive_max_pool3d" else fn
        check_dtype(x.dtype, (BOOL, INT, COMPLEX) if adaptive else (BOOL, COMPLEX), kernel)
        return _over(x, axes), {"axes": axes}

    def rule_with_indices(x: Meta, size: Any) -> tuple:
        out, attrs = rule(x, size)
        return (out, meta_of(out.shape, int64, x.device)), attrs

    def back(g: Any, x: Tensor, peak: Tensor, axes: Axes) -> Tensor:
        return apply(to_winners, (g, x, peak.detach()), (axes,))

    grad_fn = f"{_TITLES[fn]}Backward0"
    to_winners = Op(
        f"{fn}_to_winners", lambda g, x, peak, axes: (x, {"axes": axes}), _to_winners,
        inputs=("g", "x", "peak"), batch=leading, grad_fn=f"{_TITLES[fn]}BackwardBackward0",
        native=lambda xp, g, x, peak, *, axes: xp.max_pool_backward(g, x, peak, axes),
        vjp=(lambda h, x, peak, axes: apply(of_winners, (h, x, peak), (axes,)), _zeros, None),
    )  # fmt: skip
    of_winners = Op(
        f"{fn}_of_winners", lambda h, x, peak, axes: (peak, {"axes": axes}), _of_winners,
        inputs=("h", "x", "peak"), batch=leading,
        vjp=(lambda g, x, peak, axes: apply(to_winners, (g, x, peak), (axes,)), None, None),
    )  # fmt: skip
    values = Op(
        fn, rule, _values, vjp=(lambda g, x, out, axes: back(g, x, out, axes),), grad_fn=grad_fn,
        batch=leading, native=_values_native,
    )  # fmt: skip
    both = Op(
        f"{fn}_with_indices", rule_with_indices, _values_and_indices, grad_fn=grad_fn,
        batch=leading,
        vjp=(lambda g, x, out0, axes: back(g[0], x, out0, axes),),
    )  # fmt: skip
    return values, both


#: by name and number of axes
_OPS = {(fn, n): _ops(f"{fn}{n}d", n) for fn in ("max_pool", "adaptive_max_pool") for n in (2, 3)}


def _pooled(fn: str, n: int, x: Tensor, size: Any, with_indices: bool) -> Any:
    """Pooling over the last n axes; one axis is the second of two."""
    if n > 1:
        return apply(_OPS[fn, n][with_indices], (x,), (size,))
    out = apply(_OPS[fn, 2][with_indices], (x.unsqueeze(-2),), (size,))
    if with_indices:
        return out[0].squeeze(-2), out[1].squeeze(-2)
    return out.squeeze(-2)


def _check_one_axis(x: Tensor, numbers: Numbers, with_indices: bool) -> Numbers:
    """PyTorch's errors of max_pool1d; the numbers for two axes."""
    shape: Any = x._meta.shape
    given: list[int] = []
    if x._meta.ndim not in (2, 3) or not all(shape[x._meta.ndim - 2 :]):
        raise RuntimeError(
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got:{list(shape)}"
        )
    names = ("kernel_size", "stride", "padding", "dilation")
    for name, value in zip(names, numbers):
        value = (value,) if isinstance(value, int) else value
        if len(value) > 1:
            raise RuntimeError(
                f"max_pool1d() {name} must be an int, list of ints or tuple of ints of size 1 but "
                f"got size {len(value)}"
            )
        given.append(value[0] if value else given[0])
    for name, value in zip(names, given):
        if value < (name != "padding"):
            wanted = "non-negative" if name == "padding" else "greater than zero"
            raise RuntimeError(f"max_pool1d() {name} must be {wanted}, but got {value}")
    k, s, p, d = given
    if not (with_indices or (local.trace.grad and edge_of(x) is not None)):
        check_dtype(x._meta.dtype, (BOOL, INT, COMPLEX), "max_pool1d_impl")
    return Numbers((1, k), (1, s), (0, p), (1, d), numbers.ceil)


def _spell(n: int) -> None:
    """max_pool and adaptive_max_pool of n axes."""
    name, place = f"max_pool{n}d", ("(N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)")[n - 1]

    def pooled(
        with_indices: bool, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any,
        ceil: bool,
    ) -> Any:  # fmt: skip
        numbers = numbers_of(name, kernel, stride, padding, dilation, ceil)
        if n == 1:
            numbers = _check_one_axis(check_tensor(x, name), numbers, with_indices)
        return _pooled("max_pool", n, check_tensor(x, name), numbers, with_indices)

    def pool(
        input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        return pooled(return_indices, input, kernel_size, stride, padding, dilation, ceil_mode)

    def plain(
        input: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Any:  # fmt: skip
        return pooled(False, input, kernel_size, stride, padding, dilation, ceil_mode)

    def with_indices(
        input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        return pooled(True, input, kernel_size, stride, padding, dilation, ceil_mode)

    def adaptive(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        return _adaptive(n, input, output_size, return_indices)

    def adaptive_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        return _adaptive(n, input, output_size, True)

    doc = f"The largest element of every window of {place}, the batch optional"
    more = ", and its number in the last axes, flat"
    for fn, words in ((pool, more + " where `return_indices`"), (plain, ""), (with_indices, more)):
        fn.__doc__ = f"{doc}{words}. `padding` counts as smaller than any number."
    for named in (adaptive, adaptive_with_indices):
        named.__doc__ = f"{doc}{more}: windows that divide the axes into `output_size` parts."
    public("nn.functional", method=False, name=name)(pool)
    public("torch", method=False, name=name)(plain)
    places = ("torch", "nn.functional") if n == 1 else ("nn.functional",)
    public(*places, method=False, name=f"{name}_with_indices")(with_indices)
    public("nn.functional", method=False, name=f"adaptive_{name}")(adaptive)
    public("nn.functional", method=False, name=f"adaptive_{name}_with_indices")(
        adaptive_with_indices
    )
    if n == 1:
        public("torch", method=False, name="adaptive_max_pool1d")(
            lambda input, output_size: adaptive_with_indices(input, output_size)
        )


def _adaptive(n: int, x: Any, output_size: Any, with_indices: bool) -> Any:
    fn = f"adaptive_max_pool{n}d"
    size = output_size_of(output_size, n, fn)
    if n == 1:
        size = one_axis(check_tensor(x, fn)._meta, size, fn)
    return _pooled("adaptive_max_pool", n, check_tensor(x, fn), size, with_indices)


for _n in (1, 2, 3):
    _spell(_n)
