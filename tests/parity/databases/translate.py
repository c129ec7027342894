"""PyTorch's objects turned into bital's: tensors through NumPy, the rest by name.

Functions of PyTorch's test tables are made again with bital's namespace among their globals.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from bital import torch as bital

#: where the public names of functions are looked for, the usual spelling first
_PLACES = (
    "", "Tensor", "nn.functional", "linalg", "fft", "special", "signal.windows", "masked",
    "functional", "sparse", "nn", "nn.init", "optim", "nn.attention", "nn.modules.loss",
    "nn.utils.rnn", "nn.modules.linear",
)  # fmt: skip


class Missing(AttributeError):
    """A name of PyTorch that bital lacks."""


class OtherDevice(Exception):
    """An argument on a device other than the CPU."""


def follow(root: Any, path: str) -> Any:
    """`root.a.b` for the path "a.b"."""
    for name in path.split("."):
        try:
            root = getattr(root, name)
        except (AttributeError, NotImplementedError):
            raise Missing(f"torch.{path} is missing") from None
    return root


def _named() -> Iterator[tuple[int, str]]:
    for place in _PLACES:
        space = follow(torch, place) if place else torch
        for name in sorted(dir(space), key=lambda n: (n.startswith("_"), n)):
            if place == "" and name in ("Tensor", "classes", "ops"):
                continue
            path = f"{place}.{name}" if place else name
            yield id(getattr(space, name, None)), path


@functools.cache
def _paths() -> dict[int, str]:
    """The first public path of every object in PyTorch's namespaces, by identity."""
    found: dict[int, str] = {}
    for key, path in _named():
        found.setdefault(key, path)
    found[id(torch.Tensor)] = "Tensor"
    return found


def public_path(fn: Any) -> str | None:
    """Where PyTorch's function is found below `torch`, or None."""
    if isinstance(fn, torch._ops.OpOverload):
        return f"ops.aten.{fn.overloadpacket.__name__}.{fn._overloadname}"
    if isinstance(fn, torch._ops.OpOverloadPacket):
        return f"ops.aten.{fn.__name__}"
    path = _paths().get(id(fn))
    if path is None and isinstance(fn, (types.MethodDescriptorType, types.WrapperDescriptorType)):
        return f"Tensor.{fn.__name__}"
    if path is None and getattr(fn, "__module__", None) == "torch._tensor":
        return f"Tensor.{fn.__name__}"
    return path


#: dtypes that NumPy lacks -> the integers their bits are passed as
_BITS = {torch.bfloat16: torch.int16, torch.complex32: torch.int32}


class Translator:
    """Turns PyTorch's objects into bital's; the same object becomes the same one."""

    def __init__(self) -> None:
        self.done: dict[int, tuple[Any, Any]] = {}
        self.storages: dict[tuple[int, torch.dtype], Any] = {}

    def __call__(self, x: Any) -> Any:
        if x is None or isinstance(x, (bool, int, float, complex, str, np.generic, np.ndarray)):
            return x
        known = self.done.get(id(x))
        if known is not None:
            return known[1]
        made = self._make(x)
        self.done[id(x)] = (x, made)  # x is kept alive, so that its id stays its own
        return made

    def _make(self, x: Any) -> Any:
        if isinstance(x, torch.nn.Parameter):
            return bital.nn.Parameter(self.tensor(x), x.requires_grad)
        if isinstance(x, torch.Tensor):
            return self.tensor(x)
        if isinstance(x, torch.Size):
            return bital.Size(x)
        if isinstance(x, (list, tuple)):
            items = [self(i) for i in x]
            if not hasattr(x, "_fields"):
                return type(x)(items)
            path = public_path(type(x))
            return (type(x) if path is None else follow(bital, path))(*items)
        if isinstance(x, dict):
            return {key: self(value) for key, value in x.items()}
        if isinstance(x, slice):
            return slice(self(x.start), self(x.stop), self(x.step))
        if isinstance(x, (torch.dtype, torch.layout, torch.memory_format)):
            return follow(bital, str(x).removeprefix("torch."))
        if isinstance(x, torch.device):
            return bital.device(str(x))
        if isinstance(x, torch.Generator):
            return bital.Generator().set_state(self(x.get_state()))
        if isinstance(x, types.ModuleType):
            return self._module(x)
        if type(x).__name__ == "OpInfo":  # sample functions ask for its name
            return x
        if callable(x) and not isinstance(x, torch.nn.Module):
            return self._function(x)
        return self._instance(x)

    def tensor(self, x: torch.Tensor) -> Any:
        """The same elements in the same places of an equal storage, as a leaf."""
        if x.device.type != "cpu":
            raise OtherDevice(x.device)
        if x.layout is torch.sparse_coo:
            parts = self(x._indices()), self(x._values())
            return follow(bital, "sparse_coo_tensor")(*parts, tuple(x.shape))
        if x.layout is not torch.strided:
            return self._sparse(x).requires_grad_(x.requires_grad)
        source = x.detach().resolve_conj().resolve_neg()
        flat = self._storage(source)
        ours = flat.as_strided(source.size(), source.stride(), source.storage_offset())
        if source.is_contiguous() and source.numel() == flat.numel():
            ours = flat.view(tuple(source.size()))
        return ours.detach().requires_grad_(x.requires_grad)

    def _sparse(self, x: torch.Tensor) -> Any:
        """The same places and values."""
        size = tuple(x.shape)
        if x.layout is torch.sparse_coo:
            parts = self(x._indices()), self(x._values())
            return bital.sparse_coo_tensor(*parts, size, is_coalesced=x.is_coalesced())
        if x.layout is not torch.sparse_csr:
            raise Missing(f"{x.layout} is missing")
        parts = self(x.crow_indices()), self(x.col_indices()), self(x.detach().values())
        return bital.sparse_csr_tensor(*parts, size)

    def _storage(self, x: torch.Tensor) -> Any:
        """All elements of x's storage, flat; tensors that share one share it here."""
        key = x.untyped_storage().data_ptr(), x.dtype
        if key not in self.storages or not key[0]:
            self.done[id(x)] = (x, None)  # alive, so that nothing else is put where it lies
            length = x.untyped_storage().nbytes() // x.element_size()
            flat = x.as_strided((length,), (1,), 0).clone()  # what NumPy sees cannot be resized
            bits = _BITS.get(x.dtype)
            if bits is None:
                ours = bital.from_numpy(np.array(flat.numpy()))
            else:
                dtype = follow(bital, str(x.dtype).removeprefix("torch."))
                ours = bital.from_numpy(np.array(flat.view(bits).numpy())).view(dtype)
            self.storages[key] = ours
        return self.storages[key]

    def _module(self, x: types.ModuleType) -> Any:
        if x is torch:
            return bital
        if x.__name__.startswith("torch.") and not x.__name__.startswith("torch.testing"):
            return follow(bital, x.__name__.removeprefix("torch."))
        return x

    def _function(self, fn: Any) -> Any:
        path = public_path(fn)
        if path is not None:
            return follow(bital, path)
        if isinstance(fn, functools.partial):
            return functools.partial(self(fn.func), *self(fn.args), **self(fn.keywords))
        module = getattr(fn, "__module__", None) or ""
        if getattr(fn, "__name__", "") == "wrapper_set_seed":
            return _seeded
        if isinstance(fn, types.FunctionType) and module.startswith("torch."):
            return self._again(fn)
        if module.startswith("torch"):
            raise Missing(f"{module}.{getattr(fn, '__qualname__', fn)} is missing")
        return fn

    def _again(self, fn: types.FunctionType) -> types.FunctionType:
        """The function with bital's objects in its globals, defaults and closure."""
        cells = tuple(types.CellType() for _ in fn.__closure__ or ())
        globals_ = dict(fn.__globals__)
        made = types.FunctionType(fn.__code__, globals_, fn.__name__, None, cells or None)
        self.done[id(fn)] = (fn, made)
        for name in _names_used(fn.__code__):
            if isinstance(globals_.get(name), _MADE_AGAIN):
                globals_[name] = self(globals_[name])
        for cell, theirs in zip(cells, fn.__closure__ or (), strict=True):
            cell.cell_contents = self(theirs.cell_contents)
        made.__defaults__ = self(fn.__defaults__)
        made.__kwdefaults__ = self(fn.__kwdefaults__)
        return made

    def _instance(self, x: Any) -> Any:
        """An object of one of PyTorch's classes: bital's class with the attributes translated."""
        if not type(x).__module__.startswith("torch"):
            return x
        path = public_path(type(x))
        if path is None:
            raise Missing(f"{type(x).__module__}.{type(x).__qualname__} is missing")
        cls = follow(bital, path)
        if dataclasses.is_dataclass(x):
            return cls(**{f.name: self(getattr(x, f.name)) for f in dataclasses.fields(x)})
        made = object.__new__(cls)
        for key, value in vars(x).items():
            made.__dict__[key] = self(value)
        return made


#: what is translated of a function's globals
_MADE_AGAIN = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type(torch.float32))


def _seeded(op: Any, *args: Any, **kwargs: Any) -> Any:
    """What PyTorch's tests call random functions through."""
    bital.manual_seed(42)
    return op(*args, **kwargs)


def _names_used(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            names |= _names_used(each)
    return names


def leaves(x: Any, done: dict[Any, Any] | None = None) -> Any:
    """PyTorch's arguments copied, with every tensor a leaf as the translated ones are.

    Tensors that share a storage share the copy of it.
    """
    done = {} if done is None else done
    if isinstance(x, torch.Tensor):
        if id(x) not in done:
            done[id(x)] = _leaf(x, done)
        return done[id(x)]
    if isinstance(x, torch.Size):
        return x
    if isinstance(x, (list, tuple)):
        items = [leaves(i, done) for i in x]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    if isinstance(x, dict):
        return {key: leaves(value, done) for key, value in x.items()}
    return x


def _leaf(x: torch.Tensor, done: dict[Any, Any]) -> torch.Tensor:
    if x.layout is not torch.strided or x.device.type != "cpu":
        return x.detach().requires_grad_(x.requires_grad)
    source = x.detach().resolve_conj().resolve_neg()
    storage = source.untyped_storage()
    key = "storage", storage.data_ptr()
    if key not in done or not storage.data_ptr():
        done[key] = storage.clone()
        done["alive", id(source)] = source
    copy = torch.empty(0, dtype=x.dtype).set_(
        done[key], source.storage_offset(), source.size(), source.stride()
    )
    return copy.requires_grad_(x.requires_grad)
