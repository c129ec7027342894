"""Families: what the elementwise operators share.

Room: ops. A family fills in the rule of shapes and dtypes, so that a declaration says only what is
its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    LOW_PRECISION,
    bool_,
    default,
    dtype,
    of_python,
    result_type,
    uint16,
    uint32,
    uint64,
)
from bital.base.size import broadcast_shapes
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op, asking, own_names
from bital.ops.api import check_tensor, public, type_error
from bital.ops.create import constant
from bital.tensor.dispatch import apply
from bital.tensor.recorders import unary
from bital.tensor.tensor import Tensor

#: further words for what an operator refuses, beside the categories of dtype: PyTorch's barebones
#: unsigned integers, and the types of 16 bits
UNSIGNED, HALF = 4, 5
_BAREBONES = frozenset((uint16, uint32, uint64))

#: what an operator does not take: categories of dtype, each alone (PyTorch's "not implemented for")
#: or as (category, exception, message); a function looks at the operands themselves and raises
Refusals = tuple[int | tuple[int, type[Exception], str] | Callable[..., None], ...]

#: integers only, and floats only
ONLY_INTEGERS: Refusals = (BOOL, FLOAT, COMPLEX)
ONLY_FLOATS: Refusals = (BOOL, INT, COMPLEX)


def common_dtype(*operands: Meta | type) -> dtype:
    """The dtype operands promote to; a Python number is given by its type."""
    ranked = []
    for o in operands:
        if isinstance(o, Meta):
            ranked.append((o.dtype, 2 if o.ndim else 1))
        else:
            ranked.append((of_python(o()), 0))
    return result_type(ranked)


def to_float(d: dtype) -> dtype:
    """d, or the default floating type where d is bool or an integer."""
    return default.dtype if d.category <= INT else d


def check_dtype(d: dtype, refuse: Refusals, kernel: str) -> None:
    """PyTorch's error where an operator does not take a dtype; `kernel` is its name there."""
    for each in refuse:
        if callable(each):
            continue
        category = each if isinstance(each, int) else each[0]
        if (
            category == d.category
            or (category == UNSIGNED and d in _BAREBONES)
            or (category == HALF and d in LOW_PRECISION)
        ):
            if not isinstance(each, int):
                raise each[1](each[2])
            raise_not_implemented(kernel, d)


def raise_not_implemented(kernel: str, d: dtype) -> None:
    """PyTorch's error for a dtype that an operator has no kernel for."""
    raise NotImplementedError(f"\"{kernel}\" not implemented for '{d.legacy_name}'")


def elementwise_rule(kind: str, refuse: Refusals = (), kernel: str = "") -> Callable:
    """The rule of an elementwise operator: broadcast shapes, promoted dtypes.

    `kind` says what the dtype of the result is: "promote" as the operands promote; "float"
    likewise, integers becoming the default float; "bool" for comparisons, whose operands promote;
    "real" as "float", and "size" as "promote", for the real result of complex numbers.
    """

    def rule(*operands: Meta | type) -> tuple[Meta, dict, dtype]:
        metas = [o for o in operands if isinstance(o, Meta)]
        first = metas[0]
        if len(metas) == 1:
            shape: tuple[int, ...] = first.shape
        else:
            shape = broadcast_shapes(*[m.shape for m in metas])
        compute = common_dtype(*operands)
        if kind in ("float", "real"):
            compute = to_float(compute)
        if refuse:
            for each in refuse:
                if callable(each):
                    each(*operands)
            check_dtype(compute, refuse, kernel)
        out = bool_ if kind == "bool" else compute
        if kind in ("real", "size"):
            out = compute.to_real()
        return meta_of(shape, out, first.device), {}, compute

    return rule


def _takes_out(impl: str | Callable, kind: str) -> str | None:
    """Whether an implementation can write into an operand's buffer."""
    if kind not in ("promote", "float"):
        return None
    return "any" if isinstance(impl, str) or "out" in own_names(impl) else None


def unary_op(
    name: str,
    impl: str | Callable,
    vjp: Callable | None,
    *,
    kind: str = "float",
    refuse: Refusals = (),
    grad_fn: str | None = None,
    kernel: str | None = None,
    params: tuple[str, ...] = (),
    native: Callable | None = None,
) -> Op:
    """Declare an elementwise operator of one tensor, `x` in the vjp, and perhaps run-time scalars.

    `kernel` names it in dtype errors.
    """
    rule = elementwise_rule(kind, refuse, kernel or f"{name}_cpu")
    return Op(
        name,
        rule,
        impl,
        params=params,
        vjp=(vjp,) if vjp else (),
        grad_fn=grad_fn,
        elementwise=True,
        out=_takes_out(impl, kind),
        native=native,
    )


def binary_op(
    name: str,
    impl: str | Callable,
    vjp: tuple[Callable | None, Callable | None] | None,
    *,
    kind: str = "promote",
    refuse: Refusals = (),
    grad_fn: str | None = None,
    kernel: str | None = None,
    params: tuple[str, ...] = (),
    fallible: bool = False,
    native: Callable | None = None,
) -> Op:
    """Declare an elementwise operator of two tensors, named `self` and `other` in the vjp."""
    rule = elementwise_rule(kind, refuse, kernel or f"{name}_cpu")
    return Op(
        name,
        rule,
        impl,
        inputs=("self", "other"),
        params=params,
        vjp=vjp or (),
        grad_fn=grad_fn,
        elementwise=True,
        out=_takes_out(impl, kind),
        fallible=fallible,
        native=native,
    )


def scalar_op(
    name: str,
    impl: str | Callable,
    vjp: Callable | None,
    *,
    kind: str = "promote",
    refuse: Refusals = (),
    grad_fn: str | None = None,
    kernel: str | None = None,
    reverse: bool = False,
    inputs: tuple[str] = ("self",),
    scalar: str = "scalar",
    fallible: bool = False,
    empty_edges: int = 0,
    native: Callable | None = None,
) -> Op:
    """Declare an elementwise operator of a tensor `self` and a run-time scalar `scalar`.

    With `reverse` the scalar is the first operand of `impl` (and of `native`). `empty_edges` is 1
    where PyTorch makes the number a tensor first, which its node then has an edge for.
    """
    inner = elementwise_rule(kind, refuse, kernel or f"{name}_cpu")

    def rule(x: Meta, scalar_type: type) -> tuple[Meta, dict, dtype]:
        out, _, compute = inner(x, scalar_type)
        return out, {"number": number_maker(compute, scalar_type)}, compute

    fn = getattr(np, impl) if isinstance(impl, str) else functools.partial(impl, np)
    return Op(
        name,
        rule,
        functools.partial(_with_number, fn, reverse),
        inputs=inputs,
        params=(scalar,),
        vjp=(vjp,) if vjp else (),
        grad_fn=grad_fn,
        elementwise=True,
        out=_takes_out(impl, kind),
        fallible=fallible,
        empty_edges=empty_edges,
        native=None
        if fallible and native is None
        else functools.partial(_native_with_number, native or impl, reverse),
    )


def _with_number(
    fn: Callable,
    reverse: bool,
    xp: Any,
    x: Any,
    scalar: Any,
    *,
    number: Callable | None,
    out: Any = None,
) -> Any:
    if number is not None:
        scalar = number(scalar)
    args = (scalar, x) if reverse else (x, scalar)
    return fn(*args) if out is None else fn(*args, out=out)


def _native_with_number(
    fn: str | Callable, reverse: bool, xp: Any, x: Any, scalar: Any, *, number: Callable | None
) -> Any:
    """`_with_number` in array words."""
    if number is not None and number is not float:
        scalar = x.dtype.type(scalar)
    args = (scalar, x) if reverse else (x, scalar)
    return getattr(xp, fn)(*args) if isinstance(fn, str) else fn(xp, *args)


def number_maker(compute: dtype, kind: type = float) -> Callable | None:
    """How a number of type `kind` becomes an operand: integers wrap to the tensor's width."""
    if compute.category <= INT:
        return functools.partial(_wrap_integer, compute)
    return float if compute.category == FLOAT and kind is not float else None


def _wrap_integer(compute: dtype, scalar: Any) -> Any:
    if compute.category == BOOL:
        return np.bool_(scalar)
    try:
        return compute.np.type(scalar)
    except OverflowError:
        low_bits = int(scalar) & ((1 << (8 * compute.itemsize)) - 1)
        return np.array(low_bits, f"u{compute.itemsize}").view(compute.np)[()]


def unary_function(op: Op, doc: str, *places: str, name: str | None = None, **spelling: Any) -> Any:
    """The public function of an operator of one tensor: torch.name, Tensor.name, name_, `out=`."""
    call = unary(op)
    name = name or op.name

    def fn(input: Tensor) -> Tensor:
        if not isinstance(input, Tensor):
            check_tensor(input, name)
        return call(input)

    fn.__doc__ = doc
    spelling = {"inplace": True, "out": True} | spelling
    return public(*places, name=name, **spelling)(fn)


def number_of(value: Any, fn: str, argument: str = "other", position: int = 2) -> Any:
    """A Python number for an argument that must be one (NumPy's are converted), or a TypeError."""
    kind = value.__class__
    if kind is float or kind is int or kind is bool or kind is complex:
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return value.item()
    if isinstance(value, (int, float, complex)):
        return value
    raise type_error(fn, argument, position, value)


def zeros_for(g: Tensor) -> Tensor:
    """The gradient of a function of steps: zero wherever it exists."""
    return constant(g._meta, 0)


def not_implemented(name: str) -> Callable:
    """The gradient rule of what PyTorch has no derivative of; its node is a NotImplemented."""

    def vjp(g: Tensor) -> Tensor:
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return vjp


def conj(x: Any) -> Any:
    """The conjugate of a complex tensor or number; a real one is its own."""
    if isinstance(x, Tensor):
        return x.conj() if x._meta.dtype.category == COMPLEX else x
    return x.conjugate() if isinstance(x, complex) else x


def again(fn: Callable, t: Any, *args: Any) -> Any:
    """fn(t, *args) into t itself; `t` is a temporary of ours, an array or a NumPy scalar."""
    return fn(t, *args) if isinstance(t, np.generic) else fn(t, *args, out=t)


def times(xp: Any, x: Any, number: Any) -> Any:
    """x * number, for which NumPy has nothing to do where the number is 1."""
    return x if xp is np and number == 1 else x * number


#: integers as wide as floats, to mask these bit by bit
_BITS = {np.dtype("f4"): np.dtype("i4"), np.dtype("f8"): np.dtype("i8")}


def masked(xp: Any, g: Any, mask: Any) -> Any:
    """g where the mask is true, else 0, whatever g is there (NaN, infinity).

    Floats are masked bit by bit: a product would keep NaN, and `where` is ten times slower.
    """
    bits = _BITS.get(g.dtype)
    if xp is not np or bits is None or not g.ndim or mask.shape != g.shape:
        return xp.where(mask, g, g.dtype.type(0))
    keep = mask.astype(bits)
    xp.negative(keep, out=keep)
    return xp.bitwise_and(g.view(bits), keep, out=keep).view(g.dtype)


def blocked(xp: Any, g: Any, mask: Any) -> Any:
    """0 where the mask is true, else g."""
    bits = _BITS.get(g.dtype)
    if xp is not np or bits is None or not g.ndim or mask.shape != g.shape:
        return xp.where(mask, g.dtype.type(0), g)
    keep = mask.astype(bits)
    keep -= 1
    return xp.bitwise_and(g.view(bits), keep, out=keep).view(g.dtype)


def select(xp: Any, mask: Any, a: Any, b: Any) -> Any:
    """a where the mask is true, else b, both arrays of one shape and dtype; `where`, but faster."""
    bits = _BITS.get(a.dtype)
    if xp is not np or bits is None or not a.ndim or not mask.shape == a.shape == b.shape:
        return xp.where(mask, a, b)
    keep = mask.astype(bits)
    xp.negative(keep, out=keep)
    b = b.view(bits)
    keep &= a.view(bits) ^ b
    keep ^= b
    return keep.view(a.dtype)


def masked_op(
    name: str,
    condition: Callable,
    inputs: tuple[str, ...] = ("x",),
    params: tuple[str, ...] = (),
    *,
    blocks: bool = False,
    second: bool = False,
) -> Op:
    """The gradient rule of a function that passes gradients on in some places only.

    `condition(xp, *inputs, *params)` says where, or with `blocks` where not. The Op takes g
    before the inputs. With `second` the result has a gradient by the inputs too, which is 0:
    where PyTorch has a function for the rule, rather than a composition.
    """

    def rule(g: Meta, *others: Meta) -> tuple[Meta, dict]:
        return meta_of(broadcast_shapes(g.shape, *[m.shape for m in others]), g.dtype, g.device), {}

    mask = blocked if blocks else masked

    def impl(xp: Any, g: Any, *rest: Any) -> Any:
        return mask(xp, g, condition(xp, *rest))

    def vjp(g: Tensor, *saved: Any) -> Tensor:
        n = len(inputs)
        return apply(op, (g, *saved[:n]), (), saved[n:])

    op = Op(
        name, rule, impl, inputs=("g", *inputs), params=params,
        vjp=(asking(vjp, *inputs, *params), *[zeros_for if second else None] * len(inputs)),
        elementwise=True,
    )  # fmt: skip
    return op
