"""Views that are copied at once: `expand_copy`, `squeeze_copy` and the rest of their family.

Room: ops. A copy has the view's gradient rule, and a node of its own named after the view's.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from bital.base.size import normalize_dim
from bital.ops import axes, part, split, view
from bital.ops.api import check_tensor, public
from bital.ops.window import many_node, packed
from bital.tensor.node import Output, output_of
from bital.tensor.tensor import Tensor, ViewNode, detached, make_view, strides_of, view_node


def _copy_of(seen: Tensor, base: Tensor, nodes: dict[Any, Any], suffix: str) -> Tensor:
    """A view's elements as a tensor of their own, with the view's rule."""
    out = packed(detached(seen))
    edge = seen._edge
    if edge is None or edge is base._edge:
        out._edge = edge
        return out
    node: Any = edge.node if type(edge) is Output else edge
    again = nodes.get(node)
    if again is None:
        name = type(node).__name__ + suffix
        if isinstance(node, ViewNode):
            again = view_node(name, node.edges[0], node.metas[0], node.rule)
        else:
            again = many_node(name, node.edges, node.metas, node.rule, node.outputs)
        nodes[node] = again
    out._edge = output_of(again, edge.index) if type(edge) is Output else again
    return out


def _copied(fn: Callable, name: str, suffix: str = "_copy") -> Callable:
    @functools.wraps(fn)
    def copy(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        seen = fn(check_tensor(input, name), *args, **kwargs)
        nodes: dict[Any, Any] = {}
        if isinstance(seen, tuple):
            return tuple([_copy_of(each, input, nodes, suffix) for each in seen])
        return _copy_of(seen, input, nodes, suffix)

    copy.__doc__ = f"What `{name.removesuffix('_copy')}` shows, as a copy."
    return public(name=name, method=name == "narrow_copy", out=True)(copy)


def alias(x: Tensor) -> Tensor:
    """All of the tensor, as a view."""
    where = (x._meta.shape, strides_of(x), x.storage_offset())
    return make_view(x, *where, "AliasBackward0", lambda g: g)


@public("ops.aten", name="slice", method=False)
def slice_view(
    input: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Tensor:
    """Elements start, start + step, … before end of an axis, as a view; Python's rules."""
    shape = check_tensor(input, "slice")._meta.shape
    if not shape:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    dim = normalize_dim(dim, len(shape))
    first, last = (None if n is None else operator.index(n) for n in (start, end))
    where = range(tuple(shape)[dim])[first:last:step]
    return part.cut(input, dim, where.start, step, len(where), "SliceBackward0")


for _name, _fn in (
    ("alias", alias),
    ("as_strided", part.as_strided),
    ("expand", view.expand),
    ("permute", axes.permute),
    ("select", part.select),
    ("slice", slice_view),
    ("split", split.split),
    ("split_with_sizes", split.split_with_sizes),
    ("squeeze", axes.squeeze),
    ("t", axes.t),
    ("transpose", axes.transpose),
    ("unbind", split.unbind),
    ("unfold", part.unfold),
    ("unsqueeze", axes.unsqueeze),
    ("view", view.view),
    ("view_as_complex", view.view_as_complex),
    ("view_as_real", view.view_as_real),
):
    _copied(_fn, f"{_name}_copy")
diagonal_copy = _copied(part.diagonal, "diagonal_copy")


def _narrow(input: Tensor, dim: int, start: Any, length: Any) -> Tensor:
    if dim >= input._meta.ndim > 0:
        raise RuntimeError("Expected dim < static_cast<int64_t>(self_sizes.size()) to be true")
    return part.narrow(input, dim, start, length)


_copied(_narrow, "narrow_copy")
