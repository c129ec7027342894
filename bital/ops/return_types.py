"""The named tuples that functions with several results return: `torch.return_types`.

Room: ops. As PyTorch's, a class takes one sequence, unpacks, indexes, and prints its fields one to
a line.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from bital.base.tree import register_pytree_node

#: name -> class, as `torch.return_types` shows them
CLASSES: dict[str, type[Named]] = {}


class Named(tuple):
    """A tuple whose items have names."""

    __slots__ = ()
    names: tuple[str, ...] = ()
    n_fields = n_sequence_fields = n_unnamed_fields = 0

    def __new__(cls, items: Iterable[Any]) -> Named:
        made = tuple.__new__(cls, items)
        if len(made) != len(cls.names):
            raise TypeError(
                f"torch.return_types.{cls.__name__}() takes a {len(cls.names)}-sequence "
                f"({len(made)}-sequence given)"
            )
        return made

    def __repr__(self) -> str:
        fields = ",\n".join(f"{n}={v!r}" for n, v in zip(self.names, self))
        return f"torch.return_types.{type(self).__name__}(\n{fields})"

    def __reduce__(self) -> tuple:
        return rebuilt, (type(self).__name__, tuple(self))


def rebuilt(name: str, items: tuple) -> Named:
    """The named tuple of that class: what pickle calls."""
    return CLASSES[name](items)


def named(name: str, *fields: str) -> type[Named]:
    """The class of results called `name`, made when first asked for."""
    if name not in CLASSES:
        body: dict[str, Any] = {f: property(itemgetter(k)) for k, f in enumerate(fields)}
        body |= {"__slots__": (), "__module__": "torch.return_types", "names": fields}
        body |= {"__match_args__": fields, "n_unnamed_fields": 0}
        body |= {"n_fields": len(fields), "n_sequence_fields": len(fields)}
        CLASSES[name] = cls = type(name, (Named,), body)
        register_pytree_node(cls, lambda t: (list(t), None), lambda items, _: cls(items))
    return CLASSES[name]


def values_and_indices(name: str) -> type[Named]:
    """The class of (values, indices) called `name`."""
    return named(name, "values", "indices")
