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


class UninitializedTensorMixin:
    """A tensor without a shape yet, which allows little more than being given one."""

    __slots__ = ()
    cls_to_become: Any

    def materialize(self: Any, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Give it a shape, its elements undefined; device and dtype stay where not given."""
        device = self.data.device if device is None else device
        dtype = self.data.dtype if dtype is None else dtype
        self.data = torch.empty(shape, device=device, dtype=dtype)
        self.__class__ = self.cls_to_become

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    def share_memory_(self) -> Any:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to "
            "initialize the parameters before calling `module.share_memory()`."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self: Any, protocol: SupportsIndex) -> tuple:
        return type(self), (self.requires_grad,)


#: what may be asked of a tensor without a shape, besides what the mixin has itself
_ALLOWED = {
    "size", "dim", "ndimension", "stride", "copy_", "is_complex", "is_floating_point", "half",
    "float", "double", "char", "short", "int", "long", "cuda", "cpu", "to", "get_device",
    "requires_grad_", "retain_grad", "is_inference", "storage_offset", "__hash__", "__new__",
    "__init__",
}  # fmt: skip


def _forbid_the_rest() -> None:
    """Make all other methods of tensors say that there are no elements yet."""
    own = {*_ALLOWED, *vars(UninitializedTensorMixin), *vars(object)}
    for name, value in list(vars(torch.Tensor).items()):
        internal = name.startswith("_") and not name.startswith("__")
        if callable(value) and name not in own and not internal:
            setattr(UninitializedTensorMixin, name, _forbidden(name))


def _forbidden(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(
            f"Attempted to use an uninitialized parameter in Tensor.{name}. This error happens "
            "when you are using a `LazyModule` or explicitly manipulating "
            f"`torch.nn.parameter.{type(self).__name__}` objects. When using LazyModules Call "
            "`forward` with a dummy batch to initialize the parameters before calling torch "
            "functions"
        )

    method.__name__ = name
    return method


_forbid_the_rest()


def is_lazy(param: Any) -> bool:
    """Whether `param` is an UninitializedParameter or an UninitializedBuffer."""
    return isinstance(param, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A Parameter whose shape is not known yet; `materialize(shape)` makes it a Parameter."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        data = torch.empty(0, device=device, dtype=dtype)
        return torch.Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        return memo[id(self)]


class UninitializedBuffer(UninitializedTensorMixin, torch.Tensor):
    """A buffer whose shape is not known yet; `materialize(shape)` makes it a tensor."""

    cls_to_become = torch.Tensor

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None,
        persistent: bool = True,
    ) -> Any:  # fmt: skip
        made = torch.Tensor._make_subclass(
            cls, torch.empty(0, device=device, dtype=dtype), requires_grad
        )
        made.persistent = persistent
        made._is_buffer = True
        return made
