"""Where an operator is spelled: `torch.mm`, `Tensor.mm`, `Tensor.mm_`, `torch.nn.functional…`.

Room: ops. `public` puts a function under its names; the torch room builds its namespaces from the
tables here. The first parameter of a function that is also a method is the tensor itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from bital.base.stride import may_overlap_internally
from bital.ir.trace import local
from bital.tensor.dispatch import OVERLAPS_ITSELF, assign, check_overlap, inplace
from bital.tensor.storage import view_at
from bital.tensor.tensor import Tensor, edge_of, window

F = TypeVar("F", bound=Callable[..., Any])

#: the module that shows the namespaces
_HOME = "bital.torch"
#: namespace ("torch", "nn.functional", "linalg", "special", …) -> name -> function
NAMESPACES: dict[str, dict[str, Callable]] = {}


def public(
    *places: str,
    name: str | None = None,
    method: bool = True,
    inplace: bool = False,
    out: bool | str = False,
    aliases: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Give a function its public names.

    places   namespaces it appears in ("torch" when none is named)
    method   also Tensor.name
    inplace  also Tensor.name_ and torch.name_, which write the result into the first argument
    out      the functions take `out=`; "apart" where that must share no memory with an operand,
             "exact" where it must have the result's dtype, too
    aliases  further names with the same places
    """

    def declare(fn: F) -> F:
        base = name or fn.__name__.rstrip("_")
        fn.__name__ = fn.__qualname__ = base
        first = places[0] if places else "torch"
        fn.__module__ = _HOME if first == "torch" else f"{_HOME}.{first}"  # where pickle finds it
        spelled: Callable = takes_out(fn, out) if out else fn
        for each in (base, *aliases):
            for place in places or ("torch",):
                NAMESPACES.setdefault(place, {})[each] = spelled
            if method:
                setattr(Tensor, each, fn)
            if inplace:
                writing = in_place_of(fn, each)
                setattr(Tensor, f"{each}_", writing)
                if not places or "torch" in places:
                    NAMESPACES.setdefault("torch", {})[f"{each}_"] = writing
        return fn

    return declare


def method(fn: F) -> F:
    """Make a function a method of Tensor under its own name."""
    setattr(Tensor, fn.__name__, fn)
    return fn


def in_place_of(fn: Callable, name: str) -> Callable:
    """`fn` writing into its first argument: `t.name_()`."""

    @functools.wraps(fn)
    def writing(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return inplace(self, fn, *args, **kwargs)

    writing.__name__ = writing.__qualname__ = f"{name}_"
    return writing


def takes_out(fn: Callable, demand: bool | str = True) -> Callable:
    """`fn` with the keyword `out`: the result is written into that tensor, which is returned.

    `demand` is what `public` is told of `out`.
    """

    @functools.wraps(fn)
    def spelled(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            if kwargs:
                return fn(*args, **kwargs)
            return fn(args[0]) if len(args) == 1 else fn(*args)
        outs = out if isinstance(out, (tuple, list)) else (out,)
        for each in (*outs, *args, *kwargs.values()):
            if isinstance(each, Tensor) and local.trace.grad and edge_of(each) is not None:
                raise RuntimeError(
                    f"{fn.__name__}(): functions with out=... arguments don't support automatic "
                    "differentiation, but one of the arguments requires grad."
                )
        if demand is not True:
            _check_apart(outs, (*args, *kwargs.values()))
        result = fn(*args, **kwargs)
        several = isinstance(result, tuple)
        if demand is not True:
            grown = [_resized(o, r) for o, r in zip(outs, result if several else (result,))]
            _check_apart(grown, (*args, *kwargs.values()))
        if demand == "exact":
            for o, r in zip(outs, result if several else (result,)):
                if o._meta.dtype is not r._meta.dtype:
                    raise RuntimeError(
                        f"Expected out tensor to have dtype {_cxx_name(r)}, but got "
                        f"{_cxx_name(o)} instead"
                    )
        if several:
            pairs = [write_out(o, r) for o, r in zip(out, result)]
            return type(result)(*pairs) if hasattr(result, "_fields") else type(result)(pairs)
        return write_out(out, result)

    return spelled


def _cxx_name(t: Tensor) -> str:
    return t._meta.dtype.legacy_name.lower()


def _resized(out: Tensor, result: Tensor) -> Tensor:
    """`out` as it will lie in memory when it has got the result's shape."""
    if out._meta.shape == result._meta.shape:
        return out
    meta = result._meta
    return window(out._storage, meta, view_at(out.storage_offset(), meta.strides))


def _check_apart(outs: Any, operands: tuple) -> None:
    """PyTorch's errors for an `out` whose elements share memory, or share it with an operand."""
    for out in outs:
        if out._view is not None and may_overlap_internally(out._meta.shape, out._view.strides):
            raise RuntimeError(OVERLAPS_ITSELF)
        for each in operands:
            for operand in each if isinstance(each, (tuple, list)) else (each,):
                if isinstance(operand, Tensor):
                    check_overlap(out, operand, whole=True)


#: NumPy's words that PyTorch takes for its own
_NUMPY_WORDS = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input"}


def numpy_names(fn: F) -> F:
    """`fn` that also takes NumPy's names of `dim`, `keepdim` and `input`, as PyTorch does."""

    fn.__name__ = fn.__qualname__ = fn.__name__.rstrip("_")  # the name that Python's errors use

    @functools.wraps(fn)
    def spelled(*args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            return fn(args[0]) if len(args) == 1 else fn(*args)  # quicker where it is one
        for theirs in kwargs.keys() & _NUMPY_WORDS.keys():
            kwargs[_NUMPY_WORDS[theirs]] = kwargs.pop(theirs)
        return fn(*args, **kwargs)

    return spelled  # type: ignore[return-value]


def write_out(out: Tensor, result: Tensor) -> Tensor:
    """Put a result into the tensor the user gave for it, resizing that one as PyTorch does."""
    if out._meta.shape != result._meta.shape:
        out.resize_(result._meta.shape)
    return assign(out, result, local.trace)


def type_error(
    fn: str, argument: str, position: int, value: Any, wanted: str = "Tensor"
) -> TypeError:
    """PyTorch's error for an argument of the wrong type."""
    return TypeError(
        f"{fn}(): argument '{argument}' (position {position}) must be {wanted}, not "
        f"{type(value).__name__}"
    )


def check_tensor(value: Any, fn: str, argument: str = "input", position: int = 1) -> Tensor:
    """`value` if it is a tensor, else PyTorch's TypeError."""
    if not isinstance(value, Tensor):
        raise type_error(fn, argument, position, value)
    return value
