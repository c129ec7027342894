"""Module: what every neural network is made of.

Registration and look-up, traversal, conversion and printing live here; hooks and the call in
`_hooks`, saving and loading in `_state`.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar

import bital.torch as torch
from bital.torch._C._nn import _parse_to
from bital.torch.nn.modules._hooks import (  # noqa: F401 (some are here for users to find)
    HookedModule,
    _forward_unimplemented,
    _global_buffer_registration_hooks,
    _global_module_registration_hooks,
    _global_parameter_registration_hooks,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from bital.torch.nn.modules._state import StatefulModule, _IncompatibleKeys  # noqa: F401
from bital.torch.nn.parameter import Buffer, Parameter

T_destination = TypeVar("T_destination", bound=dict[str, Any])

#: what an instance holds besides the user's attributes: name -> how it is made
_TABLES: dict[str, Callable[[], Any]] = {
    "_parameters": dict,
    "_buffers": dict,
    "_non_persistent_buffers_set": set,
    "_backward_pre_hooks": OrderedDict,
    "_backward_hooks": OrderedDict,
    "_is_full_backward_hook": lambda: None,
    "_forward_hooks": OrderedDict,
    "_forward_hooks_with_kwargs": OrderedDict,
    "_forward_hooks_always_called": OrderedDict,
    "_forward_pre_hooks": OrderedDict,
    "_forward_pre_hooks_with_kwargs": OrderedDict,
    "_state_dict_hooks": OrderedDict,
    "_state_dict_pre_hooks": OrderedDict,
    "_load_state_dict_pre_hooks": OrderedDict,
    "_load_state_dict_post_hooks": OrderedDict,
    "_modules": dict,
}


def _addindent(text: str, spaces: int) -> str:
    """`text` with every line but the first moved right."""
    return text.replace("\n", "\n" + " " * spaces)


class Module(HookedModule, StatefulModule):
    """The base of all neural network modules.

    A subclass calls `super().__init__()`, assigns parameters, buffers and other modules to
    attributes, which registers them, and defines `forward`.
    """

    dump_patches: bool = False
    call_super_init: bool = False
    T_destination = T_destination
    _compiled_call_impl: Callable | None = None
    training: bool
    forward: Callable[..., Any] = _forward_unimplemented

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        name = type(self).__name__
        if not self.call_super_init:
            if kwargs:
                raise TypeError(
                    f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            if args:
                raise TypeError(
                    f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given"
                )
        own = self.__dict__  # past __setattr__, which is for what users assign
        own["training"] = True
        for table, make in _TABLES.items():
            own[table] = make()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    # ---- registration

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Add a tensor that is not learned; a `persistent` one is part of `state_dict`."""
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name(name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"cannot assign '{torch.typename(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        for hook in _global_buffer_registration_hooks.values():
            changed = hook(self, name, tensor)
            tensor = tensor if changed is None else changed
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under `name`; None keeps the place for one."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name(name, "parameter", self._parameters)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{torch.typename(param)}' object to parameter '{name}' "
                    "(torch.nn.Parameter or None required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must "
                    f"be created explicitly. To express '{name}' as a function of another Tensor, "
                    "compute the value in the forward() method."
                )
            for hook in _global_parameter_registration_hooks.values():
                changed = hook(self, name, param)
                param = param if changed is None else changed
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under `name`, where it is also found as an attribute."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{torch.typename(module)} is not a Module subclass")
        self._check_name(name, "module", self._modules)
        for hook in _global_module_registration_hooks.values():
            changed = hook(self, name, module)
            module = module if changed is None else changed
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Another name of `add_module`."""
        self.add_module(name, module)

    def _check_name(self, name: Any, kind: str, table: dict) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {torch.typename(name)}")
        if "." in name:
            got = f", got: {name}" if kind == "module" else ""
            raise KeyError(f'{kind} name can\'t contain "."{got}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in table:
            raise KeyError(f"attribute '{name}' already exists")

    def _forget(self, name: str, keep: str) -> None:
        """Take `name` out of every place but the table `keep`."""
        own = self.__dict__
        for place in ("_parameters", "_buffers", "_modules"):
            if place != keep:
                own[place].pop(name, None)
        own["_non_persistent_buffers_set"].discard(name)
        own.pop(name, None)

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if "_parameters" not in own:
            if isinstance(value, (Parameter, Module, Buffer)):
                kind = (
                    "parameters" if isinstance(value, Parameter)
                    else "module" if isinstance(value, Module) else "buffer"
                )  # fmt: skip
                raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
            super().__setattr__(name, value)
        elif isinstance(value, Parameter):
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
        elif name in own["_parameters"]:
            if value is not None:
                raise _cannot_assign(value, "parameter", name, "torch.nn.Parameter or None")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._forget(name, "_modules")
            self._put_module(name, value)
        elif name in own["_modules"]:
            if value is not None:
                raise _cannot_assign(value, "child module", name, "torch.nn.Module or None")
            self._put_module(name, value)
        elif isinstance(value, torch.Tensor) and isinstance(value, Buffer):
            self._forget(name, "_buffers")
            self.register_buffer(name, value, value.persistent)
        elif name in own["_buffers"]:
            if value is not None and not isinstance(value, torch.Tensor):
                allowed = "torch.nn.Buffer, torch.Tensor or None"
                raise _cannot_assign(value, "buffer", name, allowed)
            for hook in _global_buffer_registration_hooks.values():
                changed = hook(self, name, value)
                value = value if changed is None else changed
            own["_buffers"][name] = value
        else:
            super().__setattr__(name, value)

    def _put_module(self, name: str, module: Module | None) -> None:
        for hook in _global_module_registration_hooks.values():
            changed = hook(self, name, module)
            module = module if changed is None else changed
        self._modules[name] = module

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if "_parameters" in own:
            table = own["_parameters"]
            if name in table:
                return table[name]
            table = own["_modules"]
            if name in table:
                return table[name]
            table = own["_buffers"]
            if name in table:
                return table[name]
        raise AttributeError(
            f"'{type(self).__name__}' object has no attribute '{name}'", name=name, obj=self
        )

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        for table, make in _TABLES.items():  # what a module pickled by an older release lacks
            if table not in self.__dict__:
                self.__dict__[table] = make()

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._modules}
        # children of containers are numbered; attributes are not
        return sorted(n for n in names | {*self._buffers} if not n[0].isdigit())

    # ---- look-up and traversal

    def get_submodule(self, target: str) -> Module:
        """The submodule with the full name `target` ("net.0.conv"); itself for ""."""
        module: Any = self
        for item in target.split(".") if target else ():
            if not hasattr(module, item):
                raise AttributeError(f"{module._get_name()} has no attribute `{item}`")
            module = getattr(module, item)
            if not isinstance(module, Module):
                raise AttributeError(f"`{item}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` at the full name `target`; with `strict` only in place of another."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with the full name `target`."""
        found = self._get_member(target)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{target.rpartition('.')[2]}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Any:
        """The buffer with the full name `target`."""
        path, _, name = target.rpartition(".")
        found = self._get_member(target)
        if name not in self.get_submodule(path)._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    def _get_member(self, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        return getattr(module, name)

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their full names, each once."""
        memo = set() if memo is None else memo
        plain, waiting = Module.named_modules, [(prefix, self)]
        while waiting:
            path, module = waiting.pop()
            if module in memo:
                continue
            if module is not self and type(module).named_modules is not plain:
                yield from module.named_modules(memo, path, remove_duplicate)
                continue
            if remove_duplicate:
                memo.add(module)
            yield path, module
            for name, child in reversed(module._modules.items()):
                if child is not None:
                    waiting.append((f"{path}.{name}" if path else name, child))

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules right below this one with their names, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules right below this one."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self,
        get_members_fn: Callable,
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        """The items of `get_members_fn(module)` of this module and those below, full names."""
        seen: set = set()
        modules: Any = [(prefix, self)]
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in modules:
            for name, member in get_members_fn(module):
                if member is None:
                    continue
                # a tensor's hash says the same, at more cost
                which = id(member) if isinstance(member, torch.Tensor) else member
                if which in seen:
                    continue
                if remove_duplicate:
                    seen.add(which)
                yield f"{path}.{name}" if path else name, member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their full names, each once."""
        yield from self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Parameters of this module and, with `recurse`, of all below it."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Buffers with their full names, each once."""
        yield from self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """Buffers of this module and, with `recurse`, of all below it."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    # ---- modes and conversion

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call `fn` on every module below, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Set training mode (dropout drops, batch norm learns) here and below."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode; the same as `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Let every parameter require gradients, or not."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Take the gradients away, or with `set_to_none=False` fill them with zeros."""
        for parameter in self.parameters():
            _zero_grad(parameter, set_to_none)

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> Self:
        """Replace the elements of parameters, their gradients and buffers by `fn` of them.

        Parameters stay the same objects, so that optimizers that hold them go on working.
        """
        if recurse:
            for module in self.children():
                module._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            with torch.no_grad():
                grad = parameter.grad
                changed = None if grad is None else fn(grad)
                if grad is not None:
                    parameter.grad = None  # a gradient must have its parameter's dtype
                converted = fn(parameter)
                if converted is not parameter:
                    parameter.data = converted
                if changed is not None:
                    parameter.grad = changed.requires_grad_(grad.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """`to(device)`, `to(dtype)`, `to(tensor)` or `to(memory_format=...)`, here and below.

        A dtype changes floating point (and complex) tensors only. Raises TypeError for an integer
        dtype.
        """
        device, dtype, non_blocking, memory_format = _parse_to(*args, **kwargs)
        if dtype is not None:
            if not (dtype.is_floating_point or dtype.is_complex):
                raise TypeError(
                    "nn.Module.to only accepts floating point or complex dtypes, but got desired "
                    f"dtype={dtype}"
                )
            if dtype.is_complex:
                warnings.warn(
                    "Complex modules are a new feature: some modules might not work as expected "
                    "when using complex tensors as parameters or buffers.",
                    stacklevel=2,
                )

        def convert(t: Any) -> Any:
            wanted = dtype if t.is_floating_point() or t.is_complex() else None
            if memory_format is not None and t.dim() in (4, 5):
                return t.to(device, wanted, non_blocking, memory_format=memory_format)
            return t.to(device, wanted, non_blocking)

        return self._apply(convert)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Give every parameter and buffer new memory on `device`, its elements left unset."""
        return self._apply(lambda t: torch.empty_like(t, device=device), recurse=recurse)

    def _to_floating(self, dtype: Any) -> Self:
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self) -> Self:
        """Make floating point parameters and buffers float32."""
        return self._to_floating(torch.float32)

    def double(self) -> Self:
        """Make floating point parameters and buffers float64."""
        return self._to_floating(torch.float64)

    def half(self) -> Self:
        """Make floating point parameters and buffers float16."""
        return self._to_floating(torch.float16)

    def bfloat16(self) -> Self:
        """Make floating point parameters and buffers bfloat16."""
        return self._to_floating(torch.bfloat16)

    def type(self, dst_type: Any) -> Self:
        """Make all parameters and buffers of `dst_type`."""
        return self._apply(lambda t: t.type(dst_type))

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: Any = None) -> Self:
        """Move to a CUDA device; raises PyTorch's AssertionError where there is none."""
        return self._apply(lambda t: t.cuda(device))

    def share_memory(self) -> Self:
        """Put parameters and buffers where other processes can reach them."""
        return self._apply(lambda t: t.share_memory_())

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Accepted for PyTorch's sake: every iteration is recorded and compiled by itself."""

    # ---- printing

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """What a subclass wants printed between the parentheses of its repr."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): {_addindent(repr(module), 2)}" for name, module in self._modules.items()
        ]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({extra})"
        if not lines and not children:
            return f"{self._get_name()}()"
        return self._get_name() + "(\n  " + "\n  ".join(lines + children) + "\n)"


def _cannot_assign(value: Any, kind: str, name: str, allowed: str) -> TypeError:
    return TypeError(
        f"cannot assign '{torch.typename(value)}' as {kind} '{name}' ({allowed} expected)"
    )


def _zero_grad(parameter: Any, set_to_none: bool) -> None:
    grad = parameter.grad
    if grad is None:
        return
    if set_to_none:
        parameter.grad = None
        return
    if grad.grad_fn is not None:
        grad.detach_()
    else:
        grad.requires_grad_(False)
    grad.zero_()
