"""The hooks of modules: registering them, for one module or for all, and a call that runs them."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

import bital.torch as torch
from bital.torch.utils.hooks import BackwardHook, RemovableHandle

_global_forward_hooks: dict[int, Callable] = OrderedDict()
_global_forward_hooks_always_called: dict[int, bool] = OrderedDict()
_global_forward_hooks_with_kwargs: dict[int, bool] = OrderedDict()
_global_forward_pre_hooks: dict[int, Callable] = OrderedDict()
_global_backward_hooks: dict[int, Callable] = OrderedDict()
_global_backward_pre_hooks: dict[int, Callable] = OrderedDict()
_global_parameter_registration_hooks: dict[int, Callable] = OrderedDict()
_global_buffer_registration_hooks: dict[int, Callable] = OrderedDict()
_global_module_registration_hooks: dict[int, Callable] = OrderedDict()

#: whether the global backward hooks are full ones; None before the first
_global_backward_kind: dict[str, bool | None] = {"full": None}

_MIXED = (
    "Cannot use both regular backward hooks and full backward hooks on a single Module. "
    "Please use only one of them."
)
_MIXED_GLOBALLY = (
    "Cannot use both regular backward hooks and full backward hooks as a global Module hook. "
    "Please use only one of them."
)


def _add(
    registry: Any, hook: Any, *, prepend: bool = False, marks: tuple[dict, ...] = ()
) -> RemovableHandle:
    """Register `hook`, and its number in each of the dictionaries `marks`."""
    handle = RemovableHandle(registry, extra_dict=list(marks))
    registry[handle.id] = hook
    if prepend:
        registry.move_to_end(handle.id, last=False)
    for mark in marks:
        mark[handle.id] = True
    return handle


def register_module_parameter_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, parameter)` whenever a module registers a parameter; what it
    returns, if not None, is registered instead."""
    return _add(_global_parameter_registration_hooks, hook)


def register_module_buffer_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, buffer)` whenever a module registers a buffer."""
    return _add(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, submodule)` whenever a module registers a submodule."""
    return _add(_global_module_registration_hooks, hook)


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, args)` before the forward of every module."""
    return _add(_global_forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Callable, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after the forward of every module."""
    marks = [_global_forward_hooks_with_kwargs] if with_kwargs else []
    marks += [_global_forward_hooks_always_called] if always_call else []
    return _add(_global_forward_hooks, hook, marks=tuple(marks))


def register_module_backward_hook(hook: Callable) -> RemovableHandle:
    """The older kind of backward hook on every module; `register_module_full_backward_hook` sees
    the gradients of the module's real inputs."""
    if _global_backward_kind["full"] is True:
        raise RuntimeError(_MIXED_GLOBALLY)
    _global_backward_kind["full"] = False
    return _add(_global_backward_hooks, hook)


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_output)` before the backward of every module."""
    return _add(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` after the backward of every module."""
    if _global_backward_kind["full"] is False:
        raise RuntimeError(_MIXED_GLOBALLY)
    _global_backward_kind["full"] = True
    return _add(_global_backward_hooks, hook)


class HookedModule:
    """The part of Module that registers hooks and calls `forward` among them."""

    _backward_hooks: dict[int, Callable]
    _backward_pre_hooks: dict[int, Callable]
    _is_full_backward_hook: bool | None
    _forward_hooks: dict[int, Callable]
    _forward_hooks_with_kwargs: dict[int, bool]
    _forward_hooks_always_called: dict[int, bool]
    _forward_pre_hooks: dict[int, Callable]
    _forward_pre_hooks_with_kwargs: dict[int, bool]
    forward: Callable

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each forward; what it returns replaces the arguments.

        With `with_kwargs` the hook is called as `hook(module, args, kwargs)` and returns None or
        both. `prepend` puts it before the hooks that are there.
        """
        marks = (self._forward_pre_hooks_with_kwargs,) if with_kwargs else ()
        return _add(self._forward_pre_hooks, hook, prepend=prepend, marks=marks)

    def register_forward_hook(
        self,
        hook: Callable,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each forward; its result replaces the output.

        With `with_kwargs` the hook is called as `hook(module, args, kwargs, output)`; with
        `always_call` also where forward raised (its own errors are then only warned of).
        """
        marks = [self._forward_hooks_with_kwargs] if with_kwargs else []
        marks += [self._forward_hooks_always_called] if always_call else []
        return _add(self._forward_hooks, hook, prepend=prepend, marks=tuple(marks))

    def register_full_backward_pre_hook(
        self, hook: Callable, prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` before the gradient enters the module; what it returns
        replaces `grad_output`."""
        return _add(self._backward_pre_hooks, hook, prepend=prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the module's inputs
        are known; what it returns replaces `grad_input`."""
        if self._is_full_backward_hook is False:
            raise RuntimeError(_MIXED)
        self._is_full_backward_hook = True
        return _add(self._backward_hooks, hook, prepend=prepend)

    def register_backward_hook(self, hook: Callable) -> RemovableHandle:
        """The older kind of backward hook: it sees the gradients of the last operation's inputs."""
        if self._is_full_backward_hook is True:
            raise RuntimeError(_MIXED)
        self._is_full_backward_hook = False
        return _add(self._backward_hooks, hook)

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        # the hot path: no hooks anywhere, one look-up of the instance's dictionary
        own = self.__dict__
        try:
            hooked = (
                own["_forward_hooks"] or own["_forward_pre_hooks"]
                or own["_backward_hooks"] or own["_backward_pre_hooks"]
                or _global_forward_hooks or _global_forward_pre_hooks
                or _global_backward_hooks or _global_backward_pre_hooks
            )  # fmt: skip
        except KeyError as missing:
            raise AttributeError(
                f"'{type(self).__name__}' object has no attribute '{missing.args[0]}'"
            ) from None
        if hooked:
            return self._call_with_hooks(args, kwargs)
        # Python makes another dictionary where one is handed on, be it empty
        return self.forward(*args, **kwargs) if kwargs else self.forward(*args)

    __call__ = _call_impl

    def _call_with_hooks(self, args: tuple, kwargs: dict) -> Any:
        called: set[tuple[bool, int]] = set()  # (global?, number) of forward hooks that ran
        result = None
        try:
            args, kwargs = self._run_forward_pre_hooks(args, kwargs)
            full, old = self._get_backward_hooks()
            pre = self._get_backward_pre_hooks()
            tap = BackwardHook(self, full, pre) if full or pre else None
            if tap is not None:
                args = tap.setup_input_hook(args)
            result = self.forward(*args, **kwargs)
            for place, hook, with_kwargs, _ in self._forward_hooks_in_order():
                called.add(place)
                changed = _call_forward_hook(hook, with_kwargs, self, args, kwargs, result)
                result = result if changed is None else changed
            if tap is not None:
                if not isinstance(result, (torch.Tensor, tuple)):
                    warnings.warn(
                        "For backward hooks to be called, module output should be a Tensor or a "
                        f"tuple of Tensors but received {type(result)}",
                        stacklevel=3,
                    )
                else:
                    result = tap.setup_output_hook(result)
            if old:
                self._register_on_grad_fn(old, args, result)
            return result
        except Exception:
            self._run_always_called(called, args, kwargs, result)
            raise

    def _run_forward_pre_hooks(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        with_kwargs = self._forward_pre_hooks_with_kwargs
        for hook in list(_global_forward_pre_hooks.values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        for number, hook in list(self._forward_pre_hooks.items()):
            if number not in with_kwargs:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
                continue
            changed = hook(self, args, kwargs)
            if changed is None:
                continue
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(
                    "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                    f"but got {changed}."
                )
            args, kwargs = changed
        return args, kwargs

    def _forward_hooks_in_order(self) -> list[tuple[tuple[bool, int], Callable, bool, bool]]:
        """The forward hooks: (global?, number), hook, with_kwargs, always_call."""
        hooks = [
            ((True, n), hook, n in _global_forward_hooks_with_kwargs,
             n in _global_forward_hooks_always_called)
            for n, hook in _global_forward_hooks.items()
        ]  # fmt: skip
        hooks += [
            ((False, n), hook, n in self._forward_hooks_with_kwargs,
             n in self._forward_hooks_always_called)
            for n, hook in self._forward_hooks.items()
        ]  # fmt: skip
        return hooks

    def _run_always_called(self, called: set, args: tuple, kwargs: dict, result: Any) -> None:
        """After an error: run the hooks with `always_call` that have not run; their errors warn."""
        for place, hook, with_kwargs, always in self._forward_hooks_in_order():
            if not always or place in called:
                continue
            try:
                changed = _call_forward_hook(hook, with_kwargs, self, args, kwargs, result)
                result = result if changed is None else changed
            except Exception as error:
                kind = "global module" if place[0] else "module"
                warnings.warn(
                    f"{kind} forward hook with ``always_call=True`` raised an exception that was "
                    f"silenced as another error was raised in forward: {error}",
                    stacklevel=4,
                )

    def _get_backward_hooks(self) -> tuple[list[Callable], list[Callable]]:
        """The full backward hooks, and those of the older kind; global ones first."""
        full: list[Callable] = []
        old: list[Callable] = []
        if _global_backward_kind["full"] is True:
            full += _global_backward_hooks.values()
        else:
            old += _global_backward_hooks.values()
        if self._is_full_backward_hook is True:
            full += self._backward_hooks.values()
        else:
            old += self._backward_hooks.values()
        return full, old

    def _get_backward_pre_hooks(self) -> list[Callable]:
        return [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]

    def _register_on_grad_fn(self, hooks: list[Callable], inputs: tuple, result: Any) -> None:
        """The older backward hooks: on the node of the first tensor of the output."""
        tensor = result
        while not isinstance(tensor, torch.Tensor):
            if isinstance(tensor, dict):
                tensor = next(v for v in tensor.values() if isinstance(v, torch.Tensor))
            else:
                tensor = tensor[0]
        node = tensor.grad_fn
        if node is None:
            return
        for hook in hooks:
            node.register_hook(lambda gi, go, hook=hook: hook(self, gi, go))
        if not isinstance(result, torch.Tensor) or len(inputs) > 1:
            warnings.warn(
                "Using a non-full backward hook when the forward takes several inputs or returns "
                "several outputs shows only some of the gradients. Please use "
                "register_full_backward_hook to get the documented behavior.",
                FutureWarning,
                stacklevel=4,
            )


def _call_forward_hook(
    hook: Callable, with_kwargs: bool, module: Any, args: tuple, kwargs: dict, result: Any
) -> Any:
    return hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)


def _forward_unimplemented(self: Any, *input: Any) -> NoReturn:
    """What the module computes; every subclass defines its own.

    Call the module itself instead of this, so that its hooks are run.
    """
    raise NotImplementedError(
        f'Module [{type(self).__name__}] is missing the required "forward" function'
    )
