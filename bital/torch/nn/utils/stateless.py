"""A module called with other tensors in place of its parameters and buffers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bital.torch.nn.modules.module import Module
from bital.torch.nn.parallel import DataParallel
from bital.torch.nn.utils._named_member_accessor import NamedMemberAccessor


def _untie_named_tensors_map(module: Module, tensors: dict[str, Any]) -> dict[str, Any]:
    """The tensors under every name that is tied to one of theirs, as well as their own.

    ValueError where names that are tied were given different tensors.
    """
    accessor = NamedMemberAccessor(module)
    groups: dict[int, list[str]] = {}  # a tensor of the module -> its names
    for name, tensor in accessor.named_tensors(remove_duplicate=False):
        groups.setdefault(id(tensor), []).append(name)
    untied = dict(tensors)
    for names in groups.values():
        given = [name for name in names if name in tensors]
        if len({id(tensors[name]) for name in given}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(names)}, which are tied. "
                "Consider using tie_weights=False"
            )
        if given:
            untied.update(dict.fromkeys(names, tensors[given[0]]))
    return untied


@contextmanager
def _reparametrize_module(
    module: Module,
    parameters_and_buffers: dict[str, Any],
    tie_weights: bool = False,
    strict: bool = False,
) -> Iterator[None]:
    """Put tensors in the places of the module's own; what it writes to its own goes to the dict."""
    given = parameters_and_buffers
    tensors = _untie_named_tensors_map(module, given) if tie_weights else given
    accessor = NamedMemberAccessor(module)
    if strict:
        missing, unexpected = accessor.check_keys(tensors)
        wrong = [
            f"{word} key(s): {', '.join(map(repr, keys))}."
            for word, keys in (("Unexpected", unexpected), ("Missing", missing))
            if keys
        ]
        if wrong:
            raise RuntimeError(
                f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(wrong)
            )
    own: dict[str, Any] = {}
    try:
        own, _ = accessor.swap_tensors_dict(tensors, allow_missing=True)
        yield
    finally:
        left, _ = accessor.swap_tensors_dict(own, allow_missing=True)
        given.update({name: left[name] for name in given if name in left})


def _functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Any],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with tensors, by full names, in place of its own.

    args: a tuple of arguments, or one. With `tie_weights` a tensor goes to all names of a shared
    parameter; with `strict` the names must be exactly those of the module.
    """
    if isinstance(module, DataParallel):
        raise RuntimeError("The stateless API can't be used with nn.DataParallel module")
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    with _reparametrize_module(module, parameters_and_buffers, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Any],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """The older name of `torch.func.functional_call`."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be "
        "removed in a future version of PyTorch. Please use `torch.func.functional_call` instead "
        "which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )
