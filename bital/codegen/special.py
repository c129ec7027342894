"""Special: words that have a kernel writer of their own.

Room: codegen.
"""

from __future__ import annotations

from collections.abc import Callable

from bital.codegen import spatial
from bital.codegen.kernel import Kernel
from bital.codegen.rows import rows
from bital.codegen.scan import scan
from bital.codegen.steps import Write, steps
from bital.codegen.target import Target
from bital.plan.fuse import Group
from bital.plan.node import Node

WRITERS: dict[str, Callable[[Group, Target, set[Node]], list[Kernel]]] = {
    "put_rows": rows,
    **dict.fromkeys(spatial.WRITERS, spatial.spatial),
    "scan": scan,
}
#: all special words
WORDS = frozenset((*WRITERS, "steps"))


def special(group: Group, target: Target, in_memory: set[Node], write: Write) -> list[Kernel]:
    """The kernels of a group that begins with a special word; `write` gives those of any group."""
    name = group.nodes[0].attrs[0]
    if name == "steps":
        return steps(group, target, write)
    return WRITERS[name](group, target, in_memory)
