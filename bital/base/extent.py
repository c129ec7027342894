"""Extent: a size that changes from run to run, so that one piece of code serves many sizes.

Room: base; the standard library only. What is computed for an Extent holds for every n of its
Bounds: a comparison that some n would decide otherwise narrows the bounds, and what would need
the number itself raises TypeError, as an Extent is no integer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any


class Bounds:
    """For which n something holds: from `least` to `most`, but for those that are `left_out`.

    `hint` is one such n, for estimates of what takes long; a run finds its n at `place`, as the
    size of an input (its number) along an axis.
    """

    def __init__(self, hint: int, least: int, most: int, place: tuple[int, int] = (0, 0)) -> None:
        self.place = place
        self.first = least, most  # which stay as they are
        self.hint, self.least, self.most = hint, least, most
        self.left_out: set[int] = set()
        #: makes a number to compute with of a size, while there is something that can
        self.number: Callable[[Extent], Any] | None = None

    def __contains__(self, n: int) -> bool:
        return self.least <= n <= self.most and n not in self.left_out

    def below(self, a: int, b: int) -> bool:
        """Whether a * n + b < 0, which the hint decides for all n."""
        # up to `last` the answer is that of a > 0, beyond it the other one
        last = (-b - 1) // a if a > 0 else b // -a
        if self.hint <= last:
            self.most = min(self.most, last)
        else:
            self.least = max(self.least, last + 1)
        return (self.hint <= last) == (a > 0)


class Extent:
    """The size a * n + b, where n has `bounds`."""

    __slots__ = ("bounds", "a", "b")

    def __init__(self, bounds: Bounds, a: int = 1, b: int = 0) -> None:
        self.bounds, self.a, self.b = bounds, a, b

    def at(self, n: int) -> int:
        """The size for one n."""
        return self.a * n + self.b

    def __repr__(self) -> str:
        """A Python expression of n."""
        text = "n" if self.a == 1 else f"{self.a} * n"
        return text if not self.b else f"{text} {'-' if self.b < 0 else '+'} {abs(self.b)}"

    def __format__(self, how: str) -> str:
        raise TypeError("a size that changes has no digits")

    def __hash__(self) -> int:
        return hash((id(self.bounds), self.a, self.b))

    # arithmetic

    def _parts(self, other: Any) -> tuple[int, int] | None:
        """An integer or another size as (a, b); None for anything else."""
        if isinstance(other, Extent):
            if other.bounds is not self.bounds:
                raise TypeError("sizes that change on their own")
            return other.a, other.b
        try:
            return 0, operator.index(other)
        except TypeError:
            return None

    def _made(self, a: int, b: int) -> Any:
        return Extent(self.bounds, a, b) if a else b

    def number(self) -> Any:
        """The size as a number to compute with, where it is no size of anything."""
        if self.bounds.number is None:
            raise TypeError("a size that changes is no number here")
        return self.bounds.number(self)

    def __add__(self, other: Any) -> Any:
        parts = self._parts(other)
        if parts is None:
            return self.number() + other
        return self._made(self.a + parts[0], self.b + parts[1])

    __radd__ = __add__

    def __neg__(self) -> Any:
        return self._made(-self.a, -self.b)

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        parts = self._parts(other)
        if parts is None or parts[0]:
            return self.number() * other
        return self._made(self.a * parts[1], self.b * parts[1])

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        """Exact quotients only."""
        parts = self._parts(other)
        if parts is not None and (parts[0] or parts[1]):
            by = parts[0] or parts[1]
            a, b = self.a // by, self.b // by
            whole = (a * by, b * by) == (self.a, self.b)
            if whole and not parts[0]:
                return self._made(a, b)
            if whole and (a * parts[0], a * parts[1]) == (self.a, self.b):
                return a
        raise TypeError("a quotient of a size that changes")

    def __truediv__(self, other: Any) -> Any:
        return self.number() / (other.number() if isinstance(other, Extent) else other)

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.number()

    __array_ufunc__ = None  # NumPy's numbers leave their arithmetic with sizes to these

    # comparisons

    def __bool__(self) -> bool:
        return self != 0

    def __eq__(self, other: object) -> bool:
        """Whether two sizes are the same for every n; where they are by chance, n is left out."""
        if isinstance(other, Extent) and other.bounds is not self.bounds:
            return False
        parts = self._parts(other)
        if parts is None:
            return False
        a, b = self.a - parts[0], self.b - parts[1]
        if not a:
            return not b
        if not -b % a:
            self.bounds.left_out.add(-b // a)
        return False

    def _less(self, other: Any, least: int) -> Any:
        """Whether self - other < least."""
        parts = self._parts(other)
        if parts is None:
            return NotImplemented
        a, b = self.a - parts[0], self.b - parts[1] - least
        return self.bounds.below(a, b) if a else b < 0

    def __lt__(self, other: Any) -> bool:
        return self._less(other, 0)

    def __le__(self, other: Any) -> bool:
        return self._less(other, 1)

    def __gt__(self, other: Any) -> bool:
        less = self._less(other, 1)
        return less if less is NotImplemented else not less

    def __ge__(self, other: Any) -> bool:
        less = self._less(other, 0)
        return less if less is NotImplemented else not less


def hint(size: Any) -> Any:
    """A size, or for one that changes an example: for estimates."""
    return size.at(size.bounds.hint) if isinstance(size, Extent) else size


def hints(shape: Iterable) -> tuple[int, ...]:
    """`hint` of every size."""
    return tuple([hint(n) for n in shape])


def most(size: Any) -> int:
    """The most that a size can be, whatever it has been compared with."""
    if not isinstance(size, Extent):
        return size
    return size.at(size.bounds.first[size.a > 0])


def fewest(size: Any) -> int:
    """The least that a size can be, whatever it has been compared with."""
    if not isinstance(size, Extent):
        return size
    return size.at(size.bounds.first[size.a < 0])
