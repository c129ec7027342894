"""Handles that remove hooks, and the taps through which a module's backward hooks see gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import bital.torch as torch
from bital.autograd.function import Function
from bital.tensor.handle import RemovableHandle

__all__ = ["BackwardHook", "BackwardHookFunction", "RemovableHandle"]


class BackwardHookFunction(Function):
    """The identity on tensors, whose backward hands the gradients to a callback.

    `apply(callback, materialize, *tensors)`; `callback(grads)` returns the gradients to pass on.
    Without `materialize` the callback sees None for an output that no gradient reached.
    """

    @staticmethod
    def forward(ctx: Any, callback: Callable, materialize: bool, *tensors: Any) -> tuple:
        ctx.callback = callback
        ctx.set_materialize_grads(materialize)
        outputs = tuple(tensor.view_as(tensor) for tensor in tensors)
        fixed = [o for o, t in zip(outputs, tensors, strict=True) if not t.requires_grad]
        ctx.mark_non_differentiable(*fixed)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:
        return (None, None, *ctx.callback(grads))


class BackwardHook:
    """One call of a module with full backward hooks: a tap before its inputs, one after outputs.

    `user_hooks` are called as `hook(module, grad_input, grad_output)` when the gradients with
    respect to the inputs are known; `user_pre_hooks` as `hook(module, grad_output)` before the
    module's own backward begins. Either may return gradients to use instead.
    """

    def __init__(self, module: Any, user_hooks: Any, user_pre_hooks: Any) -> None:
        self.module = module
        self.user_hooks = user_hooks
        self.user_pre_hooks = user_pre_hooks
        self.grad_outputs: tuple | None = None
        self.n_inputs = self.n_outputs = -1
        self.input_places: list[int] | None = None  # which arguments are tensors behind the tap
        self.output_places: list[int] = []

    def setup_input_hook(self, args: tuple) -> tuple:
        """`args` with its tensors behind a tap, if one of them requires grad."""
        self.n_inputs = len(args)
        args, self.input_places = _tap(self._on_grad_inputs, True, args)
        return args

    def setup_output_hook(self, output: Any) -> Any:
        """`output`, a tensor or a tuple with tensors, behind a tap."""
        outputs = output if isinstance(output, tuple) else (output,)
        self.n_outputs = len(outputs)
        outputs, places = _tap(self._on_grad_outputs, False, outputs)
        self.output_places = places or []
        return outputs if isinstance(output, tuple) else outputs[0]

    def _on_grad_outputs(self, grads: tuple) -> tuple:
        grad_output = _spread(self.output_places, grads, self.n_outputs)
        for hook in self.user_pre_hooks:
            replaced = hook(self.module, grad_output)
            if replaced is None:
                continue
            replaced = replaced if isinstance(replaced, tuple) else (replaced,)
            if len(replaced) != self.n_outputs:
                raise RuntimeError(
                    "Backward pre hook returned an invalid number of grad_output, "
                    f"got {len(replaced)}, but expected {self.n_outputs}"
                )
            grad_output = replaced
        self.grad_outputs = grad_output
        if self.input_places is None:  # nothing flows to the inputs: this is all there is to see
            self._call_without_grad_inputs()
        return tuple(grad_output[place] for place in self.output_places)

    def _call_without_grad_inputs(self) -> None:
        nothing = (None,) * self.n_inputs
        for hook in self.user_hooks:
            replaced = hook(self.module, nothing, self.grad_outputs)
            if replaced is None:
                continue
            if not (isinstance(replaced, tuple) and all(grad is None for grad in replaced)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients."
                )
        self.grad_outputs = None

    def _on_grad_inputs(self, grads: tuple) -> tuple:
        if self.grad_outputs is None:
            return grads  # they did not pass through the module's output
        grad_input = _spread(self.input_places or [], grads, self.n_inputs)
        for hook in self.user_hooks:
            replaced = hook(self.module, grad_input, self.grad_outputs)
            if replaced is None:
                continue
            replaced = replaced if isinstance(replaced, tuple) else (replaced,)
            if len(replaced) != self.n_inputs:
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(replaced)}, but expected {self.n_inputs}"
                )
            grad_input = replaced
        self.grad_outputs = None
        return tuple(grad_input[place] for place in self.input_places or [])


def _tap(callback: Callable, materialize: bool, items: tuple) -> tuple[tuple, list[int] | None]:
    """`items` with its tensors behind the identity, and their places; None where no grad flows."""
    places = [i for i, item in enumerate(items) if isinstance(item, torch.Tensor)]
    wanted = torch.is_grad_enabled() and any(items[i].requires_grad for i in places)
    if not wanted:
        return items, None
    tapped = BackwardHookFunction.apply(callback, materialize, *(items[i] for i in places))
    changed = list(items)
    for place, tensor in zip(places, tapped, strict=True):
        changed[place] = tensor
    if type(items) is tuple:
        return tuple(changed), places
    return type(items)(*changed), places  # a named tuple


def _spread(places: list[int], grads: tuple, size: int) -> tuple:
    """Gradients put at the places their tensors have among `size` items, None elsewhere."""
    spread: list = [None] * size
    for place, grad in zip(places, itertools.islice(grads, len(places)), strict=True):
        spread[place] = grad
    return tuple(spread)
