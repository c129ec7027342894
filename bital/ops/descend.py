"""The gradient of a fused operator by way of the composition that it stands for.

Room: ops. A fused operator's own gradient is one instruction and has no derivative; where one is
wanted (`create_graph=True`), its composition of public operators is differentiated instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bital.tensor.node import hooks
from bital.tensor.tensor import edge_of


def descend(composition: Callable, inputs: Sequence[Any], g: Sequence[Any]) -> list[Any]:
    """The gradients of `inputs`, with a graph, from those of the results of `composition`.

    None where an input needs none; `g` may hold None where a result has none.
    """
    copies = [t.view(t._meta.shape) for t in inputs]
    wanted = [k for k, t in enumerate(copies) if edge_of(t) is not None]
    results = composition(*copies)
    found = iter(hooks.descend(results, g, [copies[k] for k in wanted]))
    return [next(found) if k in wanted else None for k in range(len(copies))]
