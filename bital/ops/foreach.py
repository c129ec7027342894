"""`torch._foreach_…`: one operator for each tensor of a list, as averages of weights use them.

Room: ops. A recorded trace is run at once anyway, so each is the operator itself, list by list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.ops.api import NAMESPACES, type_error
from bital.tensor.tensor import Tensor

_UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 "
    "neg reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc"
)
_BINARY = "add clamp_max clamp_min div lerp mul pow sub"
_TERNARY = "addcdiv addcmul"


def _tensors(value: Any, fn: str) -> list[Tensor]:
    """The tensors of a list or tuple, with PyTorch's errors."""
    if not isinstance(value, (list, tuple)):
        raise type_error(fn, "self", 1, value, "tuple of Tensors")
    if not value:
        raise RuntimeError("Tensor list must have at least one tensor.")
    return list(value)


def _spread(value: Any, count: int) -> list:
    """What each tensor gets of an argument: its own of a list, or the same."""
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise RuntimeError(
            f"Tensor lists must have the same number of tensors, got {count} and {len(value)}"
        )
    return list(value)


def _unbound(value: Any, count: int) -> Any:
    """A tensor of one number per tensor as a list of them."""
    several = isinstance(value, Tensor) and value._meta.shape == (count,)
    return list(value.unbind(0)) if several else value


def _each(name: str, fn: Callable) -> Callable:
    """`fn(t, *args)` of each tensor; numbers and tensors may stand for lists."""

    def foreach(self: Any, *args: Any, **kwargs: Any) -> tuple:
        tensors = _tensors(self, name)
        args = tuple([_unbound(a, len(tensors)) for a in args])
        count = len(tensors)
        columns = [_spread(a, count) for a in args]
        named = {key: _spread(value, count) for key, value in kwargs.items()}
        return tuple(
            fn(t, *[c[i] for c in columns], **{key: each[i] for key, each in named.items()})
            for i, t in enumerate(tensors)
        )

    foreach.__name__ = foreach.__qualname__ = name
    return foreach


def _in_place(name: str, fn: Callable) -> Callable:
    """The same where `fn` writes into each tensor; gives the list back."""
    out_of_place = _each(name, fn)

    def foreach_(self: Any, *args: Any, **kwargs: Any) -> Any:
        out_of_place(self, *args, **kwargs)
        return self

    foreach_.__name__ = foreach_.__qualname__ = name
    return foreach_


def _declare(name: str, fn: Callable | None, writing: Callable | None) -> None:
    torch = NAMESPACES["torch"]
    if fn is not None:
        torch[f"_foreach_{name}"] = _each(f"_foreach_{name}", fn)
    if writing is not None:
        torch[f"_foreach_{name}_"] = _in_place(f"_foreach_{name}_", writing)


def _by_product(fn: Callable) -> Callable:
    """addcdiv or addcmul whose factor may come last, a number or an element of a tensor."""

    def call(t: Tensor, a: Tensor, b: Tensor, factor: Any = 1, *, value: Any = 1) -> Tensor:
        factor = value if factor == 1 else factor
        return fn(t, a, b, value=factor.item() if isinstance(factor, Tensor) else factor)

    return call


def _power(base: Any, exponent: Any) -> Tensor:
    return NAMESPACES["torch"]["pow"](base, exponent)


def _foreach_pow(self: Any, exponent: Any) -> tuple:
    """Powers of each tensor, or of a number with each tensor as the exponent."""
    if isinstance(exponent, (list, tuple)) and not isinstance(self, (list, tuple)):
        return tuple(_power(self, e) for e in _tensors(exponent, "_foreach_pow"))
    return _each("_foreach_pow", _power)(self, exponent)


def _foreach_norm(self: Any, ord: Any = 2, dtype: Any = None) -> tuple:
    """The norm of each tensor."""
    norm = NAMESPACES["linalg"]["vector_norm"]
    return tuple(norm(t, ord, dtype=dtype) for t in _tensors(self, "_foreach_norm"))


def _function(name: str) -> Callable:
    """`torch.name`, looked up when it is used: other files declare it."""
    return lambda t, *args, **kwargs: NAMESPACES["torch"][name](t, *args, **kwargs)


def _writing(name: str) -> Callable:
    """`Tensor.name_`."""
    return lambda t, *args, **kwargs: getattr(t, f"{name}_")(*args, **kwargs)


for _name in f"{_UNARY} {_BINARY}".split():
    _declare(_name, _function(_name), _writing(_name))
for _name in _TERNARY.split():
    _declare(_name, _by_product(_function(_name)), _by_product(_writing(_name)))
# the larger and smaller of a tensor and another, or a number: bounds of what is clamped
_declare("maximum", _function("clamp_min"), _writing("clamp_min"))
_declare("minimum", _function("clamp_max"), _writing("clamp_max"))
_declare("max", _function("max"), None)
_declare("clone", _function("clone"), None)
_declare("copy", None, _writing("copy"))
_declare("zero", None, _writing("zero"))
NAMESPACES["torch"].update(_foreach_pow=_foreach_pow, _foreach_norm=_foreach_norm)
