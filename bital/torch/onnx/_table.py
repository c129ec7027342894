"""Where the rules of the ONNX export are declared: per function of PyTorch, how ONNX says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: function -> rule (g, a, out): adds nodes for the call with arguments `a` that gave `out`
NODES: dict[str, Callable] = {}
#: function -> the same function made of others that have rules
MADE_OF: dict[str, Callable] = {}
#: functions whose result is their first argument's, in other memory at most
SAME: set[str] = set()


def node(*names: str) -> Callable[[Callable], Callable]:
    """Declare how calls of these functions become nodes.

    The rule gets the recorder `g`, the call's arguments by their names in PyTorch (`a.input`, and
    `a.args` where there are positional ones without), and what it returned. It gives the value of
    each returned tensor, one or a list.
    """

    def declare(rule: Callable) -> Callable:
        for name in names:
            NODES[name] = rule
        return rule

    return declare


def made_of(*names: str) -> Callable[[Callable], Callable]:
    """Declare a function as a composition of others; it gets the same arguments."""

    def declare(fn: Callable) -> Callable:
        for name in names:
            MADE_OF[name] = fn
        return fn

    return declare


def unsupported(what: Any) -> Any:
    """Raise the error of a call that ONNX cannot say; the recorder adds the function and line."""
    raise NotExpressible(str(what))


class NotExpressible(Exception):
    """A rule cannot say this call; the message is the reason."""
