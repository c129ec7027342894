"""Sums of products: addcmul, addcdiv, lerp.

Room: ops.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import BOOL, INT, dtype
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.family import ONLY_FLOATS, UNSIGNED, check_dtype, conj, elementwise_rule, number_of
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

_INTEGER_DIVISION = (
    "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will "
    "perform a true division of tensor1 and tensor2. The historic addcdiv behavior can be "
    "implemented as (input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer "
    "inputs and as (input + value * tensor1 / tensor2) for float inputs. The future addcdiv "
    "behavior is just the latter implementation: (input + value * tensor1 / tensor2), for all "
    "dtypes."
)


def _no_integer_division(x: Meta, a: Meta, b: Meta) -> None:
    if a.dtype.category <= INT and b.dtype.category <= INT:
        raise RuntimeError(_INTEGER_DIVISION)


def _addcmul_impl(xp: Any, x: Any, a: Any, b: Any, value: Any) -> Any:
    t = xp.multiply(a, b)
    t *= value if t.dtype.kind not in "iu" else t.dtype.type(int(value))
    return t + x if t.ndim < x.ndim or t.shape != x.shape else xp.add(t, x, out=_into(t))


def _addcdiv_impl(xp: Any, x: Any, a: Any, b: Any, value: Any) -> Any:
    t = xp.true_divide(a, b)
    t *= value
    return t + x if t.ndim < x.ndim or t.shape != x.shape else xp.add(t, x, out=_into(t))


def _into(t: Any) -> Any:
    """A temporary to be written into; None where it is a scalar."""
    return t if t.ndim else None


_ADDCMUL = Op(
    "addcmul",
    elementwise_rule("promote", (BOOL, UNSIGNED), "addcmul_cpu_out"),
    _addcmul_impl,
    inputs=("self", "tensor1", "tensor2"),
    params=("value",),
    vjp=(
        lambda g: g,
        lambda g, tensor2, value: g * conj(tensor2 * value),
        lambda g, tensor1, value: g * conj(tensor1 * value),
    ),
    elementwise=True,
)
_ADDCDIV = Op(
    "addcdiv",
    elementwise_rule("promote", (_no_integer_division,), "addcdiv_cpu_out"),
    _addcdiv_impl,
    inputs=("self", "tensor1", "tensor2"),
    params=("value",),
    vjp=(
        lambda g: g,
        lambda g, tensor2, value: g * conj(value / tensor2),
        lambda g, tensor1, tensor2, value: -g * conj(value * tensor1 / (tensor2 * tensor2)),
    ),
    elementwise=True,
)


def _arguments(fn: str, tensor1: Any, tensor2: Any, value: Any, last: Any) -> tuple:
    """Two tensors and a number; the number may come first, as old programs have it."""
    if last is not None:
        tensor1, tensor2, value = tensor2, last, tensor1
    check_tensor(tensor1, fn, "tensor1", 2)
    check_tensor(tensor2, fn, "tensor2", 3)
    return tensor1, tensor2, number_of(value, fn, "value", 4)


@public(inplace=True, out=True)
def addcmul(
    input: Tensor, tensor1: Any, tensor2: Any, _last: Any = None, /, *, value: Any = 1
) -> Tensor:
    """`input + value * tensor1 * tensor2`, as `torch.addcmul`."""
    tensor1, tensor2, value = _arguments("addcmul", tensor1, tensor2, value, _last)
    return apply(_ADDCMUL, (input, tensor1, tensor2), (), (value,))


@public(inplace=True, out=True)
def addcdiv(
    input: Tensor, tensor1: Any, tensor2: Any, _last: Any = None, /, *, value: Any = 1
) -> Tensor:
    """`input + value * tensor1 / tensor2`, as `torch.addcdiv`."""
    tensor1, tensor2, value = _arguments("addcdiv", tensor1, tensor2, value, _last)
    return apply(_ADDCDIV, (input, tensor1, tensor2), (), (value,))


_NAMES = {"float32": "float", "float64": "double", "float16": "c10::Half",
          "bfloat16": "c10::BFloat16", "int64": "long int", "int32": "int",
          "complex64": "c10::complex<float>", "complex128": "c10::complex<double>"}  # fmt: skip


def _cxx(d: dtype) -> str:
    return _NAMES.get(d.name, d.name)


def _lerp_check(self: Meta, end: Meta, weight: Meta | None = None) -> None:
    for name, other in (("end", end), ("weight", weight)):
        if other is not None and other.dtype is not self.dtype:
            raise RuntimeError(
                f"expected dtype {_cxx(self.dtype)} for `{name}` but got dtype {_cxx(other.dtype)}"
            )
    kernel = f"lerp_kernel_{'scalar' if weight is None else 'tensor'}"
    check_dtype(self.dtype, ONLY_FLOATS[:2], kernel)


def _lerp_impl(xp: Any, x: Any, end: Any, weight: Any) -> Any:
    """From the nearer end, so that weight 1 gives `end` exactly."""
    if abs(weight) < 0.5:
        t = xp.subtract(end, x)
        t *= weight
        t += x
        return t
    t = xp.subtract(end, x)
    t *= 1 - weight
    return xp.subtract(end, t)


def _lerp_native(xp: Any, x: Any, end: Any, weight: Any) -> Any:
    span = end - x
    return xp.where(abs(weight) < 0.5, span * weight + x, end - span * (1 - weight))


def _lerp_tensor_impl(xp: Any, x: Any, end: Any, weight: Any) -> Any:
    span = xp.subtract(end, x)
    return xp.where(xp.abs(weight) < 0.5, x + weight * span, end - span * (1 - weight))


_LERP = Op(
    "lerp",
    elementwise_rule("promote", (_lerp_check,)),
    _lerp_impl,
    inputs=("self", "end"),
    params=("weight",),
    vjp=(lambda g, weight: g * conj(1 - weight), lambda g, weight: g * conj(weight)),
    elementwise=True,
    native=_lerp_native,
)
_LERP_TENSOR = Op(
    "lerp_tensor",
    elementwise_rule("promote", (_lerp_check,)),
    _lerp_tensor_impl,
    inputs=("self", "end", "weight"),
    vjp=(
        lambda g, weight: g * conj(1 - weight),
        lambda g, weight: g * conj(weight),
        lambda g, self, end: g * conj(end - self),
    ),
    grad_fn="LerpBackward1",
    elementwise=True,
)


@public(inplace=True, out=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """`input + weight * (end - input)` for a number or a tensor `weight`, as `torch.lerp`."""
    check_tensor(input, "lerp")
    check_tensor(end, "lerp", "end", 2)
    if isinstance(weight, Tensor):
        return apply(_LERP_TENSOR, (input, end, weight))
    return apply(_LERP, (input, end), (), (number_of(weight, "lerp", "weight", 3),))
