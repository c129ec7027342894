"""`torch.overrides`: classes that say themselves what PyTorch's functions do with them.

A subclass of Tensor, or any class with `__torch_function__`, is asked by the public functions that
get an instance of it. Nothing asks before there is such a class: the functions are replaced by ones
that do when the program defines the first subclass of Tensor, or enters a TorchFunctionMode.
"""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import bital.torch as torch
from bital.base.errors import missing_attribute
from bital.ops.api import NAMESPACES
from bital.ops.return_types import Named
from bital.tensor.tensor import Tensor
from bital.tensor.tensor import hooks as _tensor_hooks
from bital.torch.nn.parameter import Parameter

#: where public functions are found, besides Tensor
_PLACES = {
    "torch": "torch", "nn.functional": "torch.nn.functional", "linalg": "torch.linalg",
    "special": "torch.special", "fft": "torch.fft",
}  # fmt: skip
#: methods of Tensor that describe it, or make the object, and are not asked about
_PLAIN = {
    "__new__", "__init__", "__hash__", "__init_subclass__", "__torch_function__", "__setstate__",
    "__reduce_ex__", "__deepcopy__", "__copy__", "as_subclass", "size", "dim", "ndimension",
    "numel", "nelement", "stride", "storage_offset", "element_size", "is_floating_point",
    "is_complex", "is_contiguous", "is_inference", "data_ptr", "untyped_storage", "storage",
}  # fmt: skip
_PROPERTIES = ("T", "mT", "H", "mH", "data", "real", "imag")
#: what PyTorch says where all classes answer NotImplemented
_FAILURE = (
    "Multiple dispatch failed for '{}'; all __torch_function__ handlers returned NotImplemented: {}"
)
#: functions whose results stay what they are
_UNWRAPPED = ("grad", "backward", "retain_grad", "register_hook")


class _State(threading.local):
    def __init__(self) -> None:
        self.disabled = 0
        self.modes: list[TorchFunctionMode] = []


_state = _State()
_installed: list[Any] = []


class DisableTorchFunctionSubclass:
    """Inside the block no class is asked; modes still are."""

    def __enter__(self) -> None:
        _state.disabled += 1

    def __exit__(self, *exc: object) -> None:
        _state.disabled -= 1


def _disabled_torch_function_impl(func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """The `__torch_function__` of classes that want none: the function itself."""
    with DisableTorchFunctionSubclass():
        return func(*args, **(kwargs or {}))


def _as(kind: type, result: Any) -> Any:
    """Tensors in a result as instances of `kind`."""
    if isinstance(result, Tensor) and not isinstance(result, kind):
        return result.as_subclass(kind)
    if type(result) in (tuple, list) or isinstance(result, Named):
        return type(result)(_as(kind, each) for each in result)
    return result


def _default(cls: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """Run the function; its tensors become instances of the class.

    Subclasses call it by `super().__torch_function__(func, types, args, kwargs)`.
    """
    if not all(issubclass(cls, kind) for kind in types):
        return NotImplemented
    with DisableTorchFunctionSubclass():
        result = func(*args, **(kwargs or {}))
        if cls is Tensor or getattr(func, "__name__", "") in _UNWRAPPED:
            return result
        return _as(cls, result)


Tensor.__torch_function__ = classmethod(_default)  # type: ignore[attr-defined]
Parameter.__torch_function__ = _disabled_torch_function_impl  # type: ignore[attr-defined]


@functools.lru_cache(4096)
def _asked(kind: Any) -> bool:
    """Whether instances of a class are asked what functions do with them."""
    if kind is Tensor:
        return False
    found = getattr(kind, "__torch_function__", None)
    return found is not None and found is not _disabled_torch_function_impl


def _candidates(args: Any, kwargs: Any) -> Iterator[Any]:
    """The arguments that may be asked: those of a call, and those in its lists and tuples."""
    for each in (*args, *kwargs.values()):
        if type(each) in (tuple, list):
            yield from each
        else:
            yield each


def _overloaded(args: Iterable[Any]) -> list[Any]:
    """One argument of each class that is asked, subclasses before their bases."""
    found: list[Any] = []
    for each in args:
        kind: Any = type(each)
        if not _asked(kind) or any(type(other) is kind for other in found):
            continue
        above = (k for k, other in enumerate(found) if issubclass(kind, type(other)))
        found.insert(next(above, len(found)), each)
    return found


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether one of the arguments' classes is to be asked."""
    if _state.modes:
        return True
    return not _state.disabled and any(map(_asked, map(type, relevant_args)))


def has_torch_function_unary(arg: Any) -> bool:
    """The same for one argument."""
    return has_torch_function((arg,))


def has_torch_function_variadic(*args: Any) -> bool:
    """The same for arguments given one by one."""
    return has_torch_function(args)


def handle_torch_function(
    public_api: Callable, relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """Ask the arguments' classes, and the modes before them, what the function does.

    Raises TypeError where all of them answer NotImplemented.
    """
    failure = "no implementation found for '{}' on types that implement __torch_function__: {}"
    return _ask(public_api, relevant_args, args, kwargs, failure)


def _ask(
    public_api: Callable, relevant: Iterable[Any], args: Any, kwargs: Any, failure: str
) -> Any:
    asked = [] if _state.disabled else _overloaded(relevant)
    kinds = tuple([type(each) for each in asked])
    if _state.modes:
        mode = _state.modes.pop()
        try:
            result = mode.__torch_function__(public_api, kinds, args, kwargs)
        finally:
            _state.modes.append(mode)
        if result is not NotImplemented:
            return result
    for each in asked:
        result = type(each).__torch_function__(public_api, kinds, args, kwargs)
        if result is not NotImplemented:
            return result
    raise TypeError(failure.format(resolve_name(public_api), list(kinds)))


def wrap_torch_function(dispatcher: Callable) -> Callable:
    """A decorator: the function is overridable in what `dispatcher(*args)` gives."""

    def decorate(fn: Callable) -> Callable:
        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(call, relevant, *args, **kwargs)
            return fn(*args, **kwargs)

        return call

    return decorate


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a tensor, or of a class with `__torch_function__`."""
    return type(inp) is Tensor or hasattr(inp, "__torch_function__")


def is_tensor_method_or_property(func: Any) -> bool:
    """Whether a function is one of Tensor's own."""
    return func in vars(Tensor).values() or getattr(func, "__name__", "") == "__get__"


def resolve_name(f: Any) -> str:
    """The name of a function as programs write it."""
    name = getattr(f, "__name__", repr(f))
    for key, place in _PLACES.items():
        if NAMESPACES.get(key, {}).get(name) is f or vars(_module(place)).get(name) is f:
            return f"{place}.{name}"
    return f"torch.Tensor.{name}" if is_tensor_method_or_property(f) else name


def get_ignored_functions() -> set[Callable]:
    """The functions that ask no class: here, those that make tensors of nothing."""
    names = ("tensor", "zeros", "ones", "empty", "full", "arange", "rand", "randn", "eye")
    return {getattr(torch, name) for name in names}


def get_overridable_functions() -> dict[Any, list[Callable]]:
    """The functions that ask, by where they are found."""
    found: dict[Any, list[Callable]] = {
        _module(place): [vars(_module(place))[n] for n in NAMESPACES.get(key, {})]
        for key, place in _PLACES.items()
    }
    found[Tensor] = [fn for name, fn in vars(Tensor).items() if _is_asking(name, fn)]
    return found


class TorchFunctionMode:
    """Inside the block its `__torch_function__` is asked about every public function's call.

    A subclass defines it; within it the mode is off, so that it can call the function.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return func(*args, **(kwargs or {}))

    def __enter__(self) -> TorchFunctionMode:
        install()
        _state.modes.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _state.modes.remove(self)


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that only calls the function."""


# --- the functions that ask


def _module(place: str) -> Any:
    found = torch
    for part in place.split(".")[1:]:
        found = getattr(found, part)
    return found


def _is_asking(name: str, fn: Any) -> bool:
    private = name.startswith("_") and not name.startswith("__")
    return isinstance(fn, types.FunctionType) and name not in _PLAIN and not private


def _asking(fn: Callable) -> Callable:
    """`fn`, asking the classes of its arguments first."""

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _state.modes or not _state.disabled:
            relevant = list(_candidates(args, kwargs))
            if has_torch_function(relevant):
                return _ask(call, relevant, args, kwargs, _FAILURE)
        return fn(*args, **kwargs)

    return call


def install() -> None:
    """Make the public functions ask, from now on."""
    if _installed:
        return
    _installed.append(True)
    for key, place in _PLACES.items():
        module = _module(place)
        for name in NAMESPACES.get(key, {}):
            fn = vars(module).get(name)
            if isinstance(fn, types.FunctionType):
                setattr(module, name, _asking(fn))
    for name, fn in list(vars(Tensor).items()):
        if _is_asking(name, fn):
            setattr(Tensor, name, _asking(fn))
        elif isinstance(fn, property) and name in _PROPERTIES:
            setattr(Tensor, name, property(_asking(fn.fget), fn.fset))  # type: ignore[arg-type]


def _subclassed(cls: type) -> None:
    if not cls.__module__.startswith("bital.") and not issubclass(cls, Parameter):
        install()


_tensor_hooks.subclassed = _subclassed

__all__ = [
    "get_ignored_functions", "get_overridable_functions", "handle_torch_function",
    "has_torch_function", "is_tensor_like", "is_tensor_method_or_property", "resolve_name",
    "wrap_torch_function",
]  # fmt: skip
__getattr__ = missing_attribute("torch.overrides")
