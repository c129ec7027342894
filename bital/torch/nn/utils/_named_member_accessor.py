"""Parameters, buffers and submodules of a module by their full names ("net.0.weight")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import bital.torch as torch
from bital.torch.nn.modules.module import Module

_MISSING: Any = object()


def _check(module: Any, name: str, kind: str) -> None:
    if not isinstance(module, Module):
        raise TypeError(f"{module} is not an instance of torch.nn.Module")
    if "." in name:
        raise KeyError(f'{kind} name can\'t contain "."')
    if name == "":
        raise KeyError(f'{kind} name can\'t be empty string ""')


def _check_tensor(tensor: Any) -> None:
    if tensor is not None and tensor is not _MISSING and not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{tensor} is not an instance of torch.Tensor")


def set_tensor(module: Any, name: str, tensor: Any) -> None:
    """Put a tensor at `name`, a parameter's or buffer's place taking any tensor."""
    _check(module, name, "tensor")
    _check_tensor(tensor)
    for table in (module._parameters, module._buffers):
        if name in table:
            table[name] = tensor
            return
    setattr(module, name, tensor)


def swap_tensor(module: Any, name: str, tensor: Any, allow_missing: bool = False) -> Any:
    """Put a tensor at `name` and return what was there; `_MISSING` stands for nothing."""
    _check(module, name, "tensor")
    _check_tensor(tensor)
    for table in (module._parameters, module._buffers):
        if name in table:
            old = table[name]
            if tensor is _MISSING:
                del table[name]
            else:
                table[name] = tensor
            return old
    old = getattr(module, name, _MISSING)
    if old is _MISSING and not allow_missing:
        raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
    if old is not None and old is not _MISSING and not isinstance(old, torch.Tensor):
        raise TypeError(f"attribute `{name}`: {old} is not an instance of torch.Tensor")
    if tensor is not _MISSING:
        setattr(module, name, tensor)
    elif old is not _MISSING:
        delattr(module, name)
    return old


def swap_submodule(module: Any, name: str, submodule: Any) -> Any:
    """Put a module in the place of the submodule `name` and return that one."""
    _check(module, name, "submodule")
    if not isinstance(submodule, Module):
        raise TypeError(f"{submodule} is not an instance of torch.nn.Module")
    if name not in module._modules:
        raise KeyError(f"submodule {name} does not exist")
    old = module._modules[name]
    if not isinstance(old, Module):
        raise TypeError(f"{name} attribute is not an instance of torch.nn.Module")
    module._modules[name] = submodule
    return old


class NamedMemberAccessor:
    """Gets, sets, deletes and swaps what lies in a module and below, by full names."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.memo: dict[str, Any] = {}

    def _place(self, name: str) -> tuple[Any, str]:
        """The module that holds `name`, and the last word of it."""
        path, _, last = name.rpartition(".")
        return self.get_submodule(path), last

    def get_submodule(self, name: str) -> Any:
        """The submodule of that name; the module itself for ""."""
        if not name:
            return self.module
        if name not in self.memo:
            parent, last = self._place(name)
            if not hasattr(parent, last):
                raise AttributeError(f"{parent._get_name()} has no attribute `{last}`")
            found = getattr(parent, last)
            if not isinstance(found, Module):
                raise TypeError(
                    f"submodule `{name}`: {found} is not an instance of torch.nn.Module"
                )
            self.memo[name] = found
        return self.memo[name]

    def swap_submodule(self, path: str, value: Any) -> Any:
        """Put a module in place of another and return that one."""
        return swap_submodule(*self._place(path), value)

    def get_tensor(self, name: str) -> Any:
        """The tensor of that name."""
        module, last = self._place(name)
        if not hasattr(module, last):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        found = getattr(module, last)
        _check_tensor(found)
        return found

    def set_tensor(self, name: str, value: Any) -> None:
        """Put a tensor at that name."""
        set_tensor(*self._place(name), value)

    def del_tensor(self, name: str) -> None:
        """Delete what is at that name."""
        module, last = self._place(name)
        if not hasattr(module, last):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        delattr(module, last)

    def swap_tensor(self, name: str, value: Any, allow_missing: bool = False) -> Any:
        """Put a tensor at that name and return what was there."""
        return swap_tensor(*self._place(name), value, allow_missing=allow_missing)

    def get_tensors(self, names: Iterable[str]) -> list:
        """The tensors of those names."""
        return [self.get_tensor(name) for name in names]

    def set_tensors(self, names: Iterable[str], values: Iterable[Any]) -> None:
        """Put tensors at those names."""
        for name, value in _pairs(names, values):
            self.set_tensor(name, value)

    def set_tensors_dict(self, named_tensors: dict[str, Any]) -> None:
        """Put tensors at their names."""
        self.set_tensors(named_tensors, named_tensors.values())

    def del_tensors(self, names: Iterable[str]) -> None:
        """Delete what is at those names."""
        for name in names:
            self.del_tensor(name)

    def swap_tensors(
        self, names: Iterable[str], values: Iterable[Any], allow_missing: bool = False
    ) -> list:
        """Put tensors at those names and return what was there."""
        return [self.swap_tensor(n, value, allow_missing) for n, value in _pairs(names, values)]

    def swap_tensors_dict(
        self, named_tensors: dict[str, Any], allow_missing: bool = False
    ) -> tuple[dict[str, Any], list[str]]:
        """Put tensors at their names; returns what was there, and the names of nothing."""
        old: dict[str, Any] = {}
        try:
            for name, tensor in named_tensors.items():
                old[name] = self.swap_tensor(name, tensor, allow_missing=True)
            missing = [name for name, tensor in old.items() if tensor is _MISSING]
            if missing and not allow_missing:
                raise RuntimeError(f"Missing key(s): {', '.join(map(repr, missing))}.")
        except Exception:
            for name, tensor in old.items():
                self.swap_tensor(name, tensor, allow_missing=True)
            raise
        return old, missing

    def check_keys(self, keys: Iterable[str]) -> tuple[list[str], list[str]]:
        """The names that `keys` lacks, and those of `keys` that the module lacks."""
        keys, own = set(keys), {name for name, _ in self.named_tensors(remove_duplicate=False)}
        return sorted(own - keys), sorted(keys - own)

    def named_parameters(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """All parameters with their names."""
        yield from self.module.named_parameters(remove_duplicate=remove_duplicate)

    def named_buffers(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """All buffers with their names."""
        yield from self.module.named_buffers(remove_duplicate=remove_duplicate)

    def named_tensors(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """All parameters, then all buffers, with their names."""
        yield from self.named_parameters(remove_duplicate)
        yield from self.named_buffers(remove_duplicate)

    def named_modules(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """All modules with their names."""
        yield from self.module.named_modules(remove_duplicate=remove_duplicate)


def _pairs(names: Iterable[str], values: Iterable[Any]) -> Iterable[tuple[str, Any]]:
    names, values = list(names), list(values)
    if len(names) != len(values):
        raise AssertionError(
            f"names and values must have the same length, got {len(names)} names and "
            f"{len(values)} values"
        )
    return zip(names, values)
