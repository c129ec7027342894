"""Mirror: the cell that shows the conjugates of another cell's numbers, for `Tensor.conj()`.

Room: tensor. A window on a Mirror has the geometry of one on its source, so views of conjugates
need nothing of their own. What is read from it is conjugated then, what is written to it goes to
the source conjugated: both see each other's writes, and count the same versions.
"""

from __future__ import annotations

from collections.abc import Callable

from bital.ir.op import Op, same_as
from bital.ir.trace import Value, local, record
from bital.tensor.storage import Storage, write_window
from bital.tensor.tensor import Tensor, make_view, strides_of

_CONJ = Op("conj_memory", same_as, "conjugate", elementwise=True)


def _conjugated(value: Value) -> Value:
    key = ((value.meta,), ())
    return record(local.trace, _CONJ.memo.get(key) or _CONJ.resolve(*key), value)


class Mirror(Storage):
    """The conjugates of what `source` shows."""

    __slots__ = ("source", "key", "made", "apart")

    def __init__(self, source: Storage) -> None:
        self.source, self.apart = source, source.apart
        self.key: Value | None = None  # the source's value that `made` is the conjugate of
        self.made: Value | None = None

    @property
    def value(self) -> Value:
        found = self.source.value
        if found.shared:  # others write to that memory and say nothing
            return _conjugated(found)
        if self.key is not found:
            self.key, self.made = found, _conjugated(found)
        return self.made  # type: ignore[return-value]

    @value.setter
    def value(self, new: Value) -> None:
        made, meta = _conjugated(new), self.source.value.meta
        if self.source.value.shared:
            write_window(local.trace, self.source, made, meta, 0, meta.strides)
        else:
            self.source.value = made
            self.key, self.made = made, new

    @property
    def memory(self) -> Storage:
        return self.source.memory

    @property
    def mirrored(self) -> bool:
        return not self.source.mirrored

    @property
    def version(self) -> int:
        return self.source.version

    @version.setter
    def version(self, new: int) -> None:
        self.source.version = new


def mirrored(t: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
    """The view of t's conjugates; `rule` turns its gradient into t's."""
    storage = t._storage
    other = storage.source if type(storage) is Mirror else Mirror(storage)
    return make_view(
        t, t._meta.shape, strides_of(t), t.storage_offset(), "ConjBackward0", rule, storage=other
    )
