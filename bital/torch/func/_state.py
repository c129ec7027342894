"""What stands beside the transforms: ensembles of modules, and looking at tensors inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bital import torch
from bital.ops.lanes import all_examples
from bital.torch.nn.modules.module import Module


def stack_module_state(models: Sequence[Module]) -> tuple[dict, dict]:
    """The parameters and buffers of models of one class, stacked along a new first axis.

    The parameters are new leaves. Used as
    `vmap(lambda p, b, x: functional_call(base, (p, b), (x,)), (0, 0, None))`.
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    first = models[0]
    if not (all(m.training for m in models) or all(not m.training for m in models)):
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if not all(type(m) is type(first) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return (
        {name: _leaf([each[name] for each in parameters]) for name in parameters[0]},
        {name: _leaf([each[name] for each in buffers]) for name in buffers[0]},
    )


def _leaf(tensors: list) -> torch.Tensor:
    wanted = {t.requires_grad for t in tensors}
    if len(wanted) > 1:
        raise RuntimeError(
            "Expected tensors_to_stack to all have the same requires_grad, but got different ones"
        )
    with torch.no_grad():
        stacked = torch.stack(tensors)
    return stacked.requires_grad_(wanted.pop())


def functionalize(func: Callable, *, remove: str = "mutations") -> Callable:
    """`func` itself: what is recorded has no mutations, whatever the function does."""
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for remove="
            f"{remove}. Valid options are:\n     remove='mutations': all inplace and out= "
            "operators will be removed from the program, and replaced with their out-of-place "
            "equivalents.\n     remove='mutations_and_views': In addition to the above, all "
            "aliasing operators {{view}} will be replaced with their non-aliasing counterparts."
        )
    return func


def debug_unwrap(tensor: torch.Tensor, *, recurse: bool = True) -> torch.Tensor:
    """The values of a tensor inside a transform, detached: those of all examples under vmap."""
    return all_examples(tensor.detach(), recurse)
