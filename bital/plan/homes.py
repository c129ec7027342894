"""Homes: parts of a concatenation are computed where they belong.

Room: plan. What nothing but a concatenation reads is stored in a window of its memory at once: the
gradients of an attention's queries, keys and values, or the norms of all parameters.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bital.base.stride import contiguous_strides, reshape_strides
from bital.plan.access import VIEWS, is_whole, root_of, source_of
from bital.plan.node import Node

if TYPE_CHECKING:
    from bital.plan.fuse import Fusion

#: elements in a row of what is stored with gaps: shorter ones would leave lanes of vectors idle
_SHORTEST = 32


def find_homes(fusion: Fusion) -> None:
    """Set the groups' `homes`."""
    readers = Counter(root_of(n) for n in (*fusion.results, *fusion.required))
    for group in fusion.groups:
        for n in group.nodes:
            for x in n.inputs:
                if fusion.group_of.get(root_of(x)) is not group or source_of(x).word in VIEWS:
                    readers[root_of(x)] += 1
    for group in fusion.groups:
        whole = group.nodes[0]
        if group.kind != "concat" or not all(isinstance(n, int) for n in whole.shape):
            continue
        (axis,) = whole.attrs
        strides, offset = contiguous_strides(whole.shape), 0
        for part in whole.inputs:
            root, run = root_of(part), part.shape[axis] * strides[axis]
            made = fusion.group_of.get(root)
            if made is not None and readers[root] == 1 and is_whole(part) and root in made.stored:
                seen = reshape_strides(part.shape, strides, root.shape)
                fits = run in (root.numel, max(run, _SHORTEST))
                if seen is not None and fits and made.kind in ("loop", "product"):
                    home = Node("window", (whole,), (seen, offset), root.shape, root.kind)
                    if not made.split:
                        made.homes[root] = group.homes[root] = home
            offset += run
