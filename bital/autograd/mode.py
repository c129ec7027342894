"""Modes: whether operations are remembered for backward.

Room: autograd. The mode lives on the thread's trace. The end of the outermost no_grad block in
which a leaf was updated in place is the end of an iteration, and so a place where the trace is cut.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from bital.ir.trace import FORWARD_ONLY, Trace, end_iteration, local
from bital.tensor.node import hooks as nodes
from bital.tensor.storage import ModalStorage, Storage
from bital.tensor.tensor import make_cells

F = TypeVar("F", bound=Callable[..., Any])


class _Mode:
    """A gradient mode as context manager and decorator."""

    __slots__ = ("previous", "mode")
    _wanted: Any = False

    def __enter__(self) -> None:
        trace = local.trace
        grad = trace.grad
        self.previous = grad, trace.inference
        trace.depth += 1
        if trace.forwards or grad is FORWARD_ONLY:
            set_mode(trace, self._wanted)
        else:
            trace.grad = self._wanted

    def __exit__(self, *exc: object) -> None:
        trace = local.trace
        if trace.forwards or trace.grad is FORWARD_ONLY:
            set_mode(trace, self.previous[0])
            trace.inference = self.previous[1]
        else:
            trace.grad, trace.inference = self.previous
        trace.depth -= 1
        if trace.updated and not trace.depth:
            end_iteration("the no_grad block that updated a leaf ended")

    def clone(self) -> _Mode:
        return self.__class__()

    def __call__(self, fn: F) -> F:
        if inspect.isclass(fn):
            fn.__init__ = self(fn.__init__)  # type: ignore[method-assign]
            return fn
        if inspect.isgeneratorfunction(fn):
            return _around_generator(self.clone, fn)  # type: ignore[return-value]

        @functools.wraps(fn)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return fn(*args, **kwargs)

        return inside  # type: ignore[return-value]


def set_mode(trace: Trace, wanted: Any) -> None:
    """Make `wanted` the gradient mode; forward mode goes on being recorded whatever it is."""
    if trace.grad is FORWARD_ONLY:
        nodes.set(forward_only=nodes.forward_only - 1)
    trace.grad = wanted = wanted or (FORWARD_ONLY if trace.forwards else False)
    if wanted is FORWARD_ONLY:
        nodes.set(forward_only=nodes.forward_only + 1)


def _around_generator(make: Callable[[], _Mode], fn: Callable) -> Callable:
    """The generator with the mode on while it runs, and off while its consumer does."""

    @functools.wraps(fn)
    def inside(*args: Any, **kwargs: Any) -> Any:
        generator = fn(*args, **kwargs)
        try:
            with make():
                item = generator.send(None)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with make():
                        generator.close()
                    raise
                except BaseException as error:
                    with make():
                        item = generator.throw(error)
                else:
                    with make():
                        item = generator.send(sent)
        except StopIteration as stop:
            return stop.value

    return inside


class no_grad(_Mode):
    """Operations inside are not remembered for backward (`torch.no_grad`)."""

    __slots__ = ()

    def __new__(cls, fn: Callable | None = None) -> Any:
        mode = object.__new__(cls)
        return mode(fn) if fn is not None else mode


class enable_grad(_Mode):
    """Operations inside are remembered for backward, whatever the mode outside."""

    __slots__ = ()

    _wanted = True

    def __new__(cls, fn: Callable | None = None) -> Any:
        mode = object.__new__(cls)
        return mode(fn) if fn is not None else mode


class set_grad_enabled(_Mode):
    """Turn gradients on or off: at once when called, and back at the end of a `with` block."""

    __slots__ = ()

    def __init__(self, mode: bool) -> None:
        trace = local.trace
        self.mode = mode
        self.previous = trace.grad, trace.inference
        set_mode(trace, mode)

    def __enter__(self) -> None:
        trace = local.trace
        trace.depth += 1
        set_mode(trace, self.mode)

    def __call__(self, fn: F) -> F:
        set_mode(local.trace, self.previous[0])  # as a decorator it changes nothing outside
        return super().__call__(fn)

    def clone(self) -> set_grad_enabled:
        return set_grad_enabled(self.mode)

    def __str__(self) -> str:
        return f"torch.autograd.grad_mode.set_grad_enabled(mode={self.mode})"

    __repr__ = __str__


class inference_mode(_Mode):
    """no_grad whose tensors promise never to take part in backward (`torch.inference_mode`)."""

    __slots__ = ()

    def __new__(cls, mode: Any = True) -> Any:
        new = object.__new__(cls)
        if callable(mode):
            new.__init__(True)  # type: ignore[misc]
            return new(mode)
        return new

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        trace = local.trace
        self.previous = trace.grad, trace.inference
        trace.depth += 1
        set_mode(trace, not self.mode)
        trace.inference = self.mode
        _count_inference(1)

    def __exit__(self, *exc: object) -> None:
        _count_inference(-1)
        super().__exit__(*exc)

    def clone(self) -> inference_mode:
        return inference_mode(self.mode)


_inside = 0  # how many inference_mode blocks are open, in all threads
_lock = threading.Lock()


def _count_inference(change: int) -> None:
    global _inside
    with _lock:
        _inside += change
        make_cells(ModalStorage if _inside else Storage)


def is_grad_enabled() -> bool:
    """Whether operations are remembered for backward on this thread."""
    grad = local.trace.grad
    return bool(grad) and grad is not FORWARD_ONLY


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode()`."""
    return local.trace.inference
