"""`torch.library`: operators that a program declares; here they are its Python functions.

What they are declared for in PyTorch, its compiler, is not there: shapes without values and schemas
are taken and not needed. Gradients are what the program registers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from bital.autograd.function import Function
from bital.autograd.mode import no_grad
from bital.base.errors import Unsupported, missing_attribute
from bital.torch._ops import ops

__all__ = ["CustomOpDef", "custom_op", "register_autograd", "register_fake"]

_registered: dict[str, CustomOpDef] = {}


class CustomOpDef:
    """An operator made of a function; without a registered gradient its result needs none."""

    def __init__(self, name: str, fn: Callable) -> None:
        self._qualname, self._fn = name, fn
        self._signature = inspect.signature(fn)
        self._function: type[Function] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if self._function is not None:
            return self._function.apply(*bound.args)
        with no_grad():
            return self._fn(*bound.args, **bound.kwargs)

    def register_fake(self, fn: Callable, /) -> Callable:
        """Shapes of results without their values: not needed; gives the function back."""
        return fn

    def register_autograd(
        self, backward: Callable, /, *, setup_context: Callable | None = None
    ) -> None:
        """`backward(ctx, *grads)`, for which `setup_context(ctx, inputs, output)` keeps things."""
        kinds = {p.kind for p in self._signature.parameters.values()}
        if inspect.Parameter.KEYWORD_ONLY in kinds:
            raise Unsupported(
                f"bital lacks gradients of operators with keyword-only arguments: {self._qualname}"
            )
        body = {
            "forward": staticmethod(self._fn),
            "setup_context": staticmethod(setup_context or _keep_nothing),
            "backward": staticmethod(backward),
        }
        self._function = type(self._qualname.replace("::", "_"), (Function,), body)

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"


def _keep_nothing(ctx: Any, inputs: tuple, output: Any) -> None:
    """The context of a gradient that needs nothing."""


def custom_op(
    name: str,
    fn: Callable | None = None,
    /,
    *,
    mutates_args: Any,
    device_types: Any = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """An operator `namespace::name`, also found as `torch.ops.namespace.name`; or a decorator."""
    if fn is None:
        return lambda inner: custom_op(name, inner, mutates_args=mutates_args)
    namespace, separator, short = name.partition("::")
    if not separator:
        raise ValueError(f"custom_op({name!r}): the name must be 'namespace::name'")
    made = _registered[name] = CustomOpDef(name, fn)
    setattr(ops.namespace(namespace), short, made)
    return made


def _find(op: str | CustomOpDef) -> CustomOpDef:
    found = op if isinstance(op, CustomOpDef) else _registered.get(op)
    if found is None:
        raise RuntimeError(f"operator {op} does not exist")
    return found


def register_fake(op: str | CustomOpDef, func: Callable | None = None, /, **options: Any) -> Any:
    """As `CustomOpDef.register_fake`; also a decorator."""
    found = _find(op)
    return found.register_fake if func is None else found.register_fake(func)


def register_autograd(
    op: str | CustomOpDef,
    backward: Callable,
    /,
    *,
    setup_context: Callable | None = None,
    lib: Any = None,
) -> None:
    """As `CustomOpDef.register_autograd`."""
    _find(op).register_autograd(backward, setup_context=setup_context)


__getattr__ = missing_attribute("torch.library")
