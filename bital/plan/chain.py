"""Chain: groups one after another, through which some rows go apart from all others.

Room: plan. In a recurrence written by hand a row of a batch (a sequence) needs nothing of another
one, in all steps, forward and backward. So a thread may take some rows, a *track*, through hundreds
of small kernels without waiting for the other threads, and reads what it has written itself. What
adds up over rows, a weight's gradient, comes after the chain.
"""

from __future__ import annotations

from collections.abc import Container

from bital.plan.access import Places, access, follow, identity, root_of
from bital.plan.fuse import Fusion, Group
from bital.plan.node import Node

#: rows of a track, about, and at least: products of fewer read the weights too often
_ROWS, _FEWEST_ROWS = 16, 6
#: so many rows keep threads busy in one kernel
_MOST_ROWS = 256
#: groups that wait for one another, from which on it is worth it
_FEWEST_LEVELS = 16
#: what it takes at least on one core, and a level at most: beside more, waiting is nothing
_LEAST_NS, _MOST_NS = 20_000, 60_000
#: what products of all rows read is to lie near every core
_NEAR_BYTES = 1 << 20
#: multiply-adds, and elements of a loop, in a nanosecond, about
_PRODUCT_PER_NS, _LOOP_PER_NS = 50, 4

After = dict[int, set[int]]


def chains(
    fusion: Fusion, order: list[Group], after: After, fixed: Container[Node]
) -> list[list[Group]]:
    """The chains among groups in order, whose number of tracks is set.

    `after` tells what each group comes after. What lies in `fixed` places is not divided.
    """
    by_size: dict[int, list[Group]] = {}
    for group in order:
        if _divides(group) and not any(n in fixed for n in group.stored):
            by_size.setdefault(group.domain[0], []).append(group)
    best: list[list[Group]] = []
    for size, groups in by_size.items():
        if len(groups) < _FEWEST_LEVELS or not _tracks(size):
            continue
        mine = {g.number: _Rows(fusion, g) for g in groups}
        paying = [c for c in _phases(order, after, mine) if _pays(c, after, mine)]
        # what is in no chain lies between the others
        found = _phases(order, after, {g.number: mine[g.number] for c in paying for g in c})
        best = max(best, found, key=lambda some: sum(map(len, some)))
    for group in [g for chain in best for g in chain]:
        group.tracks = _tracks(group.domain[0])
    return best


def _divides(group: Group) -> bool:
    """Whether all that a group computes is by rows, of a number that does not change."""
    return (
        group.kind in ("loop", "product", "concat")
        and len(group.domain) > 0
        and all(isinstance(size, int) for size in group.domain)
        and group.domain[0] <= _MOST_ROWS
        and not group.split
        and 0 not in (group.reduced or ())
        and (group.kind != "product" or len(group.domain) == 2)
        and (group.kind != "concat" or group.nodes[0].attrs[0] > 0)
        and all(n.shape[:1] == group.domain[:1] and group.places[n][0] == 0 for n in group.stored)
    )


class _Rows:
    """What a group does with rows, which are the first axis of its domain.

    across   the groups of whose results it reads other rows as well
    weights  what its products read of other memory than rows
    ns       about how long it takes
    """

    def __init__(self, fusion: Fusion, group: Group) -> None:
        self.fusion, self.group = fusion, group
        self.size = group.domain[0]
        self.across: set[int] = set()
        self.weights: set[Node] = set()
        self.ns = group.nodes[0].numel / _LOOP_PER_NS
        for n in group.nodes:
            if n.word == "product":
                self._read_factors(n)
            elif n.word == "concat":
                for x in n.inputs:
                    self._read(x, identity(x), x.shape)
            else:
                for k, x in enumerate(n.inputs):
                    places = group.operand_places(n, x)
                    if follow(x, places)[0] not in group.places:
                        self._read(x, None if n.word == "take" and not k else places, group.domain)

    def _read_factors(self, n: Node) -> None:
        turned, depth = n.attrs[0], n.inputs[0].shape[int(not n.attrs[0])]
        for x, y in zip(n.inputs[::2], n.inputs[1::2]):
            self._read(x, (1, 0) if turned else (0, 1), (self.size, depth))
            self._read(y, None, ())
            self.weights.add(root_of(y))
            self.ns += n.numel * depth / _PRODUCT_PER_NS

    def _read(self, x: Node, places: Places | None, domain: tuple[int, ...]) -> None:
        """Note what is read: None for places says any of it."""
        root = root_of(x)
        made = self.fusion.group_of.get(root)
        if made is None:
            return
        if places is not None and root.shape[:1] == (self.size,):
            a = access(x, places, len(domain))
            row = root.numel // self.size
            ends = [(size - 1) * step for size, step in zip(domain[1:], a.strides[1:])]
            least, most = (a.offset + sum(pick(0, end) for end in ends) for pick in (min, max))
            # a window of all rows stays within them wherever it is moved to
            if a.strides[0] == row and least >= 0 and most < row:
                return
        self.across.add(made.number)


def _tracks(rows: int) -> int:
    """How many ranges of as many rows."""
    able = [n for n in range(2, rows // _FEWEST_ROWS + 1) if rows % n == 0]
    return min(able, key=lambda n: abs(rows - _ROWS * n), default=0)


def _phases(order: list[Group], after: After, able: dict[int, _Rows]) -> list[list[Group]]:
    """The groups that are able, as chains: no group that is not comes between those of one."""
    phases: dict[int, int] = {}
    found: dict[int, list[Group]] = {}
    for group in order:
        rows = able.get(group.number)
        phase = 0
        for n in after[group.number]:
            waits = n in able and (rows is None or n in rows.across)
            phase = max(phase, phases[n] + waits)
        phases[group.number] = phase
        if rows is not None:
            found.setdefault(phase, []).append(group)
    return [found[phase] for phase in sorted(found)]


def _pays(chain: list[Group], after: After, able: dict[int, _Rows]) -> bool:
    """Whether not waiting saves more time than reading the weights in every track costs."""
    levels: dict[int, int] = {}
    for group in chain:
        before = [levels[n] for n in after[group.number] if n in levels]
        levels[group.number] = 1 + max(before, default=0)
    deep = max(levels.values())
    ns = sum(able[g.number].ns for g in chain)
    near = set().union(*[able[g.number].weights for g in chain])
    return (
        deep >= _FEWEST_LEVELS
        and _LEAST_NS <= ns <= deep * _MOST_NS
        and sum(n.nbytes for n in near) <= _NEAR_BYTES
    )
