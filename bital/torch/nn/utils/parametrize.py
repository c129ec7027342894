"""Parametrizations: parameters that are functions of others, computed whenever they are used."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bital.torch as torch
from bital.torch.nn.modules.container import ModuleDict, ModuleList
from bital.torch.nn.modules.module import Module
from bital.torch.nn.parameter import Parameter


class _Cache:
    """What parametrizations gave while `cached()` is on: (module's id, name) -> tensor."""

    depth = 0
    tensors: dict[tuple[int, str], Any] = {}


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized tensor once, when it is first used within the block."""
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.tensors = {}


def _register(module: Module, name: str, tensor: Any) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _type_of(value: Any) -> str:
    return type(value).__name__


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, first to last, and what they are applied to.

    That is `original`, or `original0`, `original1`, … where the last `right_inverse` gave several.
    """

    def __init__(self, modules: Sequence[Module], original: Any, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, kind = original.shape, original.dtype
        new = original
        with torch.no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    try:
                        new = module.right_inverse(new)
                    except NotImplementedError:
                        continue
        several = isinstance(new, Sequence)
        if not several and not isinstance(new, torch.Tensor):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {_type_of(new)}"
            )
        self.is_tensor = not several
        self.ntensors = len(new) if several else 1
        if several:
            self._keep_several(original, new)
        else:
            _check_inverse_dtype(original, new)
            original.data = new.data
            _register(self, "original", original)
        if not unsafe:
            self._check_result(shape, kind)

    def _keep_several(self, original: Any, new: Sequence[Any]) -> None:
        for i, each in enumerate(new):
            if not isinstance(each, torch.Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                    f"tuple...). Got element {i} of the sequence with type {_type_of(each)}."
                )
            if isinstance(original, Parameter):
                each = Parameter(each, original.requires_grad)
            each.requires_grad_(original.requires_grad)
            _register(self, f"original{i}", each)

    def _check_result(self, shape: Any, kind: Any) -> None:
        result = self()
        if not isinstance(result, torch.Tensor):
            raise ValueError(f"A parametrization must return a tensor. Got {_type_of(result)}.")
        for word, before, after in (("dtype", kind, result.dtype), ("shape", shape, result.shape)):
            if before != after:
                raise ValueError(
                    f"Registering a parametrization may not change the {word} of the tensor, "
                    "unless `unsafe` flag is enabled.\n"
                    f"unparametrized {word}: {before}\nparametrized {word}: {after}"
                )

    def right_inverse(self, value: Any) -> None:
        """Set the originals so that the parametrized tensor becomes `value`."""
        with torch.no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {_type_of(module)} does not implement right_inverse."
                    )
                value = module.right_inverse(value)
            if self.is_tensor:
                if not isinstance(value, torch.Tensor):
                    raise ValueError(
                        f"`right_inverse` should return a tensor. Got {_type_of(value)}"
                    )
                if value.dtype is not self.original.dtype:
                    raise ValueError(
                        f"The tensor returned by `right_inverse` has dtype {value.dtype} while "
                        f"`original` has dtype {self.original.dtype}"
                    )
                self.original.data = value.data
            else:
                self._set_several(value)

    def _set_several(self, values: Any) -> None:
        if not isinstance(values, Sequence):
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors. Got {_type_of(values)}."
            )
        if len(values) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got "
                f"a sequence of length {len(values)}."
            )
        for i, value in enumerate(values):
            original = getattr(self, f"original{i}")
            if not isinstance(value, torch.Tensor):
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors. Got element "
                    f"{i} of type {_type_of(value)}."
                )
            if original.dtype is not value.dtype:
                raise ValueError(
                    f"Tensor {i} returned by `right_inverse` has dtype {value.dtype} while "
                    f"`original{i}` has dtype {original.dtype}"
                )
            original.data = value.data

    def forward(self) -> Any:
        first, *rest = self
        if self.is_tensor:
            x = first(self.original)
        else:
            x = first(*[getattr(self, f"original{i}") for i in range(self.ntensors)])
        for module in rest:
            x = module(x)
        return x


def _check_inverse_dtype(original: Any, new: Any) -> None:
    for word in ("dtype", "device"):
        before, after = getattr(original, word), getattr(new, word)
        if before != after:
            raise ValueError(
                f"When `right_inverse` outputs one tensor, it may not change the {word}.\n"
                f"original.{word}: {before}\nright_inverse(original).{word}: {after}"
            )


def _deepcopy(module: Any, memo: dict) -> Any:
    """A copy whose class is the same one, since its properties look parametrizations up by name."""
    known = memo.get(id(module))
    if known is not None:
        return known
    made = module.__new__(type(module))
    memo[id(module)] = made
    made.__dict__ = copy.deepcopy(module.__dict__, memo)
    return made


def _getstate(module: Any) -> Any:
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict(). See:\n"
        "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
        "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
    )


def _give_class(module: Module) -> None:
    """Give the module a class of its own, for the properties of its parametrized tensors."""
    cls = type(module)
    members: dict[str, Any] = {"__getstate__": _getstate}
    if not hasattr(cls, "__deepcopy__"):
        members["__deepcopy__"] = _deepcopy
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), members)


def _give_property(module: Module, name: str) -> None:
    def get(self: Any) -> Any:
        parametrization = self.parametrizations[name]
        if not _Cache.depth:
            return parametrization()
        key = (id(self), name)
        if key not in _Cache.tensors:
            _Cache.tensors[key] = parametrization()
        return _Cache.tensors[key]

    def put(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(get, put))


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let `module.tensor_name` be `parametrization` of what it was; several are applied in order.

    A `right_inverse` of the parametrization says what the original becomes now, and whenever the
    tensor is assigned to. Unless `unsafe`, dtype and shape must stay. Returns the module.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_another(module, tensor_name, parametrization)
        found: Any = module.parametrizations
        found[tensor_name].append(parametrization)
        found[tensor_name].unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        made = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _give_class(module)
            module.parametrizations = ModuleDict()
        _give_property(module, tensor_name)
        module.parametrizations[tensor_name] = made  # type: ignore[operator, index]
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    return module


def _check_another(module: Module, name: str, parametrization: Any) -> None:
    """Raise where one more parametrization would change the tensor's dtype or shape."""
    before = getattr(module, name)
    after = parametrization(before)
    if not isinstance(after, torch.Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {_type_of(after)}.")
    for word in ("dtype", "shape"):
        if getattr(after, word) != getattr(before, word):
            raise ValueError(
                f"Registering a parametrization may not change the {word} of the tensor, unless "
                "the `unsafe` flag is enabled.\n"
                f"module.{name}.{word}: {getattr(before, word)}\n"
                f"parametrization(module.{name}).{word}: {getattr(after, word)}"
            )
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        back = parametrization.right_inverse(after)
    except NotImplementedError:
        return
    if not isinstance(back, torch.Tensor):
        raise ValueError(
            f"parametrization.right_inverse must return a tensor. Got: {_type_of(back)}"
        )
    for word in ("dtype", "shape"):
        if getattr(back, word) != getattr(before, word):
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {word} "
                f"as module.{name}, unless the `unsafe` flag is enabled.\n"
                f"module.{name}.{word}: {getattr(before, word)}\n"
                f"returned {word}: {getattr(back, word)}"
            )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module has parametrizations, or one of that tensor."""
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make `module.tensor_name` a plain tensor again: as it is now, or the original.

    Returns the module; ValueError where there is no such parametrization.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    table: Any = module.parametrizations
    found = table[tensor_name]
    if found.is_tensor:
        original = found.original
        if leave_parametrized:
            with torch.no_grad():
                original.data = getattr(module, tensor_name).data
    elif leave_parametrized:
        now = getattr(module, tensor_name)
        original = Parameter(now.detach()) if now.requires_grad else now
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del table[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that the module had before it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Parametrize `to_module` as `from_module` is, sharing parametrizations and originals."""
    if not is_parametrized(from_module):
        return to_module
    table: Any = from_module.parametrizations
    for name in list(table) if tensor_name is None else [tensor_name]:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach()))
        for parametrization in table[name]:
            register_parametrization(to_module, name, parametrization)
        own: Any = to_module.parametrizations
        kept = table[name]
        names = ["original"] if kept.is_tensor else [f"original{i}" for i in range(kept.ntensors)]
        for each in names:
            setattr(own[name], each, getattr(kept, each))
    return to_module
