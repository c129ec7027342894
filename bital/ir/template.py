"""Template: programs that differ in one size only, as one program of a size that changes.

Room: ir. It is found by comparing three such programs: a number in which they differ must be the
same affine function of the size in each, be it in a shape or among attributes. Whether another
program is like these is not guessed but compared, instruction by instruction.
"""

from __future__ import annotations

from typing import Any

from bital.base.extent import Bounds, Extent
from bital.ir.meta import Meta
from bital.ir.op import Spec

#: a template is meant for sizes up to so many times the largest that it was made of
_REACH = 4


#: types of attributes that no size has
_SWITCHES = frozenset((bool, str, type(None)))


class Differ(Exception):
    """Programs that no size alone makes different."""


def outline(code: list[tuple]) -> int:
    """A hash of what programs that differ in a size have in common: all but numbers and shapes."""
    return hash(tuple([(*_outline(spec), *refs) for spec, *refs in code]))


def _outline(spec: Any) -> tuple:
    if not isinstance(spec, Spec):
        return (spec,)
    return spec.op, *[v if type(v) in _SWITCHES else type(v) for v in spec.attrs.values()]


class Template:
    """The instructions of a program of changing size: `code`, in which such sizes are Extents.

    The size itself is that of axis `axis` of input `input`; `shapes` are the inputs' shapes.
    """

    def __init__(self, codes: list[list[tuple]]) -> None:
        """Of three programs; Differ where more than a size makes them so."""
        self.operands = [i[1:] for i in codes[0]]
        if any([i[1:] for i in code] != self.operands for code in codes):
            raise Differ
        found = [_inputs(code) for code in codes]
        changing = [
            (abs(sizes[0] - sizes[1]), k, axis)
            for k in found[0]
            for axis, sizes in enumerate(zip(*[f[k][0].shape for f in found]))
            if len(set(sizes)) == len(codes)
        ]
        if not changing:
            raise Differ
        _, self.input, self.axis = min(changing)
        metas = [f[self.input][0] for f in found]
        self.sizes = tuple([m.shape[self.axis] for m in metas])
        self.where = found[0][self.input][1:]  # the instruction and operand that tell the size
        largest = max(self.sizes)
        self.bounds = Bounds(largest, 2, _REACH * largest, (self.input, self.axis))
        merge = _Merge(self.bounds, self.sizes)
        self.code = [(merge(*[i[0] for i in each]), *each[0][1:]) for each in zip(*codes)]
        self.shapes = {
            k: (*meta.device.sizes, *meta.shape) for k, (meta, *_) in _inputs(self.code).items()
        }

    def size_of(self, code: list[tuple]) -> int | None:
        """The size that makes the template that program; None where none does."""
        if [i[1:] for i in code] != self.operands:
            return None
        number, operand = self.where
        metas = getattr(code[number][0], "metas", ())
        shape = metas[operand].shape if operand < len(metas) else ()
        if len(shape) <= self.axis:
            return None
        n = shape[self.axis]
        alike = all(_is(form[0], given[0], n) for form, given in zip(self.code, code))
        return n if alike else None


def _inputs(code: list[tuple]) -> dict[int, tuple[Meta, int, int]]:
    """Per input its meta, and one of the instructions and operands where it stands."""
    return {
        ~r: (spec.metas[k], number, k)
        for number, (spec, *refs) in enumerate(code)
        for k, r in enumerate(refs) if r < 0
    }  # fmt: skip


class _Merge:
    """Three things that differ in a size as one; Differ where they differ otherwise."""

    def __init__(self, bounds: Bounds, sizes: tuple[int, ...]) -> None:
        self.bounds, self.sizes = bounds, sizes

    def __call__(self, *three: Any) -> Any:
        first = three[0]
        if first is three[1] is three[2]:
            return first
        kind = type(first)
        if any(type(x) is not kind for x in three):
            raise Differ
        if kind is int:
            return first if len(set(three)) == 1 else self._size(*three)
        if kind is Spec:
            op, metas, attrs, out, compute = map(self, *map(_parts, three))
            return Spec(op, metas, attrs, out, _not_run, compute)
        if kind is Meta:
            shape, dtype, device = map(self, *map(_parts, three))
            if device.sizes:  # what vmap does with many at once goes by metas that are kept
                raise Differ
            return _changing(shape, dtype, device)
        if isinstance(first, tuple):
            if len({len(x) for x in three}) > 1:
                raise Differ
            items = tuple(map(self, *three))
            return kind(*items) if hasattr(kind, "_fields") else items
        if isinstance(first, dict):
            if any(x.keys() != first.keys() for x in three):
                raise Differ
            return {name: self(*[x[name] for x in three]) for name in first}
        if _equal(first, three[1]) and _equal(first, three[2]):
            return first
        raise Differ

    def _size(self, x: int, y: int, z: int) -> Extent:
        """The affine function of the size that has these values."""
        a, rest = divmod(y - x, self.sizes[1] - self.sizes[0])
        b = x - a * self.sizes[0]
        if rest or a <= 0 or z != a * self.sizes[2] + b:
            raise Differ
        return Extent(self.bounds, a, b)


def _parts(thing: Spec | Meta) -> tuple:
    """What instructions, and metas, are compared by."""
    if isinstance(thing, Meta):
        return tuple(thing.shape), thing.dtype, thing.device
    return thing.op, thing.metas, dict(thing.attrs), thing.out, thing.compute


def _changing(shape: tuple, dtype: Any, device: Any) -> Meta:
    """A meta of changing shape: not one of those that are kept, and with the less known."""
    meta = Meta.__new__(Meta)
    meta.shape, meta.dtype, meta.device = shape, dtype, device  # type: ignore[assignment]
    meta.ndim, meta.np, meta.nbytes = len(shape), dtype.np, 0
    return meta


def _not_run(*_: Any) -> Any:
    raise RuntimeError("an instruction of changing size is compiled only")


def _is(form: Any, given: Any, n: int) -> bool:
    """Whether something is what a form is for the size n."""
    if form is given:
        return True
    kind = type(form)
    if kind is Extent:
        return type(given) is int and form.at(n) == given
    if kind is Spec or kind is Meta:
        return type(given) is kind and _is(_parts(form), _parts(given), n)
    if isinstance(form, tuple):
        same = isinstance(given, tuple) and len(given) == len(form)
        return same and all(_is(f, g, n) for f, g in zip(form, given))
    if isinstance(form, dict):
        return form.keys() == given.keys() and all(_is(form[k], given[k], n) for k in form)
    return type(given) is kind and _equal(form, given)


def _equal(x: Any, y: Any) -> bool:
    try:
        return bool(x == y)
    except ValueError:  # arrays
        return False
