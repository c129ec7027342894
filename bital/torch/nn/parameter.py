"""Parameter and Buffer: tensors that a Module registers when they are assigned to it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, SupportsIndex

import bital.torch as torch


class Parameter(torch.Tensor):
    """A tensor to be learned: `Parameter(data=None, requires_grad=True)`.

    Shares the memory of `data` and is always a leaf. Assigned to a Module it appears among its
    `parameters()`. Raises RuntimeError where `requires_grad` is asked of an integer tensor.
    """

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = torch.empty(0)
        elif not isinstance(data, torch.Tensor):
            raise AttributeError(f"'{type(data).__name__}' object has no attribute 'detach'")
        if requires_grad and not (data.dtype.is_floating_point or data.dtype.is_complex):
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        return torch.Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict) -> Parameter:
        if id(self) in memo:
            return memo[id(self)]
        data = self.data.clone(memory_format=torch.preserve_format)
        memo[id(self)] = result = type(self)(data, self.requires_grad)
        return result

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple:
        # the empty dict is the place where PyTorch's format keeps backward hooks
        return _rebuild_parameter, (self.data, self.requires_grad, OrderedDict())


def _rebuild_parameter(data: Any, requires_grad: bool, backward_hooks: Any) -> Parameter:
    """What a pickled Parameter calls when it is loaded; hooks are not pickled, as in PyTorch."""
    return Parameter(data, requires_grad)


class _BufferMeta(type(torch.Tensor)):  # type: ignore[misc]
    def __instancecheck__(cls, instance: object) -> bool:
        if super().__instancecheck__(instance):
            return True
        return isinstance(instance, torch.Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(torch.Tensor, metaclass=_BufferMeta):
    """A tensor that belongs to a Module's state and is not learned.

    `Buffer(data=None, *, persistent=True)` gives a plain tensor that knows what it is: assigned
    to a Module it is registered as a buffer, part of its `state_dict` where it is persistent.
    """

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Any:
        if data is None:
            data = torch.empty(0)
        tensor = data.detach().requires_grad_(data.requires_grad)
        tensor.persistent = persistent
        tensor._is_buffer = True
        return tensor
