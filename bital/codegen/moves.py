"""Moves: parts written one after another, and windows replaced.

Room: codegen.
"""

from __future__ import annotations

from bital.base.stride import contiguous_strides
from bital.codegen.kernel import Kernel
from bital.codegen.loops import Writer
from bital.codegen.target import Target
from bital.plan.access import Access, identity, root_of
from bital.plan.fuse import Group
from bital.plan.node import Node


class Move(Writer):
    """Copies what a node shows to a window of another one's memory."""

    def __init__(
        self, source: Node, place: Access, target: Target, in_memory: set[Node], tracks: int = 0
    ) -> None:
        copy = Node("map", (source,), ("copy",), source.shape, source.kind)
        group = Group(0, "loop", source.shape)
        group.nodes = group.stored = [copy]
        group.places[copy] = identity(copy)
        group.phase[copy] = 0
        group.leaves = {root_of(source): None}
        group.tracks = tracks
        self.place = place
        super().__init__(group, target, in_memory)

    def _target(self, n: Node) -> Access:
        return self.place


def concat(group: Group, target: Target, in_memory: set[Node]) -> list[Kernel]:
    """One kernel for every part that is not there already."""
    whole = group.nodes[0]
    (axis,) = whole.attrs
    strides = contiguous_strides(whole.shape)
    found, offset = [], 0
    for part in whole.inputs:
        place = Access(whole, strides, offset, None)
        if root_of(part) not in group.homes:
            found += Move(part, place, target, in_memory, group.tracks).kernels()
        offset += part.shape[axis] * strides[axis]
    return found


def write(group: Group, target: Target, in_memory: set[Node], in_place: bool) -> list[Kernel]:
    """The copy of the whole, unless it is there already, and of the window."""
    whole = group.nodes[0]
    base, value, *moved = whole.inputs
    strides, offset = whole.attrs
    found = []
    if not in_place:
        place = Access(whole, contiguous_strides(whole.shape), 0, None)
        found += Move(base, place, target, in_memory).kernels()
    window = Access(whole, strides, offset, moved[0] if moved else None)
    return found + Move(value, window, target, in_memory).kernels()
