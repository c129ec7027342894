"""vmap: a function of one example, applied to many at once (`torch.func.vmap`).

Room: autograd. The function runs once. Its tensors are those of one example, with a lane for all of
them, and every operator is applied to whole lanes (see `bital.ir.batch`). Source of the rules:
PyTorch's documentation of torch.func.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

from bital.base.tree import TreeSpec, broadcast_prefix, tree_flatten, tree_leaves, tree_unflatten
from bital.ir.trace import local
from bital.ops.api import NAMESPACES
from bital.ops.lanes import Level, batch, is_batched, unbatch
from bital.ops.random import default_generator
from bital.tensor.tensor import Tensor


def name_of(func: Callable) -> str:
    """What errors call a function."""
    if hasattr(func, "__name__"):
        return func.__name__
    if isinstance(func, functools.partial):
        return f"functools.partial({name_of(func.func)}, ...)"
    return repr(func)


def vmap(
    func: Callable,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable:
    """`func` applied to every example along the axes `in_dims` of its arguments.

    in_dims   an axis per argument, None for what all examples share; an int, or a tuple nested as
              the arguments are, a part of which may stand for a whole branch
    out_dims  where the examples' axis goes in the results, likewise
    randomness  "error", "different" numbers for every example, or the "same"
    chunk_size  how many examples are computed at once, by default all
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            "Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        call = _Call(func, in_dims, out_dims, randomness)
        call.take(args)
        if chunk_size is None:
            return call.run(call.size, call.leaves, kwargs)
        return call.run_in_chunks(chunk_size, kwargs)

    return mapped


class _Call:
    """One call of a mapped function: its arguments as leaves with their axes."""

    def __init__(self, func: Callable, in_dims: Any, out_dims: Any, randomness: str) -> None:
        self.func, self.in_dims, self.out_dims = func, in_dims, out_dims
        self.randomness = randomness
        self.leaves: list = []
        self.dims: list = []
        self.spec: TreeSpec
        self.size = 0
        if not isinstance(out_dims, int):
            for each in tree_leaves(out_dims):
                if not isinstance(each, int) and each is not None:
                    raise ValueError(
                        f"vmap({name_of(func)}, ..., out_dims={out_dims}): `out_dims` must be an "
                        "int, None or a python collection of ints representing where in the "
                        "outputs the vmapped dimension should appear."
                    )

    def _refuse(self, what: str) -> NoReturn:
        raise ValueError(
            f"vmap({name_of(self.func)}, in_dims={self.in_dims}, ...)(<inputs>): {what}"
        )

    def take(self, args: tuple) -> None:
        """Take the arguments apart and find how many examples there are, with PyTorch's errors."""
        if not isinstance(self.in_dims, (int, tuple)):
            self._refuse(
                "expected `in_dims` to be int or a (potentially nested) tuple matching the "
                f"structure of inputs, got: {type(self.in_dims)}."
            )
        if not args:
            raise ValueError(
                f"vmap({name_of(self.func)})(<inputs>): got no inputs. Maybe you forgot to add "
                "inputs, or you are trying to vmap over a function with no inputs. The latter is "
                "unsupported."
            )
        self.leaves, self.spec = tree_flatten(args)
        dims = broadcast_prefix(self.in_dims, self.spec)
        if dims is None:
            self._refuse(
                "in_dims is not compatible with the structure of `inputs`. in_dims has structure "
                f"{tree_flatten(self.in_dims)[1]} but inputs has structure {self.spec}."
            )
        self.dims = [self._dim(leaf, dim) for leaf, dim in zip(self.leaves, dims)]
        sizes = [x.shape[d] for x, d in zip(self.leaves, self.dims) if d is not None]
        if not sizes:
            raise ValueError("vmap: Expected at least one Tensor to vmap over")
        if len(set(sizes)) > 1:
            raise ValueError(
                "vmap: Expected all tensors to have the same size in the mapped dimension, got "
                f"sizes {sizes} for the mapped dimension"
            )
        self.size = sizes[0]

    def _dim(self, leaf: Any, dim: Any) -> int | None:
        """The axis of an argument, not negative."""
        if dim is None:
            return None
        if not isinstance(dim, int):
            self._refuse(
                f"Got in_dim={dim} for an input but in_dim must be either an integer dimension or "
                "None."
            )
        if not isinstance(leaf, Tensor):
            self._refuse(
                f"Got in_dim={dim} for an input but the input is of type {type(leaf)}. We cannot "
                "vmap over non-Tensor arguments, please use None as the respective in_dim"
            )
        rank = leaf.ndim
        if not -rank <= dim < rank:
            self._refuse(
                f"Got in_dim={dim} for some input, but that input is a Tensor of dimensionality "
                f"{rank} so expected in_dim to satisfy -{rank} <= in_dim < {rank}."
            )
        return dim % rank

    def run(self, size: int, leaves: list, kwargs: dict) -> Any:
        """Call the function once for `size` examples."""
        with Level(size, self.randomness) as level:
            taken = [
                leaf if dim is None else batch(leaf.movedim(dim, 0), level)
                for leaf, dim in zip(leaves, self.dims)
            ]
            versions = [t._storage.version if isinstance(t, Tensor) else 0 for t in taken]
            result = self.func(*tree_unflatten(taken, self.spec), **kwargs)
            for leaf, dim, mine, before in zip(leaves, self.dims, taken, versions):
                if dim is not None and mine._storage.version != before:  # written to in place
                    leaf.copy_(unbatch(mine, level).movedim(0, dim))
            return self._gathered(result, level)

    def _gathered(self, result: Any, level: Level) -> Any:
        """The results of all examples along their axes `out_dims`."""
        leaves, spec = tree_flatten(result)
        dims = self._out_dims(result, spec)
        name = name_of(self.func)
        out = []
        for leaf, dim in zip(leaves, dims):
            if dim is None:
                if is_batched(leaf, level):
                    raise ValueError(
                        f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim "
                        "is None"
                    )
                out.append(leaf)
                continue
            if not isinstance(leaf, Tensor):
                raise ValueError(
                    f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(leaf)}. "
                    "Did you mean to set out_dims= to None for output?"
                )
            whole = unbatch(leaf, level)
            out.append(whole if not dim else whole.movedim(0, dim))
        return tree_unflatten(out, spec)

    def _out_dims(self, result: Any, spec: TreeSpec) -> list:
        dims: list | None = None
        if not isinstance(result, Tensor):
            dims = broadcast_prefix(self.out_dims, spec)
        elif self.out_dims is None or isinstance(self.out_dims, int):
            dims = [self.out_dims]
        elif isinstance(self.out_dims, tuple) and len(self.out_dims) == 1:
            dims = list(self.out_dims)
        if dims is None:
            raise ValueError(
                f"vmap({name_of(self.func)}, ..., out_dims={self.out_dims})(<inputs>): out_dims is "
                f"not compatible with the structure of `outputs`. out_dims has structure "
                f"{tree_flatten(self.out_dims)[1]} but outputs has structure {spec}."
            )
        return dims

    def run_in_chunks(self, chunk_size: int, kwargs: dict) -> Any:
        """Call the function for `chunk_size` examples at a time; the results are concatenated."""
        stream = default_generator.stream.clone()
        parts = []
        for start in range(0, self.size, chunk_size):
            size = min(chunk_size, self.size - start)
            if start and self.randomness == "same":
                default_generator.stream = stream.clone()
            leaves = [
                leaf if dim is None else leaf.narrow(dim, start, size)
                for leaf, dim in zip(self.leaves, self.dims)
            ]
            parts.append(self.run(size, leaves, kwargs))
        flat = [tree_leaves(part) for part in parts]
        spec = tree_flatten(parts[0])[1]
        dims = self._out_dims(parts[0], spec)
        cat = NAMESPACES["torch"]["cat"]
        return tree_unflatten(
            [
                column[0] if dim is None else cat(column, dim)
                for column, dim in zip(zip(*flat, strict=True), dims, strict=True)
            ],
            spec,
        )


def active() -> tuple:
    """The calls of vmap that are running on this thread, the innermost last."""
    return local.trace.levels
