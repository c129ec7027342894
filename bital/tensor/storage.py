"""Storage: a mutable cell that holds the current Value of a flat array. View: a window on one.

Room: tensor. In-place operations put a new Value in the cell and raise its version; every tensor
on the same storage sees it. A tensor without a View is the whole value, contiguous.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from typing import Any

import numpy as np

from bital.base.dtype import dtype
from bital.base.window import strided
from bital.ir.batch import Batch
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ir.trace import Trace, Value, flush, given, local, ready, record_many


class Storage:
    """The cell: `value` now, and how often it was written (`version`)."""

    __slots__ = ("value", "version", "__weakref__")
    #: whether writes are not to be noticed by what is recorded for backward, as those to `.data`
    apart = False

    value: Value
    version: int

    @property
    def memory(self) -> Storage:
        """The cell that holds what this one shows, conjugated or not."""
        return self

    @property
    def shown(self) -> Storage:
        """The cell that holds the very numbers that this one shows."""
        return self

    @property
    def mirrored(self) -> bool:
        """Whether the conjugates of what the memory holds are shown."""
        return False


def new_cell(value: Value) -> Storage:
    """A cell of its own; without `__init__`, a call of which would cost more than all the rest."""
    cell = Storage()
    cell.value, cell.version = value, 0
    return cell


class ModalStorage(Storage):
    """The cell made while some thread is in inference mode; `inference` says that it was its own.

    Such a cell is written to in that mode only, and its writes are not counted.
    """

    __slots__ = ("inference", "writes")

    @property
    def version(self) -> int:
        return self.writes

    @version.setter
    def version(self, new: int) -> None:
        if not new:
            self.inference = local.trace.inference
        elif self.inference:
            if not local.trace.inference:
                raise RuntimeError(
                    "Inplace update to inference tensor outside InferenceMode is not allowed. You "
                    "can make a clone to get a normal tensor before doing inplace update. See "
                    "https://github.com/pytorch/rfcs/pull/17 for more details."
                )
            new = 0
        self.writes = new


class Apart(Storage):
    """The cell of a `.data`: shows what `source` does, and counts the writes made through it."""

    __slots__ = ("source",)
    apart = True

    def __init__(self, source: Storage) -> None:
        self.source: Storage = source.source if type(source) is Apart else source
        self.version = 0

    @property
    def value(self) -> Value:
        return self.source.value

    @value.setter
    def value(self, new: Value) -> None:
        self.source.value = new

    @property
    def memory(self) -> Storage:
        return self.source.memory

    @property
    def shown(self) -> Storage:
        return self.source.shown

    @property
    def mirrored(self) -> bool:
        return self.source.mirrored


class View:
    """A window that is not the whole of its storage, or that has a base to be kept in step with.

    `offset` and `strides` count elements. `base` is the tensor this is a differentiable view of,
    itself a view of nothing; `version` is the storage's when the tensor's grad_fn was last right.
    `made` says how: "default", in "no_grad" mode, with others ("multi"), or by the user's own
    "function".
    """

    __slots__ = ("offset", "strides", "base", "version", "made", "key", "window")

    offset: int
    strides: tuple[int, ...]
    base: Any
    version: int
    made: str
    key: Value | None  # the storage's value that `window` was read from
    window: Value | None

    def bare(self) -> View:
        """The same window, as a view of nothing."""
        return view_at(self.offset, self.strides)


def view_at(
    offset: int,
    strides: tuple[int, ...],
    base: Any = None,
    version: int = 0,
    made: str = "default",
) -> View:
    """A View; without `__init__`, a call of which would cost more than all the rest."""
    view = View()
    view.offset = offset
    view.strides = strides
    view.base = base
    view.version = version
    view.made = made
    view.key = view.window = None
    return view


def _window_rule(base: Meta, shape: tuple, strides: tuple, d: dtype) -> tuple[Meta, dict]:
    return meta_of(shape, d, base.device), {"shape": shape, "strides": strides, "dtype": d.np}


def _read_each(batch: Batch) -> Callable:
    """How windows of the buffers of many examples are read."""
    lanes = len(batch.sizes)

    def read(base: np.ndarray, offset: int) -> np.ndarray:
        return strided(base, offset, **batch.kwargs, lanes=lanes)

    return read


def _write_each(batch: Batch) -> Callable:
    """How windows of the buffers of many examples are written."""
    sizes = batch.sizes
    base_of, src_of = batch.full(0), batch.align(1, len(batch.kwargs["shape"]))

    def write(base: Any, src: Any, offset: int, *, out: np.ndarray | None = None) -> np.ndarray:
        if out is None or not out.flags.c_contiguous:
            out = np.array(base_of(base), order="C", copy=True)
        strided(out, offset, **batch.kwargs, lanes=len(sizes))[...] = src_of(src)
        return out

    return write


def _read(xp: Any, base: np.ndarray, offset: int, **layout: Any) -> np.ndarray:
    return strided(base, offset, **layout)


def _write(
    xp: Any,
    base: np.ndarray,
    src: np.ndarray,
    offset: int,
    *,
    out: np.ndarray | None = None,
    **layout: Any,
) -> np.ndarray:
    if out is None or not out.flags.c_contiguous:  # NumPy lays some results out as their operands
        out = np.array(base, order="C", copy=True)
    strided(out, offset, **layout)[...] = src
    return out


def _read_native(
    xp: Any, base: Any, offset: Any, *, shape: tuple, strides: tuple, dtype: np.dtype
) -> Any:
    return xp.window(base, shape, strides, offset, dtype)


def _write_native(
    xp: Any, base: Any, src: Any, offset: Any, *, shape: tuple, strides: tuple, dtype: np.dtype
) -> Any:
    return xp.written(base, src, shape, strides, offset, dtype)


READ = Op("window_read", _window_rule, _read, params=("offset",), alias=True,
          batch=_read_each, native=_read_native)  # fmt: skip
WRITE = Op(
    "window_write",
    lambda base, src, shape, strides, d: (base, _window_rule(base, shape, strides, d)[1]),
    _write,
    inputs=("base", "src"),
    params=("offset",),
    out="first",
    batch=_write_each,
    native=_write_native,
)


def read_window(
    trace: Trace, value: Value, meta: Meta, offset: int, strides: tuple[int, ...]
) -> Value:
    """The elements of a window as a value of meta's shape.

    A window of a ready value is an input with its own layout and records nothing, one of zeros or
    ones are the zeros or ones of its shape; of a pending value it is one strided read, its offset a
    run-time scalar.
    """
    whole, flat = value.meta, value.buf
    if flat is not None:
        constant = value is whole.zeros or value is whole.ones
        if constant and meta.dtype is whole.dtype and not value.shared:
            kept = "zeros" if value is whole.zeros else "ones"
            if getattr(meta, kept) is None:
                setattr(meta, kept, given(meta, _window_of(value, meta, offset, strides)))
            return getattr(meta, kept)
        window = Value()
        window.meta, window.trace, window.shared = meta, None, value.shared
        if strides == meta.strides and meta.numel and flat.flags.c_contiguous:
            if not whole.device.lanes:
                window.buf = np.ndarray(meta.shape, meta.np, flat, offset * meta.dtype.itemsize)
                return window
        window.buf = _window_of(value, meta, offset, strides)
        return window
    step = trace.prefix.likely
    if step.op is READ and step.first is whole and step.i == trace.number(value):
        if step.spec.out is meta and step.spec.asked[1] == strides:
            return trace.take(step, offset)
    attrs = (meta.shape, strides, meta.dtype)
    spec = READ.memo.get(((whole,), attrs)) or READ.resolve((whole,), attrs)
    return record_many(trace, spec, [value], (offset,))  # type: ignore[return-value]


def _window_of(value: Value, meta: Meta, offset: int, strides: tuple[int, ...]) -> np.ndarray:
    flat = value.buf
    sizes = value.meta.device.sizes
    if not flat.flags.c_contiguous:
        if not any(flat.strides) and flat.size and flat.dtype == meta.np:
            # one number everywhere: constants are kept for reuse and must not grow memory
            shape, one = (*sizes, *meta.shape), np.asarray(flat[(0,) * flat.ndim], meta.np)
            one.flags.writeable = False
            return np.ndarray(shape, meta.np, one, 0, (0,) * len(shape))
        flat = value.buf = np.ascontiguousarray(flat)
    return strided(flat, offset, meta.shape, strides, meta.np, len(sizes))


def write_window(
    trace: Trace, storage: Storage, src: Value, meta: Meta, offset: int, strides: tuple[int, ...]
) -> None:
    """Put `src` (broadcastable to meta's shape) into a window of the storage."""
    value = storage.value
    if value.shared:
        array = ready(src)
        strided(value.buf, offset, meta.shape, strides, meta.np)[...] = array
        return
    attrs = (meta.shape, strides, meta.dtype)
    metas = (value.meta, src.meta)
    spec = WRITE.memo.get((metas, attrs)) or WRITE.resolve(metas, attrs)
    storage.value = record_many(trace, spec, [value, src], (offset,))  # type: ignore[assignment]


def flat_buffer(storage: Storage) -> np.ndarray:
    """The storage's memory as it is now, contiguous, computed if pending."""
    value = storage.value
    if value.meta.device.lanes:
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage")
    buf = ready(value)
    if not buf.flags.c_contiguous:
        buf = value.buf = np.ascontiguousarray(buf)
    return buf


def export(storage: Storage) -> np.ndarray:
    """The memory for somebody outside; from now on operations on it run at once.

    Other storages may hold the same value, which nobody may write to, so the first export copies
    it unless the storage is seen to be the only one.
    """
    if not storage.value.shared:
        flush("memory is shared outside")  # what was recorded must not see writes made later
        flat_buffer(storage)
        if not _exclusive(storage):
            value = storage.value
            storage.value = given(value.meta, np.array(value.buf, order="C"))
        storage.value.shared = True
    return storage.value.buf


def _exclusive(storage: Storage) -> bool:
    """Whether only this storage knows its value, and only the value its memory."""
    buf = storage.value.buf
    return (
        getrefcount(storage.value) == 2  # the storage and the argument
        and getrefcount(buf) == 3  # the value, our name and the argument
        and buf.base is None
        and buf.flags.writeable
    )
