"""functional_call: a module as a function of its parameters and buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bital.torch.nn.modules.module import Module
from bital.torch.nn.utils.stateless import _functional_call


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: dict[str, Any] | Sequence[dict[str, Any]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with tensors, by full names, in place of its own.

    The tensors come in one dictionary or several; args: a tuple of arguments, or one. With
    `tie_weights` a tensor goes to all names of a shared parameter; with `strict` the names must be
    exactly those of the module. What the module writes to its buffers goes to one dictionary.
    """
    given = parameter_and_buffer_dicts
    if not isinstance(given, (dict, Sequence)):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(given)}"
        )
    if not isinstance(given, dict):
        if not all(isinstance(each, dict) for each in given):
            raise ValueError(
                "Expected all elements of parameter_and_buffer_dicts to be dictionaries"
            )
        names = [name for each in given for name in each]
        repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if repeated:
            raise ValueError(
                f"{repeated} appeared in multiple dictionaries; behavior of functional call is "
                "ambiguous"
            )
        given = {name: tensor for each in given for name, tensor in each.items()}
    return _functional_call(module, given, args, kwargs, tie_weights=tie_weights, strict=strict)
