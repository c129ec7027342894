"""Named results: what functions with several results return, `torch.return_types`.

Room: ops.
"""

from __future__ import annotations

from collections import namedtuple

#: name -> the class, for the torch room's module `return_types`
RETURN_TYPES: dict[str, type] = {}


class _Printed:
    """The repr of PyTorch's named results, a field per line."""

    __slots__ = ()

    def __repr__(self) -> str:
        fields = self._fields  # type: ignore[attr-defined]
        lines = ",\n".join(f"{n}={v!r}" for n, v in zip(fields, self))  # type: ignore[call-overload]
        return f"torch.return_types.{type(self).__name__}(\n{lines})"


def named_result(name: str, *fields: str) -> type:
    """The tuple type `torch.return_types.name`; called again with a name, the same type."""
    found = RETURN_TYPES.get(name)
    if found is None:
        base = namedtuple(name, fields)  # type: ignore[misc]
        found = type(name, (_Printed, base), {"__slots__": (), "__module__": "torch.return_types"})
        RETURN_TYPES[name] = found
    return found
