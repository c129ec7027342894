"""Discrete Fourier transforms, `torch.fft`: of complex numbers, real ones, and Hermitian ones.

Room: ops. Three primitives, as in PyTorch: complex to complex, real to complex and complex to
real; their gradients are made of each other. Values come from NumPy's FFT, which computes in the
operand's own precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.base.dtype import COMPLEX, INT, LOW_PRECISION, default, dtype
from bital.base.size import normalize_dim
from bital.ir.batch import again
from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.ops.api import check_tensor, public, type_error
from bital.ops.create import arange
from bital.ops.family import raise_not_implemented
from bital.ops.movement import roll
from bital.ops.pad import pad as padded
from bital.ops.part import narrow
from bital.ops.view import Ints
from bital.tensor.dispatch import apply, cast
from bital.tensor.tensor import Tensor

#: how results are scaled, in NumPy's words for a transform of either direction
_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _c2c_impl(xp: Any, x: Any, *, dims: Ints, norm: str, forward: bool) -> Any:
    transform = xp.fft.fftn if forward else xp.fft.ifftn
    return transform(x, axes=dims, norm=norm)


def _c2c_rule(x: Meta, dims: Ints, norm: str, forward: bool) -> tuple[Meta, dict]:
    return x, {"dims": dims, "norm": norm, "forward": forward}


#: the adjoint of a transform goes the other way with the same factor, which NumPy calls the other
#: name
_C2C = Op(
    "_fft_c2c",
    _c2c_rule,
    _c2c_impl,
    vjp=(
        lambda g, dims, norm, forward: apply(_C2C, (g,), (dims, _OPPOSITE[norm], not forward)),
    ),
    grad_fn="FftC2CBackward0", batch=again(0))  # fmt: skip


def _with_size(shape: Ints, dim: int, n: int) -> Ints:
    return (*shape[:dim], n, *shape[dim + 1 :])


def _r2c_rule(x: Meta, dims: Ints, norm: str, onesided: bool) -> tuple[Meta, dict]:
    shape = tuple(x.shape)
    if onesided:
        shape = _with_size(shape, dims[-1], shape[dims[-1]] // 2 + 1)
    attrs = {"dims": dims, "norm": norm, "onesided": onesided}
    return like(x, shape, x.dtype.to_complex()), attrs


def _r2c_impl(xp: Any, x: Any, *, dims: Ints, norm: str, onesided: bool) -> Any:
    return (xp.fft.rfftn if onesided else xp.fft.fftn)(x, axes=dims, norm=norm)


def _r2c_vjp(g: Tensor, dims: Ints, norm: str, x_shape: Ints) -> Tensor:
    """The adjoint; of a half, what it stands for is no result and has gradient zero."""
    full = _resized(g, dims[-1], x_shape[dims[-1]])
    return apply(_C2C, (full,), (dims, _OPPOSITE[norm], False)).real


#: a real tensor's transform; `onesided`, the half that says all: along the last axis, frequencies
#: from 0 on
_R2C = Op(
    "_fft_r2c", _r2c_rule, _r2c_impl, vjp=(_r2c_vjp,), grad_fn="FftR2CBackward0", batch=again(0)
)


def _c2r_rule(x: Meta, dims: Ints, norm: str, n: int) -> tuple[Meta, dict]:
    shape = _with_size(tuple(x.shape), dims[-1], n)
    return like(x, shape, x.dtype.to_real()), {"dims": dims, "norm": norm, "n": n}


def _c2r_impl(xp: Any, x: Any, *, dims: Ints, norm: str, n: int) -> Any:
    sizes = [x.shape[k] for k in dims[:-1]]
    return xp.fft.irfftn(x, s=[*sizes, n], axes=dims, norm=norm)


def _c2r_vjp(g: Tensor, dims: Ints, norm: str, n: int, x_shape: Ints) -> Tensor:
    """The adjoint: all frequencies count twice but the first and, of an even number, the last."""
    half = apply(_R2C, (g,), (dims, _OPPOSITE[norm], True))
    last = dims[-1]
    twice = x_shape[last] - (n // 2 + 1) + (n - 1) // 2
    if twice <= 0:
        return half
    size = half._meta.shape[last]
    middle = narrow(half, last, 1, twice)
    counts = [0] * (2 * (half._meta.ndim - last))
    counts[-2:] = [1, size - 1 - twice]
    return half + padded(middle, tuple(counts))


#: the real tensor of size `n` whose half transform is given
_C2R = Op(
    "_fft_c2r", _c2r_rule, _c2r_impl, vjp=(_c2r_vjp,), grad_fn="FftC2RBackward0", batch=again(0)
)


def c2c(x: Any, dims: Ints, norm: str, forward: bool) -> Tensor:
    """The transform of a complex tensor over axes counted from the front."""
    return apply(_C2C, (x,), (dims, norm, forward)) if dims else x.clone()


def r2c(x: Tensor, dims: Ints, norm: str, onesided: bool = True) -> Tensor:
    """A real tensor's transform, or the half of it along the last of the axes."""
    return apply(_R2C, (x,), (dims, norm, onesided))


def c2r(x: Tensor, dims: Ints, norm: str, n: int) -> Tensor:
    """The real tensor, of size `n` along the last of the axes, of a half transform."""
    return apply(_C2R, (x,), (dims, norm, n))


def _resized(x: Tensor, dim: int, n: int) -> Tensor:
    """x cut, or filled up with zeros, to size `n` along an axis."""
    size = x._meta.shape[dim]
    if n < size:
        return narrow(x, dim, 0, n)
    if n == size:
        return x
    return padded(x, (*(0, 0) * (x._meta.ndim - 1 - dim), 0, n - size))


def _norm_of(norm: Any) -> str:
    if norm is None:
        return "backward"
    if norm not in _OPPOSITE:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return norm


def _promoted(x: Tensor, to_complex: bool = False) -> Tensor:
    """x as a tensor that can be transformed: integers become floats."""
    d = x._meta.dtype
    if d in LOW_PRECISION:
        raise RuntimeError(f"Unsupported dtype {d.legacy_name}")
    if d.category <= INT:
        d = default.dtype
    return cast(x, d.to_complex() if to_complex else d)


def _points(n: int) -> int:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return n


def _real_only(x: Tensor, fn: str, wording: str = "real") -> Tensor:
    if x._meta.dtype.category == COMPLEX:
        raise RuntimeError(
            f"{fn} expects a {wording} input tensor, but got {x._meta.dtype.legacy_name}"
        )
    return _promoted(x)


def _one_axis(fn: str, input: Any, n: Any, dim: Any) -> int:
    """The axis of a transform of one, with the arguments' types checked."""
    check_tensor(input, f"fft_{fn}")
    for name, position, value in (("n", 2, n), ("dim", 3, dim)):
        if not hasattr(value, "__index__") and not (name == "n" and value is None):
            raise type_error(f"fft_{fn}", name, position, value, "int")
    return normalize_dim(dim, input._meta.ndim, wrap_scalar=False)


def _of_real(x: Tensor, dims: Ints, norm: str, forward: bool, onesided: bool) -> Tensor:
    """A transform of either direction, that of the inverse being the conjugate of the other's."""
    if forward:
        return r2c(x, dims, norm, onesided)
    return r2c(x, dims, _OPPOSITE[norm], onesided).conj()  # type: ignore[attr-defined]


def _fft(fn: str, input: Tensor, n: int | None, dim: int, norm: Any, forward: bool) -> Tensor:
    axis = _one_axis(fn, input, n, dim)
    x, norm = _promoted(input), _norm_of(norm)
    x = _resized(x, axis, _points(x._meta.shape[axis] if n is None else n))
    if x._meta.dtype.category == COMPLEX:
        return c2c(x, (axis,), norm, forward)
    return _of_real(x, (axis,), norm, forward, onesided=False)


def _half_fft(fn: str, input: Tensor, n: int | None, dim: int, norm: Any, forward: bool) -> Tensor:
    axis = _one_axis(fn, input, n, dim)
    x = _real_only(input, fn)
    x = _resized(x, axis, _points(x._meta.shape[axis] if n is None else n))
    return _of_real(x, (axis,), _norm_of(norm), forward, onesided=True)


def _from_half(fn: str, input: Tensor, n: int | None, dim: int, norm: Any, forward: bool) -> Tensor:
    axis = _one_axis(fn, input, n, dim)
    x = _promoted(input, to_complex=True)
    n = _points(2 * (x._meta.shape[axis] - 1) if n is None else n)
    x = _resized(x, axis, n // 2 + 1)
    norm = _norm_of(norm)
    return c2r(x.conj(), (axis,), _OPPOSITE[norm], n) if forward else c2r(x, (axis,), norm, n)


def _along_one(name: str, transform: Callable, forward: bool, doc: str) -> None:
    def fn(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
        return transform(name, input, n, dim, norm, forward)

    fn.__doc__ = doc
    public("fft", name=name, method=False, out=True)(fn)


_ONE = " over the axis `dim`, cut or filled up with zeros to size `n`."
for _name, _transform, _forward, _doc in (
    ("fft", _fft, True, "The Fourier transform"),
    ("ifft", _fft, False, "The inverse of `fft`"),
    ("rfft", _half_fft, True, "The frequencies from 0 on of a real tensor's transform"),
    ("ihfft", _half_fft, False, "The inverse of `hfft`"),
    ("irfft", _from_half, False, "The real tensor whose `rfft` is given"),
    ("hfft", _from_half, True, "The real transform of a Hermitian tensor, given from 0 on"),
):
    _along_one(_name, _transform, _forward, _doc + _ONE)


def _axes(input: Tensor, s: Any, dim: Any, fn: str) -> tuple[Ints, Ints]:
    """The axes of a transform of several, from the front, and their sizes as given (or -1)."""
    check_tensor(input, f"fft_{fn}")
    ndim = input._meta.ndim
    s = (s,) if isinstance(s, int) else s if s is None else tuple(s)
    dim = (dim,) if isinstance(dim, int) else dim if dim is None else tuple(dim)
    if dim is not None:
        dims = tuple([normalize_dim(k, ndim, wrap_scalar=False) for k in dim])
        if len(set(dims)) < len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None:
        if len(s) > ndim:
            raise RuntimeError(
                f"Got shape with {len(s)} values but input tensor only has {ndim} dimensions."
            )
        dims = tuple(range(ndim - len(s), ndim))
    else:
        dims = tuple(range(ndim))
    return dims, (-1,) * len(dims) if s is None else s


def _sized(x: Tensor, dims: Ints, sizes: Ints) -> Tensor:
    for axis, n in zip(dims, sizes):
        x = _resized(x, axis, _points(x._meta.shape[axis] if n == -1 else n))
    return x


def _fftn(fn: str, input: Tensor, s: Any, dim: Any, norm: Any, forward: bool) -> Tensor:
    dims, sizes = _axes(input, s, dim, fn)
    x = _sized(_promoted(input, to_complex=True), dims, sizes)
    return c2c(x, dims, _norm_of(norm), forward)


def _needs_axes(fn: str, dims: Ints) -> None:
    if not dims:
        raise RuntimeError(f"{fn} must transform at least one axis")


def _half_fftn(fn: str, input: Tensor, s: Any, dim: Any, norm: Any, forward: bool) -> Tensor:
    dims, sizes = _axes(input, s, dim, fn)
    if forward:
        x = _real_only(input, "rfftn", "real-valued")
        _needs_axes("rfftn", dims)
        return r2c(_sized(x, dims, sizes), dims, _norm_of(norm))
    if input._meta.dtype.category == COMPLEX:
        raise RuntimeError(
            "Only supports floating-point dtypes, but found: " + input._meta.dtype.legacy_name
        )
    _needs_axes("ihfftn", dims)
    x, norm = _sized(_promoted(input), dims, sizes), _norm_of(norm)
    half = _of_real(x, dims[-1:], norm, False, onesided=True)
    return c2c(half, dims[:-1], norm, False) if dims[1:] else half


def _from_half_n(fn: str, input: Tensor, s: Any, dim: Any, norm: Any, forward: bool) -> Tensor:
    dims, sizes = _axes(input, s, dim, fn)
    _needs_axes("hfftn" if forward else "irfftn", dims)
    x, norm = _promoted(input, to_complex=True), _norm_of(norm)
    last = x._meta.shape[dims[-1]]
    n = _points(2 * (last - 1) if sizes[-1] == -1 else sizes[-1])
    x = _sized(x, dims, (*sizes[:-1], n // 2 + 1))
    if not forward:
        return c2r(x, dims, norm, n)
    x = c2c(x, dims[:-1], norm, True) if dims[1:] else x
    return c2r(x.conj(), dims[-1:], _OPPOSITE[norm], n)


def _along_several(name: str, transform: Callable, forward: bool) -> None:
    def fn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
        return transform(f"{name}n", input, s, dim, norm, forward)

    def fn2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
        return transform(f"{name}2", input, s, dim, norm, forward)

    fn.__doc__ = (
        f"`{name}` over the axes `dim` (or the last ones that `s` gives sizes for, or all)."
    )
    fn2.__doc__ = f"`{name}` over two axes."
    public("fft", name=f"{name}n", method=False, out=True)(fn)
    public("fft", name=f"{name}2", method=False, out=True)(fn2)


for _name, _transform_n, _forward in (
    ("fft", _fftn, True),
    ("ifft", _fftn, False),
    ("rfft", _half_fftn, True),
    ("ihfft", _half_fftn, False),
    ("irfft", _from_half_n, False),
    ("hfft", _from_half_n, True),
):
    _along_several(_name, _transform_n, _forward)


def _shifted(fn: str, input: Tensor, dim: Any, forward: bool) -> Tensor:
    check_tensor(input, f"fft_{fn}")
    ndim = input._meta.ndim
    given = range(ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    dims = tuple([normalize_dim(k, ndim) for k in given])
    sizes = [input._meta.shape[k] for k in dims]
    return roll(input, tuple([n // 2 if forward else (n + 1) // 2 for n in sizes]), dims)


@public("fft", method=False)
def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """Frequencies in rising order: the one of 0 is put into the middle of each axis."""
    return _shifted("fftshift", input, dim, True)


@public("fft", method=False)
def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of `fftshift`."""
    return _shifted("ifftshift", input, dim, False)


def _frequencies(fn: str, start: int, end: int, n: int, d: float, kwargs: dict) -> Tensor:
    kind: dtype = kwargs.pop("dtype", None) or default.dtype
    if kind.category <= INT:
        raise RuntimeError(f"{fn} requires a floating point or complex dtype")
    requires_grad, out = kwargs.pop("requires_grad", False), kwargs.pop("out", None)
    kwargs.pop("pin_memory", None)
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    if kind.is_complex:
        raise_not_implemented("arange_cpu", kind)
    numbers: Tensor = arange(start, end, dtype=kind, **kwargs)
    if start < 0:
        numbers = roll(numbers, start)
    numbers = numbers * (1.0 / (n * d)) if n else numbers
    if out is not None:
        return out.resize_(numbers._meta.shape).copy_(numbers)
    return numbers.requires_grad_(requires_grad)


@public("fft", method=False)
def fftfreq(n: int, d: float = 1.0, **kwargs: Any) -> Tensor:
    """The frequencies of `fft` of `n` samples `d` apart: from 0 up, then the negative ones."""
    return _frequencies("fftfreq", -(n // 2), (n + 1) // 2, n, d, kwargs)


@public("fft", method=False)
def rfftfreq(n: int, d: float = 1.0, **kwargs: Any) -> Tensor:
    """The frequencies of `rfft` of `n` samples `d` apart."""
    return _frequencies("rfftfreq", 0, n // 2 + 1 if n >= 0 else 0, n, d, kwargs)
