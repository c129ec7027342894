"""What a `register_…` call returns: tensors, nodes, modules and optimizers have the same.

Room: tensor; the standard library only.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from typing import Any


class RemovableHandle:
    """Takes a hook out again: `handle.remove()`, or on leaving `with handle:`.

    `hooks_dict` is the registry that holds the hook under `handle.id`; `extra_dict` holds what
    else is kept under the same number and goes with it. Registries are held weakly.
    """

    next_id = 0

    def __init__(self, hooks_dict: MutableMapping, *, extra_dict: Any = None) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        extras = extra_dict if isinstance(extra_dict, list) else [extra_dict]
        self.extra_dict_ref = tuple(weakref.ref(extra) for extra in extras if extra is not None)

    @classmethod
    def to(cls, registry: MutableMapping, hook: Callable) -> RemovableHandle:
        """Put `hook` into `registry`; what takes it out again."""
        handle = cls(registry)
        registry[handle.id] = hook
        return handle

    def remove(self) -> None:
        """Remove the hook; a second call does nothing."""
        for reference in (self.hooks_dict_ref, *self.extra_dict_ref):
            registry = reference()
            if registry is not None and self.id in registry:
                del registry[self.id]

    def __getstate__(self) -> tuple:
        return self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref)

    def __setstate__(self, state: tuple) -> None:
        hooks_dict, self.id, *rest = state
        # a registry that died before pickling is replaced by an empty one, which dies at once
        self.hooks_dict_ref = weakref.ref(OrderedDict() if hooks_dict is None else hooks_dict)
        extras = rest[0] if rest else ()
        self.extra_dict_ref = tuple(weakref.ref(OrderedDict() if e is None else e) for e in extras)
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()
