"""Again: what is computed anew where it is needed, rather than stored.

Room: plan. What a backward pass needs of a forward one is often a word or two away from what lies
in memory anyway: the difference from a mean, the normalised number. Computed again, of the same
memory, it is neither written nor kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bital.base.extent import hint
from bital.plan.access import LEAVES, VIEWS, follow, identity, of_operand, root_of
from bital.plan.node import Node

if TYPE_CHECKING:
    from bital.plan.fuse import Fusion, Group

#: what is smaller stays in caches, and is as well read again
_LEAST_BYTES = 1 << 17
#: so many words at most, each of which takes next to nothing
_MOST_WORDS = 4
#: what is so much smaller costs nothing to read
_SMALL = 8


def compute_again(fusion: Fusion, stored: set[Node], dear: frozenset[str]) -> None:
    """Take out of `stored` what groups compute again: those that need it have it as theirs, too.

    `dear` are scalar words that are not computed twice.
    """
    again = _Again(fusion, stored, dear)
    outside = {root_of(n) for n in (*fusion.results, *fusion.required)}
    for group in fusion.groups:
        for n in list(group.nodes):
            if n in stored and n not in outside and hint(n.nbytes) >= _LEAST_BYTES:
                if any(m in stored and m is not n for m in group.nodes):  # else it would do nothing
                    again.spare(n, group)


class _Again:
    def __init__(self, fusion: Fusion, stored: set[Node], dear: frozenset[str]) -> None:
        self.group_of, self.stored, self.dear = fusion.group_of, stored, dear
        #: by what is read, who reads it as what
        self.uses: dict[Node, list[tuple[Group, Node, Node]]] = {}
        for group in fusion.groups:
            for n in group.nodes:
                self._read_by(group, n)

    def _read_by(self, group: Group, n: Node) -> None:
        for x in n.inputs:
            self.uses.setdefault(root_of(x), []).append((group, n, x))

    def spare(self, n: Node, own: Group) -> None:
        """Have a node computed again by all groups that need it, if they can."""
        words: dict[Node, None] = {}
        small: set[Node] = set()
        large: set[Node] = set()
        if not self._words(n, words, small, large) or len(large) > 1:
            return
        phases: dict[Group, int] = {}
        for group, user, x in self.uses[n]:
            if group is own:
                if x is not n and follow(x, identity(x))[0] is not n:
                    return
            elif not _joins(group, user, x, n):
                return
            else:
                phases[group] = max(phases.get(group, 0), group.phase[user])
        self.stored.discard(n)
        self.stored |= small
        for group, phase in phases.items():
            self._add(group, words, phase)

    def _words(self, n: Node, words: dict[Node, None], small: set[Node], large: set[Node]) -> bool:
        """Collect the words that make a node of what is in memory; whether they are few and cheap.

        `small` is what must be stored for that, `large` what is read that is as large as the node.
        """
        if n.word != "map" or n.attrs[0] in self.dear or len(words) >= _MOST_WORDS:
            return False
        for x in n.inputs:
            source, shown = follow(x, of_operand(x, identity(n)))
            root = root_of(source)
            if root.word in LEAVES or root in self.stored or root.uniform:
                if hint(root.numel) * _SMALL > hint(n.numel):
                    large.add(root)
            elif source.word in VIEWS or source not in self.group_of:
                return False
            elif hint(source.numel) * _SMALL <= hint(n.numel):
                small.add(source)
            elif not (shown == identity(n) and self._words(source, words, small, large)):
                return False
        words[n] = None
        return True

    def _add(self, group: Group, words: dict[Node, None], phase: int) -> None:
        """Add to a group the words that make a node; it need not be read any longer."""
        for m in words:
            if m in group.places:
                group.phase[m] = max(group.phase[m], phase)
            else:
                group.nodes.append(m)
                group.places[m] = identity(m)
                group.phase[m] = phase
                group.leaves.update(dict.fromkeys(map(root_of, m.inputs)))
                self._read_by(group, m)
        for m in words:
            if m not in self.stored:
                group.leaves.pop(m, None)


def _joins(group: Group, user: Node, x: Node, n: Node) -> bool:
    """Whether a group that reads a node as x can compute it for its own node, the user."""
    first = group.kind != "loop" and user is group.nodes[0]
    if group.kind not in ("loop", "product", "special") or first:
        return False
    if user.word not in ("map", "reduce") or n.shape != group.domain:
        return False
    source, shown = follow(x, group.operand_places(user, x))
    return source is n and shown == identity(n)
