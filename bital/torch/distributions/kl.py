"""kl_divergence: how far one distribution is from another, by what is registered for them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from bital.torch.distributions.distribution import Distribution

__all__ = ["kl_divergence", "register_kl"]

#: (type of p, type of q) -> function of p and q
_KL_REGISTRY: dict[tuple[type, type], Callable] = {}
#: what has been found for the very types of p and q
_KL_MEMOIZE: dict[tuple[type, type], Any] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Callable], Callable]:
    """A decorator for the function that computes KL(p || q) for these types and their kinds.

    As in PyTorch they may be any classes: libraries register their own bases. Else TypeError.
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def decorator(fun: Callable) -> Callable:
        _KL_REGISTRY[type_p, type_q] = fun
        _KL_MEMOIZE.clear()
        return fun

    return decorator


def _nearest(matches: list[tuple[type, type]], first: int) -> tuple[type, type]:
    """The match nearest to the types, compared by its `first` member and then by the other."""

    def nearer(a: tuple[type, type], b: tuple[type, type]) -> bool:
        for k in (first, 1 - first):
            if a[k] is not b[k]:
                return issubclass(a[k], b[k])
        return False

    best = matches[0]
    for match in matches[1:]:
        if nearer(match, best):
            best = match
    return best


def _dispatch_kl(type_p: type, type_q: type) -> Any:
    """What is registered for the nearest bases of the types, or NotImplemented."""
    matches = [
        (base_p, base_q)
        for base_p, base_q in _KL_REGISTRY
        if issubclass(type_p, base_p) and issubclass(type_q, base_q)
    ]
    if not matches:
        return NotImplemented
    left, right = _nearest(matches, 0), _nearest(matches, 1)
    if _KL_REGISTRY[left] is not _KL_REGISTRY[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please "
            f"register_kl({left[0].__name__}, {right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _KL_REGISTRY[left]


def kl_divergence(p: Distribution, q: Distribution) -> Any:
    """KL(p || q), the mean of log p(x) - log q(x) over draws x of p; of the batch's shape.

    NotImplementedError where nothing is registered for the types.
    """
    types = type(p), type(q)
    fun = _KL_MEMOIZE.get(types)
    if fun is None:
        fun = _KL_MEMOIZE[types] = _dispatch_kl(*types)
    if fun is NotImplemented:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {types[0].__name__} and q type "
            f"{types[1].__name__}"
        )
    return fun(p, q)
