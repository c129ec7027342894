"""Normalisation: numbers brought to mean 0 and variance 1 along axes, then scaled and shifted.

Room: ops. Layer, group and batch norm in training, and RMS norm (which only divides), are one
family. With xh the normalised numbers, r the reciprocal deviation and m(.) the mean along the
normalised axes, the gradient of xh is the self-adjoint map P(g) = r (g - m(g) - xh m(g xh)), and
the derivative of <v, P(g)> along the input is -r (xh m(v P(g)) + P(v) m(g xh) + P(g) m(v xh)); RMS
norm lacks the term m(g).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, INT, LOW_PRECISION, float32
from bital.ir.batch import Batch
from bital.ir.meta import Meta
from bital.ir.op import Op, asking, like
from bital.ops.family import check_dtype
from bital.ops.pooling import laid_like
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

Shape = tuple[int, ...]


class Layout(NamedTuple):
    """How an operator normalises."""

    view: Shape  # the shape in which axes are normalised
    axes: Shape  # these
    affine: Shape  # the shape in which weight and bias meet the input
    centred: bool  # the mean is taken away

    @property
    def group(self) -> int:
        """How many numbers share a mean."""
        return prod([self.view[k] for k in self.axes])

    @property
    def stats(self) -> Shape:
        """The shape of a mean for each group of numbers."""
        return tuple([1 if k in self.axes else n for k, n in enumerate(self.view)])


def check_parameters(x: Meta, parameters: list[Meta], kernel: str) -> None:
    """PyTorch's errors for parameters whose dtype does not fit the input's."""
    check_dtype(x.dtype, (BOOL, INT, COMPLEX), kernel)
    if not parameters:
        return
    if parameters[0].dtype is not x.dtype:
        if any(p.dtype is not float32 for p in parameters):
            raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
        if x.dtype not in LOW_PRECISION:
            raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
        return
    for p in parameters[1:]:
        if p.dtype is not x.dtype:
            raise RuntimeError(
                f"expected scalar type {x.dtype.legacy_name} but found {p.dtype.legacy_name}"
            )


def wide(x: Any) -> Any:
    """An array of half precision in float32; another as it is."""
    return x.astype("float32") if x.dtype.itemsize == 2 else x


def _normalised(xp: Any, x: Any, layout: Layout, eps: float) -> tuple:
    """The normalised numbers in the view's shape, their mean, r, and the variance."""
    v = wide(x).reshape(layout.view)
    axes, n = layout.axes, layout.group
    if layout.centred:
        mean = xp.add.reduce(v, axis=axes, keepdims=True)
        mean /= n
        v = xp.subtract(v, mean)
    else:
        mean = xp.zeros(layout.stats, v.dtype)
    var = _dots(xp, v, v, axes)
    var /= n
    r = 1 / xp.sqrt(var + eps)
    return xp.multiply(v, r, out=v if layout.centred else None), mean, r, var


def _dots(xp: Any, a: Any, b: Any, axes: Shape) -> Any:
    """The sums of a b over `axes`, which stay with size 1."""
    if axes == (a.ndim - 1,):
        return xp.vecdot(a, b)[..., None]
    return xp.add.reduce(a * b, axis=axes, keepdims=True)


def _times_hat(xp: Any, g: Any, x: Any, mean: Any, r: Any, layout: Layout) -> Any:
    """g times the normalised numbers, these made again from what was kept."""
    g, v = wide(g).reshape(layout.view), wide(x).reshape(layout.view)
    # r comes last: what is compiled has x - mean already, which the input's gradient needs
    out = xp.subtract(v, mean) if layout.centred else xp.multiply(v, g)
    if layout.centred:
        out *= g
    out *= r
    return out.reshape(x.shape)


def _channel_rows(xp: Any, x: Any, layout: Layout) -> Any:
    """(N, C, *) as rows (C, numbers) where it lies so in memory, as convolutions leave it.

    Rows are added up and scaled in one stretch each. None where it lies otherwise.
    """
    if xp is not np:  # what is compiled finds its own order
        return None
    if layout.axes != (0, 2) or x.ndim < 3 or x.dtype.itemsize == 2 or not x.size:
        return None
    turned = xp.moveaxis(x, 0, -1)
    return turned.reshape(turned.shape[0], -1) if turned.flags.c_contiguous else None


def _as_lay(xp: Any, rows: Any, x: Any) -> Any:
    """What `_channel_rows` made rows of, in x's shape."""
    return xp.moveaxis(rows.reshape(*x.shape[1:], x.shape[0]), -1, 0)


def _normalised_rows(xp: Any, rows: Any, weight: Any, bias: Any, eps: float) -> tuple:
    """As `_normalised`, of rows, scaled and shifted where there is a weight and a bias."""
    n = rows.shape[1]
    mean = xp.add.reduce(rows, axis=1, keepdims=True)
    mean /= n
    out = xp.subtract(rows, mean)
    var = xp.vecdot(out, out)[:, None]
    var /= n
    r = 1 / xp.sqrt(var + eps)
    out *= r if weight is None else r * weight.reshape(-1, 1)
    if bias is not None:
        out += bias.reshape(-1, 1)
    return out, mean, r, var


def _project_rows(xp: Any, g: Any, rows: Any, mean: Any, r: Any, weight: Any) -> Any:
    """P(g) of rows, g first multiplied by the weight where there is one."""
    n = rows.shape[1]
    mean, r = mean.reshape(-1, 1), r.reshape(-1, 1)
    scale = r if weight is None else r * weight.reshape(-1, 1)
    out = xp.subtract(rows, mean)
    out *= xp.vecdot(g, out)[:, None] * (-scale * r * r / n)
    out -= xp.add.reduce(g, axis=1, keepdims=True) * (scale / n)
    out += g * scale
    return out


def of_examples(batch: Batch) -> Callable:
    """The same for many examples: a layout with their lanes in front."""
    sizes, lanes = batch.sizes, len(batch.sizes)
    layout: Layout = batch.kwargs["layout"]
    gap = max(m.ndim for m in batch.metas[:2]) - len(layout.affine)
    many = Layout(
        (*sizes, *layout.view),
        tuple([k + lanes for k in layout.axes]),
        (*sizes, *[1] * gap, *layout.affine),
        layout.centred,
    )
    full = [batch.full(k) for k in range(len(batch.metas))]
    shapes = [(*sizes, *out.shape) for out in batch.outs]

    def call(*args: Any) -> Any:
        arrays = [line(a) for line, a in zip(full, args)]
        got = batch.fn(*arrays, *args[len(full) :], layout=many)
        if not isinstance(got, tuple):
            return got.reshape(shapes[0])
        return tuple([part.reshape(shape) for part, shape in zip(got, shapes)])

    return call


class Normalisation:
    """The operators of one kind of normalisation, with and without weight and bias.

    name, title  as in "native_layer_norm", "NativeLayerNorm"
    layout       (input's meta, *attrs) -> Layout; raises PyTorch's errors about the shape
    check        (input's, weight's, bias's metas or None, *attrs): raises those about the rest
    """

    def __init__(
        self, name: str, title: str, layout: Callable, check: Callable, grad_fn: str | None = None
    ) -> None:
        self.name, self.title, self.layout, self.check = name, title, layout, check
        self.grad_fn = grad_fn or f"{title}Backward0"
        self.forward = {(w, b): self._forward(w, b) for w in (False, True) for b in (False, True)}
        self.back = {w: self._backward(w) for w in (False, True)}
        self.slope = self._weight_backward()

    def __call__(
        self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, *attrs: Any
    ) -> tuple[Tensor, ...]:
        """The result, and mean, reciprocal deviation and variance in the layout's shape."""
        tensors = (x, *[t for t in (weight, bias) if t is not None])
        return apply(self.forward[weight is not None, bias is not None], tensors, attrs, (eps,))

    def _forward(self, weighted: bool, biased: bool) -> Op:
        extra = ("weight",) * weighted + ("bias",) * biased

        def rule(x: Meta, *given: Any) -> tuple:
            parameters, attrs = list(given[: len(extra)]), given[len(extra) :]
            layout = self.layout(x, *attrs)
            weight = parameters[0] if weighted else None
            self.check(x, weight, parameters[-1] if biased else None, *attrs)
            stats = like(x, layout.stats, float32 if x.dtype in LOW_PRECISION else None)
            return (x, stats, stats, stats), {"layout": layout}

        def impl(xp: Any, x: Any, *given: Any, layout: Layout) -> tuple:
            *parameters, eps = given
            rows = _channel_rows(xp, x, layout)
            if rows is not None:
                weight, bias = (
                    parameters[0] if weighted else None,
                    parameters[-1] if biased else None,
                )
                out, *stats = _normalised_rows(xp, rows, weight, bias, eps)
                return _as_lay(xp, out, x), *[t.reshape(layout.stats) for t in stats]
            out, mean, r, var = _normalised(xp, x, layout, eps)
            out = out.reshape(x.shape)
            if weighted:
                out = xp.multiply(out, wide(parameters[0]).reshape(layout.affine), out=out)
            if biased:
                out = xp.add(out, wide(parameters[-1]).reshape(layout.affine), out=out)
            return out.astype(x.dtype, copy=False), mean, r, var

        kept = ("input", "out1", "out2", *extra[:weighted], "eps", "layout")
        vjps = [asking(self._descend, *kept)]
        if weighted:
            vjps.append(asking(self._along_weight, *kept))
        if biased:
            vjps.append(asking(_along_bias, "bias_meta", "layout"))
        return Op(
            f"{self.name}{'_weight' * weighted}{'_bias' * biased}", rule, impl,
            inputs=("input", *extra), params=("eps",), vjp=tuple(vjps), grad_fn=self.grad_fn,
            batch=of_examples,
        )  # fmt: skip

    def _descend(self, g: Any, x: Tensor, mean: Tensor, r: Tensor, *given: Any) -> Tensor:
        *weights, eps, layout = given
        tensors = (g[0], x, mean.detach(), r.detach(), *weights)
        return apply(self.back[bool(weights)], tensors, (layout,), (eps,))

    def _along_weight(self, g: Any, x: Tensor, mean: Tensor, r: Tensor, *given: Any) -> Any:
        weight, eps, layout = given
        tensors = (g[0], x, mean.detach(), r.detach())
        return apply(self.slope, tensors, (layout,), (eps,)).reshape(weight._meta.shape)

    def _backward(self, weighted: bool) -> Op:
        extra = ("weight",) * weighted

        def rule(g: Meta, x: Meta, *given: Any) -> tuple[Meta, dict]:
            return x, {"layout": given[-1]}

        def impl(xp: Any, g: Any, x: Any, mean: Any, r: Any, *given: Any, layout: Layout) -> Any:
            rows = _channel_rows(xp, x, layout)
            if rows is not None:
                g = _channel_rows(xp, laid_like(xp, g, x), layout)
                weight = given[0] if weighted else None
                return _as_lay(xp, _project_rows(xp, g, rows, mean, r, weight), x)
            g = wide(g)
            if weighted:
                g = xp.multiply(g, wide(given[0]).reshape(layout.affine))
            g, v = g.reshape(layout.view), wide(x).reshape(layout.view)
            axes, n = layout.axes, layout.group
            # with c = x - mean, so that xh = r c: P(g) = r (g - m(g) - c r^2 m(g c))
            c = xp.subtract(v, mean) if layout.centred else v
            along = _dots(xp, g, c, axes)
            along *= r * r / n
            out = xp.multiply(c, along, out=c if layout.centred else None)
            if layout.centred:
                out += xp.add.reduce(g, axis=axes, keepdims=True) / n
            out = xp.subtract(g, out, out=out)
            out *= r
            return out.reshape(x.shape).astype(x.dtype, copy=False)

        kept = ("g", "input", "mean", "r", *extra, "eps", "layout")
        vjps: list[Callable | None] = [
            asking(self._along_g, *kept), asking(self._along_input, *kept), None, None,
        ]  # fmt: skip
        if weighted:
            vjps.append(asking(self._along_inner_weight, *kept))
        return Op(
            f"{self.name}{'_weight' * weighted}_backward", rule, impl,
            inputs=("g", "input", "mean", "r", *extra), params=("eps",), vjp=tuple(vjps),
            grad_fn=f"{self.title}BackwardBackward0", batch=of_examples,
        )  # fmt: skip

    def _project(self, v: Any, x: Any, mean: Any, r: Any, eps: float, layout: Layout) -> Any:
        """P(v)."""
        return apply(self.back[False], (v, x, mean, r), (layout,), (eps,))

    def _along_g(self, v: Any, g: Any, x: Any, mean: Any, r: Any, *given: Any) -> Any:
        *weights, eps, layout = given
        projected = self._project(v, x, mean, r, eps, layout)
        return projected * weights[0].reshape(layout.affine) if weights else projected

    def _along_inner_weight(self, v: Any, g: Any, x: Any, mean: Any, r: Any, *given: Any) -> Any:
        weight, eps, layout = given
        return _onto(g * self._project(v, x, mean, r, eps, layout), weight._meta, layout)

    def _along_input(self, v: Any, g: Any, x: Any, mean: Any, r: Any, *given: Any) -> Any:
        *weights, eps, layout = given
        if weights:
            g = g * weights[0].reshape(layout.affine)
        # made of x anew, so that derivatives of any order see all of x's influence
        hat, r_of_x = _of_input(x, eps, layout)
        pv, pg, v, g = [
            t.reshape(layout.view) for t in (self._project(v, x, mean, r, eps, layout),
                                             self._project(g, x, mean, r, eps, layout), v, g)
        ]  # fmt: skip

        def m(t: Any) -> Any:
            return t.mean(layout.axes, keepdim=True)

        bent = hat * m(v * pg) + pv * m(g * hat) + pg * m(v * hat)
        return (bent * -r_of_x).reshape(x._meta.shape)

    def _weight_backward(self) -> Op:
        def rule(g: Meta, x: Meta, mean: Meta, r: Meta, layout: Layout) -> tuple[Meta, dict]:
            return like(r, layout.affine), {"layout": layout}

        def impl(xp: Any, g: Any, x: Any, mean: Any, r: Any, eps: float, *, layout: Layout) -> Any:
            rows = _channel_rows(xp, x, layout)
            if rows is not None:
                g = _channel_rows(xp, laid_like(xp, g, x), layout)
                slope = xp.vecdot(g, rows - mean.reshape(-1, 1)) * r.reshape(-1)
                return slope.reshape(layout.affine)
            along = _times_hat(xp, g, x, mean, r, layout)
            lead = x.ndim - len(layout.affine)
            axes = tuple(
                [k for k in range(x.ndim) if k < lead or layout.affine[k - lead] != x.shape[k]]
            )
            return xp.add.reduce(along, axis=axes).reshape(layout.affine)

        kept = ("g", "input", "mean", "r", "eps", "layout")
        return Op(
            f"{self.name}_weight_slope", rule, impl, inputs=kept[:4], params=("eps",),
            batch=of_examples,
            vjp=(
                asking(
                    lambda v, g, x, mean, r, eps, layout:
                        v * _of_input(x, eps, layout)[0].reshape(x._meta.shape),
                    *kept,
                ),
                asking(
                    lambda v, g, x, mean, r, eps, layout:
                        self._project(g * v, x, mean, r, eps, layout),
                    *kept,
                ),
                None,
                None,
            ),
            grad_fn=f"{self.title}BackwardBackward0",
        )  # fmt: skip


def _of_input(x: Any, eps: float, layout: Layout) -> tuple[Any, Any]:
    """The normalised numbers and the reciprocal deviation, of public operators, in the view."""
    v = x.reshape(layout.view)
    if layout.centred:
        v = v - v.mean(layout.axes, keepdim=True)
    r = ((v * v).mean(layout.axes, keepdim=True) + eps).rsqrt()
    return v * r, r


def _onto(t: Any, parameter: Meta, layout: Layout) -> Any:
    """A gradient in the input's shape summed to a weight's or a bias's."""
    return t.sum_to_size(layout.affine).reshape(parameter.shape)


def _along_bias(g: Any, bias: Meta, layout: Layout) -> Any:
    return _onto(g[0], bias, layout)
