"""Families: what the elementwise operators share.

Room: ops. A family fills in the rule of shapes and dtypes, so that a declaration says only what is
its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, FLOAT, INT, bool_, default, dtype, of_python, result_type
from bital.base.size import broadcast_shapes
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op

#: what the dtype of a result is: "promote" as the operands promote; "float" likewise, integers
#: becoming the default float; "bool" for comparisons (operands promote, the result is bool)
KINDS = ("promote", "float", "bool")


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


def elementwise_rule(kind: str, refuse: tuple[int, ...] = (), name: str = "") -> Callable:
    """The rule of an elementwise operator: broadcast shapes, promoted dtypes.

    `refuse` lists categories of dtype (BOOL, COMPLEX …) that the operator does not take.
    """

    def rule(*operands: Meta | type) -> tuple[Meta, dict, dtype]:
        metas = [o for o in operands if isinstance(o, Meta)]
        first = metas[0]
        if len(metas) == 1:
            shape: tuple[int, ...] = first.shape
        else:
            shape = broadcast_shapes(*[m.shape for m in metas])
        compute = common_dtype(*operands)
        if kind == "float":
            compute = to_float(compute)
        if compute.category in refuse:
            raise_not_implemented(name, compute)
        out = bool_ if kind == "bool" else compute
        return meta_of(shape, out, first.device), {}, compute

    return rule


def raise_not_implemented(name: str, d: dtype) -> None:
    """PyTorch's error for a dtype that an operator has no kernel for."""
    word = {"bool": "Bool"}.get(d.name, d.legacy_name)
    raise NotImplementedError(f'"{name}" not implemented for \'{word}\'')


def unary_op(
    name: str,
    impl: str | Callable,
    vjp: Callable | None,
    *,
    kind: str = "float",
    refuse: tuple[int, ...] = (),
    grad_fn: str | None = None,
    kernel: str | None = None,
) -> Op:
    """Declare an elementwise operator of one tensor. `kernel` names it in dtype errors."""
    return Op(
        name,
        elementwise_rule(kind, refuse, kernel or f"{name}_cpu"),
        impl,
        vjp=(vjp,) if vjp else (),
        grad_fn=grad_fn,
        elementwise=True,
        out="any" if isinstance(impl, str) and kind != "bool" else None,
    )


def binary_op(
    name: str,
    impl: str | Callable,
    vjp: tuple[Callable | None, Callable | None] | None,
    *,
    kind: str = "promote",
    refuse: tuple[int, ...] = (),
    grad_fn: str | None = None,
    kernel: str | None = None,
) -> Op:
    """Declare an elementwise operator of two tensors, named `self` and `other` in the vjp."""
    return Op(
        name,
        elementwise_rule(kind, refuse, kernel or f"{name}_cpu"),
        impl,
        inputs=("self", "other"),
        vjp=vjp or (),
        grad_fn=grad_fn,
        elementwise=True,
        out="any" if isinstance(impl, str) and kind != "bool" else None,
    )


def scalar_op(
    name: str,
    impl: str | Callable,
    vjp: Callable | None,
    *,
    kind: str = "promote",
    refuse: tuple[int, ...] = (),
    grad_fn: str | None = None,
    kernel: str | None = None,
    reverse: bool = False,
) -> Op:
    """Declare an elementwise operator of a tensor `self` and a run-time scalar `scalar`.

    With `reverse` the scalar is the first operand of `impl`.
    """
    inner = elementwise_rule(kind, refuse, kernel or f"{name}_cpu")

    def rule(x: Meta, scalar_type: type) -> tuple[Meta, dict, dtype]:
        out, _, compute = inner(x, scalar_type)
        return out, {"number": _number_maker(compute)}, compute

    fn = getattr(np, impl) if isinstance(impl, str) else functools.partial(impl, np)
    return Op(
        name,
        rule,
        functools.partial(_with_number, fn, reverse),
        inputs=("self",),
        params=("scalar",),
        vjp=(vjp,) if vjp else (),
        grad_fn=grad_fn,
        elementwise=True,
        out="any" if isinstance(impl, str) and kind != "bool" else None,
    )


def _with_number(
    fn: Callable, reverse: bool, xp: Any, x: Any, scalar: Any, *, number: Callable | None, out: Any = None
) -> Any:
    if number is not None:
        scalar = number(scalar)
    args = (scalar, x) if reverse else (x, scalar)
    return fn(*args) if out is None else fn(*args, out=out)


def _number_maker(compute: dtype) -> Callable | None:
    """How a Python number becomes an operand: integers wrap to the tensor's width."""
    if compute.category in (INT, BOOL):
        return functools.partial(_wrap_integer, compute)
    return None


def _wrap_integer(compute: dtype, scalar: Any) -> Any:
    if compute.category == BOOL:
        return np.bool_(scalar)
    low_bits = int(scalar) & ((1 << (8 * compute.itemsize)) - 1)
    return np.array(low_bits, f"u{compute.itemsize}").view(compute.np)[()]


def conj(x: Any) -> Any:
    """The conjugate of a complex tensor or number; a real one is its own."""
    if isinstance(x, complex):
        return x.conjugate()
    if hasattr(x, "_meta") and x._meta.dtype.category == COMPLEX:
        return x.conj()
    return x


__all__ = [
    "BOOL", "COMPLEX", "FLOAT", "INT", "binary_op", "common_dtype", "conj", "elementwise_rule",
    "raise_not_implemented", "scalar_op", "to_float", "unary_op",
]  # fmt: skip
