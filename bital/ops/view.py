"""Views: windows on the same storage, never copies.

Room: ops. Each view says how its window lies and how the gradient of the window becomes that of
what it was cut from.
"""

from __future__ import annotations

from typing import Any

from bital.base.size import expand_shape, infer_size
from bital.base.stride import expand_strides, reshape_strides
from bital.ops.api import public
from bital.tensor.tensor import Tensor, make_view, strides_of


def sizes(args: tuple) -> tuple[int, ...]:
    """The size given as separate ints or as one sequence: `f(2, 3)` or `f((2, 3))`."""
    if len(args) == 1 and not isinstance(args[0], int):
        return tuple(args[0])
    return args


@public("Tensor")
def view(self: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape, without a copy, as `Tensor.view`."""
    new = infer_size(sizes(shape), self._meta.numel)
    strides = reshape_strides(self._meta.shape, strides_of(self), new)
    if strides is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    old = self._meta.shape
    return make_view(
        self, new, strides, self.storage_offset(), "ViewBackward0", lambda g: g.reshape(old)
    )


@public()
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; a view where that is possible."""
    new = infer_size(sizes(shape), input._meta.numel)
    if reshape_strides(input._meta.shape, strides_of(input), new) is None:
        input = input.clone()  # type: ignore[attr-defined]
    return view(input, *new)


@public("Tensor")
def expand(self: Tensor, *size: Any) -> Tensor:
    """Axes of size 1 repeated without a copy, as `Tensor.expand`."""
    old = self._meta.shape
    new = expand_shape(old, sizes(size))
    strides = expand_strides(old, strides_of(self), new)
    return make_view(
        self, new, strides, self.storage_offset(), "ExpandBackward0", lambda g: g.sum_to_size(old)
    )


@public()
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; fewer axes come back as they are."""
    shape, strides = input._meta.shape, strides_of(input)
    if len(shape) > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {len(shape)}D")
    return make_view(
        input, shape[::-1], strides[::-1], input.storage_offset(), "TBackward0", lambda g: g.t()
    )
