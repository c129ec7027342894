"""Whether groups are sound: what each of them reads is there when it reads it."""

from bital.plan.access import VIEWS, follow, root_of
from bital.plan.fuse import Fusion, Group
from bital.plan.node import Node

#: kinds of groups whose nodes are computed one by one from the values before
_BY_VALUES = ("loop", "product", "special", "sweep")
#: words of what is read from no group's memory, also where a result is made of it
_AT_HAND = ("constant", "param")


class Sound(Fusion):
    """A fusion that looks at what it has made."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        for group in self.groups:
            for n in group.nodes:
                complaint = self._wrong(group, n)
                assert complaint is None, f"{group}: {n}: {complaint}"

    def _wrong(self, group: Group, n: Node) -> str | None:
        for k, x in enumerate(n.inputs):
            root = root_of(x)
            theirs = self.group_of.get(root)
            later = theirs is not None and theirs.number > group.number
            if later and self.group_of[n] is group and root.word not in _AT_HAND:
                return f"{root} is computed later, by {theirs}"
            first = n is group.nodes[0] and group.kind != "loop"
            if n.word not in ("map", "reduce", "take") or group.kind not in _BY_VALUES or first:
                continue
            if n.word == "take" and k == 0:
                if theirs is group:
                    return f"takes from {root}, which is not yet whole"
                continue
            source, shown = follow(x, group.operand_places(n, x))
            if source in group.places:
                places = zip(shown, group.places[source], source.shape)
                if any(a != b for a, b, size in places if size != 1):
                    return f"{source} runs along {group.places[source]}, read along {shown}"
                late = source.word == "reduce" and group.phase[n] <= group.phase[source]
                if late and not group.is_row(n):
                    return f"{source} is not yet reduced"
            elif source.word in VIEWS and theirs is group:
                return f"{x} looks through memory at {root}, which is not yet written"
        return None
