"""Families: plans that differ in one size only share native code, in which the size is a number.

Room: runtime. A program whose batch or length changes all the time meets each of its plans a few
times only. Of the third size on they are a family: its runs are counted together, and from a fixed
one on all its plans are native, be they new or known. Where a size cannot be told from the others
while compiling, or the code for it would differ, the plan goes its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import ref

import numpy as np

from bital.base import config
from bital.base.extent import Extent
from bital.base.stride import permuted_strides
from bital.ir.template import Differ, Template, outline
from bital.runtime.budget import budget
from bital.runtime.compile import BEGIN, Compiler, Layouts, layouts_of

#: sizes of which a family is made, and families that plans of one outline may have
_SIZES, _MOST = 3, 4
#: comparisons of plans of one outline that found no family until they are given up
_TRIALS = 8


class Family(Compiler):
    """The way of a family to native code."""

    __slots__ = ("template", "runs")

    def __init__(self, template: Template, of: Compiler) -> None:
        super().__init__(template.code, of.held, of.donated)
        self.template = template
        self.bounds = template.bounds
        self.runs = BEGIN - 1

    def size_of(self, plan: Compiler) -> int | None:
        """The size that a plan has, if it is one of the family."""
        if (plan.held, plan.donated) != (self.held, self.donated):
            return None
        return self.template.size_of(plan.code)

    def serve(self, arrays: list[np.ndarray], params: list) -> Callable | None:
        """What runs one of its plans natively, if the family is native by now."""
        if self.native is not None:
            return self.native.run
        self.runs += 1
        return self.step(self.runs, arrays, params)

    def settled(self, n: int) -> bool | None:
        """Whether it runs the plan of size n natively; None if that is not known yet."""
        if self.state == "native":
            return n in self.bounds
        least, most = self.bounds.first
        return False if self.state == "failed" or not least <= n <= most else None

    @property
    def left_out(self) -> set[int]:
        """Sizes among those that it serves for which its code does not hold."""
        return self.bounds.left_out if self.state == "native" else set()

    def _fail(self, error: Exception) -> None:
        """Its plans go their own ways; that is no news, as what a size changes has many forms."""
        self.job, self.state = None, "failed"
        budget.ends(self)

    def layouts_of(self, n: int) -> Layouts:
        """How its code expects the inputs of the plan of size n."""
        return [
            tuple([s.at(n) if isinstance(s, Extent) else s for s in layout])
            for layout in self.layouts
        ]

    def _layouts(self, arrays: list[np.ndarray]) -> Layouts:
        return [
            _growing(strides, a.shape, self.template.shapes.get(k, a.shape))
            for k, (a, strides) in enumerate(zip(arrays, layouts_of(arrays, self.donated)))
        ]


def _growing(strides: tuple, shape: tuple, wanted: tuple) -> tuple:
    """The strides of an array without gaps for another shape; those of others stay as they are."""
    for order in (range(len(shape)), sorted(range(len(shape)), key=lambda k: -strides[k])):
        try:
            if permuted_strides(shape, order) == strides:
                return permuted_strides(wanted, order)
        except TypeError:  # the square of a size
            break
    return strides


class _Kin:
    """Plans that may be of one family: their families, and those that have none yet."""

    def __init__(self) -> None:
        self.families: list[Family] = []
        self.single: list[ref[Compiler]] = []
        self.trials = 0


class Families:
    """All families, by the outlines of their plans."""

    def __init__(self) -> None:
        self.known: dict[int, _Kin] = {}

    def join(self, compiler: Compiler) -> None:
        """Let a new plan join the family it belongs to, or found one with others."""
        if config.compile != "hot":
            return
        if len(self.known) >= config.plan_cache:
            self.clear()
        key = hash((outline(compiler.code), compiler.held, compiler.donated))
        kin = self.known.setdefault(key, _Kin())
        for family in kin.families:
            n = family.size_of(compiler)
            if n is None:
                continue
            if family.settled(n) is not False:
                compiler.family, compiler.size = family, n
                return
            if n < 2 or family.state == "failed" or n in family.left_out:
                return
        if len(kin.families) == _MOST or kin.trials == _TRIALS:
            return
        kin.single = [*kin.single[1 - _SIZES :], ref(compiler)]
        if len(kin.single) == _SIZES:
            self._found(kin)

    def _found(self, kin: _Kin) -> None:
        """Found a family of the last plans that have none, if they are one."""
        members = [c for each in kin.single if (c := each()) is not None]
        try:
            if len({(c.held, c.donated) for c in members}) > 1 or len(members) < _SIZES:
                raise Differ
            template = Template([c.code for c in members])
        except Differ:
            kin.trials += 1
            return
        family = Family(template, members[0])
        for member, n in zip(members, template.sizes):
            member.family, member.size = family, n
        kin.families.append(family)
        kin.single = []

    def clear(self) -> None:
        """Forget the families; those of plans that are kept live on."""
        self.known.clear()


families = Families()
