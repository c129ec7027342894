"""Spatial: convolutions and pooling as kernels of a plan.

Room: codegen.
"""

from __future__ import annotations

from collections.abc import Callable

from bital.codegen import conv, conv_weight, pool
from bital.codegen.cuts import Epilogue as HandedTo
from bital.codegen.epilogue import Epilogue
from bital.codegen.kernel import Kernel
from bital.codegen.scalar import Builder, Reg
from bital.codegen.target import Target
from bital.plan.fuse import Group
from bital.plan.node import Node

#: (what the node carries besides its name..., target, epilogue) -> the kernel's body, its chunks
WRITERS: dict[str, Callable[..., tuple[Builder, int]]] = {
    "convolution": conv.forward,
    "convolution_backward_input": conv.backward_input,
    "convolution_backward_weight": conv_weight.backward_weight,
    "max_pool": pool.max_forward,
    "max_pool_backward": pool.max_backward,
    "mean_pool": pool.mean_forward,
    "mean_pool_backward": pool.mean_backward,
}


def spatial(group: Group, target: Target, in_memory: set[Node]) -> list[Kernel]:
    """The kernel of a group that begins with a convolution or a pooling."""
    epilogue = Epilogue(group, target, in_memory)
    epilogue.operands_of_first()
    name, *attrs = epilogue.first.attrs
    builder, chunks = WRITERS[name](*attrs, target, _along(epilogue))
    return [epilogue.kernel(builder, chunks)]


def _along(epilogue: Epilogue) -> HandedTo:
    """The epilogue with indices for the axes that the node has: of one axis, no rows."""
    rank = len(epilogue.first.shape)

    def call(b: Builder, value: Reg, indices: tuple[Reg, ...], mask: Reg | None) -> None:
        lead = indices[: rank - 1]
        epilogue(b, value, (*lead, indices[-1]), mask)

    return call
