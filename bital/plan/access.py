"""Access: where in memory the elements lie that a node shows.

Room: plan. A kernel runs over the axes of its domain. A node inside it has *places*: for each of
its axes the axis of the domain that it runs along, None for an axis of size 1. Views only
change the places, or give strides into the memory of the node they look at.
"""

from __future__ import annotations

from typing import NamedTuple

from bital.base.stride import contiguous_strides
from bital.plan.node import Ints, Node

Places = tuple[int | None, ...]
LEAVES = frozenset(("input", "param", "constant", "scalar", "iota"))
VIEWS = frozenset(("axes", "reshape", "window"))


class Access(NamedTuple):
    """Element (i, j, …) of a domain lies at offset + moved + the sum of strides times indices.

    `root` is the node whose memory it is; all count elements. What an iota shows needs no memory:
    its element is its place.
    """

    root: Node
    strides: Ints
    offset: int
    moved: Node | None


def identity(n: Node) -> Places:
    """The places of a node that has the shape of the domain."""
    return tuple(None if size == 1 else k for k, size in enumerate(n.shape))


def of_operand(x: Node, places: Places) -> Places:
    """The places of an operand broadcast into a node with `places`."""
    gap = len(places) - len(x.shape)
    return tuple(None if size == 1 else places[gap + k] for k, size in enumerate(x.shape))


def follow(x: Node, places: Places) -> tuple[Node, Places]:
    """Past views that only rearrange axes: the node shown, and its places."""
    while x.word == "axes":
        (mapping,) = x.attrs
        source = x.inputs[0]
        found: list[int | None] = [None] * len(source.shape)
        for place, m in zip(places, mapping):
            if m is not None and source.shape[m] != 1:
                found[m] = place
        x, places = source, tuple(found)
    return x, places


def source_of(x: Node) -> Node:
    """What a node shows, past views that only rearrange axes."""
    return follow(x, (None,) * len(x.shape))[0]


def access(x: Node, places: Places, rank: int) -> Access:
    """Where the elements of x lie, which runs along `places` of a domain of `rank` axes."""
    x, places = follow(x, places)
    offset, moved = 0, None
    if x.word == "window":
        strides, offset = x.attrs
        moved = x.inputs[1] if len(x.inputs) > 1 else None
        root = x.inputs[0]
    elif x.word == "reshape":
        strides, root = contiguous_strides(x.shape), x.inputs[0]
    else:
        strides, root = x.attrs[1] if x.word == "input" else contiguous_strides(x.shape), x
    along = [0] * rank
    for stride, place in zip(strides, places):
        if place is not None:
            along[place] += stride
    return Access(root, tuple(along), offset, moved)


def root_of(x: Node) -> Node:
    """The node whose memory x shows."""
    while x.word in VIEWS:
        x = x.inputs[0]
    return x


def has_memory(x: Node) -> bool:
    """Whether what a node shows lies in memory: not numbers that everybody makes for himself."""
    root = root_of(x)
    return root.word != "iota" and not root.uniform


def in_order(n: Node) -> bool:
    """Whether a node shows all of its memory's elements, in order."""
    source, places = follow(n, identity(n))
    shown = [p for p in places if p is not None]
    if source.word == "window" or source.numel != n.numel or shown != sorted(shown):
        return False
    return source.word != "input" or source.attrs[1] == contiguous_strides(source.shape)


def is_whole(n: Node) -> bool:
    """Whether what a node shows may be its array: all of its memory's elements, in order.

    Not so what shows an input, whose memory somebody outside may write to.
    """
    source = source_of(n)
    if source.word in ("iota", "input"):
        return False
    return in_order(n) and (source is n or not source.uniform)
